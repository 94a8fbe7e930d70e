"""One thread for one spool that looks while somebody wants to know, and holds what it saw for all who ask.

A spool that hangs keeps only this thread waiting: who asks gets what was seen before, and is told so.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from dropwatch.config import Config
from dropwatch.errors import DropwatchError
from dropwatch.journal import line
from dropwatch.status import Target
from dropwatch.status.presence import Presence, presence
from dropwatch.web.eye import Eye, Glimpse

EVERY = 1.0  #: seconds between two looks
SHARE = 4.0  #: looking takes at most one part in five of the time
READING = 0.5  #: times what a look took is waited while old batches are still being read
IDLE = 15.0  #: seconds after which nobody wants to know any more
HANGS = 6.0  #: seconds of one look, after which we say that the spool does not answer
log = logging.getLogger("dropwatch")


@dataclass
class Watch:
    """Looks by *eye*. Its methods may be called by any thread, and never wait for the spool."""

    config: Config
    eye: Eye
    clock: Callable[[], float]
    idle: float = IDLE
    glimpse: Glimpse = field(default_factory=Glimpse)
    version: int = 0
    trouble: Target | None = None
    here: Presence | None = None  #: what was known of the daemon at that look
    _asked: float = 0.0
    _since: float | None = None  #: when the present look was begun; monotonic, like all of these
    _seen: float = float("-inf")  #: when the last look that came to its end was begun
    _thread: threading.Thread | None = None
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _bell: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        """Somebody wants to know."""
        with self._changed:
            self._asked = time.monotonic()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._run, name=f"index {self.eye.spool.root}", daemon=True
                )
                self._thread.start()

    def wait(self, after: float, until: float) -> None:
        """Wait for a look that was begun at *after* or later, until *until* at most (monotonic seconds)."""
        self.ask()
        self._bell.set()
        with self._changed:
            self._changed.wait_for(lambda: self._seen >= after, max(0.0, until - time.monotonic()))

    def silent(self) -> float:
        """For how many seconds the spool has not answered; 0.0 when it does."""
        since = self._since
        waits = time.monotonic() - since if since is not None else 0.0
        return waits if waits > HANGS else 0.0

    def _run(self) -> None:
        while True:
            begun = self._since = time.monotonic()
            glimpse, trouble = self._look()
            with self._changed:
                self._publish(glimpse, trouble)
                self._seen, self._since = begun, None
                self._changed.notify_all()
                if begun - self._asked > self.idle:
                    self._thread = None
                    return
            took = time.monotonic() - begun
            self._bell.wait(took * READING if self.glimpse.unread else max(EVERY, took * SHARE))
            self._bell.clear()

    def _look(self) -> tuple[Glimpse, Target | None]:
        name, now = f"spool:{self.eye.spool.root}", self.clock()
        try:
            self.here = presence(self.config.state, now)
            return self.eye.look(self.here, now), None
        except DropwatchError as err:
            return self.glimpse, Target(name, err.message, err.remedy)
        except OSError as err:
            return self.glimpse, Target(name, f"It cannot be read: {err.strerror or err}.")
        except Exception as err:  # the outermost guard: a list that never changes again would tell nobody
            log.exception(line("look", spool=str(self.eye.spool.root), error=f"{type(err).__name__}: {err}"))
            return self.glimpse, Target(
                name, "The page met an error of its own.", "The log of the page has it."
            )

    def _publish(self, glimpse: Glimpse, trouble: Target | None) -> None:
        if glimpse != self.glimpse or trouble != self.trouble:
            self.glimpse, self.trouble, self.version = glimpse, trouble, self.version + 1
