"""Import processes and raw file stores: how bytes come to the server, and what is checked of them.

Texts and order of the checks follow omero-blitz's ``ManagedRepositoryI``, ``ManagedImportProcessI`` and
``ProcessContainer``. A process lives in the session that made it; the server lists it until it goes down.
"""

from __future__ import annotations

import uuid
from threading import RLock
from typing import Any

import Ice
import omero
import omero.grid
from omero.rtypes import unwrap

from dropwatch.sandbox import objects
from dropwatch.sandbox.checksums import ALGORITHMS
from dropwatch.sandbox.filesets import StoredFileset, create, now
from dropwatch.sandbox.imports import begin_import, import_request
from dropwatch.sandbox.rawfiles import Uploader
from dropwatch.sandbox.router import Clients
from dropwatch.sandbox.sessions import Session, view
from dropwatch.sandbox.shared import Shared


class ManagedRepository:
    """omero.grid.ManagedRepository as one *session* sees it. *processes* is shared by all sessions."""

    def __init__(self, shared: Shared, clients: Clients, session: Session, processes: Processes) -> None:
        self._shared = shared
        self._clients = clients
        self._session = session
        self._processes = processes

    def root(self, current: Any) -> Any:
        made = omero.model.OriginalFileI(1, True)
        made.path, made.name = (
            objects.text(f"{self._shared.repository.parent}/"),
            objects.text("ManagedRepository"),
        )
        made.hash = objects.text("managed-repository")
        return made

    def listChecksumAlgorithms(self, current: Any) -> list[Any]:
        return [objects.algorithm(name) for name in ALGORITHMS]

    def suggestChecksumAlgorithm(self, supported: list[Any], current: Any) -> Any:
        names = [each.value.val for each in supported]
        return next((objects.algorithm(name) for name in ALGORITHMS if name in names), None)

    def importFileset(self, fileset: Any, settings: Any, current: Any) -> Any:
        """Commit the fileset with its entries; a process to upload to. Raises ApiUsage-, ValidationException."""
        self._faults()
        algorithm = _checked(fileset, settings)
        paths = [entry.clientPath.val for entry in fileset.copyUsedFiles()]
        try:
            stored = create(self._shared, view(self._session, current.ctx), paths, algorithm)
        except OSError as error:
            raise omero.ResourceError(None, None, f"cannot make directories: {error}") from error
        process = ImportProcess(self._shared, self._clients, self._session, stored, settings)
        process.publish(current)
        self._processes.add(process)
        return process.proxy

    def listImports(self, current: Any) -> list[Any]:
        member = {group.id for group in self._session.user.memberships}
        user = self._session.user.id
        return [
            each.proxy
            for each in self._processes.all()
            if each.stored.group in member and each.stored.owner == user
        ]

    def _faults(self) -> None:
        shared = self._shared
        if shared.fault("expire"):
            raise shared.sessions.expire(self._session.uuid)
        if shared.fault("busy"):
            raise omero.DatabaseBusyException(None, None, "the database is busy, retry in 1000 ms", 1000)
        if shared.fault("internal"):
            raise omero.InternalException(None, "java.lang.NullPointerException", "NullPointerException")
        if shared.fault("disk_full"):
            raise omero.ResourceError(None, None, "cannot make directories: No space left on device")


