"""Sorts what a file system says about the archive into the errors of ``errors.py``, by its number.

What it says about the files of a batch is sorted in reading.py.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dropwatch.errors import DropwatchError, OperatorError, PermanentError, TemporaryError

_FULL = {errno.ENOSPC, errno.EDQUOT}
_CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_IN_THE_WAY = {errno.ENOTDIR, errno.ELOOP, errno.EEXIST, errno.EISDIR}


@contextmanager
def at_the_archive(root: Path, doing: str) -> Iterator[None]:
    """Translate the errors of the block. *doing*: what broke off, a statement ("a.tif was being copied")."""
    try:
        yield
    except OSError as error:
        raise sort(root, doing, error) from error


def sort(root: Path, doing: str, error: OSError) -> DropwatchError:
    """What *error*, met in the archive *root*, means for the one whose work it broke off."""
    detail = f"{type(error).__name__} {errno.errorcode.get(error.errno or 0, error.errno)}: {error}"
    where = error.filename if isinstance(error.filename, str) else str(root)
    if error.errno in _FULL:
        return full(root, detail)
    if error.errno in _CLOSED:
        return OperatorError(
            f"dropwatch may not write {where}.",
            concerns="omero",  # what pauses is the image store, whatever it is
            remedy=f"Give the account that runs dropwatch write permission on {root} and all folders in it.",
            detail=detail,
            code="archive-closed",
        )
    if error.errno in _IN_THE_WAY:
        return in_the_way(where, detail)
    if error.errno in (errno.ENAMETOOLONG, errno.EFBIG):
        what = "name or path" if error.errno == errno.ENAMETOOLONG else "size"
        return PermanentError(
            f"The archive {root} cannot hold a file of this {what}: {doing}.",
            remedy="Shorten the names."
            if what != "size"
            else "Its file system has a limit; ask the facility.",
            detail=detail,
            code="archive-limit",
        )
    return TemporaryError(f"The archive {root} failed while {doing}.", detail=detail, code="archive-error")


def full(root: Path, detail: str) -> OperatorError:
    return OperatorError(
        f"The archive {root} is full.",
        concerns="omero",
        remedy="Make space there.",
        detail=detail,
        code="archive-full",
    )


def in_the_way(where: str, detail: str = "") -> PermanentError:
    return PermanentError(
        f"In the archive, {where} is a link or no folder; nothing is put behind it.",
        remedy="Ask the facility to take it away, or name another dataset.",
        detail=detail,
        code="archive-in-the-way",
    )
