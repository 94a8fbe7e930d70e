"""Looking at a user's folder: list and stat, never open. Opening one file safely, when it must be read.

Names are bytes to us: what cannot be decoded travels as surrogates. Links are never followed.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from dropwatch.durable_steps import PLAIN, STEP_BY_STEP, look_at_steps, open_below, open_steps, step_into
from dropwatch.errors import PermanentError
from dropwatch.litter import is_hidden, is_junk, is_temporary, is_unfinished
from dropwatch.model import FileFact

if sys.platform != "win32":
    import fcntl

#: A folder of folders of folders ... deeper than this is no microscope's doing.
_DEEPEST = 64
#: bytes of a path that programs can open: Linux takes 4095, and envelopes make a path longer by 100
_LONGEST = 3900

#: What may be odd about something beside being no file; whoever tells people of it knows what to do about each.
CLOSED = "a folder that cannot be read"
CLOSED_FILE = "a file that cannot be read"
TOO_DEEP = f"more than {_DEEPEST} folders deep"
TOO_LONG = "at the end of a path that is too long"
NOT_THEIRS = "a second name (hard link) of a file of another account"


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
    hidden    -- paths of other hidden files, or in hidden folders
    """

    files: tuple[FileFact, ...]
    oddities: tuple[Oddity, ...] = ()
    temporary: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()

    def without_inodes(self) -> Snapshot:
        """The same, but for the inodes: on some shares a file has another one whenever it is looked at."""
        return replace(self, files=tuple(replace(file, inode=0) for file in self.files))


def snapshot(folder: Path, names: tuple[str, ...] | None = None) -> Snapshot:
    """Look at *folder*, or only at the entries *names* of it. Raises FileNotFoundError when it is gone."""
    files: list[FileFact] = []
    oddities: list[Oddity] = []
    # A whole folder is copied under a temporary name too, and renamed when it is complete.
    temporary = [folder.name] if names is None and is_temporary(folder.name) else []
    hidden: list[str] = []
    walk = _Walk(folder)
    for path, info, what in walk.all() if names is None else walk.named(names):
        if info is None:
            oddities.append(Oddity(path, what))
            continue
        if is_unfinished(path):
            temporary.append(path)
        elif is_hidden(path):
            hidden.append(path)
        files.append(FileFact(path, info.st_size, info.st_mtime_ns, info.st_ino))
    files.sort(key=lambda fact: fact.path)
    oddities.sort(key=lambda odd: odd.path)
    return Snapshot(tuple(files), tuple(oddities), tuple(sorted(temporary)), tuple(sorted(hidden)))


#: A regular file with its facts, or None and what it is instead.
_Found = tuple[str, os.stat_result | None, str]
_Open = int | None  #: a descriptor; None on Windows, which opens no folders


