"""The inside of a worker process: does one job after another, and never outlives the daemon.

Imported by the processes that pools.py starts. One worker lives here, made at its first job.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import threading
from collections.abc import Callable, MutableSequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from dropwatch.journal import log_to_stderr
from dropwatch.model import Job, Progress
from dropwatch.workers.work import Board, Done, Perform, Worker, answered

ORPHANED = 70  #: exit code of a worker whose daemon is gone


@dataclass
class _Bench:
    """patience -- seconds without progress after which the process ends itself; 0: none"""

    make: Perform
    board: Board
    patience: float
    worker: Worker | None = None


# The one thing that a process of its own has to keep: pebble hands a task over as the name of a function.
_bench: _Bench | None = None


def begin(make: Perform, numbers: MutableSequence[int], patience: float) -> None:
    """Make this process a worker. The worker itself is made at its first job, so that what fails is answered."""
    global _bench  # noqa: PLW0603
    log_to_stderr()  # what is said here stands between the lines of the daemon
    _bench = _Bench(make, Board(numbers), patience)
    threading.Thread(target=_die_with_parent, name="orphan-watch", daemon=True).start()


def perform(job: Job) -> Done:
    """Do one job."""
    assert _bench is not None
    return answered(partial(_do, _bench, job))


def _do(bench: _Bench, job: Job) -> Any:
    if bench.worker is None:
        bench.worker = bench.make()
    with _Watchdog(bench.patience) as watchdog:
        return bench.worker.perform(job, _told(bench.board, watchdog), bench.board.stopped)


def close() -> None:
    """End what the worker has open, before the process is ended."""
    if _bench is not None and _bench.worker is not None:
        _bench.worker.close()


def _told(board: Board, watchdog: _Watchdog) -> Callable[[Progress], None]:
    def tell(progress: Progress) -> None:
        board.tell(progress)
        watchdog.feed()

    return tell


class _Watchdog:
    """Ends the process when nobody feeds it for *patience* seconds.

    faulthandler's timer runs in C and needs nothing of Python, so it also ends a worker that hangs in Java or C.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._silence: Any = None

    def __enter__(self) -> _Watchdog:
        if self._patience:
            self._silence = open(os.devnull, "w", encoding="ascii")  # noqa: PTH123
            self.feed()
        return self

    def __exit__(self, *_: object) -> None:
        if self._patience:
            faulthandler.cancel_dump_traceback_later()
            self._silence.close()

    def feed(self) -> None:
        if self._patience:
            faulthandler.dump_traceback_later(self._patience, exit=True, file=self._silence)


def _die_with_parent() -> None:
    """The operating system closes the parent's end of a pipe (Windows: its process handle) whatever it dies of."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(ORPHANED)
