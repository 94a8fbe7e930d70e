"""Copies files into a folder that is to be dropped: complete, on the disk, and open to the daemon.

It reads what it is given and writes only below the folder it is given.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dropwatch.durable import fsync_directory
from dropwatch.errors import PermanentError, TemporaryError
from dropwatch.litter import is_temporary
from dropwatch.manifest.listing import clean_path
from dropwatch.model import ListedFile
from dropwatch.spool.tree import snapshot

Progress = Callable[[str, int, int], None]  #: the file at hand, bytes copied so far, bytes in all

_BLOCK = 4 * 2**20
_NAMED = 20  #: problems in one error text
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True)
class Source:
    """A file to copy: where it is, its '/'-separated place in the batch, its size in bytes."""

    path: Path
    place: str
    size: int


class NoBatch(PermanentError):
    """What was named cannot be a batch. *problems* says why, one line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


# -- what is to be copied --------------------------------------------------------------------------------


def sources(paths: Sequence[Path]) -> list[Source]:
    """The files that *paths* mean, folders with all that is in them. One folder alone is the batch itself.

    Raises NoBatch, which names everything that cannot be part of a batch.
    """
    found: list[Source] = []
    problems: list[str] = []
    for path in paths:
        _look(path, path.name + "/" if len(paths) > 1 else "", found, problems)
    problems += _twice(found)
    problems += [f"{one.path}: {why}" for one in found if (why := _unlistable(one.place))]
    if not found and not problems:
        problems.append("There is no file in it." if paths else "No files were named.")
    if problems:
        more = [f"... and {len(problems) - _NAMED} more"] if len(problems) > _NAMED else []
        raise NoBatch([*problems[:_NAMED], *more])
    return found


def _look(path: Path, prefix: str, found: list[Source], problems: list[str]) -> None:
    """Add what *path* means to *found*, and what stands in the way to *problems*."""
    try:
        info = path.lstat()
    except FileNotFoundError:
        problems.append(f"{path} is not there.")
        return
    if stat.S_ISREG(info.st_mode):
        if is_temporary(path.name):
            problems.append(_half_written(path.parent, path.name))
        found.append(Source(path, path.name, info.st_size))
    elif stat.S_ISDIR(info.st_mode):
        seen = snapshot(path)
        problems += [f"{path / odd.path} is {odd.what}; copy the file itself." for odd in seen.oddities]
        problems += [
            _half_written(path.parent if name == path.name else path, name) for name in seen.temporary
        ]
        found += [Source(path / file.path, prefix + file.path, file.size) for file in seen.files]
    else:
        what = "a link" if stat.S_ISLNK(info.st_mode) else "neither a file nor a folder"
        problems.append(f"{path} is {what}; name the file itself.")


def _half_written(folder: Path, name: str) -> str:
    return f"{folder / name} is still being written, its name says; wait for it, or take it away."


def _twice(found: Sequence[Source]) -> Iterator[str]:
    """Names that would meet in the batch, also where a file server does not tell capitals from small letters."""
    seen: dict[str, Source] = {}
    for one in found:
        name = unicodedata.normalize("NFC", one.place).casefold()
        if name in seen:
            yield f"{one.path} and {seen[name].path} would both be {one.place} in the batch."
        seen.setdefault(name, one)


def _unlistable(place: str) -> str:
    """Why a manifest cannot list this file, or ""."""
    try:
        return "" if clean_path(place) == place else "a name with \\ in it cannot be listed; rename the file."
    except ValueError as err:
        return f"{err}; rename the file."


# -- copying -------------------------------------------------------------------------------------------


def copy(found: Sequence[Source], into: Path, *, checksums: bool, progress: Progress) -> list[ListedFile]:
    """Copy *found* to their places below the folder *into*; all is on the disk when this returns.

    Times are kept, owner and modes are not: a person's 0600 would lock the daemon out.
    Raises PermanentError (a link, no plain file), TemporaryError (changed meanwhile), OSError.
    """
    total, done = sum(one.size for one in found), 0
    folders = {into}
    listed = []
    for one in found:
        progress(one.place, done, total)
        target = into.joinpath(*one.place.split("/"))
        folders |= set(_make_folders(target.parent, into))
        digest = _copy_file(one, target, lambda copied: progress(one.place, done + copied, total))  # noqa: B023
        listed.append(ListedFile(one.place, one.size, digest if checksums else None))
        done += one.size
    for folder in folders:
        fsync_directory(folder)
    progress("", total, total)
    return listed


def _make_folders(folder: Path, top: Path) -> Iterator[Path]:
    """Make *folder* and what is missing above it, up to *top*. Each one that is made is named."""
    if folder == top or folder.is_dir():
        return
    yield from _make_folders(folder.parent, top)
    folder.mkdir()
    share(folder, top)
    yield folder


def share(path: Path, like: Path) -> None:
    """Give the group what it has in the folder *like*: the daemon may have to move and read *path* as its group."""
    if sys.platform == "win32":
        return
    group = stat.S_IMODE(like.stat().st_mode) & 0o070
    mode = stat.S_IMODE(path.stat().st_mode)
    wanted = group if path.is_dir() else group & 0o040
    # Not if it has that already: chmod by somebody outside of the group takes the setgid bit away (chmod(2)).
    if mode | wanted != mode:
        path.chmod(mode | wanted)


def _copy_file(one: Source, target: Path, tell: Callable[[int], None]) -> str:
    """Copy one file; returns its SHA-256."""
    with _open(one.path) as source, os.fdopen(os.open(target, _WRITE, 0o666), "wb", buffering=0) as copied:
        before = os.fstat(source.fileno())
        digest, size = hashlib.sha256(), 0
        while block := source.read(_BLOCK):
            digest.update(block)
            size += _write(copied, block)
            tell(min(size, one.size))
            if size > one.size:  # a file that grows as fast as it is read would be copied for ever
                break
        after = os.fstat(source.fileno())
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns) or size != one.size:
            raise TemporaryError(
                f"{one.path} changed while it was being copied.",
                remedy="Wait until it is written, then submit again.",
            )
        share(target, target.parent)
        os.fsync(copied.fileno())
    os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
    return digest.hexdigest()


def _write(file: BinaryIO, block: bytes) -> int:
    """Write all of *block*: one call may take less."""
    rest = memoryview(block)
    while rest:
        rest = rest[file.write(rest) :]
    return len(block)


def _open(path: Path) -> BinaryIO:
    try:
        handle = os.open(path, _READ)
    except OSError as err:
        if err.errno == errno.ELOOP:
            raise PermanentError(f"{path} is a link; name the file itself.") from err
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise PermanentError(f"{path} is no plain file.")
    return os.fdopen(handle, "rb", buffering=0)
