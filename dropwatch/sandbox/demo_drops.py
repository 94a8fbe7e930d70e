"""What people drop in the demo, how they do it, and what must come of it. Writes samples and inboxes only."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dropwatch import manifest
from dropwatch.model import ListedFile, Place
from dropwatch.sandbox.demo_scene import ADMIN, Scene
from dropwatch.sandbox.samples import corrupt_tiff, ome_plate, ome_set, ome_tiff

Wait = Callable[[float], None]  #: lets so many seconds pass, and keeps the screen alive

_SIZE = 1500  #: pixels each way: 4.5 MB, two blocks of an upload, so that a kill can come in between
_SIZE_IN_SET = 700  #: where a file is a part of several, or holds several
_FRAME = 0.5  #: seconds that the microscope takes for an image

_BY_ALICE = """\
target: "Project:HeLa/Dataset:day 3"
description: Knockdown of the usual suspects, third day
tags: [confocal, day3]
key_values: {objective: 63x, siRNA: scrambled}
files:
"""


@dataclass(frozen=True)
class Sample:
    """A file. *images*: how many images of its own OMERO makes of it; a set of files that is one image has it in
    the first one. *good*: it can be read."""

    name: str
    images: int = 1
    good: bool = True


@dataclass(frozen=True)
class Drop:
    """A batch of *user*. *draw* writes the samples into a folder, each image with pixels of its own; *hand_in* puts
    copies of them into the inbox, in its own way."""

    user: str
    name: str
    samples: tuple[Sample, ...]
    draw: Callable[[Drop, Path, int], None]
    hand_in: Callable[[Drop, Scene, Wait], None]

    @property
    def images(self) -> int:
        return sum(sample.images for sample in self.samples)

    @property
    def good(self) -> tuple[str, ...]:
        """The files that must be imported, each one once."""
        return tuple(sample.name for sample in self.samples if sample.good)

    @property
    def place(self) -> Place:
        """Where it must lie in the end."""
        return Place.DONE if len(self.good) == len(self.samples) else Place.FAILED

    @property
    def recipients(self) -> tuple[str, ...]:
        """Who must get a letter about it."""
        return (f"{self.user}@example.org", *((ADMIN,) if self.place is Place.FAILED else ()))

    def source(self, scene: Scene) -> Path:
        return scene.samples / self.user / self.name

    def is_called(self, name: str) -> bool:
        """Whether *name* is what the daemon calls it: loose files get the date and time added."""
        return name == self.name or name.startswith(f"{self.name}, ")


def make_samples(scene: Scene, drops: tuple[Drop, ...]) -> None:
    """Write the samples of all *drops*."""
    for number, drop in enumerate(drops):
        folder = drop.source(scene)
        folder.mkdir(parents=True)
        drop.draw(drop, folder, 100 * number)


def _singly(drop: Drop, folder: Path, seed: int) -> None:
    """Each file for itself."""
    for number, sample in enumerate(drop.samples):
        path = folder / sample.name
        if sample.good:
            size = _SIZE if sample.images == 1 else _SIZE_IN_SET
            ome_tiff(path, seed=seed + number, series=sample.images, size=size)
        else:
            corrupt_tiff(path)


def _as_set(drop: Drop, folder: Path, seed: int) -> None:
    """All files together are one image."""
    ome_set(folder, [sample.name for sample in drop.samples], seed=seed, size=_SIZE_IN_SET)


def _as_plate(drop: Drop, folder: Path, seed: int) -> None:
    """All files together are one plate, with an image in each well."""
    ome_plate(folder, [sample.name for sample in drop.samples], seed=seed, size=_SIZE_IN_SET)


def _as_folder(drop: Drop, scene: Scene, wait: Wait) -> None:
    """Copy the folder, as it is."""
    shutil.copytree(drop.source(scene), scene.inbox(drop.user) / drop.name)


def _with_manifest(drop: Drop, scene: Scene, wait: Wait) -> None:
    """Copy the folder, then write a manifest by hand."""
    _as_folder(drop, scene, wait)
    listed = "".join(f"  - path: {sample.name}\n" for sample in drop.samples)
    path = scene.inbox(drop.user) / drop.name / "batch.yaml"
    path.write_text(_BY_ALICE + listed, encoding="utf-8")


def _loose(drop: Drop, scene: Scene, wait: Wait) -> None:
    """Copy the bare files."""
    for sample in drop.samples:
        shutil.copy(drop.source(scene) / sample.name, scene.inbox(drop.user))


def _by_microscope(drop: Drop, scene: Scene, wait: Wait) -> None:
    """Write image after image under a temporary name, and the manifest last, with sizes and checksums."""
    folder = scene.inbox(drop.user) / drop.name
    folder.mkdir()
    listed = []
    for sample in drop.samples:
        wait(_FRAME)
        data = (drop.source(scene) / sample.name).read_bytes()
        _appear(folder / sample.name, data)
        listed.append(ListedFile(sample.name, len(data), hashlib.sha256(data).hexdigest()))
    wait(_FRAME)
    keys = {"target": "Screen:drug screen", "tags": ["dose response"]}
    _appear(folder / "batch.json", manifest.compose(keys, listed))


def _appear(path: Path, data: bytes) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(data)
    part.replace(path)


def _files(stem: str, count: int) -> tuple[Sample, ...]:
    return tuple(Sample(f"{stem}{number}.ome.tif") for number in range(1, count + 1))


_BEATS = (Sample("beat 1.ome.tif"), Sample("beat 2.ome.tif", images=0), Sample("beat 3.ome.tif", images=0))
_SLICES = (*_files("slice ", 2), Sample("slice 3.ome.tif", images=0, good=False))

HELA = Drop("alice", "HeLa day 3", _files("cell ", 5), _singly, _with_manifest)
HEART = Drop("bob", "zebrafish heart", _BEATS, _as_set, _as_folder)
EMBRYO = Drop("bob", "embryo", (Sample("embryo.ome.tif", images=3),), _singly, _loose)
BRAIN = Drop("carol", "mouse brain", _SLICES, _singly, _as_folder)
PLATE = Drop("carol", "plate 42", _files("well A", 3), _as_plate, _by_microscope)
DROPS = (HELA, HEART, EMBRYO, BRAIN, PLATE)
