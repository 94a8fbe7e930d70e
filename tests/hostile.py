"""Workshops that do what is hard to come by: crash or hang as the name of a file says, or die slowly."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from dropwatch.config import Config
from dropwatch.importers.omero import OmeroImporter  # noqa: F401  # before a job of some seconds is begun, not in it
from dropwatch.model import ImportJob, Job, Progress
from dropwatch.task import Workshop, open_workshop


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


def slow_to_die(config: Config) -> Workshop:
    """A workshop whose process goes on for some seconds after it saw that its daemon is gone."""
    end = os._exit

    def end_later(code: int) -> None:
        time.sleep(4)
        end(code)

    os._exit = end_later  # type: ignore[assignment]
    return open_workshop(config)
