"""Reads the import log that OMERO writes for each fileset. A log that cannot be read is an empty one."""

from __future__ import annotations

import re

from dropwatch.importers import omero_queries as queries
from dropwatch.importers.omero_errors import WIRE
from dropwatch.importers.omero_session import Session

_LINES = 40
_BYTES = 16_000  # the end of the log in which those lines are looked for

# The server's last line in any case (omero-blitz ManagedImportRequestI.cleanup); what it logs of a failure.
_ENDED = re.compile(r"Cleaning up import\.|INTERNAL_EXCEPTION")


def last_lines(session: Session, log: int | None) -> str:
    """The last lines of the import log with OriginalFile id *log*."""
    if log is None:
        return ""
    try:
        store = session.factory.createRawFileStore()
        try:
            store.setFileId(log)
            size = store.size()
            start = max(0, size - _BYTES)
            read = bytes(store.read(start, size - start)) if size else b""
        finally:
            store.close()
    except WIRE:
        return ""
    return "\n".join(read.decode("utf-8", "replace").splitlines()[-_LINES:])


def says_ended(session: Session, fileset: int) -> bool:
    """Whether the log of *fileset* (OMERO's id) says that its import is over."""
    rows = session.ask(queries.LOG_OF_FILESET, everywhere=True, owner=session.owner_id, id=fileset)
    return any(_ENDED.search(last_lines(session, log)) for log, _ in rows)
