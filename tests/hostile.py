"""A workshop that meets what a hostile file does to its reader: it crashes or hangs where the name says so."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from dropwatch.config import Config
from dropwatch.model import ImportJob, Job, Progress
from dropwatch.task import open_workshop


class Hostile:
    def __init__(self, config: Config) -> None:
        self._workshop = open_workshop(config)

    def perform(self, job: Job, progress: Callable[[Progress], None], stopped: Callable[[], bool]) -> Any:
        if isinstance(job, ImportJob):
            if job.fileset.name.startswith("crash"):
                os.kill(os.getpid(), signal.SIGSEGV)
            while job.fileset.name.startswith("hang"):
                time.sleep(1000)
        return self._workshop.perform(job, progress, stopped)

    def close(self) -> None:
        self._workshop.close()
