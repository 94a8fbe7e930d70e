"""What would be imported of files in a place, or of an upload, before anything is submitted."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from dropwatch import actions
from dropwatch.model import Fileset, Preview, Refused
from dropwatch.report import clean
from dropwatch.web.api.errors import documented
from dropwatch.web.api.places import Name, place_of
from dropwatch.web.entrance import asking_at
from dropwatch.web.house import House
from dropwatch.web.visitor import Visitor

_PATHS = 1_000
_TOLD = 1_000  #: entries of each list; who chose more has the numbers


class Wanted(BaseModel):
    """Files and folders of a place."""

    paths: list[Annotated[str, Field(max_length=4096)]] = Field(
        min_length=1, max_length=_PATHS, description="As GET /api/places/{place} has them."
    )


class ImageFile(BaseModel):
    """Files that form one import."""

    name: str = Field(description="The file that opens it.")
    files: int
    bytes: int
    format: str = Field(description="As Bio-Formats calls it; empty when only its name was looked at.")
    images: int = Field(description="0: not known.")
    plate: bool = Field(description="It goes to a screen.")


class No(BaseModel):
    """What would not be imported."""

    name: str
    reason: str
    remedy: str


class Said(BaseModel):
    """What would be imported. Each list has 1,000 entries at most; the numbers are of all."""

    by: str = Field(description="Who looked; empty when there were only names to go by.")
    files: int = Field(description="All that was chosen.")
    bytes: int
    images: int
    plates: int
    unlooked: int = Field(
        description="Files that nobody looked at: there were too many, or it took too long."
    )
    image_files: list[ImageFile]
    refused: list[No]
    aside: list[str] = Field(description="No images: they would be left aside.")
    unfinished: list[str] = Field(description="Still being written, by their names: a batch waits for them.")


def router(house: House) -> APIRouter:
    """/places/{place}/preview and /uploads/{draft}/preview."""
    made, asking = APIRouter(), asking_at(house.doorkeeper)

    @made.post("/uploads/{draft}/preview", tags=["uploads"], responses=documented(404, 409, 422))
    async def preview_upload(draft: str, visitor: Visitor = asking) -> Said:
        """What Bio-Formats says of the files of an upload that are here. It may take a minute and a half."""
        found = await house.lookout.work(None, partial(house.uploads.draft, visitor, draft))
        whole = [staged.path for staged in found.files() if staged.whole]
        if not whole:
            raise actions.Refused("No file of it is here yet.", remedy="Upload one, then ask again.")
        return _said(await house.previews.preview("your files", found.staging.files, whole))

    @made.post("/places/{place}/preview", tags=["places"], responses=documented(404, 409, 422))
    async def preview(place: Name, wanted: Wanted, visitor: Visitor = asking) -> Said:
        """What Bio-Formats says of these files. It may take a minute and a half; nothing is changed or submitted."""
        source = await place_of(house, visitor, place)
        return _said(await house.previews.preview(source.name, source.path, wanted.paths))

    return made


def _said(preview: Preview) -> Said:
    return Said(
        by=preview.by,
        files=preview.files,
        bytes=preview.bytes,
        images=preview.images,
        plates=preview.plates,
        unlooked=preview.unlooked,
        image_files=[_image_file(one) for one in preview.filesets[:_TOLD]],
        refused=[_no(one) for one in preview.refused[:_TOLD]],
        aside=[clean(path) for path in preview.aside[:_TOLD]],
        unfinished=[clean(path) for path in preview.unfinished[:_TOLD]],
    )


def _image_file(one: Fileset) -> ImageFile:
    return ImageFile(
        name=clean(one.name),
        files=len(one.files),
        bytes=one.bytes,
        format=clean(one.format),
        images=one.series,
        plate=one.plate,
    )


def _no(one: Refused) -> No:
    return No(name=clean(one.name), reason=clean(one.reason), remedy=clean(one.remedy))
