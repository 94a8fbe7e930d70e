"""What OMERO is told of an import before its first byte: files, checksum, target, annotations.

The sequence and its obligations (one UploadJob, a checksum algorithm) are those of omero-blitz
ManagedRepositoryI.java and of omero-py's ``testlib`` (AbstractRepoTest).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import omero.clients
import omero.grid
import omero.model
from omero.constants.metadata import NSCLIENTMAPANNOTATION
from omero.rtypes import rbool, rstring, unwrap
from omero_version import omero_version

from dropwatch.importers import omero_keys
from dropwatch.importers import omero_queries as queries
from dropwatch.importers.omero_handles import delete_tag
from dropwatch.importers.omero_session import Session
from dropwatch.importers.omero_targets import reference
from dropwatch.model import Container, Fileset, Order
from dropwatch.report.words import clean

NAMESPACE = "dropwatch"
_FILESET = "fileset"


def fileset_model(order: Order, fileset: Fileset) -> Any:
    """The FilesetI to import: its entries carry the key, the first one is what the server opens."""
    model = omero.model.FilesetI()
    for fact in fileset.files:
        entry = omero.model.FilesetEntryI()
        entry.clientPath = rstring(omero_keys.client_path(order.batch, fileset.id, fact.path))
        model.addFilesetEntry(entry)
    job = omero.model.UploadJobI()
    job.setVersionInfo(_pairs([("dropwatch.client", "dropwatch"), ("omero.py", omero_version)]))
    model.linkJob(job)
    return model


def settings(session: Session, order: Order, fileset: Fileset, container: Container, algorithm: str) -> Any:
    """The ImportSettings. Makes the tags that do not exist yet."""
    made = omero.grid.ImportSettings()
    made.checksumAlgorithm = omero.model.ChecksumAlgorithmI()
    made.checksumAlgorithm.value = rstring(algorithm)
    made.doThumbnails = rbool(True)
    made.noStatsInfo = rbool(False)
    made.userSpecifiedTarget = reference(container)
    # Not for plates: their own name says more than that of their file (WellProcessor.java would replace it).
    name = None if fileset.plate else omero_keys.image_name(fileset.name)
    made.userSpecifiedName = rstring(name) if name else None
    made.userSpecifiedDescription = rstring(order.description) if order.description else None
    made.userSpecifiedAnnotationList = annotations_of(session, order, fileset)
    return made


def fileset_told_by(made: Any) -> tuple[str, str]:
    """Batch id and fileset id that settings of ours carry; empty strings when they are not ours."""
    for annotation in made.userSpecifiedAnnotationList or ():
        if isinstance(annotation, omero.model.MapAnnotationI) and unwrap(annotation.ns) == NAMESPACE:
            told = {pair.name: pair.value for pair in annotation.mapValue or ()}
            return told.get("batch", ""), told.get(_FILESET, "")
    return "", ""


def goes_to(made: Any, container: Container) -> bool:
    """Whether settings name *container* as the target; also if they name none, which says nothing."""
    told, wanted = made.userSpecifiedTarget, reference(container)
    return told is None or (type(told), told.id.val) == (type(wanted), wanted.id.val)


def annotations_of(session: Session, order: Order, fileset: Fileset) -> list[Any]:
    """What the images of *fileset* are annotated with. Makes the tags that do not exist yet."""
    about = [
        ("batch", order.batch),
        ("folder", clean(order.source)),
        ("file", clean(fileset.name)),
        ("sender", clean(order.sender)),
        ("claimed", _claimed(order.claim)),
        (_FILESET, fileset.id),
    ]
    made = [_map(NAMESPACE, about)]
    if order.key_values:
        # In this namespace OMERO.web lets people edit the pairs.
        made.append(_map(NSCLIENTMAPANNOTATION, order.key_values))
    return made + [omero.model.TagAnnotationI(id, False) for id in _tags(session, order.tags)]


def _claimed(stamp: str) -> str:
    """The time in a claim stamp, for people."""
    day, time = stamp[:8], stamp[9:15]
    return f"{day[:4]}-{day[4:6]}-{day[6:]} {time[:2]}:{time[2:4]}:{time[4:]} UTC"


def _map(namespace: str, pairs: Iterable[tuple[str, str]]) -> Any:
    annotation = omero.model.MapAnnotationI()
    annotation.ns = rstring(namespace)
    annotation.setMapValue(_pairs(pairs))
    return annotation


def _pairs(pairs: Iterable[tuple[str, str]]) -> list[Any]:
    return [omero.model.NamedValue(as_text(name), as_text(value)) for name, value in pairs]


def as_text(text: str) -> str:
    """*text* as Ice can carry it and PostgreSQL stores it: undecodable bytes, and NUL, become a replacement
    character."""
    text = re.sub("[\0\ud800-\udc7f\udd00-\udfff]", "\ufffd", text)
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def plain_name(path: str) -> str:
    """The name of the file at *path*, as Ice can carry it."""
    return as_text(path.rpartition("/")[2])


def _tags(session: Session, words: tuple[str, ...]) -> list[int]:
    """Ids of the owner's tags with these words; those that are missing are made."""
    known = _known(session, sorted(set(words)))
    return [known[word] if word in known else _new_tag(session, word) for word in dict.fromkeys(words)]


def _known(session: Session, words: list[str]) -> dict[str, int]:
    """Ids of the owner's tags by their words; of several of one word the oldest."""
    rows = session.ask(queries.TAGS_BY_NAME, owner=session.owner_id, names=words) if words else []
    return {row[1]: row[0] for row in reversed(rows)}


def _new_tag(session: Session, word: str) -> int:
    tag = omero.model.TagAnnotationI()
    tag.textValue = rstring(word)
    made = int(session.update.saveAndReturnObject(tag).id.val)
    first = _known(session, [word]).get(word, made)
    if first != made:  # another process made it in the same moment
        delete_tag(session, made)
    return first
