"""Our files in folders that other people may change: read and written so that nobody leads us elsewhere.

Who may drop may also put a link, a pipe or a folder where a file of ours is to be. No link is followed here, at the
end of a path or on the way to it; nothing waits at a pipe; what stands in the way of a file of ours is put aside.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dropwatch.durable import fsync_directory, replace
from dropwatch.durable_steps import PLAIN, STEP_BY_STEP, in_envelope, look_at_steps, open_steps

_NO_FILE = (
    errno.ELOOP,
    errno.EMLINK,
    errno.EINVAL,
    errno.EISDIR,
    errno.ENXIO,
)  # a link, a pipe, a folder, a socket
_TRIES = 3  #: how often what stands in the way is put aside; who is that quick wants no report


class Folder:
    """A folder that is open, or on Windows its path. Raises OSError for whatever cannot be done in it."""

    def __init__(self, path: Path, handle: int | None) -> None:
        self.path, self._handle = path, handle

    def open(self, name: str, flags: int) -> int:
        """A descriptor of the plain file *name*; OSError (EINVAL) where it is something else."""
        if self._handle is None and self.path.joinpath(name).is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
        handle = os.open(self._at(name), flags | PLAIN, 0o660, dir_fd=self._handle)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise OSError(errno.EINVAL, "is no plain file", name)
        return handle

    def read(self, name: str, most: int) -> bytes:
        """The first *most* bytes of the file *name*."""
        with os.fdopen(self.open(name, os.O_RDONLY), "rb") as file:
            return file.read(most)

    def read_end(self, name: str, most: int) -> tuple[bytes, bool]:
        """The last *most* bytes of the file *name*, and whether that is all of it."""
        with os.fdopen(self.open(name, os.O_RDONLY), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - most))
            return file.read(most), size <= most

    def append_to(self, name: str) -> int:
        """A descriptor of *name*, made if need be, for writing at its end. A second name of some file is put aside:
        it may be another file of ours."""
        for _ in range(_TRIES):
            try:
                handle = self.open(name, os.O_RDWR | os.O_APPEND | os.O_CREAT)
            except OSError:
                if not self._stands_in_the_way(name):
                    raise
            else:
                if os.fstat(handle).st_nlink == 1:
                    return handle
                os.close(handle)
            self.put_aside(name)
        raise OSError(errno.EEXIST, "is put there again and again", name)

    def put(self, name: str, data: bytes, *, durably: bool = True) -> None:
        """Replace *name* by *data*, whatever is there: who reads it sees all of the old or all of the new."""
        part = f"{name}.part"
        try:
            with os.fdopen(self.new(part), "wb") as file:
                file.write(data)
                file.flush()
                if durably:
                    os.fsync(file.fileno())
            try:
                self.rename(part, name)
            except (IsADirectoryError, PermissionError):  # the second: Windows, of a folder
                self.put_aside(name)
                self.rename(part, name)
        except OSError:
            # On a full disk half a file would keep the room that others wait for.
            with suppress(OSError):
                os.unlink(self._at(part), dir_fd=self._handle)
            raise
        if durably:
            self.sync()

    def put_aside(self, name: str) -> None:
        """Make the name *name* free. A folder is only called something else: there may be something in it."""
        with suppress(FileNotFoundError):
            if stat.S_ISDIR(self.look(name).st_mode):
                self.rename(name, f".{name}.{secrets.token_hex(4)}")
            else:
                os.unlink(self._at(name), dir_fd=self._handle)

    def names(self) -> list[tuple[str, bool]]:
        """What is in it, and whether it is a folder; a link to one is none."""
        with os.scandir(self.path if self._handle is None else self._handle) as entries:
            return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]

    def remove(self, name: str) -> None:
        """Remove *name*, a folder with all that is in it. No link is followed."""
        if stat.S_ISDIR(self.look(name).st_mode):
            shutil.rmtree(self._at(name), dir_fd=self._handle)
        else:
            os.unlink(self._at(name), dir_fd=self._handle)

    def sync(self) -> None:
        if self._handle is None:
            fsync_directory(self.path)
            return
        try:
            os.fsync(self._handle)
        except OSError as err:
            # Some network file systems refuse to sync a directory; their server does it on its own.
            if err.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise

    def make(self, name: str) -> None:
        """Make the folder *name*, in place of what stands there and is none."""
        try:
            os.mkdir(self._at(name), dir_fd=self._handle)
        except FileExistsError:
            if stat.S_ISDIR(self.look(name).st_mode):
                return
            self.put_aside(name)
            os.mkdir(self._at(name), dir_fd=self._handle)
        self.sync()

    def new(self, name: str) -> int:
        """A descriptor of a new file *name*, in place of what stands there, for writing and reading."""
        for _ in range(_TRIES):
            try:
                handle = os.open(
                    self._at(name), os.O_RDWR | os.O_CREAT | os.O_EXCL | PLAIN, 0o666, dir_fd=self._handle
                )
                self._hand_over(handle)
                return handle
            except FileExistsError:
                self.put_aside(name)  # left by a crash, or put there
        raise FileExistsError(errno.EEXIST, "is put there again and again", name)

    def _hand_over(self, handle: int) -> None:
        """What root writes (`dropwatch cancel`) goes to whom the folder belongs to, or the daemon may not read it."""
        if sys.platform != "win32" and os.geteuid() == 0 and self._handle is not None:
            owner = os.fstat(self._handle)
            os.fchown(handle, owner.st_uid, owner.st_gid)

    def rename(self, name: str, new: str) -> None:
        """Give the file *name* the name *new*, in place of what has it."""
        if self._handle is None:
            replace(self.path / name, self.path / new)
            return
        try:
            os.rename(name, new, src_dir_fd=self._handle, dst_dir_fd=self._handle)
        except OSError:
            # On a share it may have been done all the same (rename(2), BUGS); nobody else takes *name* away.
            if self._is_there(name) or not self._is_there(new):
                raise

    def set_time(self, name: str, mtime_ns: int) -> None:
        """Set the time of the last change of the file *name* (epoch nanoseconds)."""
        if self._handle is None:
            os.utime(self.path / name, ns=(mtime_ns, mtime_ns))
        else:
            os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=self._handle, follow_symlinks=False)

    def _is_there(self, name: str) -> bool:
        try:
            self.look(name)
        except FileNotFoundError:
            return False
        return True

    def _stands_in_the_way(self, name: str) -> bool:
        try:
            return not stat.S_ISREG(self.look(name).st_mode)
        except FileNotFoundError:
            return False

    def look(self, name: str) -> os.stat_result:
        """What *name* is, a link itself and not what it leads to."""
        return os.stat(self._at(name), dir_fd=self._handle, follow_symlinks=False)

    def _at(self, name: str) -> str | Path:
        return self.path / name if self._handle is None else name


@contextmanager
def inside(path: Path, below: str = "", *, make: bool = False) -> Iterator[Folder]:
    """The folder *path* (an envelope, say), or the folder *below* in it, to work in. Raises OSError, also at a link.

    make -- *below* is made where it is missing, and what stands in its place and is no folder is put aside
    """
    whole = path / below if below else path
    try:
        handle = _opened(whole)
    except OSError as err:
        if not make or err.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise
        with inside(path) as folder:
            folder.make(below)
        handle = _opened(whole)
    try:
        yield Folder(whole, handle)
    except OSError as err:
        # By a descriptor of a folder, names are short; write, fsync and close know none at all.
        err.filename = str(whole / err.filename) if isinstance(err.filename, str) else str(whole)
        if isinstance(err.filename2, str):
            err.filename2 = str(whole / err.filename2)
        raise
    finally:
        if handle is not None:
            with suppress(OSError):  # on a share that is gone even closing fails
                os.close(handle)


def _opened(path: Path) -> int | None:
    if STEP_BY_STEP:
        return open_steps(path)
    look_at_steps(path)
    return None


def open_lock(path: Path, flags: int) -> int:
    """A descriptor of the lock file *path*. In an envelope, what is no plain file is put aside for it, and our
    folder is made anew for one that is to be made: people may have deleted it."""
    if not in_envelope(path):
        return os.open(path, flags | PLAIN, 0o660)
    with inside(path.parent.parent, path.parent.name, make=bool(flags & os.O_CREAT)) as folder:
        try:
            return folder.open(path.name, flags)
        except OSError as err:
            if err.errno not in _NO_FILE:
                raise
            folder.put_aside(path.name)
            return folder.open(path.name, flags)
