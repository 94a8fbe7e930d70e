"""Fetches what a manifest wants from a place: copied, read again from the disk and compared, then given its name.

The originals are opened for reading only. It may be ended at any moment: what is whole is not copied again, of what
is not whole nothing bears a name.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from dropwatch import places
from dropwatch.config import Config
from dropwatch.errors import (
    DropwatchError,
    Interrupted,
    OperatorError,
    PermanentError,
    TemporaryError,
    Unavailable,
)
from dropwatch.litter import is_temporary
from dropwatch.model import Fetched, FetchJob, FileFact, Progress
from dropwatch.places import Source
from dropwatch.report.words import listed, named, number, size
from dropwatch.spool.fetched import Copies
from dropwatch.spool.tree import is_written_to

_BLOCK = 4 * 2**20  #: bytes
_LOOK_FOR_ROOM = 64  #: blocks between two looks at what is free
_LONGEST = 3900  #: bytes of a path that programs can open (spool/tree.py)
_NAMED = 10


@dataclass(frozen=True)
class _Selection:
    """What lies in the place of what is wanted. refused: by path, what cannot be fetched, and why."""

    files: tuple[FileFact, ...]
    refused: dict[str, str]

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)


@dataclass
class Fetching:
    """One run of a FetchJob. Who may use the place was checked.

    before, total -- bytes that were there, and in all
    moved -- bytes copied and bytes compared, so that each counts twice
    """

    config: Config
    job: FetchJob
    source: Source
    progress: Callable[[Progress], None]
    stopped: Callable[[], bool]
    before: int = 0
    total: int = 0
    moved: int = 0
    copies: Copies = field(init=False)

    def __post_init__(self) -> None:
        self.copies = Copies(self.job.batch.envelope.path)

    def fetch(self) -> Fetched:
        """Fetch what is missing.

        Raises PermanentError (not there, may not be read, nothing in it), TemporaryError (it changed meanwhile, is
        still being written, cannot be read now), Unavailable (the place is away), OperatorError (no room),
        Interrupted, and OSError of the spool.
        """
        known = self.copies.journal()
        try:
            selection = self._select()
        except (PermanentError, Unavailable) as err:
            if not known.is_all_of(self.job.wanted):
                raise
            # An earlier claim has fetched it all; now it was tidied away, or the microscope is off. We have it.
            return self._as_it_was(list(known.files.values()), err)
        have = {
            file.path
            for file in selection.files
            if known.files.get(file.path) == file and self.copies.holds(file)
        }
        missing = [file for file in selection.files if file.path not in have]
        self.total = selection.bytes
        self.before = selection.bytes - sum(file.size for file in missing)
        self.copies.ensure()
        self.copies.clear_out(have)
        self.copies.begin(file for file in selection.files if file.path in have)
        self._check_room(self.total - self.before)
        for file in missing:
            self._copy(file)
        if self._select() != selection:
            raise self._changed("Something in it")
        self.copies.finish(self.job.wanted, selection.refused)
        return Fetched(len(selection.files), self.total, self.total - self.before)

    def _as_it_was(self, files: list[FileFact], error: DropwatchError) -> Fetched:
        if not all(map(self.copies.holds, files)):
            raise error
        return Fetched(len(files), sum(file.size for file in files), 0)

    # -- what is wanted --------------------------------------------------------------------------------

    def _select(self) -> _Selection:
        """Look at all that is wanted; what two paths both contain counts once."""
        files: dict[str, FileFact] = {}
        refused: dict[str, str] = {}
        for entry in places.walk(self.source, self.job.wanted.paths):
            self._go_on(0)
            if entry.refused or self._is_too_long(entry.path):
                refused[entry.path] = entry.refused.removeprefix("it is ") or _TOO_LONG
            elif entry.size is not None and entry.mtime_ns is not None:
                files[entry.path] = FileFact(entry.path, entry.size, entry.mtime_ns)
        half = [path for path in files if any(map(is_temporary, path.split("/")))]
        if half:
            raise TemporaryError(
                f"Still being written in {self.source.name}, their names say: {_some(half)}.",
                remedy="It is tried again. What stays under such a name has to be renamed or taken away there.",
                code="place-unfinished",
            )
        if not files and not refused:
            raise PermanentError(
                f"There is no file in {_some(self.job.wanted.paths)} in {self.source.name}.",
                code="place-empty",
            )
        return _Selection(tuple(sorted(files.values(), key=lambda file: file.path)), refused)

    def _is_too_long(self, path: str) -> bool:
        return len(os.fsencode(self.copies.folder / path)) > _LONGEST

    # -- copying ---------------------------------------------------------------------------------------

    def _copy(self, file: FileFact) -> None:
        try:
            with places.opened(self.source, file.path) as original, self.copies.making(file) as copy:
                self._check(original, file)
                self._check_writer(original, file)
                read = hashlib.sha256()
                for turn, block in enumerate(self._blocks(original, file), start=1):
                    if turn % _LOOK_FOR_ROOM == 0:
                        self._check_room(0)
                    read.update(block)
                    _write(copy.fileno(), block)
                    self._go_on(len(block))
                self._check(original, file)
                self._verify(copy.fileno(), file, read.hexdigest())
        except FileExistsError as err:
            raise PermanentError(
                f"{named(file.path)} bears the same name as another file where the copy is made: there, capitals and "
                "small letters are the same.",
                remedy="Give one of them another name.",
                code="place-clash",
            ) from err

    def _blocks(self, original: int, file: FileFact) -> Iterator[bytes]:
        """The file, as many bytes as it had when it was listed."""
        left = file.size
        while left:
            with places.sorted_errors(self.source, file.path):
                block = os.read(original, min(_BLOCK, left))
            if not block:
                raise self._changed(named(file.path))
            left -= len(block)
            yield block
        _forget(original)

    def _check(self, original: int, file: FileFact) -> None:
        with places.sorted_errors(self.source, file.path):
            now = os.fstat(original)
        if (now.st_size, now.st_mtime_ns) != (file.size, file.mtime_ns):
            raise self._changed(named(file.path))

    def _check_writer(self, original: int, file: FileFact) -> None:
        """A program that still has it open may go on writing; one that never lets go holds us back for a while only."""
        rules = self.config.spool_for(self.job.batch.spool)
        patience = rules.incomplete.tell if rules else 0.0
        if time.time() - self.job.batch.claimed_at < patience and is_written_to(original):
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
            self._go_on(len(block))
        if size_found != file.size or found.hexdigest() != wanted:
            raise TemporaryError(
                f"The copy of {named(file.path)} read differently from what was written; the disk of the spool is not "
                "to be trusted.",
                detail=f"sha256 written {wanted}, read {found.hexdigest()}",
                code="copy-differs",
            )

    def _go_on(self, size: int) -> None:
        """So many bytes were copied, or compared: each goes twice."""
        if self.stopped():
            raise Interrupted("Fetching was stopped.")
        self.moved += size
        self.progress(Progress("fetch", self.before + self.moved // 2, self.total, self.before))

    def _changed(self, what: str) -> TemporaryError:
        return TemporaryError(
            f"{what} changed in {self.source.name} while it was being fetched.",
            remedy="It is fetched again. Nothing of it was imported.",
            code="place-changed",
        )

    # -- room ------------------------------------------------------------------------------------------

    def _check_room(self, needed: int) -> None:
        """Raise OperatorError where less would stay free than has to."""
        usage = shutil.disk_usage(self.job.batch.envelope.path)
        least = self.config.limits.min_free.of(usage.total)
        if usage.free - needed >= least:
            return
        missing = self.total - self.before - self.moved // 2
        raise OperatorError(
            f"There is no room in the spool for what is to be fetched: {size(missing)} are missing, "
            f"{size(usage.free)} are free, and {size(least)} have to stay free.",
            concerns="spool",
            remedy='Make room, for instance by removing old folders from "done". It then goes on by itself.',
            code="storage-full",
        )


_TOO_LONG = "at the end of a path that is too long"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return listed([*map(named, names[:_NAMED]), *([f"{number(more)} more"] if more > 0 else [])])


def _write(copy: int, block: bytes) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(copy, rest) :]


def _forget(descriptor: int) -> None:
    """Have the system keep nothing of the file in memory: a copy is to be compared with what is on the disk, and
    200 GB would push out what others need."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
