"""What the daemon says of itself: heartbeat.json, for status, page and metrics. Plain values, no secret."""

from __future__ import annotations

import os
from typing import Any

from dropwatch import __version__
from dropwatch.pipeline.case import Case
from dropwatch.pipeline.desk import Desk
from dropwatch.pipeline.pauses import Paused, Pauses


def pulse(desk: Desk, mail: Pauses | None, started: float, *, stopped: bool) -> dict[str, Any]:
    """The heartbeat of now; times in epoch seconds."""
    paused = [*desk.pauses.all(), *(mail.all() if mail else ())]
    return {
        "version": __version__,
        "pid": os.getpid(),
        "started": started,
        "beat": desk.now(),
        "stopped": stopped,
        "spools": {str(spool.path): _watching(desk, spool.path) for spool in desk.config.spools},
        "targets": {one.name: _paused(one) for one in paused},
        "working": [work for case in list(desk.cases.values()) for work in _working(case)],
        "concluded": dict(desk.concluded),
    }


def _watching(desk: Desk, path: Any) -> dict[str, str]:
    why = desk.polled.get(path, "")
    return {"watch": "poll" if why else "events", "why": why}


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
    for fileset, progress in list(case.flying.items()):
        line = case.outcomes.get(fileset)
        at = {"stage": progress.stage, "done": progress.done, "total": progress.total} if progress else None
        name = line.name if line else ""
        found.append({"batch": case.record.batch, "fileset": fileset, "file": name, "progress": at})
    return found
