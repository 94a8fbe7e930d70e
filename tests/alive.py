"""Whether a process is still there."""

from __future__ import annotations

from pathlib import Path


def is_alive(pid: int) -> bool:
    """Whether *pid* runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False
