"""From a claimed folder to what is to be imported: the manifest is read, the files are looked at, grouped and refused
in words. Runs in a worker, anew before each attempt.

It opens no file but the manifests; what is in the others, the looker says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from dropwatch.config import Config
from dropwatch.manifest import Manifest
from dropwatch.model import Batch, FileFact, Fileset, Kind, Order, Plan, Refused
from dropwatch.spool.folders import MEMORY
from dropwatch.spool.tree import being_written
from dropwatch.task import refusals
from dropwatch.task.belonging import is_ours
from dropwatch.task.choosing import Chosen, choose
from dropwatch.task.filesets import Found, attachment, fileset
from dropwatch.task.grouping import Group
from dropwatch.task.looking import Looker, Progress, silent
from dropwatch.task.manifests import groups_to_prove, not_told, order_of, read_manifest, target_of, wanted_by
from dropwatch.task.refusals import Hopeless, some
from dropwatch.task.sides import Side, Sides, find_copies, look_at


def plan(
    config: Config,
    batch: Batch,
    looker: Looker,
    progress: Progress = silent,
    *,
    died: bool = False,
    fetched: bool = False,
) -> Plan:
    """What *batch* consists of and where it goes; or only what has to be fetched for it first.

    progress -- is told how many files of how many have been looked at, before each look: a look may be the last

    died     -- the planner that had it before died at it, and the daemon saw it die
    fetched  -- what its manifest wants fetched was fetched in this claim, if it wants that

    Raises FileNotFoundError when the folder is gone, OSError when it or a file of it cannot be read and the file is not
    to blame, OperatorError when the looker cannot be had.
    """
    if (folder := batch.envelope.batch_folder).is_symlink():
        return Plan(batch.name, None, problems=(refusals.is_link(batch.name),))
    own = Side(folder, batch.envelope.path / MEMORY, look_at(folder))
    # Asked before it is read: whoever ends writing in between would leave us with half of it.
    held = _held(own)
    try:
        read = read_manifest(batch, own.snap)
        order, wanted = order_of(config, batch, read), wanted_by(config, read)
        copies = find_copies(batch, wanted) if fetched and wanted else None
        if wanted and copies is None:
            return Plan(read.name or batch.name, order, wanted=wanted, writing=held, notify=read.notify)
        sides = Sides(own, copies)
        chosen = choose(read, sides.snap)
    except Hopeless as refusal:
        return Plan(batch.name, None, problems=refusal.problems, writing=held)
    if copies is not None:
        order = replace(order, fetched=str(copies.folder))
    found = sides.find_groups(chosen, looker, batch, progress, died=died)
    if found.sound and all(group.plate for group in found.sound):
        order = replace(order, target=target_of(config, batch, read, Kind.SCREEN))
    return _Draft(read.name or batch.name, sides, chosen, found, order, held).plan(config, batch, read)


def _held(own: Side) -> tuple[str, ...]:
    """The manifests that some program still writes to."""
    manifests = (file.path for file in own.snap.files if is_ours(file.path))
    return tuple(path for path in manifests if being_written(own.folder / path))


@dataclass(frozen=True)
class _Draft:
    """All that a plan is made of."""

    name: str
    sides: Sides
    chosen: Chosen
    found: Found
    order: Order
    held: tuple[str, ...]

    def plan(self, config: Config, batch: Batch, read: Manifest) -> Plan:
        filesets = self._filesets()
        refused = tuple(self._refused())
        aside = [file.path for file, look in self.found.rest if look.unknown and not self.chosen.listed]
        problems = () if filesets or refused else (refusals.nothing(aside),)
        attachments = [
            replace(attachment(file, self._sums), fetched=self.sides.is_fetched(file.path))
            for file in self.chosen.attachments
        ]
        folder = batch.envelope.batch_folder
        return Plan(
            name=self.name,
            order=self.order,
            # Where no image goes, nothing is attached either: no dataset is made for it alone.
            filesets=(*filesets, *attachments) if filesets else (),
            problems=problems,
            refused=refused,
            writing=(*self.held, *(one for one in self._paths(filesets) if being_written(folder / one))),
            notes=(*self._notes(filesets, () if problems else aside), *not_told(config, read)),
            notify=read.notify,
            in_groups=groups_to_prove(config, batch, self.order.user),
        )

    @property
    def _sums(self) -> dict[str, str]:
        return dict(self.chosen.sums or {})

    @property
    def _files(self) -> dict[str, FileFact]:
        return {file.path: file for file in self.sides.snap.files}

    def _fits(self, group: Group) -> bool:
        return group.plate == (self.order.target.kind is Kind.SCREEN)

    def _filesets(self) -> list[Fileset]:
        files, sums = self._files, self._sums
        return [
            replace(fileset(group, files, sums), fetched=self.sides.is_fetched(group.members[0]))
            for group in self.found.sound
            if self._fits(group)
        ]

    def _refused(self) -> Iterable[Refused]:
        files = self._files
        mixed = len({group.plate for group in self.found.sound}) > 1
        yield from map(refusals.odd, self.sides.snap.oddities)
        for group in self.found.groups:
            own = [files[path] for path in group.members]
            if group.trouble:
                yield refusals.troubled(group.asked, group.trouble, own)
            elif not self._fits(group):
                yield refusals.misplaced(group, own, self.order.target, self.name, mixed)
        for file, look in self.found.rest:
            # What is no image may lie about; but what the manifest lists is missed.
            if self.chosen.listed or not look.unknown:
                yield refusals.unreadable(file, look)

    def _paths(self, filesets: list[Fileset]) -> Iterable[str]:
        """What must not be open for writing any more. What looks damaged may only be half there."""
        files = [
            *self.chosen.files,
            *self.chosen.attachments,
            *(file for one in filesets for file in one.files),
        ]
        return dict.fromkeys(file.path for file in files if not self.sides.is_fetched(file.path))

    def _notes(self, filesets: Sequence[Fileset], aside: Sequence[str]) -> Iterable[str]:
        """What the user would otherwise miss, or wonder at."""
        imported = {file.path for one in filesets for file in one.files}
        grouped = {path for group in self.found.groups for path in group.members}
        unlisted = [path for path in self.chosen.aside if path not in grouped]
        needed = [path for path in self.chosen.aside if path in imported]
        if needed:
            yield f"Imported too, because they belong to files that the manifest lists: {some(needed)}."
        if unlisted:
            yield f"Left aside, because the manifest does not list them: {some(unlisted)}."
        if self.chosen.hidden:
            yield f"Left aside, because they are hidden: {some(self.chosen.hidden)}."
        if aside:
            yield f"Left aside, not an image: {some(aside)}."
        if self.sides.copies is not None:
            yield "The files were copied from their place; nothing was changed there."
        if self.chosen.attachments and not filesets:
            names = [file.path for file in self.chosen.attachments]
            yield f"Not attached, because there is nothing to attach it to: {some(names)}."