class _Walk:
    """A walk through *top*. Each folder is opened in the one above it: a link that comes in its place meanwhile leads
    nowhere, and no path is too long."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._room = _LONGEST - len(os.fsencode(top))
        self._owner = -1

    def named(self, names: tuple[str, ...]) -> Iterator[_Found]:
        """The files *names* of the folder, which may hold a hundred thousand others: it is not listed. What became a
        folder in the meantime is a drop of its own by the next look."""
        self._owner = self._top.stat().st_uid
        for name in names:
            if not is_junk(name):
                with suppress(FileNotFoundError):
                    info = os.lstat(self._top / name)
                    if not stat.S_ISDIR(info.st_mode):
                        yield self._told(name, info)

    def all(self) -> Iterator[_Found]:
        """Everything below the folder that is no folder, and folders that cannot be looked into."""
        handle = open_steps(self._top) if STEP_BY_STEP else None
        try:
            self._owner = (os.fstat(handle) if handle is not None else self._top.stat()).st_uid
            yield from self._look_at(list(os.scandir(self._top if handle is None else handle)), handle, "", 0)
        finally:
            _close(handle)

    def _look_at(
        self, entries: list[os.DirEntry[str]], folder: _Open, prefix: str, depth: int
    ) -> Iterator[_Found]:
        for entry in entries:
            if is_junk(entry.name):
                continue
            path = prefix + entry.name
            if len(os.fsencode(path)) > self._room:
                yield path, None, TOO_LONG
            elif entry.is_dir(follow_symlinks=False):
                yield from self._below(entry.name, folder, path, depth + 1)
            else:
                with suppress(FileNotFoundError):  # gone in the meantime is a change, not an oddity
                    yield self._told(path, entry.stat(follow_symlinks=False))

    def _below(self, name: str, above: _Open, path: str, depth: int) -> Iterator[_Found]:
        if depth > _DEEPEST:
            yield path, None, TOO_DEEP
            return
        handle: _Open = None
        try:
            handle = None if above is None else step_into(name, above)
            entries = list(os.scandir(self._top / path if handle is None else handle))
        except OSError as err:
            if err.errno != errno.ENOENT:  # likewise
                yield path, None, "a link" if err.errno in (errno.ELOOP, errno.ENOTDIR) else CLOSED
            return
        else:
            yield from self._look_at(entries, handle, path + "/", depth)
        finally:
            _close(handle)

    def _told(self, path: str, info: os.stat_result) -> _Found:
        if not stat.S_ISREG(info.st_mode):
            return path, None, "a link" if stat.S_ISLNK(info.st_mode) else _special(info.st_mode)
        return (path, None, NOT_THEIRS) if _is_somebody_elses(info, self._owner) else (path, info, "")


def _is_somebody_elses(info: os.stat_result, owner: int) -> bool:
    """Whether a file is a second name of one that does not belong to the *owner* of its folder.

    We may read what users may not: so a second name that one of them gave to a file of somebody else is no file of
    theirs. Where the file server makes all files one account's, nobody can tell.
    """
    return info.st_nlink > 1 and info.st_uid != owner and sys.platform != "win32"


def _close(handle: _Open) -> None:
    if handle is not None:
        with suppress(OSError):  # on a share that is gone even closing fails
            os.close(handle)


def _special(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "a pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a device"


def read_small(path: Path, *, most: int, inode: int = 0) -> bytes:
    """The bytes of a regular file that is no link. *inode*: of the file that was listed there, if that is known.

    Raises PermanentError when it is something else or is larger than *most* bytes, OSError when it cannot be read.
    """
    try:
        handle = _open(path)
    except OSError as err:
        if err.errno in (errno.ELOOP, errno.ENOTDIR):
            raise PermanentError(f"{path.name} is a link.", remedy="Copy the file itself.") from err
        raise
    with os.fdopen(handle, "rb") as file:
        info = os.fstat(file.fileno())
        if not stat.S_ISREG(info.st_mode):
            raise PermanentError(f"{path.name} is {_special(info.st_mode)}, not a file.")
        if inode not in (0, info.st_ino):
            raise PermanentError(f"{path.name} was replaced just now.", remedy="Wait until all is there.")
        if _is_somebody_elses(info, path.parent.stat().st_uid):
            raise PermanentError(f"{path.name} is {NOT_THEIRS}.", remedy="Copy the file itself.")
        if info.st_size > most:
            raise PermanentError(
                f"{path.name} is too large to be read ({info.st_size} bytes; at most {most})."
            )
        return file.read(most + 1)


def _open(path: Path) -> int:
    if not STEP_BY_STEP:
        look_at_steps(path)
        return os.open(path, os.O_RDONLY | PLAIN)
    return open_below(path.parent, path.name)


def being_written(path: Path) -> bool:
    """Whether some process of this machine still has *path* open for writing, as far as can be known.

    Linux refuses a read lease with EAGAIN while a writer has the file open (fcntl(2), F_SETLEASE). Any other
    answer, and any other system, means unknown: False.
    """
    if sys.platform != "linux":
        return False
    try:
        handle = _open(path)
    except OSError:
        return False
    try:
        return is_written_to(handle)
    finally:
        os.close(handle)


def is_written_to(handle: int) -> bool:
    """The same of an open file."""
    if sys.platform != "linux":
        return False
    try:
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as err:
        return err.errno == errno.EAGAIN
    return False
