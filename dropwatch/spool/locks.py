"""Locks that the operating system lets go of when their holder dies.

Exclusive: one daemon for each spool. Shared: the workers of one envelope; nobody acts on an envelope
while any worker, also one of a daemon that died, still holds it.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dropwatch.durable_memory import open_lock

if sys.platform == "win32":
    import msvcrt

    #: Windows locks byte ranges, exclusively only. A worker takes one byte, its own; the daemon tries all.
    _RANGE = 2**30

    def _take(handle: int, *, shared: bool) -> bool:
        start, length = (os.getpid() % _RANGE, 1) if shared else (0, _RANGE)
        os.lseek(handle, start, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, length)
        except OSError:
            return False
        return True
else:
    import fcntl

    #: What network file systems without locks answer. There the lease of the spool (lease.py) keeps others away.
    _NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)

    def _take(handle: int, *, shared: bool) -> bool:
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as err:
            if err.errno not in _NO_LOCKS:
                raise
        return True


@contextmanager
def locked(path: Path, *, shared: bool, make: bool = True) -> Iterator[bool]:
    """Hold the lock file *path* for the time of the block; yields whether it was got.

    make -- make the file if it is not there; else raises FileNotFoundError
    """
    handle = open_lock(path, os.O_RDWR | (os.O_CREAT if make else 0))
    try:
        yield _take(handle, shared=shared)
    finally:
        # On a share that is gone even closing fails; the lock is gone all the same.
        with suppress(OSError):
            os.close(handle)


def is_held(path: Path) -> bool:
    """Whether some worker, also one of a daemon that died, holds the lock file *path*."""
    try:
        with locked(path, shared=False, make=False) as got:
            return not got
    except FileNotFoundError:
        return False  # nobody ever held it
