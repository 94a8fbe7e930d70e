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
from dropwatch.web.api.folders import folder_of
from dropwatch.web.api.places import place_of
from dropwatch.web.entrance import asking_at
from dropwatch.web.house import House
from dropwatch.web.listed import drop_key
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
        default=None, description="Which of yours, where you have several: `user` of GET /api/me."
    )
    spool: Annotated[str, Field(max_length=4096)] | None = Field(
        default=None, description="The tree that it is in, where several have one called so."
    )

    @model_validator(mode="after")
    def _one_source(self) -> NewBatch:
        if (self.from_ is None) == (self.upload is None):
            raise ValueError("name either `from` or `upload`")
        if self.upload is not None and (self.drop_folder or self.spool):
            raise ValueError("an upload has its drop folder already")
        return self

    @property
    def wishes(self) -> Wishes:
        """What the manifest is to say, but for its files."""
        lists: tuple[Sequence[str], Mapping[str, str], Sequence[str]] = (
            self.tags,
            self.key_values,
            self.notify,
        )
        return Wishes(
            self.name, self.target, self.group, self.description, *lists, self.duplicates, self.user
        )


class Dropped(BaseModel):
    """It lies in the inbox, and is imported when its turn comes. It has no id before that; its key leads to it."""

    key: str = Field(
        description="GET /api/batches/KEY tells how it goes, also when it was taken up. From then on it has an id.",
        examples=["drop-0123456789abcdef0123"],
    )
    name: str = Field(examples=["HeLa knockdown, day 3"])
    user: str = Field(description="The drop folder.")
    path: str


def router(house: House) -> APIRouter:
    """POST /batches."""
    made, asking = APIRouter(prefix="/batches", tags=["batches"]), asking_at(house.doorkeeper)

    @made.post("", status_code=201, responses=documented(404, 409, 413, 422))
    async def make(new: NewBatch, visitor: Visitor = asking) -> Dropped:
        """Submit a batch. It is confirmed in a moment, whatever its size: the daemon fetches the files itself."""
        if new.upload is not None:
            draft = await house.lookout.work(None, partial(house.uploads.draft, visitor, new.upload))
            staging = draft.staging
            _check_whose(house.config, staging.user, new.user)
            submit = partial(house.uploads.submit, visitor, new.upload, new.wishes)
            path = await house.lookout.work(staging.spool, submit, WORKING)
            return _dropped(DropFolder(staging.spool, staging.user), path)
        assert new.from_ is not None, "the one or the other, as NewBatch checks"
        folder = folder_of(visitor, new.drop_folder, new.spool)
        place = await place_of(house, visitor, new.from_.place)
        _check_whose(house.config, folder.user, new.user)
        path = await house.lookout.work(folder.spool, partial(_drop, folder, place, new.from_.paths, new))
        return _dropped(folder, path)

    return made


def _dropped(folder: DropFolder, path: Path) -> Dropped:
    key = drop_key(folder.spool, folder.user, path.name)
    return Dropped(key=key, name=path.name, user=folder.user, path=str(path))


def _check_whose(config: Config, folder: str, owner: str | None) -> None:
    """Whether it may import for *owner*, the daemon finds out; that a person may not, is clear already."""
    if owner is not None and config.instrument(folder) is None:
        raise Refused(f"{folder} is no instrument and imports for nobody else.", remedy="Leave out `user`.")


def _drop(folder: DropFolder, place: places.Source, paths: Sequence[str], new: NewBatch) -> Path:
    wishes = {field.name: getattr(new.wishes, field.name) for field in fields(new.wishes)}
    return submit_from(place.name, paths, spool=folder.spool, user=folder.user, **wishes)
