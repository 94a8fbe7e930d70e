"""A batch as the daemon hands it to an importer: a folder with real files, and the order that goes with it."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dropwatch.importers.base import Importer
from dropwatch.model import (
    Answers,
    Attached,
    Attachment,
    FileFact,
    Fileset,
    Imported,
    Kind,
    Order,
    Target,
)
from dropwatch.sandbox.samples import ome_tiff

STAMP = "20261124-140355-k3f9"
OTHER_STAMP = "20261124-150000-zz99"


@dataclass(frozen=True)
class Batch:
    """A claimed folder with files, and what is asked for them."""

    folder: Path
    order: Order

    def fileset(self, *paths: str, listed: dict[str, str] | None = None, kind: type = Fileset) -> Any:
        facts = tuple(self.fact(path) for path in paths)
        told = tuple((listed or {}).items())
        return kind(hashlib.sha256(repr((facts, told)).encode()).hexdigest()[:16], facts, told)

    def attachment(self, path: str) -> Attachment:
        made = self.fileset(path, kind=Attachment)
        assert isinstance(made, Attachment)
        return made

    def image(self, path: str = "a.ome.tif", *, seed: int = 0, size: int = 64) -> Fileset:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        # Under a plain name first: a TIFF tells its own name, and not every name can be told.
        ome_tiff(self.folder / "new.ome.tif", seed=seed, size=size)
        (self.folder / "new.ome.tif").replace(self.folder / path)
        made = self.fileset(path)
        assert isinstance(made, Fileset)
        return made

    def text(self, path: str, words: str = "settings") -> str:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(words)
        return path

    def copy(self, other: Batch, path: str, to: str) -> Fileset:
        """The very file that lies at *path* in *other*."""
        (self.folder / to).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(other.folder / path, self.folder / to)
        made = self.fileset(to)
        assert isinstance(made, Fileset)
        return made

    def fact(self, path: str) -> FileFact:
        found = (self.folder / path).lstat()
        return FileFact(path, found.st_size, found.st_mtime_ns, found.st_ino)

    def but(self, **more: Any) -> Batch:
        """The same files, asked for otherwise."""
        return replace(self, order=replace(self.order, **more))


def make_batch(folder: Path, **more: Any) -> Batch:
    folder.mkdir(exist_ok=True)
    told = {
        "batch": STAMP,
        "claim": STAMP,
        "owner": "alice",
        "user": "alice",
        "group": None,
        "folder": str(folder),
        "target": Target(Kind.DATASET, name="day 3"),
        "sender": "alice",
        "source": "HeLa day 3",
    }
    return Batch(folder, Order(**{**told, **more}))


def run(importer: Importer, batch: Batch, fileset: Fileset, answers: Answers, **more: Any) -> Imported:
    told: dict[str, Any] = {"progress": lambda progress: None, "stopped": lambda: False, **more}
    return importer.import_(batch.order, fileset, answers, **told)


def attach(
    importer: Importer, batch: Batch, attachment: Attachment, answers: Answers, **more: Any
) -> Attached:
    told: dict[str, Any] = {"progress": lambda progress: None, "stopped": lambda: False, **more}
    return importer.attach(batch.order, attachment, answers, **told)
