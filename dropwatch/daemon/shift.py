"""Runs the line in a thread of its own, and puts another one in its place when a share keeps it waiting.

The thread that starts the daemon only looks on, so that a signal always finds it: whatever hangs, the daemon ends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dropwatch.mounts import mounted_below
from dropwatch.pipeline.relief import At, Relief, Relieved
from dropwatch.spool.knock import Knock

LOOK = 1.0  #: seconds between two looks at what the line is at
SLOW = 20.0  #: seconds that it may be at one thing before the spool is asked whether it answers: longer than a Knock
LAST = 10.0  #: seconds that it gets to end when the daemon is stopped


@dataclass
class Shift:
    """run      -- is the line: returns when there is nothing more to do
    set_aside -- called when a thread was relieved, before the next one begins
    free     -- called when such a thread has ended: its spool may be looked at again
    slow     -- seconds that it may be at one thing before anybody asks
    """

    run: Callable[[], None]
    relief: Relief
    clock: Callable[[], float]
    set_aside: Callable[[At], None]
    free: Callable[[Path], None]
    slow: float = SLOW
    _ended: threading.Event = field(default_factory=threading.Event)
    _error: BaseException | None = None

    def watch(self, stopping: threading.Event) -> bool:
        """Run the line until it ends. False: it did not, though *stopping* was set. Raises what it raised."""
        thread, stopped = self._begin(), None
        while not self._ended.wait(LOOK):
            at = self.relief.at
            if stopping.is_set():
                stopped = time.monotonic() if stopped is None else stopped
                if time.monotonic() - stopped > LAST:
                    return at is not None and not self.relief.relieve(thread, at) and self._ended.wait(LOOK)
            elif at is not None and self._hangs(at) and self.relief.relieve(thread, at):
                self.set_aside(at)
                thread = self._begin()
        if self._error is not None:
            raise self._error
        return True

    def _hangs(self, at: At) -> bool:
        """Whether the line has been at it for long because the spool, or what is mounted below it, does not answer."""
        if self.clock() - at.since <= self.slow:
            return False
        paths = (at.spool, *mounted_below(at.spool))
        return not all(Knock(path, patience=self.slow / 4).answers() for path in paths)

    def _begin(self) -> threading.Thread:
        thread = threading.Thread(target=self._work, name="line", daemon=True)
        thread.start()
        return thread

    def _work(self) -> None:
        try:
            self.run()
        except Relieved:
            pass
        except BaseException as err:  # outermost guard of a thread: who looks on raises it
            self._error = err
        freed = self.relief.ended(threading.current_thread())
        if freed is not None:
            self.free(freed)
        else:
            self._ended.set()


@contextmanager
def in_time(do: Callable[[], None], seconds: float) -> Iterator[None]:
    """*do* after the block, for *seconds* at most: it may have to do with a share that hangs."""
    try:
        yield
    finally:
        thread = threading.Thread(target=do, name="end", daemon=True)
        thread.start()
        thread.join(seconds)
