"""A job under way, as both sides see it: the flag that stops it, how far it is, what came of it.

Nothing here starts a process. The board is a few numbers in shared memory without any lock, so that a worker
killed at any moment leaves nothing locked.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, MutableSequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from dropwatch.errors import DropwatchError, TemporaryError
from dropwatch.model import Job, Progress

_STAGES = ("", "plan", "upload", "server", "fetch")
_STOP, _STAGE, _DONE, _TOTAL, _BEFORE = range(5)
BOARD = 5  #: numbers on a board

DIED = "worker-died"  #: code of the error that answers a job whose process ended in the middle of it


class Bug(Exception):
    """An error that nobody translated: a bug of ours. *name* is its class, *detail* its trace.

    It crosses the process boundary as text, because an error of some library may not survive pickling.
    """

    def __init__(self, name: str, text: str, detail: str) -> None:
        super().__init__(name, text, detail)
        self.name, self.text, self.detail = name, text, detail

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Done:
    """A job's answer: *error* is what it raised, or None. *began*: the worker that died had taken the job."""

    value: Any = None
    error: BaseException | None = None
    began: bool = True

    @property
    def died(self) -> bool:
        """Whether the process ended in the middle of the job."""
        return isinstance(self.error, TemporaryError) and self.error.code == DIED


def answered(do: Callable[[], Any]) -> Done:
    """What came of *do*. It answers instead of raising: whatever went wrong has to survive the way back."""
    try:
        return Done(do())
    except DropwatchError as err:
        # What it was caused by may not survive pickling; *detail* has that in words.
        err.__cause__ = err.__context__ = err.__traceback__ = None
        return Done(error=err)
    except Exception as err:  # outermost guard: the trace is only here, and the line counts it as a bug
        return Done(error=Bug(type(err).__name__, str(err), traceback.format_exc()))


class Worker(Protocol):
    """What does the jobs, inside a worker process."""

    def perform(self, job: Job, progress: Callable[[Progress], None], stopped: Callable[[], bool]) -> Any:
        """Do *job*. *stopped* is looked at between steps; then it raises Interrupted."""
        ...

    def close(self) -> None:
        """End what is open. Never raises."""
        ...


Perform = Callable[[], Worker]  #: makes the worker, in its own process


@dataclass
class Board:
    """Five numbers that both sides see; only the worker tells how far it is, only the daemon says stop."""

    numbers: MutableSequence[int] = field(default_factory=lambda: [0] * BOARD)

    def clear(self) -> None:
        self.numbers[:] = [0] * BOARD

    def stop(self) -> None:
        self.numbers[_STOP] = 1

    def stopped(self) -> bool:
        return bool(self.numbers[_STOP])

    def tell(self, progress: Progress) -> None:
        self.numbers[_DONE], self.numbers[_TOTAL] = progress.done, progress.total
        self.numbers[_BEFORE] = progress.before
        self.numbers[_STAGE] = _STAGES.index(progress.stage)

    def told(self) -> Progress | None:
        stage = _STAGES[self.numbers[_STAGE]]
        if not stage:
            return None
        return Progress(stage, self.numbers[_DONE], self.numbers[_TOTAL], self.numbers[_BEFORE])


@dataclass(eq=False)
class Work:
    """A job that was given away. Its giver may stop it and see how far it is; the answer comes by a callback.

    started -- monotonic seconds; 0.0 while it waits for a worker
    again   -- its first worker died before it took it
    ended   -- how far it was when it ended
    """

    job: Job
    finished: Callable[[Done], None]
    started: float = 0.0
    again: bool = False
    ended: Progress | None = None
    _board: Board | None = None
    _stop: float | None = None  # when it was told to (monotonic seconds)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def begin(self, board: Board) -> None:
        """A worker takes it, and shows on *board* how far it is."""
        with self._lock:
            board.clear()
            self._board, self.started = board, time.monotonic()
            if self._stop is not None:
                board.stop()

    def end(self, done: Done) -> None:
        """It has ended; the board is somebody else's from now on."""
        with self._lock:
            self.ended = self.progress()
            self._board = None
        self.finished(done)

    def stop(self) -> None:
        with self._lock:
            self._stop = self._stop or time.monotonic()
            if self._board is not None:
                self._board.stop()

    def rate(self) -> float | None:
        """What it did of its present stage in each second since it began, or None while there is nothing to tell."""
        told, took = self.progress(), time.monotonic() - self.started
        if told is None or told.stage == "server" or took < 1.0 or told.done <= told.before:
            return None
        return round((told.done - told.before) / took, 1)

    def told_to_stop(self, before: float) -> bool:
        """Whether it was told to stop, earlier than *before* (monotonic seconds)."""
        return self._stop is not None and self._stop < before

    def progress(self) -> Progress | None:
        board = self._board
        return board.told() if board is not None else None
