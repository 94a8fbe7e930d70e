"""The two folders that the files of a batch may lie in: the user's own, and that of what was fetched for it.

Paths start at one of them. Bio-Formats looks at each by itself, so that no fileset has files of both.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from dropwatch.model import Batch, FileFact, Problem, Wanted
from dropwatch.mounts import keeps_inodes
from dropwatch.spool.fetched import Copies, is_copy
from dropwatch.spool.tree import Oddity, Snapshot, snapshot
from dropwatch.task.belonging import Contents, is_ours
from dropwatch.task.choosing import Chosen
from dropwatch.task.filesets import Found, find_groups
from dropwatch.task.looking import Looker, Progress, looking
from dropwatch.task.refusals import Hopeless, some


@dataclass(frozen=True)
class Side:
    """A folder with files of the batch, and the folder of what we know of them."""

    folder: Path
    memory: Path
    snap: Snapshot


def look_at(folder: Path) -> Snapshot:
    """What lies in *folder*. Raises OSError."""
    snap = snapshot(folder)
    # Hours may pass until a file is read, and then it would seem to be another one.
    return snap if keeps_inodes(folder) else snap.without_inodes()


def find_copies(batch: Batch, wanted: Wanted) -> Side | None:
    """The copies of all that is *wanted*; None where anything of it is missing."""
    copies = Copies(batch.envelope.path)
    journal = copies.journal()
    if not journal.is_all_of(wanted):
        return None
    snap = look_at(copies.folder)
    if {file.path for file in snap.files} != journal.files.keys():
        return None
    if not all(is_copy(file.size, file.mtime_ns, journal.files[file.path]) for file in snap.files):
        return None
    oddities = (*snap.oddities, *(Oddity(path, what) for path, what in journal.refused.items()))
    return Side(copies.folder, copies.memory, replace(snap, oddities=oddities))


@dataclass(frozen=True)
class Sides:
    """Both, as one. Raises Hopeless where two files would have the same path."""

    own: Side
    copies: Side | None
    _fetched: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        fetched = self.copies.snap.files if self.copies else ()
        object.__setattr__(self, "_fetched", frozenset(file.path for file in fetched))
        own = {_alike(file.path) for file in self.own.snap.files if not is_ours(file.path)}
        twice = [file.path for file in fetched if _alike(file.path) in own]
        if twice:
            raise Hopeless(
                Problem(
                    f"Both in the folder and to be fetched: {some(twice)}.",
                    "Take them out of the folder, or out of `from:`; then move the folder back to inbox.",
                )
            )

    @property
    def snap(self) -> Snapshot:
        """All files and oddities of the batch. A manifest that was fetched with the rest says nothing."""
        if self.copies is None:
            return self.own.snap
        theirs = self.copies.snap
        files = (*self.own.snap.files, *(file for file in theirs.files if not is_ours(file.path)))
        oddities = (*self.own.snap.oddities, *theirs.oddities)
        hidden = (*self.own.snap.hidden, *theirs.hidden)
        return replace(self.own.snap, files=files, oddities=oddities, hidden=hidden)

    def is_fetched(self, path: str) -> bool:
        return path in self._fetched

    def find_groups(
        self, chosen: Chosen, looker: Looker, batch: Batch, progress: Progress, *, died: bool
    ) -> Found:
        """Look at the chosen files, each in its folder, and group them. Raises OSError, OperatorError."""
        found = [
            self._groups_of(side, files, chosen, looker, batch, progress, died=died)
            for side, files in self._parts(chosen)
        ]
        return Found(
            tuple(group for one in found for group in one.groups),
            tuple(rest for one in found for rest in one.rest),
        )

    def _parts(self, chosen: Chosen) -> Iterator[tuple[Side, tuple[FileFact, ...]]]:
        own = tuple(file for file in chosen.files if not self.is_fetched(file.path))
        if own or self.copies is None:
            yield self.own, own
        if self.copies is not None:
            yield self.copies, tuple(file for file in chosen.files if self.is_fetched(file.path))

    @staticmethod
    def _groups_of(
        side: Side,
        files: tuple[FileFact, ...],
        chosen: Chosen,
        looker: Looker,
        batch: Batch,
        progress: Progress,
        *,
        died: bool,
    ) -> Found:
        part, contents = replace(chosen, files=files), Contents(side.folder, side.snap, batch.spool)
        claim = batch.envelope.claim
        with looking(looker, side.folder, side.snap, memory=side.memory, claim=claim, died=died) as looks:
            return find_groups(part, looks, contents, progress)


def _alike(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()
