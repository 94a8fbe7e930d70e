"""What an import saves: images, plates with their wells, links and annotations, all in the caller's transaction.

Names, links and annotations follow omero-blitz's model processors: ``PixelsProcessor``, ``WellProcessor``,
``TargetProcessor``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import omero
from omero.rtypes import unwrap

from dropwatch.formats.pixels import SeriesFact, Spot
from dropwatch.sandbox.filesets import StoredFileset, now
from dropwatch.sandbox.sessions import View
from dropwatch.sandbox.store import insert
from dropwatch.sandbox.update import link, save

LONGEST_NAME = 255  #: characters of an image's name


@dataclass(frozen=True)
class Saved:
    """Ids of what was made. *target*: kind and id of where it was linked to, e.g. ``Dataset:3``; None for nowhere."""

    images: tuple[int, ...]
    plates: tuple[int, ...]
    target: str | None


def save_import(
    db: sqlite3.Connection, stored: StoredFileset, settings: Any, seen: View, series: Sequence[SeriesFact]
) -> Saved:
    """Save an image for each of *series*, and the plates that they lie in.

    Raises omero.ServerError when the target is not there, or is not the caller's to link to.
    """
    kind, target = _target(db, settings, seen)
    row = {"owner": stored.owner, "grp": stored.group, "created": now()}
    plates = _plates(db, row, stored, settings, series)
    images = tuple(
        _image(db, row, stored, settings, plates, one, number, len(series))
        for number, one in enumerate(series)
    )
    owner = {"owner": stored.owner, "group": stored.group}
    if kind == "Dataset":
        for image in images:
            link(db, "DatasetImageLink", target, image, **owner)
    # The images of a file without plates belong nowhere then, as on a real server.
    for plate in plates.values() if kind == "Screen" else ():
        link(db, "ScreenPlateLink", target, plate, **owner)
    for annotation in settings.userSpecifiedAnnotationList or []:
        saved = save(db, annotation, seen)
        for image in images:
            link(db, "ImageAnnotationLink", image, saved, **owner)
    _save_wells(db, row, plates, zip(images, series, strict=True))
    return Saved(images, tuple(plates.values()), f"{kind}:{target}" if kind else None)


def _plates(
    db: sqlite3.Connection,
    row: dict[str, int],
    stored: StoredFileset,
    settings: Any,
    series: Sequence[SeriesFact],
) -> dict[str, int]:
    """The plates' ids by their names in the file."""
    spots: dict[str, list[Spot]] = {}
    for one in series:
        if one.spot is not None:
            spots.setdefault(one.spot.plate, []).append(one.spot)
    return {
        name: insert(
            db, "plate", **row,
            name=unwrap(settings.userSpecifiedName) or name or stored.files[0].path.name,
            description=unwrap(settings.userSpecifiedDescription),
            row_count=max(spot.row for spot in found) + 1,
            column_count=max(spot.column for spot in found) + 1,
        )
        for name, found in spots.items()
    }  # fmt: skip


def _image(
    db: sqlite3.Connection,
    row: dict[str, int],
    stored: StoredFileset,
    settings: Any,
    plates: dict[str, int],
    one: SeriesFact,
    number: int,
    count: int,
) -> int:
    name = (unwrap(settings.userSpecifiedName) or "").strip() or stored.files[0].path.name
    if count > 1:
        name += f" [{one.name.strip() or number}]"
    if len(name) > LONGEST_NAME:
        name = "…" + name[1 - LONGEST_NAME :]
    image = insert(
        db, "image", **row, fileset=stored.id, series=number, name=name,
        plate=plates[one.spot.plate] if one.spot else None,
        description=unwrap(settings.userSpecifiedDescription),
    )  # fmt: skip
    sizes = {"x": one.x, "y": one.y, "z": one.z, "c": one.c, "t": one.t}
    insert(db, "pixels", image=image, type=one.type, **sizes)
    return image


def _save_wells(
    db: sqlite3.Connection,
    row: dict[str, int],
    plates: dict[str, int],
    images: Iterable[tuple[int, SeriesFact]],
) -> None:
    wells: dict[tuple[int, int, int], int] = {}
    for image, one in images:
        if one.spot is None:
            continue
        place = plates[one.spot.plate], one.spot.row, one.spot.column
        if place not in wells:
            wells[place] = insert(db, "well", **row, plate=place[0], row=place[1], col=place[2])
        insert(db, "wellsample", **row, well=wells[place], image=image, idx=one.spot.field)


def _target(db: sqlite3.Connection, settings: Any, seen: View) -> tuple[str, int]:
    """Kind and id of where the images go, or ("", 0). Raises when the caller may not link to it."""
    target = settings.userSpecifiedTarget
    if target is None:
        return "", 0
    kind = target.ice_id().rpartition("::")[2]
    if kind not in ("Dataset", "Screen"):
        raise omero.ApiUsageException(None, None, f"{kind} is no target for an import")
    id: int = target.id.val
    row = db.execute(f"select owner, grp from {kind.lower()} where id = ?", (id,)).fetchone()
    if row is None or not seen.sees(row["owner"], row["grp"]):
        raise omero.ValidationException(None, None, f"No row with the given identifier exists: {kind}#{id}")
    if not seen.edits(row["owner"]):
        raise omero.SecurityViolation(None, None, f"Cannot link to {kind}:{id}")
    return kind, id
