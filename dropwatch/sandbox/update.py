"""IUpdate: what a client may save. Containers, annotations, the links between them, and files to attach."""

from __future__ import annotations

import json
import sqlite3
import time
from typing import Any

import omero
from omero.rtypes import unwrap

from dropwatch.sandbox.objects import CONTAINERS
from dropwatch.sandbox.sessions import Session, View, view
from dropwatch.sandbox.shared import Shared
from dropwatch.sandbox.store import insert

ANNOTATIONS = ("TagAnnotation", "MapAnnotation", "CommentAnnotation", "FileAnnotation")
FILES = "Files"  #: folder of what is not in the managed repository, beside it
LINKS = {
    "ProjectDatasetLink": ("Project", "Dataset"),
    "DatasetImageLink": ("Dataset", "Image"),
    "ScreenPlateLink": ("Screen", "Plate"),
    **{
        f"{kind}AnnotationLink": (kind, "Annotation")
        for kind in ("Project", "Dataset", "Screen", "Plate", "Image", "Fileset")
    },
}


class UpdateService:
    """omero.api.IUpdate."""

    def __init__(self, shared: Shared, session: Session) -> None:
        self._store = shared.store
        self._faults = shared.faults
        self._session = session

    def saveAndReturnObject(self, thing: Any, current: Any) -> Any:
        """Save *thing*. The fault ``lose_saved`` cuts the client off when that is done."""
        saved = self.saveAndReturnArray([thing], current)[0]
        if self._faults.use("omero", "lose_saved"):
            current.con.close(True)
        return saved

    def saveAndReturnArray(self, things: list[Any], current: Any) -> list[Any]:
        seen = view(self._session, current.ctx)
        with self._store.transaction() as db:
            for thing in things:
                save(db, thing, seen)
        return things

    def saveAndReturnIds(self, things: list[Any], current: Any) -> list[int]:
        return [thing.id.val for thing in self.saveAndReturnArray(things, current)]

    def saveObject(self, thing: Any, current: Any) -> None:
        self.saveAndReturnArray([thing], current)

    def saveArray(self, things: list[Any], current: Any) -> None:
        self.saveAndReturnArray(things, current)

    def saveCollection(self, things: list[Any], current: Any) -> None:
        self.saveAndReturnArray(things, current)


def save(db: sqlite3.Connection, thing: Any, seen: View) -> int:
    """Save *thing* (an omero.model object) if it is new; its id, which it then carries.

    Raises ApiUsageException for a kind that the sandbox does not save, ValidationException for a link to
    nothing.
    """
    kind = thing.ice_staticId().rpartition("::")[2]
    if thing.id is not None:
        return _existing(db, kind, thing, seen)
    if kind in CONTAINERS:
        made = insert(
            db, kind.lower(), **_owner(thing, seen), name=_name(thing), description=unwrap(thing.description)
        )
    elif kind in ANNOTATIONS:
        made = _annotation(db, kind, thing, seen)
    elif kind == "OriginalFile":
        made = _file(db, thing, seen)
    elif kind in LINKS:
        made = _link(db, kind, thing, seen)
    else:
        raise omero.ApiUsageException(None, None, f"The sandbox does not save a {kind}.")
    thing.id = omero.rtypes.rlong(made)
    return made


def link(db: sqlite3.Connection, kind: str, parent: int, child: int, *, owner: int, group: int) -> int:
    return insert(db, "link", owner=owner, grp=group, created=_now(), kind=kind, parent=parent, child=child)


def _existing(db: sqlite3.Connection, kind: str, thing: Any, seen: View) -> int:
    id: int = thing.id.val
    table = "annotation" if kind.endswith("Annotation") else kind.lower()
    row = db.execute(f"select * from {table} where id = ?", (id,)).fetchone()
    if row is None or not seen.sees(row["owner"], row["grp"]):
        text = f"The requested object (ome.model.{kind},{id}) is not available."
        raise omero.ValidationException(None, None, text)
    if thing.loaded and kind in (*CONTAINERS, "Image"):
        _rename(db, kind, thing, row, seen)
    return id


def _rename(db: sqlite3.Connection, kind: str, thing: Any, row: sqlite3.Row, seen: View) -> None:
    """Save what the client may have changed. The sandbox changes nothing else of what is there."""
    new = {"name": _name(thing), "description": unwrap(thing.description)}
    if (row["name"], row["description"]) == (new["name"], new["description"]):
        return
    if not seen.edits(row["owner"]):
        raise omero.SecurityViolation(None, None, f"Updating {kind}:{row['id']} not allowed.")
    db.execute(
        f"update {kind.lower()} set name = :name, description = :description where id = :id",
        {**new, "id": row["id"]},
    )


def _annotation(db: sqlite3.Connection, kind: str, thing: Any, seen: View) -> int:
    if kind == "MapAnnotation":
        pairs = json.dumps([[pair.name, pair.value] for pair in thing.mapValue or []])
        return insert(db, "annotation", **_owner(thing, seen), kind=kind, ns=unwrap(thing.ns), pairs=pairs)
    if kind == "FileAnnotation":
        return insert(
            db, "annotation", **_owner(thing, seen), kind=kind, ns=unwrap(thing.ns),
            description=unwrap(thing.description), file=save(db, thing.file, seen),
        )  # fmt: skip
    words = unwrap(thing.textValue)
    return insert(
        db, "annotation", **_owner(thing, seen), kind=kind, ns=unwrap(thing.ns), text=words,
        description=unwrap(thing.description),
    )  # fmt: skip


def _file(db: sqlite3.Connection, thing: Any, seen: View) -> int:
    """A file outside the managed repository; its bytes come through a RawFileStore."""
    hasher = unwrap(thing.hasher.value) if thing.hasher else None
    made = insert(
        db, "originalfile", **_owner(thing, seen), path=unwrap(thing.path), name=_name(thing),
        size=unwrap(thing.size), hash=unwrap(thing.hash), hasher=hasher,
        mimetype=unwrap(thing.mimetype) or "application/octet-stream",
    )  # fmt: skip
    db.execute("update originalfile set place = ? where id = ?", (f"{FILES}/{made}", made))
    return made


def _link(db: sqlite3.Connection, kind: str, thing: Any, seen: View) -> int:
    parent, child = save(db, thing.parent, seen), save(db, thing.child, seen)
    return link(db, kind, parent, child, owner=seen.user.id, group=_owner(thing, seen)["grp"])


def _owner(thing: Any, seen: View) -> dict[str, int]:
    """Owner and group of a new row: the caller's, or the group that the object names and the caller is in."""
    named = thing.details.group.id.val if thing.details and thing.details.group else seen.group.id
    if len(seen.groups) == 1:
        named = seen.groups[0]
    elif named not in seen.groups:
        text = f"User {seen.user.id} is not a member of group {named} and cannot login"
        raise omero.SecurityViolation(None, None, text)
    return {"owner": seen.user.id, "grp": named, "created": _now()}


def _name(thing: Any) -> str:
    name = unwrap(thing.name)
    if name is None:
        text = "could not insert: not-null property references a null or transient value: name"
        raise omero.ValidationException(None, None, text)
    return str(name)


def _now() -> int:
    return int(time.time() * 1000)
