"""The daemon's work done in threads of this process: most stories are about the line, and processes cost a second.

tests/faults/test_workers.py and test_processes.py, tests/world.py and the demo have the real ones.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from dropwatch.config import Config
from dropwatch.importers.base import Importer
from dropwatch.model import Job
from dropwatch.task import Workshop, looker, make_importer
from dropwatch.task.looking import Looker
from dropwatch.task.staffing import squads
from dropwatch.workers import Done, Work, Worker, answered
from dropwatch.workers.work import Board


class ThreadStaff:
    """Like dropwatch.workers.Workers, without processes."""

    def __init__(self, worker: Worker, config: Config) -> None:
        self._worker = worker
        self._squads = squads(config)
        sizes = {squad.name: squad.size for squad in self._squads.values()}
        self._threads = {name: ThreadPoolExecutor(size, name) for name, size in sizes.items()}
        self._works: list[Work] = []
        self.died = 0

    def submit(self, job: Job, finished: Callable[[Done], None]) -> Work:
        work = Work(job, finished)
        self._works.append(work)
        self._threads[self._squads[type(job)].name].submit(self._do, work)
        return work

    def busy(self) -> dict[str, int]:
        return dict.fromkeys(self._threads, 0)

    def tend(self) -> None:
        pass

    def close(self, grace: float) -> None:
        for work in self._works:
            work.stop()
        for threads in self._threads.values():
            threads.shutdown(wait=True)
        self._worker.close()

    def _do(self, work: Work) -> None:
        board = Board()
        work.begin(board)
        work.end(answered(lambda: self._worker.perform(work.job, board.tell, board.stopped)))
        self._works.remove(work)


def thread_staff(
    config: Config, importer: Importer | None = None, look: Callable[[], Looker] | None = None
) -> ThreadStaff:
    """Staff for *config*, with *importer* and *look* or with what the configuration names."""
    made = importer or make_importer(config, {})
    look = look or partial(looker, config, {})
    return ThreadStaff(Workshop(config, lambda: made, look), config)
