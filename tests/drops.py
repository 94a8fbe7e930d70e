"""A claimed batch on disk, planned in this process, and a looker that says what it is told to say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from dropwatch import config as configuration
from dropwatch.formats import Look, Readable
from dropwatch.model import Batch, Envelope, Place, Plan
from dropwatch.spool.folders import MEMORY
from dropwatch.task.looking import Looker, silent
from dropwatch.task.planning import plan
from tests import images

STAMP = "20261124-140355-k3f9"


@dataclass
class Told:
    """A looker that says what it was told to say: of each file that it is an image, unless told otherwise."""

    looks: dict[str, Look] = field(default_factory=dict)
    name: str = "Told 1.0"
    asked: list[str] = field(default_factory=list)

    def look(self, path: Path, folder: Path) -> Look:
        self.asked.append(path.name)
        return self.looks.get(path.name, Readable("Told", (str(path),), 1, False))


@dataclass
class Drop:
    """A claimed batch of alice, called HeLa. spool -- its root; what is beside it is no part of it"""

    spool: Path

    def __post_init__(self) -> None:
        self.envelope = self.spool / "alice" / "processing" / f"{STAMP}_HeLa"
        self.folder = self.envelope / "HeLa"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.memory = self.envelope / MEMORY
        self.memory.mkdir(exist_ok=True)

    def say(self, **keys: object) -> None:
        (self.folder / "batch.yaml").write_text(yaml.safe_dump(keys))

    def file(self, name: str, text: str = "x") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def plan(
        self,
        looker: Looker | None = None,
        progress: Callable[[int, int], None] = silent,
        claim: str = STAMP,
        *,
        died: bool = False,
    ) -> Plan:
        settings = {
            "site": {"timezone": "Europe/Paris"},
            "spools": [{"path": str(self.spool)}],
            "state": str(self.spool.parent / "state"),
            "omero": {"host": "localhost", "user": "dropwatch"},
            "mail": None,
        }
        source = self.spool.parent / "dropwatch.yaml"
        source.write_text(yaml.safe_dump(settings))
        envelope = Envelope("alice", Place.PROCESSING, self.envelope, claim, "HeLa")
        batch = Batch(envelope, STAMP, "HeLa", 1_795_525_435.0, self.spool)
        return plan(configuration.load(source), batch, looker or Real(), progress, died=died)


class Real:
    name = "Bio-Formats"

    def look(self, path: Path, folder: Path) -> Look:
        return images.bioformats().look(path, folder)
