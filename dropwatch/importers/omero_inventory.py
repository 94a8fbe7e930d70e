"""What OMERO already has of a batch: imported, still running, or a leftover of an attempt that broke off.

Leftovers are closed and deleted here. A fileset with images is never deleted here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import Ice

from dropwatch.importers import omero_keys
from dropwatch.importers import omero_queries as queries
from dropwatch.importers.omero_errors import WIRE, explain
from dropwatch.importers.omero_handles import delete_filesets
from dropwatch.importers.omero_session import Session
from dropwatch.importers.omero_settings import fileset_told_by
from dropwatch.model import Image, Imported, Kind, Order, Running

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seen:
    """A fileset in OMERO. *key* is the fileset id in its client paths."""

    id: int
    key: str
    images: tuple[Image, ...]


@dataclass(frozen=True)
class _Process:
    """An import process in a session of the owner's, with the batch id and fileset id in its settings.

    handle -- None before its upload was verified
    """

    proxy: Any
    handle: Any
    key: tuple[str, str]

    def running(self) -> bool:
        """Whether the server goes on with the import by itself."""
        return self.handle is not None and self.handle.getResponse() is None

    def close(self) -> None:
        for part in (self.handle, self.proxy):
            if part is not None:
                with suppress(*WIRE):
                    part.close()


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
    with ExitStack() as visits:
        processes = [process for process in _processes(session, visits) if process.key[0] == batch]
        running = {process.key[1] for process in processes if process.running()}
        suspects = {one.id for one in seen if not one.images and one.key not in running}
        for process in processes:
            if process.key[1] not in running:
                process.close()
    again = look(session, batch)
    leftovers = {one.id for one in again if one.id in suspects and not one.images}
    delete_filesets(session, sorted(leftovers))
    return [one for one in again if one.id not in leftovers]


def _processes(session: Session, visits: ExitStack) -> Iterator[_Process]:
    """The import processes that can still be called: those in the owner's living sessions.

    A server lists a process until it is restarted, closed or not (omero-blitz ProcessContainer.java). Each belongs
    to the session it was made in, which is its category, and can be called from within that only
    (SessionManagerI.create); one that runs keeps its session alive (ManagedImportRequestI.registerKeepAlive). So
    what a worker that died left running is found by joining its session.
    """
    listed: dict[str, list[Any]] = {}
    for proxy in session.repository.listImports():
        listed.setdefault(proxy.ice_getIdentity().category, []).append(proxy)
    for key in session.living(listed):
        reached = session.reached(key, listed[key], visits)
        # All at once: a session that imported for days has thousands, nearly all of them closed.
        calls = [(proxy, proxy.begin_getHandle()) for proxy in reached]
        for proxy, call in calls:
            with suppress(Ice.ObjectNotExistException):  # closed
                yield _Process(proxy, proxy.end_getHandle(call), fileset_told_by(proxy.getImportSettings()))
