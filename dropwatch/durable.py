"""Writes that survive a power cut. Knows no batch and no letter; every room that keeps state writes through here.

A file is replaced whole: temporary name, write, fsync, rename, fsync of the directory. A rename is durable only
when the directory is (ext4, xfs and btrfs all roll back one that is not).
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

_TRIAL = ".dropwatch-trial"
_TRIAL_BYTES = (
    2**18
)  #: more than a record and a few letters: what can be written then, will not stop at once again
_PATIENCE = (
    20  #: times a refused rename is tried again on Windows, where somebody may just be reading the file
)


_PART = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def fsync_directory(path: Path) -> None:
    """Make the names in *path* durable. Windows cannot open directories; NTFS journals its renames itself."""
    if sys.platform == "win32":
        return
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with said_of(path):
            os.fsync(handle)
    except OSError as err:
        # Some network file systems refuse to sync a directory; their server does it on its own.
        if err.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


@contextmanager
def said_of(path: Path) -> Iterator[None]:
    """An error in the block says that it happened to *path*: write, fsync and close know no name."""
    try:
        yield
    except OSError as err:
        err.filename = err.filename or str(path)
        raise


def is_there(path: Path) -> bool:
    """Whether something, also a broken link, lies at *path*. Raises OSError where that cannot be known:
    os.path.lexists() calls that "no", and what a share does not answer for is not gone."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def write_durably(path: Path, data: bytes, *, part: Path | None = None, mode: int = 0o600) -> None:
    """Replace the file *path* by *data*: after a power cut it holds the old bytes or the new ones.

    What root writes (``dropwatch mail retry``) belongs to whom the folder belongs to, or the daemon could not read it.

    mode -- who may read it, as far as the umask leaves it: by itself nobody but its owner, for letters and addresses
            are nobody else's
    part -- the temporary name, where several processes may write at once; default: the name and ``.part``
    """
    part = part or path.with_name(path.name + ".part")
    try:
        with said_of(path):
            _write(part, data, mode)
            replace(part, path)
    except OSError:
        # On a full disk half a file would keep the room that others wait for.
        with suppress(OSError):
            part.unlink()
        raise
    fsync_directory(path.parent)


def _write(part: Path, data: bytes, mode: int) -> None:
    with os.fdopen(os.open(part, _PART, mode), "wb") as file:
        if sys.platform != "win32" and os.geteuid() == 0:
            folder = part.parent.stat()
            os.fchown(file.fileno(), folder.st_uid, folder.st_gid)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace(source: Path, target: Path) -> None:
    """Rename *source* to *target*, in place of what is there. On Windows it is refused while somebody reads
    the target (``status``, ``mail list``): then it is tried again for a second."""
    for _ in range(_PATIENCE if sys.platform == "win32" else 0):
        try:
            source.replace(target)
        except PermissionError:
            Event().wait(0.05)
        else:
            return
    try:
        source.replace(target)
    except OSError:
        # On a share it may have been done all the same (rename(2), BUGS); nobody else takes *source* away.
        if is_there(source) or not is_there(target):
            raise


def try_writing(folder: Path, beside: str = "") -> None:
    """Write a little into *folder*, durably, and remove it again. Raises OSError when that cannot be done.

    beside -- a file that has to be in *folder*: where it is not (FileNotFoundError), nothing is made
    """
    if sys.platform == "win32":
        if beside:
            (folder / beside).stat()
        _try_file(folder / _TRIAL, None)
        return
    # Through a descriptor: what is unmounted meanwhile must not leave a file in the empty folder underneath.
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with said_of(folder):
            if beside:
                os.stat(beside, dir_fd=handle)
            _try_file(Path(_TRIAL), handle)
    finally:
        os.close(handle)


def _try_file(path: Path, folder: int | None) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags, 0o600, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(bytes(_TRIAL_BYTES))
            file.flush()
            os.fsync(file.fileno())
    finally:
        os.unlink(path, dir_fd=folder)  # by the descriptor of its folder
