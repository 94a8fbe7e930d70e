"""A batch as the daemon would hand it over, and what an OMERO sandbox says it has; for tests of the importer."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sqlite3
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dropwatch.errors import DropwatchError
from dropwatch.importers.omero import OmeroImporter
from dropwatch.model import Answers, FileFact, Fileset, Imported, Kind, Order, Target
from dropwatch.sandbox.samples import ome_tiff

KEY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
SECRET = "not-the-right-password"
STAMP = "20261124-140355-k3f9"
OTHER_STAMP = "20261124-150000-zz99"


@dataclass(frozen=True)
class Batch:
    """A folder with files, as the daemon would hand it over."""

    folder: Path
    order: Order

    def fileset(self, *paths: str, listed: dict[str, str] | None = None) -> Fileset:
        facts = tuple(self._fact(path) for path in paths)
        told = tuple((listed or {}).items())
        return Fileset(hashlib.sha256(repr((facts, told)).encode()).hexdigest()[:16], facts, told)

    def image(self, path: str = "a.ome.tif", *, seed: int = 0, size: int = 64) -> Fileset:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        # Under a plain name first: a TIFF tells its own name, and not every name can be told.
        ome_tiff(self.folder / "new.ome.tif", seed=seed, size=size)
        (self.folder / "new.ome.tif").replace(self.folder / path)
        return self.fileset(path)

    def copy(self, other: Batch, path: str, to: str) -> Fileset:
        """The very file that lies at *path* in *other*."""
        (self.folder / to).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(other.folder / path, self.folder / to)
        return self.fileset(to)

    def _fact(self, path: str) -> FileFact:
        found = (self.folder / path).lstat()
        return FileFact(path, found.st_size, found.st_mtime_ns, found.st_ino)


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


def run(importer: OmeroImporter, batch: Batch, fileset: Fileset, answers: Answers, **more: Any) -> Imported:
    told: dict[str, Any] = {"progress": lambda progress: None, "stopped": lambda: False, **more}
    return importer.import_(batch.order, fileset, answers, **told)


def fails(kind: type[DropwatchError], call: Callable[[], object]) -> Any:
    """The error that *call* ends with; no session key or password is in it, nor in the trace a log would show."""
    with pytest.raises(kind) as caught:
        call()
    error = caught.value
    shown = "".join(traceback.format_exception(error)) + repr(vars(error))

    assert type(error) is kind
    assert not KEY.search(shown)
    assert SECRET not in shown
    assert error.message.endswith(".")
    return error


def completed(sandbox: Any) -> list[dict[str, Any]]:
    """What the server says it has imported, one entry for each fileset."""
    path = sandbox.folder / "omero" / "imports.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def rows(sandbox: Any, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(sandbox.folder / "omero" / "omero.db")) as database:
        return database.execute(sql).fetchall()


def filesets(sandbox: Any) -> int:
    """How many filesets the server has, with images or without."""
    return int(rows(sandbox, "select count(*) from fileset")[0][0])


def wait_until(true: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited too long"
        threading.Event().wait(0.02)
