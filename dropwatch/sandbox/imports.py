"""The import proper, after verifyUpload: five steps in a thread of the server's own, no client needed.

Images, links and annotations appear in one transaction, in the first step; the line in ``imports.jsonl`` is
written with it. Until then there is the fileset without images, and that is what a failed import leaves.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import omero
import omero.cmd
import omero.grid
from omero.rtypes import unwrap

from dropwatch.sandbox import objects
from dropwatch.sandbox.accounts import group_with, user_with
from dropwatch.sandbox.checksums import checksum
from dropwatch.sandbox.faults import seconds
from dropwatch.sandbox.filesets import StoredFileset, now
from dropwatch.sandbox.handles import Cancelled, Failure, Work
from dropwatch.sandbox.readers import Content, Series, Unreadable, read
from dropwatch.sandbox.router import Clients, give_handle
from dropwatch.sandbox.sessions import Session, View, view
from dropwatch.sandbox.shared import Shared
from dropwatch.sandbox.store import insert
from dropwatch.sandbox.update import link, save

KEY_PARTS = 3  #: dropwatch/<batch>/<fileset>


def import_request(stored: StoredFileset, settings: Any, process: Any) -> Any:
    """What the handle's ``getRequest`` tells of an import: fileset, job, settings, log."""
    request = omero.grid.ImportRequest(clientUuid=str(uuid.uuid4()), repoUuid="managed-repository")
    request.process, request.settings = process, settings
    request.activity = omero.model.FilesetJobLinkI()
    request.activity.parent = omero.model.FilesetI(stored.id, False)
    request.activity.child = omero.model.MetadataImportJobI(stored.metadata_job, False)
    request.logFile = omero.model.OriginalFileI(stored.log.id, False)
    return request


def begin_import(
    shared: Shared, clients: Clients, session: Session, request: Any, stored: StoredFileset, current: Any
) -> Any:
    """Begin to import what was uploaded; a HandlePrx in *session*, which the import keeps alive."""
    job = _Import(shared, stored, request.settings, view(session, {"omero.group": str(stored.group)}))

    def settled(good: bool) -> None:
        job.log(f"{'IMPORT_DONE' if good else 'INTERNAL_EXCEPTION'} fileset {stored.id}")
        if good and shared.fault("lose_reply"):
            clients.cut(session)
        shared.sessions.import_ended(session)

    work = Work(request, job.steps(), settled)
    job.cancel = work.cancel.wait
    shared.sessions.import_begins(session)
    session.kills.append(work.cancel.set)
    proxy = give_handle(shared, clients, session, work, current)
    shared.works.begin(work)
    return proxy


