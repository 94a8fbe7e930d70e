"""Imports into a tree of folders: a verified copy, for staging and for trying without OMERO. Contract: base.py.

It opens no connection and knows no people: whoever has a drop folder may import. Its folder, the archive, is known
by an identity file, because a share that is not mounted looks like an empty folder and must not be filled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from dropwatch.errors import DropwatchError, Interrupted, PermanentError
from dropwatch.importers import reading
from dropwatch.importers.base import Account, Finding
from dropwatch.importers.folder_archive import Archive
from dropwatch.importers.folder_doctor import examine
from dropwatch.importers.folder_entries import Entry, last_step, number_of
from dropwatch.importers.folder_errors import at_the_archive
from dropwatch.importers.folder_index import Slot, outline
from dropwatch.importers.folder_names import safe_path
from dropwatch.importers.folder_tree import home_of
from dropwatch.model import (
    Answers,
    Attached,
    Attachment,
    Container,
    FileFact,
    Fileset,
    Image,
    Imported,
    Order,
    Progress,
    Running,
    Skipped,
    Tidied,
    Tree,
)

Found = Imported | Skipped | Attached | Running  #: what Answers may hold; a copy is never left running


class FolderImporter:
    """An Importer for the folder *root*; close() it."""

    def __init__(self, root: Path) -> None:
        self._archive = Archive(root)

    def ask(self, order: Order, filesets: Sequence[Fileset]) -> Answers:
        """See base.Importer.ask."""
        self._archive.check_present()
        home = home_of(order)
        with at_the_archive(self._archive.root, f"it was asked about {order.source}"):
            created = self._archive.open(home, order.batch)
            stock = self._take_stock(order)
            found = {one.id: stock[one.id] for one in filesets if one.id in stock}
            if order.duplicates == "skip":
                found |= self._there_already(order, home, [one for one in filesets if one.id not in found])
        name, group = "/".join(home), order.group or ""
        return Answers(
            Container(order.target.kind, number_of(name), name, group, created), None, group, found
        )

    def _take_stock(self, order: Order) -> dict[str, Found]:
        """What the archive has of the batch, by fileset id; leftovers of it are removed.

        What is being copied would look like one: nobody asks while a worker holds the lock of the envelope.
        """
        stock: dict[str, Found] = {}
        for slot in self._archive.index.of_batch(order.owner, order.batch):
            entry = self._archive.settle(slot)
            if entry is not None:
                stock[slot.fileset] = _attached(entry) if entry.attachment else _imported(entry)
        return stock

    def _there_already(
        self, order: Order, home: Sequence[str], filesets: Sequence[Fileset]
    ) -> dict[str, Skipped | Attached]:
        """Those of *filesets* that another batch brought to *home*: the same names, sizes and checksums."""
        alike = self._archive.index.outlines(order, home)
        there: dict[str, Skipped | Attached] = {}
        for fileset in filesets:
            same = self._same(order.folder_of(fileset), fileset, alike.get(outline(fileset.files), ()))
            if same is not None:
                there[fileset.id] = (
                    _attached(same) if same.attachment else Skipped(_images(same), same.number)
                )
        return there

    def _same(self, folder: str, fileset: Fileset, slots: Sequence[Slot]) -> Entry | None:
        """A file is read only when one of its name and size is there."""
        sums: list[tuple[str, str]] = []
        for slot in slots:
            entry = self._archive.look(slot)
            if entry is None or entry.attachment is not isinstance(fileset, Attachment):
                continue
            sums = sums or _sums(folder, fileset)
            if sums == entry.sums:
                return entry
        return None

    def import_(
        self,
        order: Order,
        fileset: Fileset,
        answers: Answers,
        *,
        progress: Callable[[Progress], None],
        stopped: Callable[[], bool],
    ) -> Imported:
        """See base.Importer.import_."""
        return _imported(self._store(order, fileset, progress, stopped))

    def attach(
        self,
        order: Order,
        attachment: Attachment,
        answers: Answers,
        *,
        progress: Callable[[Progress], None],
        stopped: Callable[[], bool],
    ) -> Attached:
        """See base.Importer.attach."""
        return _attached(self._store(order, attachment, progress, stopped))

    def _store(
        self,
        order: Order,
        fileset: Fileset,
        progress: Callable[[Progress], None],
        stopped: Callable[[], bool],
    ) -> Entry:
        self._archive.check_present()
        if stopped():
            raise Interrupted(f"Stopped before {fileset.name} was copied.")
        return self._archive.store(order, home_of(order), fileset, progress, stopped)

    def account(self, owner: str) -> Account:
        """See base.Importer.account: everybody is known, and nothing is known of them."""
        return Account(owner, None, True, (), "")

    def accounts(self) -> list[Account]:
        """See base.Importer.accounts. Raises PermanentError: a folder could only list whom it has seen."""
        raise PermanentError(
            "The importer `folder` knows no people: whoever has a drop folder may import.",
            remedy="Make drop folders by name: dropwatch user add NAME",
            code="no-accounts",
        )

    def containers(self, owner: str, group: str | None) -> Tree:
        """See base.Importer.containers: there is nothing to choose from, datasets of a folder go by their names."""
        return Tree(group or "", (group,) if group else ())

    def thumbnails(
        self, owner: str, ids: Sequence[int], size: int, *, kind: str = "Image"
    ) -> Mapping[int, bytes]:
        """See base.Importer.thumbnails: none."""
        return {}

    def sign_in(self, name: str, password: str) -> Account | None:
        """See base.Importer.sign_in. Raises PermanentError: a folder knows no passwords."""
        raise PermanentError(
            "The importer `folder` knows no passwords.",
            remedy="Sign in by the link that `dropwatch web` prints when it starts.",
            code="no-passwords",
        )

    def diagnose(self, owner: str | None) -> list[Finding]:
        """See base.Importer.diagnose."""
        return list(examine(self._archive, owner))

    def tidy(self, owner: str, keep: Collection[str], older: float) -> Tidied:
        """See base.Importer.tidy. A copy gets its place when it is whole; what broke off is none of the images."""
        return Tidied(0)

    def discard(self, order: Order, fileset: Fileset, imported: Imported) -> None:
        """See base.Importer.discard."""
        with at_the_archive(self._archive.root, f"{fileset.name} was being removed again"):
            self._archive.discard(order.owner, order.batch, fileset.id)

    def close(self) -> None:
        """See base.Importer.close. Nothing is open between two calls."""


def _imported(entry: Entry) -> Imported:
    return Imported(_images(entry), entry.number, warning=_warning(entry))


def _attached(entry: Entry) -> Attached:
    return Attached(entry.number, entry.number)


def _images(entry: Entry) -> tuple[Image, ...]:
    """One for each fileset; how many images are in it is for those to say who can read it."""
    place = entry.files[0].place.removeprefix(f"{entry.home}/")
    return (Image(entry.number, place, "Plate" if entry.plate else "Image"),)


def _warning(entry: Entry) -> str:
    """What its owner should know: that it lies somewhere else, or is called otherwise, than they would think."""
    if all(one.place == f"{entry.home}/{one.path}" for one in entry.files):
        return ""
    where = f"lies in the archive as {entry.files[0].place}"
    if all(one.place == f"{entry.home}/{'/'.join(safe_path(one.path))}" for one in entry.files):
        return f"it {where}, because not every system can carry its name"
    return f"it {where}, because there was a file of this name already"


def _sums(folder: str, fileset: Fileset) -> list[tuple[str, str]]:
    """Names and checksums of *fileset*; nothing where it cannot be read: its import will tell what is wrong."""
    try:
        return sorted((last_step(fact.path), _sha256(folder, fact)) for fact in fileset.files)
    except DropwatchError:
        return []


def _sha256(folder: str, fact: FileFact) -> str:
    digest = hashlib.sha256()
    with reading.opened(folder, fact) as descriptor:
        for block in reading.blocks(descriptor, fact):
            digest.update(block)
    return digest.hexdigest()
