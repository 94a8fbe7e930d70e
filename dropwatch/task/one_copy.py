"""Copies one file of a place: read, written, read again from the disk and compared; then it gets its name.

The original is opened for reading only. A large file goes on where it was certain: what is there of it is read, and
compared with what was read from the original, which still has its size and its time.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dropwatch import places
from dropwatch.errors import Interrupted, PermanentError, TemporaryError, Unavailable
from dropwatch.model import FileFact
from dropwatch.places import Source
from dropwatch.report.words import named
from dropwatch.spool.fetched import Begun, Copies, Making
from dropwatch.spool.tree import is_written_to

#: bytes between two marks in a large file: what a crash, or a share that goes, takes of it at most
MARK = 2**30
_BLOCK = 4 * 2**20  #: bytes
_GONE = ("not-there", "link", "not-a-file")  #: what a file is that was one when it was listed
_LOOK_FOR_ROOM = 64  #: blocks between two looks at what is free


@dataclass(frozen=True)
class Copying:
    """Makes *copies* of files of *source*.

    mark          -- bytes after which it is made sure of what was copied of a file
    patient_until -- epoch seconds; until then, a file that some program holds open for writing is waited for
    go_on         -- is told so many bytes were copied, or compared: each goes twice. Raises to stop
    check_room    -- raises where the disk is too full to go on
    """

    source: Source
    copies: Copies
    mark: int
    patient_until: float
    go_on: Callable[[int], None]
    check_room: Callable[[], None]

    def copy(self, file: FileFact, begun: Begun | None) -> bool:
        """Copy *file*, or the rest of what was *begun* of it; False where it may not be read, which is no reason not to
        fetch the others. Raises as Fetching.fetch() does."""
        self.check_room()  # many small ones fill a disk as well
        try:
            self._copy(file, begun)
        except PermanentError as err:
            if err.code == "not-readable":
                self.copies.give_up(file)
                return False
            if err.code in _GONE:
                raise changed(self.source, named(file.path)) from err
            raise
        return True

    def _copy(self, file: FileFact, begun: Begun | None) -> None:
        try:
            with (
                places.opened(self.source, file.path) as original,
                self.copies.making(file, begun, _goes_on) as making,
            ):
                self._check(original, file)
                self._check_writer(original, file)
                read = self._again(making, begun) if begun else hashlib.sha256()
                self._fill(making, original, file, read)
                self._check(original, file)
                self._verify(making.file.fileno(), file, read.hexdigest())
        except FileExistsError as err:
            raise PermanentError(
                f"{named(file.path)} bears the same name as another file where the copy is made: there, capitals and "
                "small letters are the same.",
                remedy="Give one of them another name.",
                code="place-clash",
            ) from err

    def _again(self, making: Making, begun: Begun) -> hashlib._Hash:
        """Read what is there of a copy; its hash, to go on with. What differs from what was read of the
        original does not count."""
        copy, read, left = making.file.fileno(), hashlib.sha256(), begun.size
        while left and (block := os.read(copy, min(_BLOCK, left))):
            read.update(block)
            left -= len(block)
            self.go_on(len(block))
        if read.hexdigest() != begun.sha256:
            self.go_on(left - begun.size)
            making.certain, read = 0, hashlib.sha256()
        os.ftruncate(copy, making.certain)
        os.lseek(copy, making.certain, os.SEEK_SET)
        return read

    def _fill(self, making: Making, original: int, file: FileFact, read: hashlib._Hash) -> None:
        """Copy what is missing; *read*, the hash of what is there, goes on."""
        copy, done = making.file.fileno(), making.certain
        for turn, block in enumerate(self._blocks(original, file, done), start=1):
            if turn % _LOOK_FOR_ROOM == 0:
                self.check_room()
            read.update(block)
            _write(copy, block)
            done += len(block)
            if done - making.certain >= self.mark and done < file.size:
                self._check(original, file)
                self.copies.mark(making, Begun(file, done, read.hexdigest()))
                _forget(copy)
                _forget(original)
            self.go_on(len(block))

    def _blocks(self, original: int, file: FileFact, start: int) -> Iterator[bytes]:
        """The file from *start* on, as many bytes as it had when it was listed."""
        left = file.size - start
        with places.sorted_errors(self.source, file.path):
            os.lseek(original, start, os.SEEK_SET)
        while left:
            with places.sorted_errors(self.source, file.path):
                block = os.read(original, min(_BLOCK, left))
            if not block:
                raise changed(self.source, named(file.path))
            left -= len(block)
            yield block
        _forget(original)

    def _check(self, original: int, file: FileFact) -> None:
        with places.sorted_errors(self.source, file.path):
            now = os.fstat(original)
        if (now.st_size, now.st_mtime_ns) != (file.size, file.mtime_ns):
            raise changed(self.source, named(file.path))

    def _check_writer(self, original: int, file: FileFact) -> None:
        """A program that still has it open may go on writing; one that never lets go holds us back for a while only."""
        if time.time() < self.patient_until and is_written_to(original):
            raise TemporaryError(
                f"{named(file.path)} in {self.source.name} is still open for writing.",
                remedy="It is tried again.",
                code="place-unfinished",
            )

    def _verify(self, copy: int, file: FileFact, wanted: str) -> None:
        """Read the copy again, from the disk as far as the system lets us, and compare."""
        os.fsync(copy)
        _forget(copy)
        found, size_found = hashlib.sha256(), 0
        os.lseek(copy, 0, os.SEEK_SET)
        while block := os.read(copy, _BLOCK):
            found.update(block)
            size_found += len(block)
            self.go_on(len(block))
        if size_found != file.size or found.hexdigest() != wanted:
            raise TemporaryError(
                f"The copy of {named(file.path)} read differently from what was written; the disk of the spool is not "
                "to be trusted.",
                detail=f"sha256 written {wanted}, read {found.hexdigest()}",
                code="copy-differs",
            )


def changed(source: Source, what: str) -> TemporaryError:
    return TemporaryError(
        f"{what} changed in {source.name} while it was being fetched.",
        remedy="It is fetched again. Nothing of it was imported.",
        code="place-changed",
    )


def _goes_on(error: BaseException) -> bool:
    """Whether what was copied of a file is good for the next run: we were stopped, or the place is in trouble."""
    away = isinstance(error, (Interrupted, Unavailable))
    return away or (isinstance(error, TemporaryError) and error.code == "place-read-error")


def _write(copy: int, block: bytes) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(copy, rest) :]


def _forget(descriptor: int) -> None:
    """Have the system keep nothing of the file in memory: a copy is to be compared with what is on the disk, and
    200 GB would push out what others need."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
