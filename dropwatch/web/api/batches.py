"""Batches: what there is, one of them, and what a person may do to it. Each deed is one of actions.py."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
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
from dropwatch.web.listed import Wanted
from dropwatch.web.visitor import Visitor

MOST = 1000  #: batches in one answer
Name = Annotated[
    str,
    Path(max_length=255, description="Its id, the stamp of one of its tries, or what its folder is called."),
]


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
    asking = asking_at(house.doorkeeper)

    @made.get("", responses=documented(422), response_model=Batches)
    def batches(
        visitor: Visitor = asking,
        place: Annotated[PlaceName | None, Query(description="Only what lies there.")] = None,
        user: Annotated[str | None, Query(max_length=255, description="Only of this drop folder.")] = None,
        text: Annotated[
            str,
            Query(
                max_length=255, description="Only what has these words in its name, target, user or files."
            ),
        ] = "",
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
        return {"total": found.total, "batches": [plain_row(one.row) for one in found.rows]}

    @made.get("/{batch}", responses=documented(404, 409, 422), response_model=WholeBatch)
    def batch(batch: Name, visitor: Visitor = asking) -> Any:
        """One batch, with its files, images, errors, letters, and what happened so far."""
        return plain_whole(house.index.whole(one_of(house, visitor, batch)))

    text: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {}}}}

    @made.get("/{batch}/log", responses={**text, **documented(404, 409, 422)}, response_class=Response)
    def log(batch: Name, visitor: Visitor = asking) -> Response:
        """The end of its log, for who looks after dropwatch."""
        return PlainTextResponse(house.index.whole(one_of(house, visitor, batch)).log)


def _hang_up_deeds(made: APIRouter, house: House) -> None:
    asking = asking_at(house.doorkeeper)

    @made.post("/{batch}/retry", responses=documented(404, 409, 422))
    def retry(batch: Name, visitor: Visitor = asking) -> Told:
        """Try again: it goes back to the inbox, and what is missing in OMERO is imported."""
        return Told(told=actions.retry(house.config, one_of(house, visitor, batch), house.clock()).told)

    @made.post("/{batch}/cancel", responses=documented(404, 409, 422))
    def cancel(batch: Name, visitor: Visitor = asking) -> Told:
        """Stop it, also when it was only just dropped. Its files go to failed; what OMERO has of it stays there."""
        return Told(told=actions.cancel(house.config, one_of(house, visitor, batch), house.clock()))


def one_of(house: House, visitor: Visitor, wanted: str) -> Found:
    """The batch of *visitor* called *wanted*. Raises NotThere, actions.Refused (several are), Unavailable."""
    found = house.index.find(visitor, wanted) if wanted.isprintable() else []
    if not found:
        raise NotThere("There is no such batch.", remedy="GET /api/batches lists them.")
    if len(found) > 1:
        stamps = ", ".join(one.envelope.claim if one.envelope else one.path.name for one in found[:20])
        raise actions.Refused(
            f"{len(found)} batches are called so.", remedy=f"Name one by its stamp: {stamps}."
        )
    return found[0]
