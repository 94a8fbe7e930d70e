"""The place of one worker process: starts it, hands it a job, ends it. The only module that knows pebble."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pebble import ProcessExpired, ProcessPool

from dropwatch.errors import TemporaryError
from dropwatch.workers import inside
from dropwatch.workers.work import BOARD, DIED, Board, Done, Perform, Work

_SPAWN = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
#: Python's resource tracker, a process beside us, removes the locks of our pools when we are killed. It gets our
#: warning options, and would warn of it on our stderr, as if we had forgotten them.
_EXPECTED = "ignore:resource_tracker"
_GOODBYE = 10.0  #: seconds that a worker gets to end its sessions


@dataclass(frozen=True)
class Squad:
    """Workers for some kinds of job.

    size     -- how many processes at most
    timeout  -- seconds that a job may take before its process is killed
    patience -- seconds without progress after which its process ends itself; 0: none
    unused   -- seconds after which a worker that has nothing to do is ended
    """

    name: str
    size: int
    timeout: float
    patience: float = 0.0
    unused: float = 900.0


@dataclass(eq=False)
class Seat:
    """work -- what the worker has in hand; used -- when it last finished something (monotonic seconds)

    ending -- its process is being ended: what becomes of its job, whoever ends it says
    """

    squad: Squad
    make: Perform
    work: Work | None = None
    used: float = 0.0
    ending: bool = False
    _pool: ProcessPool | None = None
    _board: Board = field(default_factory=Board)

    def runs(self) -> bool:
        return self._pool is not None and self._pool.active

    def do(self, work: Work, answered: Callable[[Any], None]) -> None:
        """Let the worker do *work*; *answered* gets pebble's future."""
        self.work = work
        for _ in range(2):
            if not self.runs():
                self._start()
            work.begin(self._board)
            assert self._pool is not None
            try:
                future = self._pool.schedule(inside.perform, args=(work.job,), timeout=self.squad.timeout)
            except RuntimeError:
                continue  # its process died at rest in this very moment
            future.add_done_callback(answered)
            return
        answered(_Failed(BrokenProcessPool("no worker could be started")))

    def _start(self) -> None:
        if self._pool is not None:
            # It broke, and is ended beside us: we may be in one of its threads.
            threading.Thread(target=partial(self.leave(), False), name="workers", daemon=True).start()
        self.ending = False
        if _EXPECTED not in sys.warnoptions:
            sys.warnoptions.append(_EXPECTED)
        numbers = _SPAWN.RawArray("q", BOARD)
        self._board = Board(numbers)
        told = (self.make, numbers, self.squad.patience)
        self._pool = ProcessPool(max_workers=1, context=_SPAWN, initializer=inside.begin, initargs=told)

    def leave(self) -> Callable[[bool], None]:
        """Let go of the process; the result ends it, politely (sessions are ended first) or at once."""
        pool, self._pool, self.ending = self._pool, None, True
        return partial(_end, pool)


class _Failed:
    """A future that never was."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def result(self) -> Done:
        raise self._error


def _end(pool: ProcessPool | None, politely: bool) -> None:
    if pool is None:
        return
    if politely and pool.active:
        with suppress(Exception):  # outermost guard: whatever it dies of, it is about to be ended
            pool.schedule(inside.close).result(_GOODBYE)
    pool.stop()
    pool.join()


def answer(future: Any) -> Done:
    """What a worker answered, or how it came to its end."""
    try:
        done: Done = future.result()
    except ProcessExpired as err:
        return Done(error=_died(f"exit code {err.exitcode}"))
    except BrokenProcessPool as err:
        return Done(error=_died(str(err)), began=False)
    except TimeoutError:
        return Done(error=_died("it took too long and was killed"))
    except Exception as err:  # outermost guard: an answer that did not survive the way back
        return Done(error=err)
    return done


def _died(how: str) -> TemporaryError:
    return TemporaryError(
        "The process that worked on it ended in the middle of its work.",
        remedy="If this happens again and again with the same file, the file may be damaged.",
        detail=how,
        code=DIED,
    )
