"""What OMERO already has of a batch: imported, still running, or a leftover of an attempt that broke off.

Leftovers are closed and deleted here. A fileset with images is never deleted here.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import Ice

from dropwatch.importers import omero_keys
from dropwatch.importers import omero_queries as queries
from dropwatch.importers.omero_errors import WIRE, explain
from dropwatch.importers.omero_handles import delete_filesets
from dropwatch.importers.omero_logs import says_ended
from dropwatch.importers.omero_session import Session
from dropwatch.importers.omero_settings import fileset_told_by, goes_to
from dropwatch.model import Container, Image, Imported, Kind, Order, Running

_log = logging.getLogger(__name__)

_UNSEEN = 3600.0  # seconds that an import whose process is closed is given to show its images


@dataclass(frozen=True)
class Seen:
    """A fileset in OMERO. *key* is the fileset id in its client paths."""

    id: int
    key: str
    images: tuple[Image, ...]


@dataclass(frozen=True)
class _Process:
    """An import process in a session of the owner's.

    handle   -- None before its upload was verified
    settings -- as it was begun with
    key      -- batch id and fileset id that they tell, empty when it is not of our making (`omero import`)
    fileset  -- then OMERO's id instead, once there is a handle
    """

    proxy: Any
    handle: Any
    settings: Any
    key: tuple[str, str]
    fileset: int | None

    def concerns(self, batch: str, seen: Seen) -> bool:
        return self.key == (batch, seen.key) or self.fileset == seen.id

    def tells(self) -> bool:
        """Whether it says which fileset it is for."""
        return self.key != ("", "") or self.fileset is not None

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


@dataclass(frozen=True)
class Unfinished:
    """A fileset without images in OMERO.

    key  -- batch id and fileset id
    made -- when, by the server's clock (milliseconds since 1970)
    """

    id: int
    key: tuple[str, str]
    made: int


def unfinished(session: Session) -> list[Unfinished]:
    """The owner's filesets without images, whichever batch they are of.

    A folder that its user takes out of processing/ and drops anew is another batch, and the import of the one before
    may go on: it has no images yet by which duplicates are found. Nothing of another batch is closed or deleted here.
    """
    rows = session.ask(
        queries.FILESETS_WITHOUT_IMAGES,
        everywhere=True,
        owner=session.owner_id,
        prefix=f"%{omero_keys.ANY_BATCH}",  # as in look()
    )
    return [Unfinished(id, omero_keys.told_by(path), made) for id, path, made in rows]


def running_into(session: Session, container: Container, keys: Mapping[int, tuple[str, str]]) -> set[int]:
    """Those of *keys*, as unfinished() gives them, that the server may still make images of in *container*.

    Where a closed process does not tell the target (`omero import`), it may be another one: waiting does no harm.
    """
    if not keys:
        return set()
    with ExitStack() as visits:
        processes, closed = _processes(session, visits)
        concerned = _concerned(processes, keys)
        running = {
            id
            for id, those in concerned.items()
            if any(one.running() and goes_to(one.settings, container) for one in those)
        }
    untold = [id for id, those in concerned.items() if not those]
    return running | (_may_run(session, untold) if closed else set())


def not_over(session: Session, keys: Mapping[int, tuple[str, str]]) -> set[int]:
    """Those of *keys*, as running_into() gets them, that somebody may still upload to or the server make images of.

    Stricter than settle(), for whoever asks here knows nothing of who imports them: an upload that was not verified is
    over when its process is closed or the session of that has ended, another when its import log says so.
    """
    if not keys:
        return set()
    with ExitStack() as visits:
        processes, _ = _processes(session, visits)
        if any(one.handle is None and not one.tells() for one in processes):
            return set(
                keys
            )  # an upload of `omero import`, or of some other client: of which of them, nobody can tell
        alive = {
            id
            for id, those in _concerned(processes, keys).items()
            if any(one.handle is None or one.running() for one in those)
        }
    verified = session.ask_in_pages(
        queries.UPLOADS_FINISHED, "ids", list(keys), everywhere=True, owner=session.owner_id
    )
    return alive | {id for id, _ in verified if not says_ended(session, id)}


def _concerned(
    processes: Iterable[_Process], keys: Mapping[int, tuple[str, str]]
) -> dict[int, list[_Process]]:
    told: dict[object, list[_Process]] = defaultdict(list)
    for process in processes:
        told[process.key].append(process)
        told[process.fileset].append(process)
    return {id: [*told[key], *told[id]] for id, key in keys.items()}


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
    running: set[int] = set()
    with ExitStack() as visits:
        processes, closed = _processes(session, visits)
        for process in processes:
            concerned = {one.id for one in seen if process.concerns(batch, one)}
            if concerned and process.running():
                running |= concerned
            elif concerned:
                process.close()
    suspects = {one.id for one in seen if not one.images} - running
    if closed:
        suspects -= _may_run(session, list(suspects))
    again = look(session, batch)
    leftovers = {one.id for one in again if one.id in suspects and not one.images}
    delete_filesets(session, sorted(leftovers))
    return [one for one in again if one.id not in leftovers]


def _processes(session: Session, visits: ExitStack) -> tuple[list[_Process], bool]:
    """The import processes that can still be called: those in the owner's living sessions; whether some are closed.

    A server lists a process until it is restarted, closed or not (omero-blitz ProcessContainer.java). Each belongs
    to the session it was made in, which is its category, and can be called from within that only
    (SessionManagerI.create); one that runs keeps its session alive (ManagedImportRequestI.registerKeepAlive). So
    what a worker that died left running is found by joining its session. Ours stay open until their import has
    ended, but `omero import` closes its own as soon as it has uploaded (ImportLibrary.java).
    """
    listed: dict[str, list[Any]] = {}
    for proxy in session.repository.listImports():
        listed.setdefault(proxy.ice_getIdentity().category, []).append(proxy)
    found: list[_Process] = []
    closed = False
    for key in session.living(listed):
        reached = session.reached(key, listed[key], visits)
        # All at once: a session that imported for days has thousands, nearly all of them closed.
        for proxy, call in [(proxy, proxy.begin_getHandle()) for proxy in reached]:
            try:
                found.append(_look_into(proxy, proxy.end_getHandle(call)))
            except Ice.ObjectNotExistException:
                closed = True
    return found, closed


def _look_into(proxy: Any, handle: Any) -> _Process:
    settings = proxy.getImportSettings()
    key = fileset_told_by(settings)
    foreign = handle is not None and key == ("", "")
    fileset = handle.getRequest().activity.parent.id.val if foreign else None
    return _Process(proxy, handle, settings, key, fileset)


def _may_run(session: Session, ids: list[int]) -> set[int]:
    """Those that passed verifyUpload not long ago by the server's clock: their closed process does not tell."""
    if not ids:
        return set()
    rows = session.ask_in_pages(queries.UPLOADS_FINISHED, "ids", ids, everywhere=True, owner=session.owner_id)
    if not rows:
        return set()
    now = session.factory.getConfigService().getServerTime().val
    young = {id for id, finished in rows if finished is not None and now - finished < _UNSEEN * 1000}
    return {id for id in young if not says_ended(session, id)}
