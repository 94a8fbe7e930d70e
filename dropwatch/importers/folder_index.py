"""What the archive holds, in its folder ``.dropwatch``: a small file for each fileset, and copies not finished yet.

    .dropwatch/filesets/<owner>/<digest of the dataset's folder>/<batch id>/
        <fileset id>.<outline>.staging/     copies that have no place yet, numbered as in the fileset
        <fileset id>.<outline>.json         the entry: all copies are verified, and these are their places

The name of the folder `.staging` is the key of the fileset: it is made before the first byte. The entry is the
commit: with both there, the copies have yet to be given their places, which may be done again and again. Small
files and no database, because an archive is most often a network share, where locks are not to be relied on.

The outline is a digest of names and sizes, so that a listing alone finds what could be the same files.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dropwatch.durable import fsync_directory, write_durably
from dropwatch.errors import PermanentError
from dropwatch.importers.folder_entries import Entry, dump, last_step, load
from dropwatch.importers.folder_names import folder_name
from dropwatch.model import CLAIM_STAMP, FileFact, Fileset, Order

STATE = ".dropwatch"
_FILESET_ID = re.compile(r"[0-9A-Za-z-]+")


@dataclass(frozen=True)
class Slot:
    """Where the entry and the unfinished copies of one fileset lie."""

    folder: Path
    stem: str

    @property
    def fileset(self) -> str:
        return self.stem.partition(".")[0]

    @property
    def outline(self) -> str:
        return self.stem.partition(".")[2]

    @property
    def staging(self) -> Path:
        return self.folder / f"{self.stem}.staging"

    @property
    def _entry(self) -> Path:
        return self.folder / f"{self.stem}.json"

    def read(self) -> Entry | None:
        """The entry; None when there is none, or none that can be read."""
        with suppress(FileNotFoundError):
            return load(self._entry.read_bytes())
        return None

    def write(self, entry: Entry) -> None:
        """Write the entry; it is on the disk when this returns."""
        write_durably(self._entry, dump(entry), mode=0o666)

    def clear(self) -> None:
        """Remove the unfinished copies."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.staging)

    def remove(self) -> None:
        """Remove all of it: the entry last, because copies without one are a leftover anyway."""
        self.clear()
        self._entry.unlink(missing_ok=True)
        fsync_directory(self.folder)


class Index:
    """The slots of the archive *root*. Raises OSError, and PermanentError for an id that is none."""

    def __init__(self, root: Path) -> None:
        self._top = root / STATE / "filesets"

    def slot(self, order: Order, home: Sequence[str], fileset: Fileset) -> Slot:
        """The slot of *fileset*, which goes to the folder *home* (steps below the archive)."""
        if not _FILESET_ID.fullmatch(fileset.id):
            raise _no_id(fileset.id)
        return Slot(
            self._of(order.owner, home) / _batch(order.batch), f"{fileset.id}.{outline(fileset.files)}"
        )

    def of_batch(self, owner: str, batch: str) -> list[Slot]:
        """All slots of a batch, wherever its filesets went."""
        name = _batch(batch)
        return [slot for home in _folders(self._top / folder_name(owner)) for slot in _slots(home / name)]

    def outlines(self, order: Order, home: Sequence[str]) -> dict[str, list[Slot]]:
        """The slots of other batches in *home*, by outline. Nothing is opened."""
        found: dict[str, list[Slot]] = defaultdict(list)
        for folder in _folders(self._of(order.owner, home)):
            for slot in _slots(folder) if folder.name != order.batch else ():
                found[slot.outline].append(slot)
        return found

    def _of(self, owner: str, home: Sequence[str]) -> Path:
        return self._top / folder_name(owner) / hashlib.sha256("/".join(home).encode()).hexdigest()[:16]


def outline(files: Sequence[FileFact]) -> str:
    """The digest of names and sizes of *files*."""
    told = sorted((last_step(fact.path), fact.size) for fact in files)
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def _folders(folder: Path) -> list[Path]:
    with suppress(FileNotFoundError):
        return [Path(entry.path) for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    return []


def _slots(folder: Path) -> Iterator[Slot]:
    with suppress(FileNotFoundError):
        names = (name.rpartition(".") for name in sorted(entry.name for entry in os.scandir(folder)))
        stems = dict.fromkeys(stem for stem, _, kind in names if kind in ("json", "staging"))
        yield from (Slot(folder, stem) for stem in stems)


def _batch(batch: str) -> str:
    # It becomes a folder's name, and a record may be forged.
    if not CLAIM_STAMP.fullmatch(batch):
        raise _no_id(batch)
    return batch


def _no_id(text: str) -> PermanentError:
    return PermanentError(
        f"{text!r} is not an id.",
        remedy="Move the folder itself (not the numbered one around it) back to inbox.",
        code="bad-batch-id",
    )
