"""REPORT.txt beside the user's folder: replaced whole, so that nobody reads half of one."""

from __future__ import annotations

from pathlib import Path

from dropwatch.spool.folders import REPORT


def write_report(envelope: Path, text: str) -> None:
    """Write REPORT.txt. Not synced: after a power cut it is written anew at the next step."""
    part = envelope / (REPORT + ".part")
    part.write_bytes(text.encode("utf-8", "backslashreplace"))
    part.replace(envelope / REPORT)
