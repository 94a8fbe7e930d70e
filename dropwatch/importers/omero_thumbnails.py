"""Small pictures of images and plates, through the session of whoever wants to see them: what OMERO hides from that
person is not shown. It changes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from omero.rtypes import rint

from dropwatch.importers import omero_queries as queries
from dropwatch.importers.omero_errors import WIRE
from dropwatch.importers.omero_session import Row, Session

_TOGETHER = 50  # pictures in one answer: one that has to be drawn first may take a second


def thumbnails(session: Session, kind: str, ids: Sequence[int], size: int) -> dict[int, bytes]:
    """JPEG by image (or plate) id, the longer side *size* pixels; those that cannot be had are left out."""
    pixels = dict.fromkeys(ids)
    rows = _of_plates(session, pixels) if kind == "Plate" else _of_images(session, list(pixels))
    groups: defaultdict[int, dict[int, int]] = defaultdict(dict)
    for id, pixel, group in rows:
        groups[group].setdefault(id, pixel)
    return {id: data for group, some in groups.items() for id, data in _drawn(session, group, some, size)}


def _of_images(session: Session, ids: list[int]) -> list[Row]:
    return session.ask_in_pages(queries.PIXELS_OF_IMAGES, "ids", ids, everywhere=True)


def _of_plates(session: Session, ids: dict[int, None]) -> Iterator[Row]:
    """A plate has thousands of fields, so each is asked for its first one alone."""
    for id in ids:
        for row in session.ask(queries.FIRST_PIXELS_OF_PLATE, everywhere=True, limit=1, id=id):
            yield [id, *row]


def _drawn(session: Session, group: int, pixels: dict[int, int], size: int) -> Iterator[tuple[int, bytes]]:
    # Nothing can be drawn in "all groups": a picture that is missing is saved in the group of its image.
    context = {"omero.group": str(group)}
    store = session.factory.createThumbnailStore()
    try:
        wanted = sorted(set(pixels.values()))
        found: dict[int, Any] = {}
        for start in range(0, len(wanted), _TOGETHER):
            some = wanted[start : start + _TOGETHER]
            found |= store.getThumbnailByLongestSideSet(rint(size), some, context)
    finally:
        with suppress(*WIRE):
            store.close()
    for id, pixel in pixels.items():
        if found.get(pixel):
            yield id, bytes(found[pixel])
