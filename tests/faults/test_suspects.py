"""After a worker died, what it had in hand runs one at a time: the next death names the file that kills."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from dropwatch.daemon import Daemon
from dropwatch.errors import TemporaryError
from dropwatch.model import ImportJob, Job, Progress
from dropwatch.task import Workshop, looker, make_importer
from dropwatch.workers import DIED
from facility import DEADLINE, Facility
from threads import ThreadStaff

Make = Callable[..., Facility]


class Fragile:
    """All workers die in the first attempt; from then on it counts how many import at the same time."""

    def __init__(self, workshop: Workshop, filesets: int) -> None:
        self._workshop = workshop
        self._deaths = filesets
        self._lock = threading.Lock()
        self._now = 0
        self._alone = filesets > 0
        self._beside = threading.Event()
        self.most = 0

    def perform(self, job: Job, progress: Callable[[Progress], None], stopped: Callable[[], bool]) -> Any:
        if not isinstance(job, ImportJob):
            return self._workshop.perform(job, progress, stopped)
        with self._lock:
            self._deaths -= 1
            if self._deaths >= 0:
                raise TemporaryError("It died.", code=DIED)
            self._now += 1
            self.most = max(self.most, self._now)
            if self._now > 1:
                self._beside.set()
        try:
            if job.fileset.name == "a0.ome.tif":
                self._beside.wait(0.5 if self._alone else DEADLINE / 2)
            return self._workshop.perform(job, progress, stopped)
        finally:
            with self._lock:
                self._now -= 1

    def close(self) -> None:
        self._workshop.close()


def most_at_a_time(place: Facility, deaths: int) -> int:
    config = place.config()
    worker = Fragile(Workshop(config, lambda: make_importer(config, {}), lambda: looker(config, {})), deaths)
    place.daemon = Daemon(config, ThreadStaff(worker, config), {})
    place.run_in_thread()
    place.drop("alice", "run", *[f"a{number}.ome.tif" for number in range(5)])
    place.until(lambda: place.retired("alice"))

    assert len(place.imports()) == 5
    return worker.most


def test_what_was_in_flight_when_a_worker_died_runs_one_at_a_time(facility: Make) -> None:
    assert most_at_a_time(facility(workers={"imports": 2, "per_user": 2}), deaths=5) == 1


def test_without_a_death_they_run_side_by_side(facility: Make) -> None:
    assert most_at_a_time(facility(workers={"imports": 2, "per_user": 2}), deaths=0) == 2
