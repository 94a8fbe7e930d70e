"""Raw file stores: bytes into the files of an upload, and out of any file that a session may read.

Follows omero-blitz's ``RepoRawFileStoreI`` and omero-server's ``RawFileBean``: closing an upload hashes what is
stored and notes it in the database.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from threading import RLock
from typing import Any

import omero

from dropwatch.sandbox import objects
from dropwatch.sandbox.checksums import checksum
from dropwatch.sandbox.faults import seconds
from dropwatch.sandbox.filesets import StoredFile
from dropwatch.sandbox.sessions import Session, view
from dropwatch.sandbox.shared import Shared

MOST = 64_000_000  #: bytes that one read may ask for


class Uploader:
    """omero.api.RawFileStore for one file of a fileset: the bytes go to disk, closing hashes them."""

    def __init__(
        self, shared: Shared, session: Session, file: StoredFile, closed: Callable[[], None]
    ) -> None:
        self.offset = 0
        self._shared = shared
        self._session = session
        self._file = file
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
                "hash": checksum(self._file.hasher, self._file.path),
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

    def _path(self) -> Path:
        if self._row is None:
            text = "This RawFileStore has not been properly initialized.\nPlease set the file id before"
            raise omero.ApiUsageException(None, None, text)
        return self._shared.repository / str(self._row["path"]) / str(self._row["name"])


def _read(stream: io.FileIO, position: int, length: int) -> bytes:
    if length > MOST:
        raise omero.ApiUsageException(None, None, f"Too big: {length}")
    stream.seek(position)
    return stream.read(length) or b""
