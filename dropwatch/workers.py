"""Where work that may take long is done: beside the line, never in it.

A job is a plain function with values; its answer comes back by a callback. Jobs run in threads here; the seam
(submit, values in, values out, stop by a flag) is made for processes that can be killed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Job:
    """Something a worker does. *stop* is the flag it looks at between steps."""

    name: str
    run: Callable[[], Any]
    stop: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Done:
    """A job's answer: *error* is what it raised, or None."""

    job: Job
    value: Any = None
    error: BaseException | None = None


class Workers:
    """A fixed number of workers for imports, and a few for errands (plan, ask, look up an address), so
    that a short errand never waits behind a long import."""

    def __init__(self, imports: int, errands: int = 2) -> None:
        self.imports = imports
        self._imports = ThreadPoolExecutor(imports, "import")
        self._errands = ThreadPoolExecutor(errands, "errand")

    def import_(self, job: Job, finished: Callable[[Done], None]) -> None:
        _submit(self._imports, job, finished)

    def errand(self, job: Job, finished: Callable[[Done], None]) -> None:
        _submit(self._errands, job, finished)

    def close(self) -> None:
        """Wait for the running jobs, whose stop flags the caller has set; drop those that wait."""
        self._imports.shutdown(wait=True, cancel_futures=True)
        self._errands.shutdown(wait=True, cancel_futures=True)


def _submit(pool: ThreadPoolExecutor, job: Job, finished: Callable[[Done], None]) -> None:
    def report(future: Future[Any]) -> None:
        if future.cancelled():
            finished(Done(job, error=RuntimeError("dropped at shutdown")))
        elif (error := future.exception()) is not None:
            finished(Done(job, error=error))
        else:
            finished(Done(job, future.result()))

    pool.submit(job.run).add_done_callback(report)
