"""What OMERO already has of a batch: imported, still running, or a leftover of an attempt that broke off.

Leftovers are closed and deleted here. A fileset with images is never deleted here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import Ice
import omero
import omero.clients

from dropwatch.importers import omero_keys
from dropwatch.importers import omero_queries as queries
from dropwatch.importers.omero_errors import WIRE, explain
from dropwatch.importers.omero_handles import delete_filesets
from dropwatch.importers.omero_logs import says_ended
from dropwatch.importers.omero_session import Session
from dropwatch.importers.omero_settings import fileset_told_by
from dropwatch.model import Image, Imported, Kind, Order, Running

_log = logging.getLogger(__name__)

_UNSEEN = 3600.0  # seconds that an import whose process we cannot look into is given to show its images


@dataclass(frozen=True)
class Seen:
    """A fileset in OMERO. *key* is the fileset id in its client paths."""

    id: int
    key: str
    images: tuple[Image, ...]


@dataclass(frozen=True)
class _Process:
    """An import process the server lists. *handle* is None before its upload was verified."""

    proxy: Any
    handle: Any
    answered: bool
    fileset: int | None  # the server's id, known once there is a handle
    batch: str
    key: str

    def key_without_handle(self, batch: str) -> str | None:
        """Our fileset id when the upload of a fileset of *batch* was never verified here, else None."""
        return self.key if self.handle is None and self.batch == batch else None


def look(session: Session, batch: str, fileset: str | None = None) -> list[Seen]:
    """All filesets of the owner's that carry the key of this batch, or of one fileset in it; one question."""
    rows = session.ask(
        queries.FILESETS_OF_BATCH,
        everywhere=True,
        owner=session.owner_id,
        # Not only at the beginning: the Java client puts the way to its files in front of the key. OMERO has no
        # index over client paths (omero-model fs.ome.xml), so that costs nothing.
        prefix=f"%{omero_keys.pattern(batch, fileset)}",
    )
    found: dict[int, Seen] = {}
    for id, path, image, name in rows:
        known = found[id].images if id in found else ()
        new = (Image(image, name or ""),) if image is not None else ()
        found[id] = Seen(id, omero_keys.fileset_of(path), known + new)
    return list(found.values())


def take_stock(session: Session, order: Order, kind: Kind) -> dict[str, Imported | Running]:
    """What there is of the batch, by fileset id, after leftovers are gone.

    Only while nobody is importing anything of the batch: what is under way would be taken for a leftover.
    """
    seen = look(session, order.batch)
    if not all(one.images for one in seen):
        seen = settle(session, order.batch, seen)
    imported = {one.key: one for one in reversed(seen) if one.images}
    running = {one.key: Running(one.id) for one in seen if not one.images and one.key not in imported}
    return {**running, **_imported(session, imported, kind)}


def images(session: Session, filesets: Iterable[int], kind: Kind) -> dict[int, tuple[Image, ...]]:
    """The images of these filesets (OMERO's ids); their plates where the target is a screen and has some."""
    ids = list(filesets)
    found: dict[int, tuple[Image, ...]] = {}
    asked = [(queries.IMAGES_OF_FILESETS, "Image")]
    if kind is Kind.SCREEN:
        asked.append((queries.PLATES_OF_FILESETS, "Plate"))
    for question, what in asked:
        answer: dict[int, tuple[Image, ...]] = {}
        for fileset, id, name in session.ask_in_pages(
            question, "ids", ids, everywhere=True, owner=session.owner_id
        ):
            answer[fileset] = (*answer.get(fileset, ()), Image(id, name or "", what))
        found |= answer
    return found


def remove(session: Session, batch: str, fileset: str) -> None:
    """Delete what a broken-off import left; its process is closed by now. Never raises what OMERO throws."""
    try:
        delete_filesets(session, [one.id for one in look(session, batch, fileset) if not one.images])
    except WIRE as error:
        _log.debug("leave leftover batch=%s fileset=%s error=%s", batch, fileset, explain(error))


def _imported(session: Session, seen: dict[str, Seen], kind: Kind) -> dict[str, Imported | Running]:
    if kind is Kind.SCREEN and seen:
        plates = images(session, (one.id for one in seen.values()), kind)
        return {key: Imported(plates.get(one.id, one.images), one.id) for key, one in seen.items()}
    return {key: Imported(one.images, one.id) for key, one in seen.items()}


def settle(session: Session, batch: str, seen: list[Seen]) -> list[Seen]:
    """Find out about the filesets without images and delete the leftovers among them; what remains.

    The filesets are looked at once more after all else, so that an import that finished meanwhile is seen as
    imported and not taken for a leftover.
    """
    processes, unseen = _processes(session)
    running = {process.fileset for process in processes if process.handle and not process.answered}
    suspects = {one.id: one.key for one in seen if not one.images and one.id not in running}
    if unseen:
        for id in _may_run(session, list(suspects)):
            del suspects[id]
    for process in processes:
        if process.fileset in suspects or process.key_without_handle(batch) in suspects.values():
            _close(process)
    again = look(session, batch)
    leftovers = {one.id for one in again if one.id in suspects and not one.images}
    delete_filesets(session, sorted(leftovers))
    return [one for one in again if one.id not in leftovers]


def _processes(session: Session) -> tuple[list[_Process], bool]:
    """The import processes that can be looked into, and whether there are others.

    A server lists a process until it is restarted, closed or not (omero-blitz ProcessContainer.java), and its
    router lets a session look only into its own (SessionManagerI.create): many may not answer.
    """
    listed = session.repository.listImports()
    calls = [(proxy, proxy.begin_getHandle()) for proxy in listed]
    found: list[_Process] = []
    unseen = False
    for proxy, call in calls:
        try:
            found.append(_look_into(proxy, proxy.end_getHandle(call)))
        except (Ice.ObjectNotExistException, omero.ServerError):
            unseen = True
    return found, unseen


def _look_into(proxy: Any, handle: Any) -> _Process:
    if handle is None:
        batch, key = fileset_told_by(proxy.getImportSettings())
        return _Process(proxy, None, False, None, batch, key)
    request = handle.getRequest()
    batch, key = fileset_told_by(request.settings) if request.settings is not None else ("", "")
    answered = handle.getResponse() is not None
    return _Process(proxy, handle, answered, request.activity.parent.id.val, batch, key)


def _may_run(session: Session, ids: list[int]) -> set[int]:
    """Those that passed verifyUpload not long ago by the server's clock: they may go on out of our sight."""
    if not ids:
        return set()
    rows = session.ask_in_pages(queries.UPLOADS_FINISHED, "ids", ids, everywhere=True, owner=session.owner_id)
    if not rows:
        return set()
    now = session.factory.getConfigService().getServerTime().val
    young = {id for id, finished in rows if finished is not None and now - finished < _UNSEEN * 1000}
    return {id for id in young if not says_ended(session, id)}


def _close(process: _Process) -> None:
    for part in (process.handle, process.proxy):
        if part is not None:
            with suppress(*WIRE):
                part.close()
