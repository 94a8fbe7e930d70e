"""Lets another thread carry the line on when a share keeps the one that does so waiting.

A call to a share that hangs comes back when the share does; nobody can be made to give up (spool/knock.py). Before
the line touches a share it asks whether that answers, but a share may begin to hang in the middle of a call. So
whatever the line does to a spool it does inside of is_at(). When that takes long and the spool does not answer, the
daemon (daemon/shift.py) relieves the thread: a new one goes on, for all spools but this. The relieved thread acts on
nothing any more: at its next step, at the latest when it leaves is_at(), it ends by Relieved. What it was at is then
as after a crash, for which there is no code of its own: once the thread has ended, so that nothing of its doing can
still come about, the spool is swept, and each envelope is taken in hand as it lies there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dropwatch.spool.fence import Fence


class Relieved(BaseException):
    """Another thread has taken over from this one. No Exception: nobody who sees to errors may go on after it."""


@dataclass(frozen=True)
class At:
    """What the line is doing something to: *what*, in *spool*, *since* then (epoch seconds)."""

    spool: Path
    what: str
    since: float


@dataclass
class Relief:
    """clock -- epoch seconds; at -- what the line is at, None while it waits for something to do"""

    clock: Callable[[], float]
    at: At | None = None
    _relieved: dict[threading.Thread, At] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def is_at(self, spool: Path, what: str) -> Iterator[None]:
        """What happens in the block is done to *what*, in *spool*."""
        before = self.at
        self._turn_to(At(spool, what, self.clock()))
        try:
            yield
        finally:
            self._turn_to(before)

    def _turn_to(self, at: At | None) -> None:
        with self._lock:
            self._check()
            self.at = at

    def check(self) -> None:
        """Raise Relieved in a thread that was relieved: to be called before anything that others see."""
        if self._relieved:
            with self._lock:
                self._check()

    def _check(self) -> None:
        if threading.current_thread() in self._relieved:
            raise Relieved

    # -- for who relieves --------------------------------------------------------------------------------

    def relieve(self, thread: threading.Thread, at: At) -> bool:
        """Take the line from *thread*, which is at *at*. False: it has left it just now, and goes on."""
        with self._lock:
            if self.at is not at:
                return False
            self._relieved[thread] = at
            self.at = None
            return True

    def ended(self, thread: threading.Thread) -> Path | None:
        """*thread* acts no more; returns the spool that it was waiting for, if it was relieved."""
        with self._lock:
            at = self._relieved.pop(thread, None)
        return at.spool if at else None

    def holds(self, spool: Path) -> bool:
        """Whether some thread still waits for *spool*: until it has ended, nobody touches that."""
        return any(at.spool == spool for at in list(self._relieved.values()))

    def waiting(self) -> dict[Path, float]:
        """For how many seconds each spool has been waited for by a thread that was relieved."""
        return {at.spool: self.clock() - at.since for at in list(self._relieved.values())}


@dataclass(frozen=True)
class Relieving:
    """The *fence* of *spool*, for the threads of *relief*."""

    fence: Fence
    relief: Relief
    spool: Path

    def check(self) -> None:
        self.relief.check()
        self.fence.check()

    def answers(self) -> bool:
        return not self.relief.holds(self.spool) and self.fence.answers()

    def proof(self) -> Path | None:
        return self.fence.proof()
