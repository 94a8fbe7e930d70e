"""Filesets in the store and their files on disk: made before the first byte, kept when an import fails.

The layout is that of a real managed repository: ``<user>_<id>/<year-month>/<day>/<time>/`` with the files
under their client paths, and the import log beside it, named as the folder with ``.log``.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

import omero

from dropwatch.sandbox.sessions import View
from dropwatch.sandbox.shared import Shared
from dropwatch.sandbox.store import insert

LOG_TYPE = "application/omero-log-file"

#: What omero-server's path rules ("Windows required, UNIX required") put in place of illegal characters.
_SAFE = str.maketrans('"*/:<>?\\|', "'x;;[]%%!") | {code: "?" for code in range(32)}


@dataclass(frozen=True)
class StoredFile:
    """A used file: OriginalFile *id*, at *path* on the server's disk, and as the client named it.

    hasher -- name of its checksum algorithm
    """

    id: int
    path: Path
    client_path: str = ""
    hasher: str = ""


@dataclass(frozen=True)
class StoredFileset:
    """A fileset with its jobs (ids). *log* is the import log, an OriginalFile too."""

    id: int
    owner: int
    group: int
    files: tuple[StoredFile, ...]
    log: StoredFile
    upload_job: int
    metadata_job: int


def create(shared: Shared, seen: View, client_paths: Sequence[str], algorithm: str) -> StoredFileset:
    """Make the folder, and then the rows in one transaction: they are committed before any upload."""
    prefix = _make_folder(shared.repository, seen)
    owner = {"owner": seen.user.id, "grp": seen.group.id, "created": now()}
    with shared.store.transaction() as db:
        fileset = insert(db, "fileset", **owner, prefix=f"{prefix}/")
        files = []
        for index, client_path in enumerate(client_paths):
            path = prefix.joinpath(*_safe(client_path))
            file = _file(db, owner, path, hasher=algorithm, mimetype="application/octet-stream")
            insert(db, "entry", fileset=fileset, idx=index, client_path=client_path, file=file)
            files.append(StoredFile(file, shared.repository / path, client_path, algorithm))
        log_path = prefix.with_name(prefix.name + ".log")
        log = _file(db, owner, log_path, size=0, hasher=None, mimetype=LOG_TYPE)
        upload = insert(db, "job", fileset=fileset, kind="UploadJob", status="Waiting", log=log)
        metadata = insert(db, "job", fileset=fileset, kind="MetadataImportJob", status="Waiting")
        for kind in ("PixelDataJob", "ThumbnailGenerationJob", "IndexingJob"):
            insert(db, "job", fileset=fileset, kind=kind, status="Waiting")
    stored_log = StoredFile(log, shared.repository / log_path)
    stored_log.path.touch()
    return StoredFileset(
        fileset, seen.user.id, seen.group.id, tuple(files), stored_log, upload, metadata
    )  # fmt: skip


def remove_files(shared: Shared, prefix: str) -> None:
    """Delete what lies on disk of a fileset, or of a file, that is no longer in the store."""
    folder = shared.repository / prefix
    if folder.is_dir():
        shutil.rmtree(folder, ignore_errors=True)
    else:
        folder.unlink(missing_ok=True)
    folder.with_name(folder.name + ".log").unlink(missing_ok=True)


def now() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


def _file(db: sqlite3.Connection, owner: dict[str, int], path: Path | PurePosixPath, **more: object) -> int:
    return insert(db, "originalfile", **owner, path=f"{path.parent}/", name=path.name, **more)


def _make_folder(repository: Path, seen: View) -> PurePosixPath:
    """A new folder of the template; two imports in one millisecond count on."""
    moment = datetime.now()
    day = PurePosixPath(f"{seen.user.name}_{seen.user.id}") / moment.strftime("%Y-%m") / moment.strftime("%d")
    (repository / day).mkdir(parents=True, exist_ok=True)
    thousandth = moment.microsecond // 1000
    while True:
        folder = day / f"{moment.strftime('%H-%M-%S')}.{thousandth:03}"
        try:
            (repository / folder).mkdir()
        except FileExistsError:
            thousandth += 1
        else:
            return folder


def _safe(client_path: str) -> list[str]:
    """The parts of a client path as names that every file system takes."""
    parts = [part.translate(_SAFE) for part in client_path.split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        raise omero.ApiUsageException(None, None, f"Not a file's path: {client_path!r}")
    return [part + "_" if part.endswith((".", " ")) else part for part in parts]
