"""What the daemon says of itself: heartbeat.json, for status, page and metrics. Plain values, no secret."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dropwatch import __version__
from dropwatch.model import FetchJob, PlanJob
from dropwatch.pipeline.case import Case
from dropwatch.pipeline.desk import Desk
from dropwatch.pipeline.pauses import Paused, Pauses
from dropwatch.pipeline.relief import At
from dropwatch.workers import Work

HANGING = 30.0  #: seconds; the line does nothing that takes so long, but for the first look at a vast inbox


def pulse(
    desk: Desk, mail: Pauses | None, started: float, waiting: Mapping[Path, float], *, stopped: bool
) -> dict[str, Any]:
    """The heartbeat of now; times in epoch seconds.

    waiting -- for how many seconds each spool that does not answer has been asked
    """
    paused = [*desk.pauses.all(), *(mail.all() if mail else ())]
    return {
        "version": __version__,
        "pid": os.getpid(),
        "started": started,
        "beat": desk.now(),
        "stopped": stopped,
        "spools": {str(spool.path): _watching(desk, spool.path) for spool in desk.config.spools},
        "hanging": _hanging(desk, waiting),
        "targets": {one.name: _paused(one) for one in paused},
        "working": [work for case in list(desk.cases.values()) for work in _working(case)],
        "concluded": dict(desk.concluded),
        "workers": {**desk.workers.busy(), "died": desk.workers.died},
    }


def _hanging(desk: Desk, waiting: Mapping[Path, float]) -> dict[str, Any]:
    found = {str(root): {"at": "", "since": desk.now() - seconds} for root, seconds in waiting.items()}
    at = hanging(desk)
    return found | ({str(at.spool): {"at": at.what, "since": at.since}} if at else {})


def hanging(desk: Desk) -> At | None:
    """What the line has been at for longer than anything takes that answers."""
    at = desk.relief.at
    return at if at is not None and desk.now() - at.since > HANGING else None


def _watching(desk: Desk, path: Path) -> dict[str, Any]:
    """Empty words for a spool that was not there yet."""
    why = desk.polled.get(path)
    return {
        "watch": "" if why is None else "poll" if why else "events",
        "why": why or "",
        "overflows": desk.overflows.get(path, 0),
    }


def _paused(one: Paused) -> dict[str, Any]:
    return {
        "since": one.pause.since,
        "until": one.pause.until,
        "times": one.pause.times,
        "reason": one.error.message,
        "remedy": one.error.remedy,
        "operator": one.operator,
    }


def _working(case: Case) -> list[dict[str, Any]]:
    """What the workers have in hand of a batch."""
    found = []
    works = list(case.flying.items())
    if case.errand is not None and isinstance(case.errand.job, (PlanJob, FetchJob)):
        works.append(("", case.errand))
    for fileset, work in works:
        line = case.outcomes.get(fileset)
        name = line.name if line else ""
        found.append(
            {"batch": case.record.batch, "fileset": fileset, "file": name, "progress": _progress(work)}
        )
    return found


def _progress(work: Work) -> dict[str, Any] | None:
    """How far it is, at which rate (per second) and how many seconds it will still take, where that is known."""
    told = work.progress()
    if told is None:
        return None
    rate = work.rate()
    left = round((told.total - told.done) / rate) if rate else None
    return {"stage": told.stage, "done": told.done, "total": told.total, "rate": rate, "left": left}
