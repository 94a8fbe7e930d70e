"""How much may be uploaded: what one person may have lying there, and what has to stay free on the disk."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dropwatch.config import Config
from dropwatch.errors import DropwatchError

MOST_FILES = 100_000  #: of one draft; a manifest can list no more (manifest.LARGEST)
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Refused(DropwatchError):
    """Something about uploads cannot be had. *status* is what HTTP calls it."""

    def __init__(self, status: int, message: str, *, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.status = status


def amount(size: float) -> str:
    """*size* bytes for people: ``3.2 GB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def check_disk(config: Config, spool: Path, coming: int) -> None:
    """Raise Refused when *coming* bytes more would leave less than limits.min_free on the spool's disk."""
    usage = shutil.disk_usage(spool)
    if usage.free - coming < config.limits.min_free.of(usage.total):
        raise full()


def check_limit(config: Config, there: int, coming: int) -> None:
    """Raise Refused when somebody who uploaded *there* bytes, and did not submit them, may not upload *coming* more."""
    limit = config.web.upload_limit
    if there + coming > limit:
        raise Refused(
            413,
            f"This is more than you may upload before you submit: {amount(limit)} in all"
            + (f", and {amount(there)} of yours wait already." if there else "."),
            remedy="Submit or discard what waits, or copy these files into your drop folder instead.",
        )


def full() -> Refused:
    return Refused(
        507,
        "The server's disk is too full to take this now.",
        remedy="What you uploaded so far is kept. Tell the facility, and go on when there is room.",
    )


@contextmanager
def disk_trouble() -> Iterator[None]:
    """What the disk refuses in the block is told in words."""
    try:
        yield
    except OSError as err:
        if err.errno in _FULL:
            raise full() from err
        raise Refused(
            503,
            f"The server's disk does not answer as it should ({err.strerror or type(err).__name__}).",
            remedy="What was uploaded so far is kept. Try again in a while.",
        ) from err
