"""Reads the files of a batch for an importer: regular files below its folder, unchanged while read, no others.

No link is followed, neither at the end of a path nor on the way to it, so nothing outside the folder is read.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dropwatch.durable_steps import PLAIN, STEP_BY_STEP, open_below
from dropwatch.errors import DropwatchError, PermanentError, TemporaryError
from dropwatch.model import FileFact

BLOCK = 1 << 20  #: bytes; larger blocks were slower over Ice


@contextmanager
def opened(folder: str, fact: FileFact) -> Iterator[int]:
    """A descriptor of the file that *fact* tells of. Nothing is read from a FIFO or a device.

    Raises PermanentError (a link, not a regular file, a path that leads out), TemporaryError (it is gone, or
    not what *fact* says, now or when the block ends). No permission to read is a PermanentError, too.
    """
    with _sorted(fact.path):
        descriptor = _open(folder, fact.path)
        try:
            check(descriptor, fact)
            yield descriptor
            check(descriptor, fact)
        finally:
            # On a share that is gone even closing fails. Nothing was written, so that says nothing about the file.
            with suppress(OSError):
                os.close(descriptor)


def blocks(descriptor: int, fact: FileFact, most: int = BLOCK) -> Iterator[bytes]:
    """The file in blocks of *most* bytes, as many as *fact* says. Raises TemporaryError when there are fewer."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    left = fact.size
    while left:
        block = os.read(descriptor, min(most, left))
        if not block:
            raise changed(fact.path)
        left -= len(block)
        yield block


def changed(path: str) -> TemporaryError:
    return TemporaryError(
        f"{path} was changed while it was being read.",
        remedy="Nothing of it was imported; it is tried again.",
        code="changed-while-read",
    )


def check(descriptor: int, fact: FileFact) -> None:
    """Raise unless the open file is still what *fact* says: TemporaryError; PermanentError if not regular."""
    now = os.fstat(descriptor)
    if not stat.S_ISREG(now.st_mode):
        raise PermanentError(
            f"{fact.path} is not a regular file.",
            remedy="Replace it with a copy of the file.",
            code="not-a-file",
        )
    if (now.st_size, now.st_mtime_ns) != (fact.size, fact.mtime_ns):
        raise changed(fact.path)
    # Planning saw to it that what has several names is the user's own (spool/tree.py). A second name of a file of
    # somebody else, of the same size and time, may have come in its place, and be gone again by now. Where all files
    # are one account's nobody can tell; and there, on shares, inodes may be made up anew whenever a file is looked at.
    theirs = now.st_nlink > 1 or (sys.platform != "win32" and now.st_uid != os.geteuid())
    if theirs and fact.inode not in (0, now.st_ino):
        raise changed(fact.path)


def check_listed(descriptor: int, fact: FileFact, wanted: str | None, found: str) -> None:
    """Raise when the manifest lists another sha256 than the one that was *found* (hex); *wanted* None: it lists none.

    PermanentError, or TemporaryError where a second reading differs: it is read once more before it is called wrong.
    """
    if wanted is not None and found != wanted.lower():
        raise _not_as_listed(descriptor, fact, wanted, found)


def _not_as_listed(descriptor: int, fact: FileFact, wanted: str, found: str) -> DropwatchError:
    again = hashlib.sha256()
    for block in blocks(descriptor, fact):
        again.update(block)
    check(descriptor, fact)  # a file that is being written is no wrong file
    detail = f"sha256 listed {wanted.lower()}, read {found}, then {again.hexdigest()}"
    if again.hexdigest() != found:
        return TemporaryError(
            f"{fact.path} read differently each time; the disk or network share is not to be trusted.",
            detail=detail,
            code="reads-differ",
        )
    return PermanentError(
        f"{fact.path} is not the file that the manifest lists: its checksum differs.",
        remedy="Copy it again from the microscope, or correct the manifest.",
        detail=detail,
        code="checksum-listed",
    )


def _open(folder: str, path: str) -> int:
    parts = path.split("/")
    if any(part in ("", ".", "..") or os.sep in part for part in parts):
        raise _leads_out(path)
    return open_below(Path(folder), path) if STEP_BY_STEP else open_checked(folder, parts)


def open_checked(folder: str, parts: list[str]) -> int:
    base = Path(folder).resolve()
    wanted = base.joinpath(*parts)
    # A part like "D:x" would lead to another drive.
    if base not in wanted.parents or os.path.normcase(wanted.resolve()) != os.path.normcase(wanted):
        raise _leads_out("/".join(parts))
    return os.open(wanted, os.O_RDONLY | PLAIN)


@contextmanager
def _sorted(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _sort(path, error) from error


def _sort(path: str, error: OSError) -> DropwatchError:
    detail = f"{type(error).__name__} {errno.errorcode.get(error.errno or 0, error.errno)}: {error.strerror}"
    if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK):
        return _leads_out(path)
    if error.errno == errno.ENOENT:
        return TemporaryError(f"{path} is no longer there.", detail=detail, code="file-gone")
    if error.errno in (errno.EACCES, errno.EPERM):
        # One closed file is that file's failure; the others of the batch, and the user's other batches, go on.
        return PermanentError(
            f"dropwatch may not read {path}.",
            remedy="Give the account that dropwatch runs as read permission on the file and its folders.",
            detail=detail,
            code="not-readable",
        )
    if error.errno == errno.ENXIO:  # a socket
        return PermanentError(f"{path} is not a regular file.", detail=detail, code="not-a-file")
    return TemporaryError(f"{path} could not be read.", detail=detail, code="read-error")


def _leads_out(path: str) -> PermanentError:
    return PermanentError(
        f"{path} is a link, or lies behind one; links are not followed.",
        remedy="Put the file itself into the folder.",
        code="link",
    )
