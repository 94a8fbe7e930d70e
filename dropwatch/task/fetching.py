"""Fetches what a manifest wants from a place: copied, read again from the disk and compared, then given its name.

The originals are opened for reading only. It may be ended at any moment: what is whole is not copied again, of what
is not whole nothing bears a name.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
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
from dropwatch.litter import is_unfinished
from dropwatch.model import Fetched, FetchJob, FileFact, Progress
from dropwatch.places import Source
from dropwatch.report.words import listed, named, number, size
from dropwatch.spool.fetched import Begun, Copies, Journal
from dropwatch.spool.tree import CLOSED_FILE, TOO_LONG
from dropwatch.task.one_copy import MARK, Copying, changed

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

    mark  -- bytes after which it is made sure of what was copied of a file
    before, total -- bytes that were there in whole copies, and in all
    moved -- bytes copied and bytes compared, so that each counts twice
    """

    config: Config
    job: FetchJob
    source: Source
    progress: Callable[[Progress], None]
    stopped: Callable[[], bool]
    mark: int = MARK
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
        begun = {one.file.path: one for one in self._begun(known, missing)}
        self.total = selection.bytes
        self.before = selection.bytes - sum(file.size for file in missing)
        left = self.total - self.before - sum(one.size for one in begun.values())
        self.copies.ensure()
        self.copies.clear_out(have, begun.values())
        self.copies.begin((file for file in selection.files if file.path in have), begun.values())
        self._check_room(left)
        copying, closed = self._copying(), dict[str, str]()
        for file in missing:
            if not copying.copy(file, begun.get(file.path)):
                closed[file.path] = CLOSED_FILE
        if self._select() != selection:
            raise changed(self.source, "Something in it")
        self.copies.finish(self.job.wanted, {**selection.refused, **closed})
        return Fetched(len(selection.files) - len(closed), self.total, left)

    def _copying(self) -> Copying:
        rules = self.config.spool_for(self.job.batch.spool)
        until = self.job.batch.claimed_at + (rules.incomplete.tell if rules else 0.0)
        return Copying(self.source, self.copies, self.mark, until, self._go_on, lambda: self._check_room(0))

    def _begun(self, known: Journal, missing: Iterable[FileFact]) -> Iterator[Begun]:
        """What an earlier run began of *missing* files that are as they were then."""
        for file in missing:
            begun = known.begun.get(file.path)
            if begun is not None and begun.file == file and self.copies.holds_part(begun):
                yield begun

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
                refused[entry.path] = entry.refused.removeprefix("it is ") or TOO_LONG
            elif entry.size is not None and entry.mtime_ns is not None:
                files[entry.path] = FileFact(entry.path, entry.size, entry.mtime_ns)
        half = [path for path in files if is_unfinished(path)]
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

    def _go_on(self, size: int) -> None:
        """So many bytes were copied, or compared: each goes twice."""
        if self.stopped():
            raise Interrupted("Fetching was stopped.")
        self.moved += size
        self.progress(Progress("fetch", self.before + self.moved // 2, self.total, self.before))

    # -- room ------------------------------------------------------------------------------------------

    def _check_room(self, needed: int) -> None:
        """Raise OperatorError where less would stay free than has to."""
        usage = shutil.disk_usage(self.job.batch.envelope.path)
        least = self.config.limits.min_free.of(usage.total)
        if usage.free - needed >= least:
            return
        missing = needed or self.total - self.before - self.moved // 2
        raise OperatorError(
            f"There is no room in the spool for what is to be fetched: {size(missing)} are missing, "
            f"{size(usage.free)} are free, and {size(least)} have to stay free.",
            concerns="spool",
            remedy='Make room, for instance by removing old folders from "done". It then goes on by itself.',
            code="storage-full",
        )


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return listed([*map(named, names[:_NAMED]), *([f"{number(more)} more"] if more > 0 else [])])
