"""Annotates images that the Java client brought, as those of the native importer are from the start.

`omero import` knows comments only, so tags and key-value pairs come after the images. The annotation in our own
namespace is saved in one transaction with the others: an image that has it has them all, and one that a crash
left without it is found by the next ask.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import omero.clients
import omero.model

from dropwatch.importers import omero_queries as queries
from dropwatch.importers.omero_errors import WIRE, explain, sort_talking
from dropwatch.importers.omero_session import Session
from dropwatch.importers.omero_settings import NAMESPACE, annotations_of
from dropwatch.model import Fileset, Order

_log = logging.getLogger(__name__)

_AT_ONCE = 500  # images in one transaction


def tried(session: Session, order: Order, filesets: Mapping[int, Fileset]) -> str:
    """Like complete(), for images that are there in any case: what OMERO had against it, in words, or nothing."""
    try:
        complete(session, order, filesets)
    except WIRE as error:
        _log.warning("annotate batch=%s error=%s", order.batch, explain(error))
        return f"Tags and key-value pairs are missing. {sort_talking(error, 'they were being added').message}"
    return ""


def complete(session: Session, order: Order, filesets: Mapping[int, Fileset]) -> None:
    """Annotate whatever is not annotated of *filesets* (by OMERO's ids). Raises what OMERO throws."""
    ids, owner = list(filesets), session.owner_id
    marked = {
        row[0]
        for row in session.ask_in_pages(
            queries.MARKED_IMAGES, "ids", ids, everywhere=True, owner=owner, ns=NAMESPACE
        )
    }
    left: dict[int, list[int]] = defaultdict(list)
    for fileset, image, _ in session.ask_in_pages(
        queries.IMAGES_OF_FILESETS, "ids", ids, everywhere=True, owner=owner
    ):
        if image not in marked:
            left[fileset].append(image)
    for fileset, images in left.items():
        for start in range(0, len(images), _AT_ONCE):
            links = _links(session, order, filesets[fileset], images[start : start + _AT_ONCE])
            session.update.saveCollection(links)


def _links(session: Session, order: Order, fileset: Fileset, images: list[int]) -> list[Any]:
    made = []
    for annotation in annotations_of(session, order, fileset):
        for image in images:
            link = omero.model.ImageAnnotationLinkI()
            link.parent = omero.model.ImageI(image, False)
            link.child = annotation
            made.append(link)
    return made
