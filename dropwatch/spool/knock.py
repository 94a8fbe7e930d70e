"""Asks whether a share says anything at all, and waits for that a bounded time only.

A call to a share that hangs comes back when the share does (NFS mounted hard, FUSE without its server): nobody can
be made to give up. So somebody else is sent, and whoever would touch the share knows beforehand.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

#: What ends the waiting for a share that does not answer; for its path.
GIVE_UP = "dropwatch goes on by itself when it answers; `umount -f -l {0}` ends the waiting of whoever waits for it."
PATIENCE = 10.0  #: seconds; a share that is only slow answers sooner
FRESH = 0.2  #: seconds that an answer is good for


class Knock:
    """For one share. May be used by several threads at once.

    ask -- touches the share *root*; default: the file system is asked how full it is, which no cache answers
    """

    def __init__(
        self,
        root: Path,
        *,
        patience: float = PATIENCE,
        ask: Callable[[Path], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root = root
        self._patience = patience
        self._ask = ask or _how_full
        self._clock = clock
        self._lock = threading.Lock()
        self._answered: threading.Event | None = None
        self._asked = 0.0
        self._heard = float("-inf")

    def answers(self) -> bool:
        """Whether something comes back, be it an error. At most one question is open at a time: once it has been for
        all our patience, this says no at once."""
        with self._lock:
            if self._clock() - self._heard < FRESH:
                return True
            if self._answered is None:
                self._answered, self._asked = threading.Event(), self._clock()
                threading.Thread(target=self._go, args=(self._answered,), name="knock", daemon=True).start()
            answered, left = self._answered, self._asked + self._patience - self._clock()
        if not answered.wait(max(0.0, left)):
            return False
        with self._lock:
            if self._answered is answered:
                self._answered, self._heard = None, self._clock()
        return True

    def waits(self) -> float:
        """For how many seconds a question has been open, beyond all patience; 0.0: none is."""
        open_since = self._clock() - self._asked if self._answered is not None else 0.0
        return open_since if open_since > self._patience else 0.0

    def _go(self, answered: threading.Event) -> None:
        try:
            self._ask(self._root)
        except OSError:
            pass  # an answer, too: what is wrong is found out by whoever touches it next
        finally:
            answered.set()


def _how_full(root: Path) -> object:
    return shutil.disk_usage(root) if sys.platform == "win32" else os.statvfs(root)
