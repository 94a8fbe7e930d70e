"""A worker that does what it is told by the owner's name of a LookUpJob: answers, hangs, crashes, raises."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dropwatch.errors import PermanentError
from dropwatch.model import Job, LookUpJob, Progress


class Unpicklable(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__("it has two arguments and forgets them")


class Unruly:
    def __init__(self, goodbye: Path | None = None) -> None:
        self._goodbye = goodbye

    def perform(self, job: Job, progress: Callable[[Progress], None], stopped: Callable[[], bool]) -> Any:
        assert isinstance(job, LookUpJob)
        verb, _, rest = job.owner.partition(" ")
        if verb == "pid":
            return os.getpid()
        if verb == "die":
            os.kill(os.getpid(), int(rest or signal.SIGKILL))
        if verb == "say":
            logging.getLogger("somebody").warning(rest)
            thread = threading.Thread(target=int, args=(rest,))  # it raises, and quotes them
            thread.start()
            thread.join()
        if verb == "hang":
            time.sleep(1000)
        if verb == "wait":
            for number in range(10**6):
                progress(Progress("upload", number, 10**6))
                if stopped():
                    return "stopped"
                time.sleep(0.01)
        if verb == "permanent":
            raise PermanentError("no", remedy="none", detail="d", code="c") from Unpicklable(1, 2)
        if verb == "bug":
            raise Unpicklable(1, 2)
        if verb == "unpicklable":
            return lambda: None
        return job.owner

    def close(self) -> None:
        if self._goodbye:
            self._goodbye.write_text("closed")
