"""What came of the demo: each drop against imports.jsonl, the folders and the mails. It only reads, and only finds."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropwatch.sandbox.demo_drops import Drop
from dropwatch.sandbox.demo_mails import Mail, received
from dropwatch.sandbox.demo_scene import Scene
from dropwatch.status import Row

_KEY = 3  #: parts of a client path before the file's own: dropwatch/BATCH/FILESET


@dataclass(frozen=True)
class Seen:
    """What was found of *drop*.

    images   -- how many OMERO has, by imports.jsonl
    place    -- the folder it lies in, or "" when it lies in none or in several
    letters  -- who got a letter about it, once for each letter
    problems -- what is not as told, in words
    """

    drop: Drop
    images: int
    place: str
    letters: tuple[str, ...]
    problems: tuple[str, ...]


def imports(scene: Scene) -> list[dict[str, Any]]:
    """The imports that the sandbox's OMERO completed. A line that is still being written is left out."""
    if not scene.imports.exists():
        return []
    text = scene.imports.read_text(encoding="utf-8")
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def half_uploaded(scene: Scene, drops: Sequence[Drop]) -> list[str]:
    """The names of the files of which OMERO has a part only, right now."""
    whole = {sample.name: drop.source(scene) / sample.name for drop in drops for sample in drop.samples}
    found = [path for path in scene.repository.rglob("*") if path.name in whole]
    return [path.name for path in found if 0 < _size(path) < _size(whole[path.name])]


def check(scene: Scene, drops: Sequence[Drop], rows: Sequence[Row]) -> list[Seen]:
    """What became of each of *drops*. *rows*: the batches that lie in the spool."""
    done, mails = imports(scene), received(scene.mails)
    return [_seen(scene, drop, rows, done, mails) for drop in drops]


def strays(scene: Scene, drops: Sequence[Drop]) -> list[str]:
    """The files that were imported and should not be, or too often, or not at all. Names differ in all *drops*."""
    wanted = Counter(name for drop in drops for name in drop.good)
    there = Counter(_name(file) for line in imports(scene) for file in line["files"])
    return sorted((wanted - there) + (there - wanted))


def _seen(
    scene: Scene, drop: Drop, rows: Sequence[Row], done: Sequence[dict[str, Any]], mails: Sequence[Mail]
) -> Seen:
    theirs = [row for row in rows if row.user == drop.user and drop.is_called(row.name)]
    ids = {row.id for row in theirs}
    lines = [line for line in done if line["key"].split("/")[1:2] and line["key"].split("/")[1] in ids]
    # A letter that came twice has the same Message-ID: it was sent at least once, which was the promise.
    letters = tuple(sorted(to for to, _ in {(mail.to, mail.id) for mail in mails if mail.batch in ids}))
    place = str(theirs[0].place) if len(theirs) == 1 else ""
    problems = [*_place(drop, theirs), *_imports(drop, lines), *_letters(drop, letters)]
    if place:
        problems += _bytes(scene, drop, theirs[0].path, lines)
    return Seen(drop, sum(len(line["images"]) for line in lines), place, letters, tuple(problems))


def _place(drop: Drop, theirs: Sequence[Row]) -> Iterator[str]:
    if len(theirs) != 1:
        yield f"lies in {len(theirs)} places, and should in one"
    elif theirs[0].place is not drop.place:
        yield f"lies in {theirs[0].place}, and should in {drop.place}"


def _imports(drop: Drop, lines: Sequence[dict[str, Any]]) -> Iterator[str]:
    times = Counter(_name(file) for line in lines for file in line["files"])
    for name in sorted({*drop.good, *times}):
        wanted = 1 if name in drop.good else 0
        if times[name] != wanted:
            yield f"{name} was imported {times[name]} times, and should {wanted} times"
    images = sum(len(line["images"]) for line in lines)
    if images != drop.images:
        yield f"{images} images are in OMERO, and {drop.images} should be"
    for line in lines:
        if line["user"] != drop.user:
            yield f"it was imported as {line['user']}, and should as {drop.user}"


def _letters(drop: Drop, letters: tuple[str, ...]) -> Iterator[str]:
    if letters != tuple(sorted(drop.recipients)):
        yield f"letters went to {', '.join(letters) or 'nobody'}, and should to {', '.join(drop.recipients)}"


def _bytes(scene: Scene, drop: Drop, path: Path, lines: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The files as they were dropped, as they lie there now, and as OMERO has them: all the same."""
    uploaded = {_name(file): file["sha1"] for line in lines for file in line["files"]}
    for sample in drop.samples:
        lying = [one for one in path.glob(f"*/{sample.name}") if one.parent.name != ".dropwatch"]
        dropped = _sha1(drop.source(scene) / sample.name)
        if [_sha1(one) for one in lying] != [dropped]:
            yield f"{sample.name} does not lie there as it was dropped"
        if uploaded.get(sample.name, dropped) != dropped:
            yield f"{sample.name} is not in OMERO as it was dropped"


def _name(file: dict[str, Any]) -> str:
    return "/".join(file["client_path"].split("/")[_KEY:])


def _sha1(path: Path) -> str:
    return hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # just deleted
        return 0
