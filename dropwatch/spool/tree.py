"""Looking at a user's folder: list and stat, never open. Opening one file safely, when it must be read.

Names are bytes to us: what cannot be decoded travels as surrogates. Links are never followed.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from dropwatch.errors import PermanentError
from dropwatch.model import FileFact

if sys.platform != "win32":
    import fcntl

#: Left by desktops and file servers; never part of a batch.
_JUNK = re.compile(
    r"(\.DS_Store|\._.*|Thumbs\.db|desktop\.ini|~\$.*|\.smbdelete.*|\.nfs.*|@eaDir|__MACOSX|lost\+found|\.dropwatch)\Z",
    re.IGNORECASE | re.DOTALL,
)
#: Names that copying programs use until a file is whole.
_TEMPORARY = re.compile(
    r"(\..*|.*(\.tmp|\.part|\.partial|\.crdownload|\.filepart|~))\Z", re.IGNORECASE | re.DOTALL
)
#: A folder of folders of folders ... deeper than this is no microscope's doing.
_DEEPEST = 64


@dataclass(frozen=True)
class Oddity:
    """Something in a batch that is no regular file, and what it is in words ("a link")."""

    path: str
    what: str


@dataclass(frozen=True)
class Snapshot:
    """What one look at a folder (or some loose files) saw.

    files     -- regular files, by path, in a stable order
    oddities  -- links, pipes, devices, folders that cannot be read
    temporary -- paths whose names say that they are still being written; the folder itself may be one
    """

    files: tuple[FileFact, ...]
    oddities: tuple[Oddity, ...] = ()
    temporary: tuple[str, ...] = ()

    def without_inodes(self) -> Snapshot:
        """The same, but for the inodes: on some shares a file has another one whenever it is looked at."""
        return replace(self, files=tuple(replace(file, inode=0) for file in self.files))


def is_junk(name: str) -> bool:
    return _JUNK.match(name) is not None


def is_temporary(name: str) -> bool:
    return _TEMPORARY.match(name) is not None


def snapshot(folder: Path, names: tuple[str, ...] | None = None) -> Snapshot:
    """Look at *folder*, or only at the entries *names* of it. Raises FileNotFoundError when it is gone."""
    files: list[FileFact] = []
    oddities: list[Oddity] = []
    # A whole folder is copied under a temporary name too, and renamed when it is complete.
    temporary = [folder.name] if names is None and is_temporary(folder.name) else []
    for path, info, what in _walk(str(folder)) if names is None else _named(folder, names):
        if info is None:
            oddities.append(Oddity(path, what))
            continue
        if any(is_temporary(step) for step in path.split("/")):
            temporary.append(path)
        files.append(FileFact(path, info.st_size, info.st_mtime_ns, info.st_ino))
    files.sort(key=lambda fact: fact.path)
    return Snapshot(tuple(files), tuple(sorted(oddities, key=lambda odd: odd.path)), tuple(sorted(temporary)))


#: A regular file with its facts, or None and what it is instead.
_Found = tuple[str, os.stat_result | None, str]


def _named(folder: Path, names: tuple[str, ...]) -> Iterator[_Found]:
    """The files *names* of *folder*, which may hold a hundred thousand others: it is not listed. What became a folder
    in the meantime is a drop of its own by the next look."""
    folder.stat()
    for name in names:
        if not is_junk(name):
            with suppress(FileNotFoundError):
                info = os.lstat(folder / name)
                if not stat.S_ISDIR(info.st_mode):
                    yield _told(name, info)


def _walk(top: str) -> Iterator[_Found]:
    """Everything below *top* that is no folder."""
    waiting: list[tuple[str, str, int]] = [(top, "", 0)]
    while waiting:
        folder, prefix, depth = waiting.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError as err:
            if not prefix:
                raise
            if err.errno != errno.ENOENT:  # gone in the meantime is a change, not an oddity
                yield prefix.rstrip("/"), None, "a folder that cannot be read"
            continue
        for entry in entries:
            if is_junk(entry.name):
                continue
            path = prefix + entry.name
            if not entry.is_dir(follow_symlinks=False):
                with suppress(FileNotFoundError):  # likewise
                    yield _told(path, entry.stat(follow_symlinks=False))
            elif depth < _DEEPEST:
                waiting.append((entry.path, path + "/", depth + 1))
            else:
                yield path, None, f"more than {_DEEPEST} folders deep"


def _told(path: str, info: os.stat_result) -> _Found:
    if stat.S_ISREG(info.st_mode):
        return path, info, ""
    return path, None, "a link" if stat.S_ISLNK(info.st_mode) else _special(info.st_mode)


def _special(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "a pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a device"


def read_small(path: Path, *, most: int) -> bytes:
    """The bytes of a regular file that is no link. Raises PermanentError when it is neither or is
    larger than *most* bytes, OSError when it cannot be read."""
    flags = (
        os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    try:
        handle = os.open(path, flags)
    except OSError as err:
        if err.errno == errno.ELOOP:
            raise PermanentError(f"{path.name} is a link.", remedy="Copy the file itself.") from err
        raise
    with os.fdopen(handle, "rb") as file:
        info = os.fstat(file.fileno())
        if not stat.S_ISREG(info.st_mode):
            raise PermanentError(f"{path.name} is {_special(info.st_mode)}, not a file.")
        if info.st_size > most:
            raise PermanentError(
                f"{path.name} is too large to be read ({info.st_size} bytes; at most {most})."
            )
        return file.read(most + 1)


def being_written(path: Path) -> bool:
    """Whether some process of this machine still has *path* open for writing, as far as can be known.

    Linux refuses a read lease with EAGAIN while a writer has the file open (fcntl(2), F_SETLEASE). Any other
    answer, and any other system, means unknown: False.
    """
    if sys.platform != "linux":
        return False
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as err:
        return err.errno == errno.EAGAIN
    finally:
        os.close(handle)
    return False