class _Import:
    """The steps. *cancel* waits some seconds and says whether the work was cancelled meanwhile."""

    def __init__(self, shared: Shared, stored: StoredFileset, settings: Any, seen: View) -> None:
        self.cancel: Callable[[float], bool] = lambda _: False
        self._shared = shared
        self._stored = stored
        self._settings = settings
        self._seen = seen
        self._images: list[int] = []
        self._plates: list[int] = []

    def steps(self) -> list[Callable[[], Any]]:
        return [self.metadata, self.pixels, self.thumbnails, self.processing, self.response]

    def metadata(self) -> None:
        """Open the file, and save what it holds."""
        self.log(f"IMPORT_STARTED Logfile: {self._stored.log.id}")
        if self.cancel(seconds(self._shared.faults.get("omero").get("slow_after_verify"))):
            raise Cancelled
        content = self._read()
        hashes = {file.id: checksum("SHA1-160", file.path) for file in self._stored.files}
        with self._shared.store.alone():
            # Whoever sees the images finds the line written.
            self._shared.journal.append(self._commit(content, hashes))
        self.log(f"METADATA_IMPORTED {content.format}: {len(self._images)} images {self._images}")

    def pixels(self) -> None:
        self.log("PIXELDATA_PROCESSED")

    def thumbnails(self) -> None:
        self.log("THUMBNAILS_GENERATED")

    def processing(self) -> None:
        self.log("METADATA_PROCESSED")

    def response(self) -> Any:
        self.log("OBJECTS_RETURNED")
        store = self._shared.store
        made = omero.grid.ImportResponse(pixels=[], objects=[])
        for id in self._plates:
            made.objects.append(
                objects.container("Plate", store.rows("select * from plate where id = ?", (id,))[0])
            )
        for id in self._images:
            made.objects.append(objects.image(store.rows("select * from image where id = ?", (id,))[0]))
            made.pixels.append(objects.pixels(store.rows("select * from pixels where image = ?", (id,))[0]))
        return made

    def log(self, text: str) -> None:
        """A line in the import log, and its size in the database; nothing once the fileset was deleted."""
        if not self._stored.log.path.exists():
            return
        with self._stored.log.path.open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {text}\n")
            size = file.tell()
        with self._shared.store.transaction() as db:
            db.execute("update originalfile set size = ? where id = ?", (size, self._stored.log.id))

    def _read(self) -> Content:
        path = self._stored.files[0].path
        try:
            return read(path)
        except Unreadable as error:
            trace = f"{error.java}: {error}\n\tat loci.formats.ImageReader.setId(ImageReader.java)"
            self.log(trace)
            raise Failure(error.code, message=str(error), stacktrace=trace, filename=str(path)) from error

    def _commit(self, content: Content, hashes: dict[int, str]) -> str:
        """Everything in one transaction; the line that tells of it."""
        try:
            with self._shared.store.transaction() as db:
                line = self._save(db, content, hashes)
                insert(db, "completed", fileset=self._stored.id, line=line)
        except omero.ServerError as error:
            raise Failure("import-request-failure", message=error.message, stacktrace=repr(error)) from error
        return line

    def _save(self, db: sqlite3.Connection, content: Content, hashes: dict[int, str]) -> str:
        """All rows of the import; the line that tells of it."""
        if not db.execute("select 1 from fileset where id = ?", (self._stored.id,)).fetchone():
            raise omero.ValidationException(None, None, f"fileset {self._stored.id} was deleted")
        kind, target = _target(db, self._settings, self._seen)
        plate = self._plate(db, content) if content.plate or kind == "Screen" else None
        self._images = [
            self._image(db, series, number, len(content.series), plate)
            for number, series in enumerate(content.series)
        ]
        owner = {"owner": self._stored.owner, "group": self._stored.group}
        if kind == "Dataset" and plate is None:
            for image in self._images:
                link(db, "DatasetImageLink", target, image, **owner)
        if kind == "Screen" and plate is not None:
            link(db, "ScreenPlateLink", target, plate, **owner)
        for annotation in self._settings.userSpecifiedAnnotationList or []:
            saved = save(db, annotation, self._seen)
            for id in [plate] if plate else self._images:
                link(db, f"{'Plate' if plate else 'Image'}AnnotationLink", id, saved, **owner)
        self._finish_jobs(db)
        return self._line(f"{kind}:{target}" if kind else None, hashes)

    def _plate(self, db: sqlite3.Connection, content: Content) -> int:
        made = insert(db, "plate", **self._owner(), name=self._name("", 1, 1), description=None)
        self._plates.append(made)
        return made

    def _image(
        self, db: sqlite3.Connection, series: Series, number: int, count: int, plate: int | None
    ) -> int:
        name = self._name(series.name, number, count)
        description = unwrap(self._settings.userSpecifiedDescription)
        image = insert(
            db, "image", **self._owner(), fileset=self._stored.id, plate=plate, series=number, name=name,
            description=description,
        )  # fmt: skip
        sizes = {"x": series.x, "y": series.y, "z": series.z, "c": series.c, "t": series.t}
        insert(db, "pixels", image=image, type=series.type, **sizes)
        return image

    def _name(self, series: str, number: int, count: int) -> str:
        base = unwrap(self._settings.userSpecifiedName) or self._stored.files[0].path.name
        return str(base) if count == 1 else f"{base} [{series or f'Series {number + 1}'}]"

    def _owner(self) -> dict[str, int]:
        return {"owner": self._stored.owner, "grp": self._stored.group, "created": now()}

    def _finish_jobs(self, db: sqlite3.Connection) -> None:
        values = {"fileset": self._stored.id, "at": now()}
        db.execute("update job set status = 'Finished', finished = :at where fileset = :fileset", values)

    def _line(self, target: str | None, hashes: dict[int, str]) -> str:
        user, group = user_with(self._stored.owner), group_with(self._stored.group)
        files = [
            {"client_path": file.client_path, "size": file.path.stat().st_size, "sha1": hashes[file.id]}
            for file in self._stored.files
        ]
        told = {
            "fileset": self._stored.id,
            "user": user.name if user else None,
            "group": group.name if group else None,
            "target": target,
            "key": _key([file.client_path for file in self._stored.files]),
            "images": self._images,
            "files": files,
        }
        return json.dumps(told, ensure_ascii=False)


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


def _key(client_paths: list[str]) -> str:
    """The common dropwatch/<batch>/<fileset>, or the folder of the first path where there is none."""
    heads = {tuple(path.split("/")[:KEY_PARTS]) for path in client_paths}
    head = heads.pop()
    if not heads and head[0] == "dropwatch" and len(head) == KEY_PARTS:
        return "/".join(head)
    return client_paths[0].rpartition("/")[0]
