"""The import proper, after verifyUpload: five steps in a thread of the server's own, no client needed.

Images, links and annotations appear in one transaction, in the first step; the line in ``imports.jsonl`` is
written with it. Until then there is the fileset without images, and that is what a failure leaves; a failure
later on leaves the images.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import omero
import omero.cmd
import omero.grid

from dropwatch.formats.pixels import SeriesFact
from dropwatch.sandbox import objects
from dropwatch.sandbox.accounts import group_with, user_with
from dropwatch.sandbox.checksums import checksum
from dropwatch.sandbox.faults import seconds
from dropwatch.sandbox.filesets import StoredFile, StoredFileset, now
from dropwatch.sandbox.handles import Cancelled, Failure, Work
from dropwatch.sandbox.metadata import Saved, save_import
from dropwatch.sandbox.readers import open_file, try_pixels
from dropwatch.sandbox.router import Clients, give_handle
from dropwatch.sandbox.sessions import Session, View, view
from dropwatch.sandbox.shared import Shared
from dropwatch.sandbox.store import insert

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
        self._saved = Saved((), (), None)

    def steps(self) -> list[Callable[[], Any]]:
        return [self.metadata, self.pixels, self.thumbnails, self.processing, self.response]

    def metadata(self) -> None:
        """Open the file, and save what it holds."""
        self.log(f"IMPORT_STARTED Logfile: {self._stored.log.id}")
        slow = seconds(self._shared.faults.get("omero").get("slow_after_verify"))
        if self.cancel(slow) or self._shared.hold("hold_after_verify", self.cancel):
            raise Cancelled
        with self._logged():
            series = open_file(self._shared.formats, self._file)
        hashes = {file.id: self._sha1(file) for file in self._stored.files}
        with self._shared.store.alone():
            # Whoever sees the images finds the line written.
            self._shared.journal.append(self._commit(series, hashes))
        self.log(f"METADATA_IMPORTED images {list(self._saved.images)} plates {list(self._saved.plates)}")

    def _sha1(self, file: StoredFile) -> str:
        """As it was found when the upload ended, if it was this algorithm: 5 GiB are not read twice for a journal."""
        row = self._shared.store.row("select hash, hasher from originalfile where id = ?", (file.id,))
        known = row["hash"] if row and row["hasher"] == "SHA1-160" else None
        return str(known or checksum("SHA1-160", file.path))

    def pixels(self) -> None:
        """Read pixels. A real server reads all of them, for their least and greatest values."""
        with self._logged():
            try_pixels(self._shared.formats, self._file)
        self.log("PIXELDATA_PROCESSED")

    def thumbnails(self) -> None:
        """Nothing: thumbnails.py draws each one when somebody asks for it."""
        self.log("THUMBNAILS_GENERATED")

    def processing(self) -> None:
        self.log("METADATA_PROCESSED")

    def response(self) -> Any:
        self.log("OBJECTS_RETURNED")
        store = self._shared.store
        made = omero.grid.ImportResponse(pixels=[], objects=[])
        for id in self._saved.plates:
            made.objects.append(
                objects.container("Plate", store.rows("select * from plate where id = ?", (id,))[0])
            )
        for id in self._saved.images:
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

    @property
    def _file(self) -> Path:
        """The one that Bio-Formats opens; it finds the others beside it."""
        return self._stored.files[0].path

    @contextmanager
    def _logged(self) -> Iterator[None]:
        """Note in the import log what Java says of a file that it cannot read."""
        try:
            yield
        except Failure as failure:
            self.log(failure.parameters["stacktrace"])
            raise

    def _commit(self, series: Sequence[SeriesFact], hashes: dict[int, str]) -> str:
        """Everything in one transaction; the line that tells of it."""
        try:
            with self._shared.store.transaction() as db:
                if not db.execute("select 1 from fileset where id = ?", (self._stored.id,)).fetchone():
                    raise omero.ValidationException(None, None, f"fileset {self._stored.id} was deleted")
                self._saved = save_import(db, self._stored, self._settings, self._seen, series)
                self._finish_jobs(db)
                line = self._line(hashes)
                insert(db, "completed", fileset=self._stored.id, line=line)
        except omero.ServerError as error:
            raise Failure("import-request-failure", message=error.message, stacktrace=repr(error)) from error
        return line

    def _finish_jobs(self, db: sqlite3.Connection) -> None:
        values = {"fileset": self._stored.id, "at": now()}
        db.execute("update job set status = 'Finished', finished = :at where fileset = :fileset", values)

    def _line(self, hashes: dict[int, str]) -> str:
        user, group = user_with(self._stored.owner), group_with(self._stored.group)
        files = [
            {"client_path": file.client_path, "size": file.path.stat().st_size, "sha1": hashes[file.id]}
            for file in self._stored.files
        ]
        told = {
            "fileset": self._stored.id,
            "user": user.name if user else None,
            "group": group.name if group else None,
            "target": self._saved.target,
            "key": _key([file.client_path for file in self._stored.files]),
            "images": self._saved.images,
            "plates": self._saved.plates,
            "files": files,
        }
        return json.dumps(told, ensure_ascii=False)


def _key(client_paths: list[str]) -> str:
    """The common dropwatch/<batch>/<fileset>, or the folder of the first path where there is none."""
    heads = {tuple(path.split("/")[:KEY_PARTS]) for path in client_paths}
    head = heads.pop()
    if not heads and head[0] == "dropwatch" and len(head) == KEY_PARTS:
        return "/".join(head)
    return client_paths[0].rpartition("/")[0]
