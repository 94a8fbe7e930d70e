"""The archive as a whole: is it there, what does it hold, and how a fileset gets into it so that no crash halves it.

A fileset goes three steps: a staging folder that bears its key; verified copies in it; its entry, which is the
commit. Whatever is broken off before the entry is a leftover and removed; whatever after it is finished.
"""

from __future__ import annotations

import errno
import shutil
import stat
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path

from dropwatch.durable import fsync_directory
from dropwatch.errors import DropwatchError, PermanentError, TemporaryError, Unavailable
from dropwatch.importers import folder_tree as tree
from dropwatch.importers.folder_copy import Copying
from dropwatch.importers.folder_entries import Entry, Stored, entry_of
from dropwatch.importers.folder_errors import at_the_archive, full, sort
from dropwatch.importers.folder_index import Index, Slot
from dropwatch.model import Fileset, Order, Progress

IDENTITY = ".dropwatch-archive"
_REMEMBERED = 1024  # folders that were made here, for discard()
_HOPELESS = {errno.ENOENT, errno.ENAMETOOLONG}  # a copy has gone; a path too long for the file system
_TRIES = 5  # to give a fileset its places, when others take them at the same moment


class Archive:
    """The archive at *root*. Every method may raise what folder_errors sorts."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.index = Index(root)
        self._made: deque[tuple[str, Path]] = deque(maxlen=_REMEMBERED)

    def check_present(self) -> None:
        """Raise Unavailable where the archive cannot be seen: its share is not mounted, most often."""
        identity = self.root / IDENTITY
        try:
            if stat.S_ISREG(identity.stat().st_mode):
                return
            detail = "it is no file"
        except PermissionError as error:
            raise sort(self.root, "it was looked at", error) from error
        except OSError as error:
            detail = f"{type(error).__name__}: {error}"
        raise Unavailable(
            f"The archive {self.root} is not there: its file {IDENTITY} cannot be seen.",
            remedy=f"Mount the share. If a new archive is to begin here, make the empty file {identity} yourself.",
            detail=detail,
            code="no-archive",
        )

    def open(self, home: Sequence[str], batch: str) -> bool:
        """Make the folder *home* unless it is there; returns whether it was made."""
        made = tree.make_folders(self.root.joinpath(*home), self.root)
        self._remember(batch, made)
        return self.root.joinpath(*home) in made

    def settle(self, slot: Slot) -> Entry | None:
        """What is in *slot*, finished if a crash broke it off. None: nothing (any more), it is to be imported."""
        entry = slot.read()
        if entry is not None and slot.staging.is_dir():
            with suppress(PermanentError, FileNotFoundError):
                entry = self._shelve(slot, entry)
        if entry is not None and self._holds(entry):
            return entry
        if slot.folder.is_dir():
            slot.remove()
        return None

    def store(
        self,
        order: Order,
        home: Sequence[str],
        fileset: Fileset,
        progress: Callable[[Progress], None],
        stopped: Callable[[], bool],
    ) -> Entry:
        """Copy *fileset* to *home*. Raises what Copying.copy() does."""
        slot = self.index.slot(order, home, fileset)
        with self._guard(f"{fileset.name} was being copied"):
            there = self.settle(slot)
            if there is not None:
                return there
            self._check_space(fileset)
            self._remember(order.batch, tree.make_folders(slot.staging, self.root))
        try:
            sums = Copying(
                self.root, order.folder_of(fileset), fileset, slot.staging, progress, stopped
            ).copy()
            with self._guard(f"{fileset.name} was being given its place"):
                entry = self._commit(slot, order, home, fileset, sums)
        except DropwatchError:
            with suppress(OSError):  # else the next ask removes it
                slot.remove()
            raise
        with self._guard(f"{fileset.name} was being given its place"):
            return self._shelve(slot, entry)  # from here on it is finished, not taken back

    def look(self, slot: Slot) -> Entry | None:
        """What is in *slot*, complete; nothing is done about what is not."""
        entry = slot.read()
        return entry if entry is not None and self._holds(entry) else None

    def discard(self, owner: str, batch: str, fileset: str) -> None:
        """Remove a fileset, and the folders that were made for its batch and are empty now."""
        for slot in self.index.of_batch(owner, batch):
            entry = slot.read()
            if slot.fileset != fileset or entry is None:
                continue
            if self._holds(entry):
                for one in entry.files:
                    (self.root / one.place).unlink()
            slot.remove()
        made = [path for of, path in self._made if of == batch]
        for path in sorted(made, key=lambda path: len(path.parts), reverse=True):
            with suppress(OSError):
                path.rmdir()

    # -- the steps -------------------------------------------------------------------------------------

    def _commit(
        self, slot: Slot, order: Order, home: Sequence[str], fileset: Fileset, sums: Sequence[str]
    ) -> Entry:
        places = tree.choose(self.root, home, order.source, [fact.path for fact in fileset.files])
        files = tuple(
            Stored(fact.path, place, fact.size, sha256)
            for fact, place, sha256 in zip(fileset.files, places, sums, strict=True)
        )
        entry = entry_of(order, "/".join(home), fileset, files)
        fsync_directory(slot.staging)  # the entry says that the copies are there
        slot.write(entry)
        return entry

    def _shelve(self, slot: Slot, entry: Entry) -> Entry:
        """Give the verified copies in *slot* their places; may be done again after any crash."""
        for _ in range(_TRIES):
            try:
                self._put_all(slot, entry)
            except FileExistsError:
                entry = self._elsewhere(slot, entry)
            except (PermanentError, OSError) as error:
                if isinstance(error, PermanentError) or error.errno in _HOPELESS:
                    self._take_back(slot, entry)
                    slot.remove()
                raise
            else:
                slot.clear()
                return entry
        raise TemporaryError(
            f"Others took the name of {entry.files[0].path} in the archive at the same moment.",
            code="names-taken",
        )

    def _put_all(self, slot: Slot, entry: Entry) -> None:
        folders = set()
        for number, one in enumerate(entry.files):
            place = self.root / one.place
            self._remember(entry.batch, tree.make_folders(place.parent, self.root))
            tree.put(slot.staging / str(number), place)
            folders.add(place.parent)
        for folder in folders:
            fsync_directory(folder)

    def _take_back(self, slot: Slot, entry: Entry) -> None:
        for number, one in enumerate(entry.files):
            try:
                tree.take_back(slot.staging / str(number), self.root / one.place)
            except OSError as error:
                if error.errno not in _HOPELESS:
                    raise

    def _elsewhere(self, slot: Slot, entry: Entry) -> Entry:
        """Other places for *entry*: one of its own was taken after it had been chosen."""
        self._take_back(slot, entry)
        paths = [one.path for one in entry.files]
        alike = tree.twins(paths)
        if alike is not None:
            slot.remove()
            raise PermanentError(
                f"{alike[0]} and {alike[1]} belong together and differ by upper and lower case only, which the "
                "archive does not tell apart.",
                remedy="Rename one of them.",
                code="same-name",
            )
        places = tree.choose(self.root, entry.home.split("/"), entry.source, paths)
        files = zip(entry.files, places, strict=True)
        entry = replace(entry, files=tuple(replace(one, place=place) for one, place in files))
        slot.write(entry)
        return entry

    # -- looking -----------------------------------------------------------------------------------------

    def _holds(self, entry: Entry) -> bool:
        """Whether the files are where the entry says: the tree tells what there is, not the entry."""
        return all(_is_file(self.root / one.place, one.size) for one in entry.files)

    def _check_space(self, fileset: Fileset) -> None:
        free = shutil.disk_usage(self.root).free
        if free < fileset.bytes:
            raise full(self.root, f"{free} bytes free, {fileset.bytes} needed for {fileset.name}")

    def _remember(self, batch: str, made: Sequence[Path]) -> None:
        self._made.extend((batch, path) for path in made)

    def _guard(self, doing: str) -> AbstractContextManager[None]:
        return at_the_archive(self.root, doing)


def _is_file(path: Path, size: int) -> bool:
    try:
        info = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISREG(info.st_mode) and info.st_size == size
