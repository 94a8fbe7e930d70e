"""A new batch: of files that the daemon fetches from a place, or of those that were uploaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, model_validator

from dropwatch import places
from dropwatch.actions import Refused
from dropwatch.config import Config
from dropwatch.spool.submit import Wishes, submit_from
from dropwatch.web.api.errors import documented
from dropwatch.web.api.places import place_of
from dropwatch.web.entrance import asking_at
from dropwatch.web.house import House
from dropwatch.web.lookout import WORKING
from dropwatch.web.visitor import DropFolder, Visitor

_Line = Annotated[str, Field(max_length=1000)]


class From(BaseModel):
    """Files and folders of a place, which the daemon fetches."""

    model_config = ConfigDict(extra="forbid")

    place: Annotated[str, Field(max_length=255, examples=["confocal1-disk"])]
    paths: Annotated[
        list[Annotated[str, Field(max_length=4096)]],
        Field(
            min_length=1, max_length=10_000, description="Below the place.", examples=[["2026-11-24/run7"]]
        ),
    ]


class NewBatch(BaseModel):
    """The keys of a manifest. Either `from` or `upload` says what is in it; the others may be left out."""

    model_config = ConfigDict(extra="forbid")

    from_: From | None = Field(default=None, alias="from")
    upload: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="An upload that is complete: `draft` of /api/uploads."
    )
    name: _Line | None = Field(default=None, examples=["HeLa knockdown, day 3"])
    target: _Line | None = Field(default=None, examples=["Project:HeLa/Dataset:day 3"])
    group: _Line | None = Field(default=None, examples=["imaging-lab"])
    description: Annotated[str, Field(max_length=100_000)] = ""
    tags: Annotated[list[_Line], Field(max_length=1000, examples=[["confocal", "day3"]])] = []
    key_values: Annotated[dict[str, str], Field(max_length=1000, examples=[{"objective": "63x"}])] = {}
    notify: Annotated[list[_Line], Field(max_length=100, examples=[["pi@example.org"]])] = []
    duplicates: Literal["skip", "import"] | None = None
    user: _Line | None = Field(
        default=None, description="For instruments only: whose batch this is.", examples=["alice"]
    )
    drop_folder: Annotated[str, Field(max_length=255)] | None = Field(
        default=None, description="Which of yours, where you have several."
    )

    @model_validator(mode="after")
    def _one_source(self) -> NewBatch:
        if (self.from_ is None) == (self.upload is None):
            raise ValueError("name either `from` or `upload`")
        if self.upload is not None and (self.user or self.drop_folder):
            raise ValueError("an upload has its drop folder already, and is for nobody else")
        return self

    @property
    def wishes(self) -> Wishes:
        """What the manifest is to say, but for its files."""
        lists: tuple[Sequence[str], Mapping[str, str], Sequence[str]] = (
            self.tags,
            self.key_values,
            self.notify,
        )
        return Wishes(self.name, self.target, self.group, self.description, *lists, self.duplicates)


class Dropped(BaseModel):
    """It lies in the inbox, and is imported when its turn comes. It has no id before that; its name leads to it."""

    name: str = Field(
        description="GET /api/batches/NAME tells how it goes.", examples=["HeLa knockdown, day 3"]
    )
    user: str = Field(description="The drop folder.")
    path: str


def router(house: House) -> APIRouter:
    """POST /batches."""
    made, asking = APIRouter(prefix="/batches", tags=["batches"]), asking_at(house.doorkeeper)

    @made.post("", status_code=201, responses=documented(404, 409, 413, 422))
    async def submit(new: NewBatch, visitor: Visitor = asking) -> Dropped:
        """Submit a batch. It is confirmed in a moment, whatever its size: the daemon fetches the files itself."""
        if new.upload is not None:
            draft = await house.lookout.work(None, partial(house.uploads.draft, visitor, new.upload))
            path = await house.lookout.work(
                draft.staging.spool, partial(house.uploads.submit, visitor, new.upload, new.wishes), WORKING
            )
            return Dropped(name=path.name, user=draft.staging.user, path=str(path))
        assert new.from_ is not None, "the one or the other, as NewBatch checks"
        folder = _folder(visitor, new.drop_folder)
        place = await place_of(house, visitor, new.from_.place)
        _check_whose(house.config, folder, new.user)
        path = await house.lookout.work(folder.spool, partial(_drop, folder, place, new.from_.paths, new))
        return Dropped(name=path.name, user=folder.user, path=str(path))

    return made


def _folder(visitor: Visitor, named: str | None) -> DropFolder:
    """Raises Refused when it is not one of theirs, or not clear which."""
    fitting = [folder for folder in visitor.folders if named in (None, folder.user)]
    if len(fitting) == 1:
        return fitting[0]
    if not visitor.folders:
        raise Refused(
            f"{visitor.name} has no drop folder.", remedy="Ask the people who look after dropwatch."
        )
    mine = ", ".join(folder.user for folder in visitor.folders)
    raise Refused("It is not clear which drop folder is meant.", remedy=f"Name one in drop_folder: {mine}.")


def _check_whose(config: Config, folder: DropFolder, owner: str | None) -> None:
    """Whether it may import for *owner*, the daemon finds out; that a person may not, is clear already."""
    if owner is not None and config.instrument(folder.user) is None:
        raise Refused(
            f"{folder.user} is no instrument and imports for nobody else.", remedy="Leave out `user`."
        )


def _drop(folder: DropFolder, place: places.Source, paths: Sequence[str], new: NewBatch) -> Path:
    wishes = {field.name: getattr(new.wishes, field.name) for field in fields(new.wishes)}
    return submit_from(place.name, paths, spool=folder.spool, user=folder.user, owner=new.user, **wishes)
