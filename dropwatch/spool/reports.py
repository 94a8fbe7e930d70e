"""REPORT.txt beside the user's folder: replaced whole, so that nobody reads half of one."""

from __future__ import annotations

from pathlib import Path

from dropwatch.durable_memory import inside
from dropwatch.spool.folders import REPORT


def write_report(envelope: Path, text: str, *, durably: bool) -> None:
    """Write REPORT.txt.

    durably -- for the last word on a batch. After a power cut every other one is written anew at the next step.
    """
    with inside(envelope) as folder:
        folder.put(REPORT, text.encode("utf-8", "backslashreplace"), durably=durably)
