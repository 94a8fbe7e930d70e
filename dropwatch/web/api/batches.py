"""Batches: what there is, one of them, and what a person may do to it. Each deed is one of actions.py."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel, Field

from dropwatch import actions
from dropwatch.model import Place, Verdict
from dropwatch.status import Found
from dropwatch.status.plain import plain_row, plain_whole
from dropwatch.web.api.errors import NotThere, documented
from dropwatch.web.api.shapes import Batches, PlaceName, WholeBatch
from dropwatch.web.entrance import asking_at
from dropwatch.web.house import House
from dropwatch.web.listed import Wanted, drop_key, is_drop
from dropwatch.web.visitor import Visitor

MOST = 1000  #: batches in one answer
_TOLD = 20  #: batches that are named where several are meant
_WORDS = "Only what has these words in its name, target, user or files."
_CALLED = "Its id or key, the stamp of one of its tries, or what its folder is called."


class Told(BaseModel):
    """What was done."""

    told: str = Field(
        examples=["HeLa will be cancelled within seconds. Image files that OMERO already has stay there."]
    )


def router(house: House) -> APIRouter:
    """/batches, but for making one."""
    made = APIRouter(prefix="/batches", tags=["batches"])
    _hang_up_reading(made, house)
    _hang_up_deeds(made, house)
    return made


def _hang_up_reading(made: APIRouter, house: House) -> None:
    asking, named = asking_at(house.doorkeeper), _one_at(house)

    @made.get("", responses=documented(422), response_model=Batches)
    def batches(
        visitor: Visitor = asking,
        place: Annotated[PlaceName | None, Query(description="Only what lies there.")] = None,
        user: Annotated[str | None, Query(max_length=255, description="Only of this drop folder.")] = None,
        text: Annotated[str, Query(max_length=255, description=_WORDS)] = "",
        verdict: Annotated[
            Literal["imported", "partial", "failed", "cancelled"] | None,
            Query(description="Only what ended so."),
        ] = None,
        skip: Annotated[int, Query(ge=0, le=10**9, description="So many of the newest are left out.")] = 0,
        most: Annotated[int, Query(ge=1, le=MOST, description="Not more than so many.")] = 100,
    ) -> Any:
        """Your batches, the newest first; an admin gets everybody's."""
        there, ended = Place(place) if place else None, Verdict(verdict) if verdict else None
        wanted = Wanted(text, place=there, verdict=ended, user=user or "")
        found = house.index.select(visitor, wanted, skip, most)
        return {
            "total": found.total,
            "batches": [{**plain_row(one.row), "key": one.key} for one in found.rows],
        }

    @made.get("/{batch}", responses=documented(404, 409, 422), response_model=WholeBatch)
    def batch(found: Found = named) -> Any:
        """One batch, with its files, images, errors, letters, and what happened so far."""
        return {**plain_whole(house.index.whole(found)), "key": _key(found)}

    text: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {}}}}

    @made.get("/{batch}/log", responses={**text, **documented(404, 409, 422)}, response_class=Response)
    def log(found: Found = named) -> Response:
        """The end of its log, for who looks after dropwatch."""
        return PlainTextResponse(house.index.whole(found).log)


def _hang_up_deeds(made: APIRouter, house: House) -> None:
    named = _one_at(house)

    @made.post("/{batch}/retry", responses=documented(404, 409, 422))
    def retry(found: Found = named) -> Told:
        """Try again: it goes back to the inbox, and what is missing in OMERO is imported."""
        return Told(told=actions.retry(house.config, found, house.clock()).told)

    @made.post("/{batch}/cancel", responses=documented(404, 409, 422))
    def cancel(found: Found = named) -> Told:
        """Stop it, also when it was only just dropped. Its files go to failed; what OMERO has of it stays there."""
        return Told(told=actions.cancel(house.config, found, house.clock()))


def _one_at(house: House) -> Any:
    """The batch that a route is about, as its parameter `found`."""
    asking = asking_at(house.doorkeeper)

    def one(
        batch: Annotated[str, Path(max_length=255, description=_CALLED)], visitor: Visitor = asking
    ) -> Found:
        found = _called(house, visitor, batch)
        if not found:
            raise NotThere("There is no such batch.", remedy="GET /api/batches lists them.")
        if len(found) > 1:
            keys = ", ".join(f"{_key(one)} ({one.user}, {one.place.value})" for one in found[-_TOLD:])
            raise actions.Refused(
                f"{len(found)} batches are called so.", remedy=f"Name one by its key: {keys}."
            )
        return found[0]

    return Depends(one)


def _called(house: House, visitor: Visitor, wanted: str) -> list[Found]:
    """The batches of *visitor* that *wanted* may mean. Raises Unavailable."""
    if not is_drop(wanted):
        return house.index.find(visitor, wanted) if wanted.isprintable() else []
    for _ in range(2):  # it may be taken up between the two looks
        listed = house.index.lookup(visitor, wanted)
        found = house.index.found(listed) if listed else None
        if found:
            return [found]
    return []


def _key(found: Found) -> str:
    """What leads to it alone."""
    if found.envelope is not None and found.envelope.claim:
        return found.envelope.claim
    name = found.dropped.name if found.dropped else found.path.name
    return drop_key(found.spool.root, found.user, name)
