"""Import processes and raw file stores: how bytes come to the server, and what is checked of them.

Texts and order of the checks follow omero-blitz's ``ManagedRepositoryI``, ``ManagedImportProcessI`` and
``RepoRawFileStoreI``. A process lives in the session that made it, and the server lists it until it goes down.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable
from threading import RLock
from typing import Any

import omero
import omero.grid
from omero.rtypes import unwrap

from dropwatch.sandbox import objects
from dropwatch.sandbox.checksums import ALGORITHMS, checksum
from dropwatch.sandbox.faults import seconds
from dropwatch.sandbox.filesets import StoredFile, StoredFileset, create, now
from dropwatch.sandbox.imports import begin_import
from dropwatch.sandbox.router import Clients
from dropwatch.sandbox.sessions import Session, view
from dropwatch.sandbox.shared import Shared

MOST = 64_000_000  #: bytes that one read may ask for


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
        """Commit the fileset with its entries; a process to upload to. Raises ApiUsage and ValidationException."""
        self._faults()
        algorithm = _checked(fileset, settings)
        paths = [entry.clientPath.val for entry in fileset.copyUsedFiles()]
        try:
            stored = create(self._shared, view(self._session, current.ctx), paths, algorithm)
        except OSError as error:
            raise omero.ResourceError(None, None, f"cannot make directories: {error}") from error
        process = ImportProcess(
            self._shared, self._clients, self._session, stored, settings, algorithm, current
        )
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
        algorithm: str,
        current: Any,
    ) -> None:
        self.stored = stored
        self._shared = shared
        self._clients = clients
        self._session = session
        self._settings = settings
        self._algorithm = algorithm
        self._lock = RLock()
        self._uploaders: dict[int, tuple[Uploader, Any]] = {}
        self._handle: Any = None
        self._name = str(uuid.uuid4())
        kinds = omero.grid.ImportProcess, omero.grid.ImportProcessPrx
        self.proxy = clients.give(session, self._name, *kinds, self, current)
        session.ends.append(self._end)

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
        shared, clients, session = self._shared, self._clients, self._session
        self._handle = begin_import(
            shared, clients, session, self.stored, self._settings, self.proxy, current
        )
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
        name = str(uuid.uuid4())

        def closed() -> None:
            self._shared.wire.remove(self._session.uuid, name)
            with self._lock:
                self._uploaders.pop(index, None)

        uploader = Uploader(self._shared, self._session, self.stored.files[index], self._algorithm, closed)
        kinds = omero.api.RawFileStore, omero.api.RawFileStorePrx
        return uploader, self._clients.give(self._session, name, *kinds, uploader, current)

    def _failing(self, hashes: list[str]) -> dict[int, str]:
        rows = self._shared.store.rows(
            "select f.hash from entry e join originalfile f on f.id = e.file where e.fileset = ? order by e.idx",
            (self.stored.id,),
        )
        found = [row["hash"] or "" for row in rows]
        if found and self._shared.fault("checksum"):
            found[0] = found[0][::-1]
        pairs = enumerate(zip(hashes, found, strict=True))
        return {index: server for index, (client, server) in pairs if client != server or not server}


class Uploader:
    """omero.api.RawFileStore for one file of a fileset: the bytes go to disk, closing hashes them."""

    def __init__(
        self, shared: Shared, session: Session, file: StoredFile, algorithm: str, closed: Callable[[], None]
    ) -> None:
        self.offset = 0
        self._shared = shared
        self._session = session
        self._file = file
        self._algorithm = algorithm
        self._closed = closed
        self._lock = RLock()
        self._slow = True
        file.path.parent.mkdir(parents=True, exist_ok=True)
        # What is there is kept: a client may open the file once more and go on.
        self._stream: io.FileIO | None = io.FileIO(file.path, "r+" if file.path.exists() else "x+")

    def write(self, block: bytes, position: int, length: int, current: Any) -> None:
        self._faults_before()
        with self._lock:
            stream = self._open()
            stream.seek(position)
            written = stream.write(bytes(block)[:length])
            self.offset = position + (written or 0)
        self._faults_after(len(block), current)

    def read(self, position: int, length: int, current: Any) -> bytes:
        with self._lock:
            return _read(self._open(), position, length)

    def size(self, current: Any) -> int:
        return self._file.path.stat().st_size

    def exists(self, current: Any) -> bool:
        return self._file.path.exists()

    def truncate(self, length: int, current: Any) -> bool:
        with self._lock:
            self._open().truncate(length)
        return True

    def getFileId(self, current: Any) -> Any:
        return objects.number(self._file.id)

    def setFileId(self, id: int, current: Any) -> None:
        raise omero.ApiUsageException(None, None, f"Cannot reset id to {id}")

    def save(self, current: Any) -> Any:
        """Hash what is stored, and note it in the database."""
        with self._lock:
            self._open()
            values = {
                "hash": checksum(self._algorithm, self._file.path),
                "size": self._file.path.stat().st_size,
                "id": self._file.id,
            }
        with self._shared.store.transaction() as db:
            db.execute("update originalfile set hash = :hash, size = :size where id = :id", values)
        row = self._shared.store.row("select * from originalfile where id = ?", (self._file.id,))
        return objects.original_file(row) if row else None

    def close(self, current: Any) -> None:
        self.save(current)
        self.give_up()
        self._closed()

    def give_up(self) -> None:
        """Close the file, and save nothing."""
        with self._lock:
            stream, self._stream = self._stream, None
            if stream:
                stream.close()

    def _open(self) -> io.FileIO:
        if self._stream is None:
            raise omero.ResourceError(None, None, f"{self._file.path.name} is closed")
        return self._stream

    def _faults_before(self) -> None:
        if self._shared.fault("expire"):
            raise self._shared.sessions.expire(self._session.uuid)
        if self._shared.fault("disk_full"):
            raise omero.ResourceError(None, None, f"cannot flush {self._file.path}: No space left on device")

    def _faults_after(self, count: int, current: Any) -> None:
        faults = self._shared.faults
        if self._slow:
            self._slow = False
            self._shared.stopping.wait(seconds(faults.get("omero").get("slow_upload")))
        if count and faults.spend("omero", "drop_after_bytes", count):
            current.con.close(True)


class RawFiles:
    """omero.api.RawFileStore for reading a file by its id, such as an import log."""

    def __init__(self, shared: Shared, session: Session) -> None:
        self._shared = shared
        self._session = session
        self._row: Any = None

    def setFileId(self, id: int, current: Any) -> None:
        row = self._shared.store.row("select * from originalfile where id = ?", (id,))
        everywhere = view(self._session, {"omero.group": "-1"})
        if row is None or not everywhere.sees(row["owner"], row["grp"]):
            text = f"The requested object (ome.model.core.OriginalFile,{id}) is not available."
            raise omero.ValidationException(None, None, text)
        self._row = row

    def getFileId(self, current: Any) -> Any:
        return objects.number(self._row["id"]) if self._row else None

    def exists(self, current: Any) -> bool:
        return self._path().exists()

    def size(self, current: Any) -> int:
        return self._path().stat().st_size

    def read(self, position: int, length: int, current: Any) -> bytes:
        with io.FileIO(self._path()) as stream:
            return _read(stream, position, length)

    def close(self, current: Any) -> None:
        self._row = None

    def _path(self) -> Any:
        if self._row is None:
            text = "This RawFileStore has not been properly initialized.\nPlease set the file id before"
            raise omero.ApiUsageException(None, None, text)
        return self._shared.repository / self._row["path"] / self._row["name"]


def _read(stream: io.FileIO, position: int, length: int) -> bytes:
    if length > MOST:
        raise omero.ApiUsageException(None, None, f"Too big: {length}")
    stream.seek(position)
    return stream.read(length) or b""


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
