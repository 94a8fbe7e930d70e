"""omero.api.ThumbnailStore: a picture of an image, drawn by Bio-Formats when somebody asks for it, and not kept.

Sizes and refusals follow omero-server's ``ThumbnailBean`` and ``ThumbnailCtx``. The sandbox has no rendering
settings: everybody sees the middle plane, stretched from its darkest to its brightest pixel.
"""

from __future__ import annotations

from typing import Any

import omero
from omero.rtypes import unwrap

from dropwatch.errors import PermanentError
from dropwatch.formats.pixels import thumbnail
from dropwatch.sandbox.sessions import Session, view
from dropwatch.sandbox.shared import Shared

_SIDE = 48  #: pixels of a side that the client does not tell

_FILE = """select i.owner, i.grp, i.series, p.x, p.y, f.path, f.name
    from pixels p join image i on i.id = p.image
    join entry e on e.fileset = i.fileset and e.idx = 0 join originalfile f on f.id = e.file
    where p.id = ?"""


class ThumbnailStore:
    """Set the pixels, then ask for their picture; or ask for those of several at once. JPEG."""

    def __init__(self, shared: Shared, session: Session) -> None:
        self._shared = shared
        self._session = session
        self._row: Any = None
        self._id = 0

    def setPixelsId(self, id: int, current: Any) -> bool:
        """Whether there are rendering settings: always, as after each import that makes thumbnails."""
        self._row, self._id = self._found(id, current), id
        return True

    def getRenderingDefId(self, current: Any) -> int:
        self._ready()
        return self._id

    def setRenderingDefId(self, id: int, current: Any) -> None:
        self._ready()

    def resetDefaults(self, current: Any) -> None:
        self._ready()

    def isInProgress(self, current: Any) -> bool:
        return False

    def thumbnailExists(self, width: Any, height: Any, current: Any) -> bool:
        self._ready()
        return True

    def getThumbnail(self, width: Any, height: Any, current: Any) -> bytes:
        """Exactly so large, whatever the shape of the image. Raises ResourceError: it cannot be drawn."""
        return self._draw(self._ready(), _side(width, "sizeX"), _side(height, "sizeY"))

    getThumbnailDirect = getThumbnailWithoutDefault = getThumbnail

    def getThumbnailByLongestSide(self, longest: Any, current: Any) -> bytes:
        """In the shape of the image."""
        return self._draw(self._ready(), *_shaped(self._row, _side(longest, "sizeX")))

    getThumbnailByLongestSideDirect = getThumbnailByLongestSide

    def getThumbnailSet(self, width: Any, height: Any, ids: list[int], current: Any) -> dict[int, bytes]:
        """By pixels id; no bytes for what cannot be drawn."""
        sides = _side(width, "sizeX"), _side(height, "sizeY")
        return {id: self._try(id, lambda _: sides, current) for id in ids}

    def getThumbnailByLongestSideSet(self, longest: Any, ids: list[int], current: Any) -> dict[int, bytes]:
        side = _side(longest, "sizeX")
        return {id: self._try(id, lambda row: _shaped(row, side), current) for id in ids}

    def close(self, current: Any) -> None:
        self._row = None

    def _ready(self) -> Any:
        if self._row is None:
            raise omero.ApiUsageException(None, None, "Thumbnail service not ready: Pixels not set.")
        return self._row

    def _found(self, id: int, current: Any) -> Any:
        row = self._shared.store.row(_FILE, (id,))
        if row is None or not view(self._session, current.ctx).sees(row["owner"], row["grp"]):
            text = (
                f"Error retrieving Pixels id:{id}. Pixels set does not exist or the user "
                f"id:{self._session.user.id} has insufficient permissions to retrieve it."
            )
            raise omero.ResourceError(None, None, text)
        return row

    def _try(self, id: int, sides: Any, current: Any) -> bytes:
        try:
            row = self._found(id, current)
            return self._draw(row, *sides(row))
        except omero.ResourceError:
            return b""

    def _draw(self, row: Any, width: int, height: int) -> bytes:
        path = self._shared.repository / row["path"] / row["name"]
        try:
            return thumbnail(self._shared.formats, path, row["series"], width, height)
        except PermanentError as error:
            raise omero.ResourceError(None, None, error.detail or error.message) from error


def _side(value: Any, name: str) -> int:
    side = unwrap(value)
    if side is None:
        return _SIDE
    if side < 0:
        raise omero.ApiUsageException(None, None, f"{name} is negative")
    return max(1, int(side))


def _shaped(row: Any, longest: int) -> tuple[int, int]:
    """Width and height: the longer one is *longest*."""
    scale = longest / max(row["x"], row["y"])
    return max(1, int(row["x"] * scale)), max(1, int(row["y"] * scale))
