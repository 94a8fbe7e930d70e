"""Where the page keeps what is its own, closed to every other account. Knows nothing of what it keeps."""

from __future__ import annotations

from pathlib import Path


def ours(folder: Path) -> Path:
    """*folder*, made where it is missing, like those above it: for our account alone. Raises OSError."""
    if not folder.parent.is_dir():
        ours(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
