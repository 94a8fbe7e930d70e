"""Places: folders that the server can see, such as a microscope's data disk. They are looked at, never changed."""

from __future__ import annotations

import time
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from dropwatch import places
from dropwatch.places import Entry
from dropwatch.places.listing import Sort
from dropwatch.status.plain import moment
from dropwatch.web.allowed import places_for
from dropwatch.web.api.errors import NotThere, documented
from dropwatch.web.entrance import asking_at
from dropwatch.web.house import House
from dropwatch.web.visitor import Visitor

MOST = 1000
_PATIENCE = 10.0  #: seconds that a search goes on

Name = Annotated[str, Path(max_length=255, description="As the configuration calls it.")]
Below = Annotated[
    str, Query(max_length=4096, description="A folder below the place, parted by /; empty: itself.")
]


class PlaceName(BaseModel):
    name: str = Field(examples=["confocal1-disk"])


class Item(BaseModel):
    """A file or folder."""

    path: str = Field(description="For `from: paths:`, as it is.")
    label: str = Field(description="Its name for people.")
    folder: bool
    size: int | None = Field(description="Bytes; none for a folder.")
    changed: str | None
    refused: str = Field(description="Why it cannot be fetched; empty when it can.")
    unfinished: bool = Field(description="Its name says that it is still being written.")


class Listing(BaseModel):
    """A part of a folder."""

    path: str
    total: int
    cut: bool = Field(description="There are so many that some are in no part.")
    entries: list[Item]


class Hits(BaseModel):
    complete: bool = Field(description="Everything was looked at.")
    entries: list[Item]


def router(house: House) -> APIRouter:
    """/places."""
    made, asking = APIRouter(prefix="/places", tags=["places"]), asking_at(house.doorkeeper)

    @made.get("", responses=documented())
    async def names(visitor: Visitor = asking) -> list[PlaceName]:
        """The places that you may submit from."""
        yours = await places_for(house.config, house.images, visitor)
        return [PlaceName(name=source.name) for source in yours]

    @made.get("/{place}", responses=documented(404, 409, 422))
    async def listing(
        place: Name,
        visitor: Visitor = asking,
        path: Below = "",
        sort: Sort = Sort.NAME,
        skip: Annotated[int, Query(ge=0, le=10**9)] = 0,
        most: Annotated[int, Query(ge=1, le=MOST)] = 200,
    ) -> Listing:
        """What lies in a folder of a place."""
        source = await place_of(house, visitor, place)
        look = partial(places.listing, source, path, start=skip, most=most, sort=sort)
        found = await house.lookout.look(source, look)
        items = [_item(entry) for entry in found.entries]
        return Listing(path=_text(found.path), total=found.total, cut=found.cut, entries=items)

    _hang_up_search(made, house)
    return made


def _hang_up_search(made: APIRouter, house: House) -> None:
    asking = asking_at(house.doorkeeper)

    @made.get("/{place}/search", responses=documented(404, 409, 422))
    async def search(
        place: Name,
        text: Annotated[str, Query(min_length=1, max_length=255)],
        visitor: Visitor = asking,
        path: Below = "",
    ) -> Hits:
        """Files and folders with *text* in their names, near ones first. It ends after some seconds."""
        end = time.monotonic() + _PATIENCE
        source = await place_of(house, visitor, place)
        look = partial(places.search, source, text, path, stopped=lambda: time.monotonic() > end)
        found = await house.lookout.look(source, look)
        return Hits(complete=found.complete, entries=[_item(entry) for entry in found.entries])


async def place_of(house: House, visitor: Visitor, name: str) -> places.Source:
    """The place *name*. Raises NotThere, also when it is not for *visitor*."""
    for source in await places_for(house.config, house.images, visitor):
        if source.name == name:
            return source
    raise NotThere("There is no such place.", remedy="GET /api/places lists yours.")


def _item(entry: Entry) -> Item:
    return Item(
        path=_text(entry.path),
        label=entry.label,
        folder=entry.is_folder,
        size=entry.size,
        changed=moment(entry.mtime),
        refused=entry.refused,
        unfinished=entry.unfinished,
    )


def _text(path: str) -> str:
    """JSON in UTF-8 has no room for bytes that are no text; what is called so cannot be named here."""
    return path.encode("utf-8", "replace").decode()
