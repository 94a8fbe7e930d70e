"""Waits for what runs in the OMERO server: imports and deletions, each behind a handle.

Handles are polled: a callback can be lost, a poll is answered or fails. An unanswered handle is never
closed, for closing cancels what it stands for (omero-blitz HandleI.java).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import omero
import omero.clients
import omero.cmd

from dropwatch.errors import TemporaryError
from dropwatch.importers.omero_errors import WIRE
from dropwatch.importers.omero_queries import ALL_GROUPS
from dropwatch.importers.omero_session import Session
from dropwatch.model import Kind

_FIRST, _LONGEST = 0.005, 1.0  # seconds between two polls: quick at first, then patient
_DELETION = 120.0  # seconds


def responses(session: Session, handle: Any) -> Iterator[Any]:
    """What the handle answers, poll by poll: None while it runs, then its response, once.

    Ends without a response when the importer is being closed.
    """
    delay = _FIRST
    while True:
        response = handle.getResponse()
        yield response
        if response is not None or session.closing.wait(delay):
            return
        delay = min(delay * 1.5, _LONGEST)


def delete_filesets(session: Session, ids: Sequence[int]) -> None:
    """Delete these filesets with all that hangs on them, and wait. Raises TemporaryError, omero.CmdError."""
    if ids:
        run(session, omero.cmd.Delete2(targetObjects={"Fileset": list(ids)}), "a leftover was being deleted")


def delete_files(session: Session, ids: Sequence[int]) -> None:
    """Delete these files, which nothing refers to. Raises as delete_filesets."""
    if ids:
        half = omero.cmd.Delete2(targetObjects={"OriginalFile": list(ids)})
        run(session, half, "a half attached file was being deleted")


def delete_containers(session: Session, kind: Kind, ids: Sequence[int]) -> None:
    """Delete these datasets or screens, which hold nothing. Raises as delete_filesets."""
    run(
        session,
        omero.cmd.Delete2(targetObjects={str(kind): list(ids)}),
        "an empty container was being deleted",
    )


def delete_tag(session: Session, id: int) -> None:
    """Delete this tag, which nothing bears. Raises as delete_filesets."""
    run(session, omero.cmd.Delete2(targetObjects={"TagAnnotation": [id]}), "an unused tag was being deleted")


def run(
    session: Session,
    request: Any,
    doing: str,
    limit: float = _DELETION,
    clock: Callable[[], float] = time.monotonic,
) -> Any:
    """Have the server carry out *request* in whatever group it concerns; its response.

    Raises omero.CmdError (the server answered ERR), TemporaryError (not done after *limit* seconds).
    """
    handle = session.factory.submit(request, dict(ALL_GROUPS))
    end = clock() + limit
    for response in responses(session, handle):
        if isinstance(response, omero.cmd.ERR):
            _close(handle)
            raise omero.CmdError(response)
        if response is not None:
            _close(handle)
            return response
        if clock() > end:
            break
    raise TemporaryError(f"OMERO took too long while {doing}.", code="server-slow")


def _close(handle: Any) -> None:
    with suppress(*WIRE):
        handle.close()
