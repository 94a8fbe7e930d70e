"""Writes that survive a power cut. Knows no batch and no letter; every room that keeps state writes through here.

A file is replaced whole: temporary name, write, fsync, rename, fsync of the directory. A rename is durable only
when the directory is (ext4, xfs and btrfs all roll back one that is not).
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from threading import Event

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
        os.fsync(handle)
    except OSError as err:
        # Some network file systems refuse to sync a directory; their server does it on its own.
        if err.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def write_durably(path: Path, data: bytes, *, part: Path | None = None, mode: int = 0o600) -> None:
    """Replace the file *path* by *data*: after a power cut it holds the old bytes or the new ones.

    What root writes (``dropwatch mail retry``) belongs to whom the folder belongs to, or the daemon could not read it.

    mode -- who may read it, as far as the umask leaves it: by itself nobody but its owner, for letters and addresses
            are nobody else's
    part -- the temporary name, where several processes may write at once; default: the name and ``.part``
    """
    part = part or path.with_name(path.name + ".part")
    with os.fdopen(os.open(part, _PART, mode), "wb") as file:
        if sys.platform != "win32" and os.geteuid() == 0:
            folder = path.parent.stat()
            os.fchown(file.fileno(), folder.st_uid, folder.st_gid)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    replace(part, path)
    fsync_directory(path.parent)


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
    source.replace(target)