class Processes:
    """All import processes since the server started; a real server forgets none either (ProcessContainer)."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._all: list[ImportProcess] = []

    def add(self, process: ImportProcess) -> None:
        with self._lock:
            self._all.append(process)

    def all(self) -> list[ImportProcess]:
        with self._lock:
            return list(self._all)


class ImportProcess:
    """omero.grid.ImportProcess."""

    def __init__(
        self,
        shared: Shared,
        clients: Clients,
        session: Session,
        stored: StoredFileset,
        settings: Any,
    ) -> None:
        self.stored = stored
        self.proxy: Any = None
        self._shared = shared
        self._clients = clients
        self._session = session
        self._settings = settings
        self._lock = RLock()
        self._uploaders: dict[int, tuple[Uploader, Any]] = {}
        self._handle: Any = None
        self._name = str(uuid.uuid4())
        self._client = ""

    def publish(self, current: Any) -> None:
        """Make the process reachable in its session; ``proxy`` is known from now on."""
        self._client = self._clients.of(current).category
        opened = omero.grid.ImportProcess, omero.grid.ImportProcessPrx, self
        self.proxy = self._clients.give(self._session, self._name, opened, current)
        self._session.ends.append(self._end)

    def getUploader(self, index: int, current: Any) -> Any:
        with self._lock:
            if index not in self._uploaders:
                self._uploaders[index] = self._open(index, current)
            return self._uploaders[index][1]

    def getUploadOffset(self, index: int, current: Any) -> int:
        with self._lock:
            return self._uploaders[index][0].offset if index in self._uploaders else 0

    def getImportSettings(self, current: Any) -> Any:
        return self._settings

    def getHandle(self, current: Any) -> Any:
        return self._handle

    def verifyUpload(self, hashes: list[str], current: Any) -> Any:
        """Compare the client's checksums with those of the stored bytes, and begin the import.

        Raises ApiUsageException (wrong number), ChecksumValidationException with failingChecksums.
        """
        if len(hashes) != len(self.stored.files):
            text = f"hashes size should be {len(self.stored.files)} not {len(hashes)}"
            raise omero.ApiUsageException(None, None, text)
        failing = self._failing(hashes)
        if failing:
            text = "A checksum mismatch has occurred."
            raise omero.ChecksumValidationException(None, "omero.ChecksumValidationException", text, failing)
        with self._shared.store.transaction() as db:
            done = {"id": self.stored.upload_job, "at": now()}
            db.execute("update job set status = 'Finished', finished = :at where id = :id", done)
        request = import_request(self.stored, self._settings, self.proxy)
        self._handle = begin_import(self._shared, self._clients, self._session, request, self.stored, current)
        return self._handle

    def close(self, current: Any) -> None:
        self._end()

    def _end(self) -> None:
        """The process is gone: uploads end, an import that has begun goes on."""
        self._shared.wire.remove(self._session.uuid, self._name)
        with self._lock:
            uploaders = [uploader for uploader, _ in self._uploaders.values()]
        for uploader in uploaders:
            uploader.give_up()

    def _open(self, index: int, current: Any) -> tuple[Uploader, Any]:
        if not 0 <= index < len(self.stored.files):
            raise omero.InternalException(None, "java.lang.IndexOutOfBoundsException", f"Index: {index}")
        if not self._clients.joined(self._session, self._client):
            # The process looks for the client that it was made for (RegisterServantMessage).
            raise omero.InternalException(None, None, "No ServantHolder for proxy.")
        name = str(uuid.uuid4())

        def closed() -> None:
            self._shared.wire.remove(self._session.uuid, name)
            with self._lock:
                self._uploaders.pop(index, None)

        uploader = Uploader(self._shared, self._session, self.stored.files[index], closed)
        opened = omero.api.RawFileStore, omero.api.RawFileStorePrx, uploader
        try:
            return uploader, self._clients.give(self._session, name, opened, current)
        except Ice.Exception:  # the server is going down
            uploader.give_up()
            raise

    def _failing(self, hashes: list[str]) -> dict[int, str]:
        rows = self._shared.store.rows(
            """select f.hash from entry e join originalfile f on f.id = e.file
            where e.fileset = ? order by e.idx""",
            (self.stored.id,),
        )
        found = [row["hash"] or "" for row in rows]
        if found and self._shared.fault("checksum"):
            found[0] = found[0][::-1]
        pairs = enumerate(zip(hashes, found, strict=True))
        return {index: server for index, (client, server) in pairs if client != server or not server}


def _checked(fileset: Any, settings: Any) -> str:
    """The checks of importFileset, in its order; the name of the checksum algorithm."""
    if fileset is None or fileset.sizeOfUsedFiles() < 1:
        raise omero.ApiUsageException(None, None, "No paths provided")
    if settings is None or settings.checksumAlgorithm is None:
        raise omero.ApiUsageException(None, None, "must specify checksum algorithm")
    if fileset.sizeOfJobLinks() != 1:
        text = "Found more than one job link. Link only updateJob on creation!"
        raise omero.ValidationException(None, None, text)
    job = fileset.copyJobLinks()[0].child
    if not isinstance(job, omero.model.UploadJob):
        kind = "null-UploadJob" if job is None else "non-UploadJob"
        raise omero.ValidationException(None, None, f"Found {kind} on creation")
    algorithm = str(unwrap(settings.checksumAlgorithm.value))
    if algorithm not in ALGORITHMS:
        raise omero.ApiUsageException(None, None, f"unsupported checksum algorithm: {algorithm}")
    return algorithm
