"""Raw file stores: bytes into the files of an upload or an attachment, and out of any file a session may read.

Follows omero-blitz's ``RepoRawFileStoreI`` and omero-server's ``RawFileBean`` and ``SessionHandler``: closing hashes
what is stored and notes it in the database, and a second call at once is refused.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

_REENTRANT = """Hibernate session is not re-entrant.
Either you have two threads operating on the same stateful object (don't do this)
 or you have a recursive call (recurse on the unwrapped object). """


class Uploader:
    """omero.api.RawFileStore for one file: the bytes go to disk, closing hashes them."""

    def __init__(
        self, shared: Shared, session: Session, file: StoredFile, closed: Callable[[], None]
    ) -> None:
        self.offset = 0
        self._shared = shared
        self._session = session
        self._file = file
        self._closed = closed
        self._lock = RLock()
        self._callers: set[str] = set()
        self._slow = True
        file.path.parent.mkdir(parents=True, exist_ok=True)
        # What is there is kept: a client may open the file once more and go on.
        self._stream: io.FileIO | None = io.FileIO(file.path, "r+" if file.path.exists() else "x+")

    def write(self, block: bytes, position: int, length: int, current: Any) -> None:
        self._faults_before()
        with self._one_call(current):
            stream = self._open()
            stream.seek(position)
            written = stream.write(bytes(block)[:length])
            self.offset = position + (written or 0)
            self._slow_down()
        if len(block) and self._shared.faults.spend("omero", "drop_after_bytes", len(block)):
            current.con.close(True)

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
        with self._lock:
            if self._stream is not None:
                self.save(current)
            self.give_up()
        self._closed()
        if self._shared.fault("lose_closed"):
            current.con.close(True)

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

    def _slow_down(self) -> None:
        if self._slow:
            self._slow = False
            self._shared.stopping.wait(seconds(self._shared.faults.get("omero").get("slow_upload")))
        self._shared.hold("hold_upload", self._shared.stopping.wait)

    @contextmanager
    def _one_call(self, current: Any) -> Iterator[None]:
        """Raises InternalException when the same client has another call under way here."""
        caller = str(current.con.toString())
        if caller in self._callers:
            raise omero.InternalException(None, "ome.conditions.InternalException", _REENTRANT)
        self._callers.add(caller)
        try:
            with self._lock:
                yield
        finally:
            self._callers.discard(caller)


class RawFiles:
    """omero.api.RawFileStore for a file by its id: an import log, or an attachment, which its owner may write."""

    def __init__(self, shared: Shared, session: Session) -> None:
        self._shared = shared
        self._session = session
        self._row: Any = None
        self._writer: Uploader | None = None
        session.ends.append(self._end)

    def setFileId(self, id: int, current: Any) -> None:
        row = self._shared.store.row("select * from originalfile where id = ?", (id,))
        everywhere = view(self._session, {"omero.group": "-1"})
        if row is None or not everywhere.sees(row["owner"], row["grp"]):
            text = f"The requested object (ome.model.core.OriginalFile,{id}) is not available."
            raise omero.ValidationException(None, None, text)
        self._row = row
        if row["place"] and everywhere.edits(row["owner"]):
            file = StoredFile(row["id"], self._path(), hasher=row["hasher"])
            self._writer = Uploader(self._shared, self._session, file, lambda: None)

    def getFileId(self, current: Any) -> Any:
        return objects.number(self._row["id"]) if self._row else None

    def exists(self, current: Any) -> bool:
        return self._path().exists()

    def size(self, current: Any) -> int:
        return self._path().stat().st_size

    def read(self, position: int, length: int, current: Any) -> bytes:
        with io.FileIO(self._path()) as stream:
            return _read(stream, position, length)

    def write(self, block: bytes, position: int, length: int, current: Any) -> None:
        self._writable().write(block, position, length, current)

    def truncate(self, length: int, current: Any) -> bool:
        return self._writable().truncate(length, current)

    def save(self, current: Any) -> Any:
        saved = self._writable().save(current)
        if saved and self._shared.fault("checksum"):
            saved.hash = objects.text(saved.hash.val[::-1])
        return saved

    def close(self, current: Any) -> None:
        writer, self._writer = self._writer, None
        if writer:
            writer.close(current)
        self._row = None

    def _end(self) -> None:
        if self._writer:
            self._writer.give_up()

    def _writable(self) -> Uploader:
        self._path()
        if self._writer is None:
            raise omero.SecurityViolation(None, None, "File not writeable!")
        return self._writer

    def _path(self) -> Path:
        if self._row is None:
            text = "This RawFileStore has not been properly initialized.\nPlease set the file id before"
            raise omero.ApiUsageException(None, None, text)
        return path_of(self._shared, self._row)


def path_of(shared: Shared, row: Any) -> Path:
    """Where the bytes of a row of ``originalfile`` are: outside the managed repository if it has a place."""
    if row["place"]:
        return shared.repository.parent / str(row["place"])
    return shared.repository / str(row["path"]) / str(row["name"])


def _read(stream: io.FileIO, position: int, length: int) -> bytes:
    if length > MOST:
        raise omero.ApiUsageException(None, None, f"Too big: {length}")
    stream.seek(position)
    return stream.read(length) or b""
