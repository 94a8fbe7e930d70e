"""Which filesets and attachments of a batch the owner already has in the target, or will have as soon as the server
has finished: by name, size and checksum.

A file is read only when one of its name and size is there already.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from dropwatch.errors import DropwatchError
from dropwatch.importers import omero_inventory as inventory
from dropwatch.importers import omero_keys, reading
from dropwatch.importers import omero_queries as queries
from dropwatch.importers.omero_checksums import ALGORITHMS
from dropwatch.importers.omero_session import Session
from dropwatch.importers.omero_settings import plain_name
from dropwatch.model import Attached, Attachment, Container, FileFact, Fileset, Kind, Order, Running, Skipped

Known = tuple[str, int, str, str]  # name, size, checksum, its algorithm
Outline = tuple[tuple[str, int], ...]  # names and sizes


def find(
    session: Session,
    container: Container,
    order: Order,
    filesets: Sequence[Fileset],
    not_these: Iterable[int],
) -> dict[str, Skipped]:
    """By fileset id, those that are there already. *not_these*: OMERO's ids of the batch's own filesets."""
    same = _same(order, filesets, _there(session, container, filesets, frozenset(not_these)))
    shown = inventory.images(session, set(same.values()), container.kind)
    return {key: Skipped(shown[id], id) for key, id in same.items() if id in shown}


def find_running(
    session: Session, container: Container, order: Order, filesets: Sequence[Fileset]
) -> dict[str, Running]:
    """By fileset id, those that the server is still importing into *container* under another batch id.

    Copied once more, the same files have other times, and so another fileset id: then their bytes tell.
    """
    keys = {one.id: one.key for one in inventory.unfinished(session)} if filesets else {}
    wanted = {one.id for one in filesets}
    same = {key[1]: id for id, key in keys.items() if key[1] in wanted}
    left = [one for one in filesets if one.id not in same]
    others = {id: key for id, key in keys.items() if key[0] != order.batch and key[1] not in wanted}
    alike = _alike(session, left, others)
    running = inventory.running_into(session, container, {id: keys[id] for id in (*same.values(), *alike)})
    # Only now are files read: of most that look alike the import has ended long ago.
    same |= _same(order, left, _by_outline({id: files for id, files in alike.items() if id in running}))
    return {key: Running(id) for key, id in same.items() if id in running}


def find_attached(
    session: Session, container: Container, order: Order, attachments: Sequence[Attachment]
) -> dict[str, Attached]:
    """By id, the attachments of which the owner attached the like to *container* before."""
    question = queries.FILES_AT_SCREEN if container.kind is Kind.SCREEN else queries.FILES_AT_DATASET
    names = sorted({plain_name(one.name) for one in attachments})
    found: dict[str, Attached] = {}
    for annotation, file, name, size, checksum, algorithm in session.ask_in_pages(
        question, "names", names, owner=session.owner_id, id=container.id
    ):
        for one in attachments:
            alike = (plain_name(one.name), one.bytes) == (name, size) and algorithm in ALGORITHMS
            if (
                alike
                and one.id not in found
                and _is_stored(order.folder_of(one), one.files[0], checksum, algorithm)
            ):
                found[one.id] = Attached(annotation, file)
    return found


def _there(
    session: Session, container: Container, filesets: Sequence[Fileset], not_these: frozenset[int]
) -> dict[Outline, list[tuple[int, list[Known]]]]:
    """Filesets in the target of which every file bears a name of ours, by names and sizes of the files."""
    names = sorted({_name(fact) for fileset in filesets for fact in fileset.files})
    question = queries.FILES_IN_SCREEN if container.kind is Kind.SCREEN else queries.FILES_IN_DATASET
    found: dict[int, list[Known]] = defaultdict(list)
    for id, name, size, checksum, algorithm in session.ask_in_pages(
        question, "names", names, owner=session.owner_id, id=container.id
    ):
        if id not in not_these and size is not None and checksum and algorithm in ALGORITHMS:
            found[id].append((name, size, checksum, algorithm))
    counted = session.ask_in_pages(
        queries.FILES_OF_FILESETS, "ids", list(found), everywhere=True, owner=session.owner_id
    )
    return _by_outline({id: found[id] for id, count in counted if count == len(found[id])})


def _alike(
    session: Session, filesets: Sequence[Fileset], keys: Mapping[int, tuple[str, str]]
) -> dict[int, list[Known]]:
    """Those of *keys* (OMERO's ids) of which names and sizes of all files are those of one of *filesets*."""
    outlines = {_outline(one) for one in filesets}
    found: dict[int, list[Known]] = defaultdict(list)
    half = set()
    for id, name, size, checksum, algorithm in session.ask_in_pages(
        queries.FILES_OF_THESE, "ids", list(keys) if outlines else [], everywhere=True, owner=session.owner_id
    ):
        if size is None or not checksum or algorithm not in ALGORITHMS:
            half.add(id)
        else:
            found[id].append((name, size, checksum, algorithm))
    by_outline = _by_outline({id: files for id, files in found.items() if id not in half})
    return dict(one for outline, alike in by_outline.items() if outline in outlines for one in alike)


def _by_outline(files: Mapping[int, list[Known]]) -> dict[Outline, list[tuple[int, list[Known]]]]:
    found: dict[Outline, list[tuple[int, list[Known]]]] = defaultdict(list)
    for id, known in files.items():
        found[tuple(sorted((name, size) for name, size, _, _ in known))].append((id, known))
    return found


def _outline(fileset: Fileset) -> Outline:
    return tuple(sorted((_name(fact), fact.size) for fact in fileset.files))


def _same(
    order: Order, filesets: Sequence[Fileset], there: Mapping[Outline, list[tuple[int, list[Known]]]]
) -> dict[str, int]:
    """By fileset id, the first of *there* (OMERO's id) with the same files. Where they look alike, ours are read."""
    found: dict[str, int] = {}
    for fileset in filesets:
        alike = there.get(_outline(fileset), ())
        match = next((id for id, files in alike if _is_same(order.folder_of(fileset), fileset, files)), None)
        if match is not None:
            found[fileset.id] = match
    return found


def _is_same(folder: str, fileset: Fileset, there: list[Known]) -> bool:
    try:
        # All files of a fileset were hashed alike.
        hashed = sorted((_name(fact), _hash(folder, fact, there[0][3])) for fact in fileset.files)
    except DropwatchError:
        return False  # what is wrong with the file is told when it is imported
    return hashed == sorted((name, checksum.lower()) for name, _, checksum, _ in there)


def _is_stored(folder: str, fact: FileFact, checksum: str | None, algorithm: str) -> bool:
    try:
        return _hash(folder, fact, algorithm) == (checksum or "").lower()
    except DropwatchError:
        return False


def _name(fact: FileFact) -> str:
    return omero_keys.safe_name(fact.path.rpartition("/")[2])


def _hash(folder: str, fact: FileFact, algorithm: str) -> str:
    digest = ALGORITHMS[algorithm]()
    with reading.opened(folder, fact) as descriptor:
        for block in reading.blocks(descriptor, fact):
            digest.update(block)
    return digest.hexdigest()
