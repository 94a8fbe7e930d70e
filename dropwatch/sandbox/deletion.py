"""omero.cmd.Delete2 and DoAll: what a client may have removed, with all that hangs on it.

A fileset takes its images, files and jobs along; tags stay, other annotations go with their last link, as
OMERO's graph rules have it. A real server deletes a container with all that is in it; here it must be empty.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import omero
import omero.cmd

from dropwatch.sandbox.filesets import remove_files
from dropwatch.sandbox.handles import Failure, Work
from dropwatch.sandbox.router import Clients, give_handle
from dropwatch.sandbox.sessions import Session, View, view
from dropwatch.sandbox.shared import Shared
from dropwatch.sandbox.store import listed

_PACKAGES = {
    "Fileset": "ome.model.fs.Fileset",
    "Image": "ome.model.core.Image",
    "Dataset": "ome.model.containers.Dataset",
    "Project": "ome.model.containers.Project",
    "Screen": "ome.model.screen.Screen",
    "Plate": "ome.model.screen.Plate",
    "OriginalFile": "ome.model.core.OriginalFile",
    "TagAnnotation": "ome.model.annotations.TagAnnotation",
}
_TABLES = {"TagAnnotation": "annotation"}  #: where it is not called as the kind

_CONTENTS = """select 1 from link where parent = :id and kind in
    (:kind || 'DatasetLink', :kind || 'ImageLink', :kind || 'PlateLink')"""


def submitter(shared: Shared, clients: Clients) -> Callable[[Session, Any, Any], Any]:
    """What answers ServiceFactory.submit: runs a request in a thread; a HandlePrx."""

    def submit(session: Session, request: Any, current: Any) -> Any:
        seen = view(session, current.ctx)
        work = Work(request, [lambda: answer(shared, request, seen)])
        proxy = give_handle(shared, clients, session, work, current)
        shared.works.begin(work)
        return proxy

    return submit


def answer(shared: Shared, request: Any, seen: View) -> Any:
    """The response to *request*. Raises Failure, which becomes an ERR."""
    if isinstance(request, omero.cmd.DoAll):
        answers = [answer(shared, each, seen) for each in request.requests]
        return omero.cmd.DoAllRsp(answers, [omero.cmd.Status() for _ in answers])
    if isinstance(request, omero.cmd.Delete2):
        return _delete(shared, request, seen)
    raise Failure("bad-request", message=f"The sandbox does not know the request {request.ice_id()}.")


def _delete(shared: Shared, request: Any, seen: View) -> Any:
    deleted: dict[str, list[int]] = {}
    prefixes: list[str] = []
    with shared.store.transaction() as db:
        db.execute("savepoint before")
        for name, ids in (request.targetObjects or {}).items():
            kind = name.rpartition(".")[2]
            if kind not in _PACKAGES:
                raise Failure("graph-fail", message=f"The sandbox does not delete a {kind}.")
            for one, id in _whole(db, kind, ids):
                prefixes += _delete_one(db, one, id, seen)
            deleted.setdefault(_PACKAGES[kind], []).extend(ids)
        if request.dryRun:
            db.execute("rollback to before")
            prefixes.clear()
    for prefix in prefixes:
        remove_files(shared, prefix)
    return omero.cmd.Delete2Response(deleted)


def _whole(db: sqlite3.Connection, kind: str, ids: list[int]) -> list[tuple[str, int]]:
    """What is to be deleted, images by their filesets: those go whole or not at all."""
    if kind != "Image":
        return [(kind, id) for id in ids]
    marks, values = listed("id", list(ids))
    found = db.execute(f"select id, fileset from image where id in ({marks})", values).fetchall()
    missing = set(ids) - {row["id"] for row in found}
    if missing:
        raise Failure("graph-fail", message=f"cannot read ome.model.core.Image:{min(missing)}")
    filesets = sorted({row["fileset"] for row in found})
    for fileset in filesets:
        all_of_it = db.execute("select count(*) from image where fileset = ?", (fileset,)).fetchone()[0]
        if all_of_it > sum(row["fileset"] == fileset for row in found):
            raise Failure("graph-fail", message=f"may not delete a part of fileset {fileset}")
    return [("Fileset", fileset) for fileset in filesets]


def _delete_one(db: sqlite3.Connection, kind: str, id: int, seen: View) -> list[str]:
    """Delete the row and what hangs on it; the folders that are to go too, once that is committed."""
    table = _TABLES.get(kind, kind.lower())
    row = db.execute(f"select * from {table} where id = ?", (id,)).fetchone()
    if row is None or not seen.sees(row["owner"], row["grp"]):
        raise Failure("graph-fail", message=f"cannot read {_PACKAGES[kind]}:{id}")
    if not seen.edits(row["owner"]):
        raise Failure("graph-fail", message=f"not permitted to delete {_PACKAGES[kind]}:{id}")
    if kind == "OriginalFile":
        return _delete_file(db, row)
    if kind == "Fileset":
        _delete_images(db, id)
        _delete_files(db, id)
    elif db.execute(_CONTENTS, {"id": id, "kind": kind}).fetchone():
        raise Failure("graph-fail", message=f"The sandbox deletes no {kind} that is not empty.")
    _delete_links(db, kind, id)
    db.execute(f"delete from {table} where id = ?", (id,))
    return [row["prefix"]] if kind == "Fileset" else []


def _delete_file(db: sqlite3.Connection, row: sqlite3.Row) -> list[str]:
    """A file that nothing refers to, as a broken-off attachment leaves it. The sandbox deletes no other."""
    used = db.execute("select 1 from annotation where file = ?", (row["id"],)).fetchone()
    if used or not row["place"]:
        raise Failure("graph-fail", message=f"The sandbox deletes no file that is in use: {row['id']}.")
    db.execute("delete from originalfile where id = ?", (row["id"],))
    return [f"../{row['place']}"]


def _delete_images(db: sqlite3.Connection, fileset: int) -> None:
    rows = db.execute("select id, plate from image where fileset = ?", (fileset,)).fetchall()
    for image, plate in rows:
        _delete_links(db, "Image", image)
        db.execute("delete from pixels where image = ?", (image,))
        if plate is not None:
            _delete_links(db, "Plate", plate)
            db.execute("delete from wellsample where well in (select id from well where plate = ?)", (plate,))
            db.execute("delete from well where plate = ?", (plate,))
            db.execute("delete from plate where id = ?", (plate,))
    db.execute("delete from image where fileset = ?", (fileset,))


def _delete_files(db: sqlite3.Connection, fileset: int) -> None:
    db.execute("delete from originalfile where id in (select file from entry where fileset = ?)", (fileset,))
    db.execute("delete from originalfile where id in (select log from job where fileset = ?)", (fileset,))
    db.execute("delete from entry where fileset = ?", (fileset,))
    db.execute("delete from job where fileset = ?", (fileset,))


def _delete_links(db: sqlite3.Connection, kind: str, id: int) -> None:
    """All links of the object on either side, and the annotations that nothing is linked to any more."""
    linked = db.execute(
        "select child from link where kind = ? and parent = ?", (f"{kind}AnnotationLink", id)
    ).fetchall()
    db.execute("delete from link where parent = ? and kind like ?", (id, f"{kind}%"))
    as_child = "AnnotationLink" if kind == "TagAnnotation" else f"{kind}Link"
    db.execute("delete from link where child = ? and kind like ?", (id, f"%{as_child}"))
    for (annotation,) in linked:
        db.execute(
            """delete from annotation where id = ? and kind <> 'TagAnnotation' and not exists
            (select 1 from link where child = annotation.id and kind like '%AnnotationLink')""",
            (annotation,),
        )
