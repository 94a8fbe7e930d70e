"""Tokens for programs. They are made and revoked in person; a token can do neither."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from dropwatch.status.plain import moment
from dropwatch.web.api.errors import Forbidden, NotThere, documented
from dropwatch.web.entrance import asking_in_person_at
from dropwatch.web.house import House
from dropwatch.web.tokens import Token
from dropwatch.web.visitor import Visitor

_DAY = 86400.0


class NewToken(BaseModel):
    """What it is for."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[
        str,
        Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$", examples=["ZEN at confocal 1"]),
    ]
    days: Annotated[int, Field(ge=1, le=3650)] | None = Field(
        default=None, description="How long; else for ever."
    )
    user: Annotated[str, Field(min_length=1, max_length=255)] | None = Field(
        default=None,
        description="For whom: an admin may make one for an instrument or somebody else.",
        examples=["confocal1"],
    )
    admin: bool = Field(
        default=False, description="It may do what an admin may. Only an admin can make such."
    )


class KnownToken(BaseModel):
    """A token, without what is secret about it."""

    id: str
    name: str
    user: str
    admin: bool
    created: str
    expires: str | None
    used: str | None = Field(description="When it was last used, to the minute.")


class MadeToken(KnownToken):
    """A new token: `token` is shown this once."""

    token: str = Field(description="Send it as `Authorization: Bearer TOKEN`.")


def router(house: House) -> APIRouter:
    """/tokens."""
    made, asking = APIRouter(prefix="/tokens", tags=["tokens"]), asking_in_person_at(house.doorkeeper)
    tokens = house.doorkeeper.tokens

    @made.get("", responses=documented())
    def yours(visitor: Visitor = asking) -> list[KnownToken]:
        """Your tokens; an admin gets everybody's."""
        return [_known(token) for token in tokens.all() if _is_theirs(token, visitor)]

    @made.post("", status_code=201, responses=documented(422))
    def make(new: NewToken, visitor: Visitor = asking) -> MadeToken:
        """Make a token for a program."""
        owner = new.user or visitor.name
        if (owner != visitor.name or new.admin) and not visitor.admin:
            raise Forbidden("Only an admin makes tokens for others, or for admins.")
        expires = house.clock() + new.days * _DAY if new.days else None
        secret, token = tokens.make(owner, new.name, admin=new.admin, expires=expires)
        return MadeToken(token=secret, **_known(token).model_dump())

    @made.delete("/{id}", status_code=204, responses=documented(404, 422))
    def revoke(id: Annotated[str, Path(max_length=64)], visitor: Visitor = asking) -> None:
        """From now on it is worth nothing."""
        found = [token for token in tokens.all() if token.id == id and _is_theirs(token, visitor)]
        if not found:
            raise NotThere("There is no such token.", remedy="GET /api/tokens lists yours.")
        tokens.revoke(found[0])

    return made


def _is_theirs(token: Token, visitor: Visitor) -> bool:
    return visitor.admin or token.owner == visitor.name


def _known(token: Token) -> KnownToken:
    return KnownToken(
        id=token.id,
        name=token.name,
        user=token.owner,
        admin=token.admin,
        created=moment(token.created) or "",
        expires=moment(token.expires),
        used=moment(token.used),
    )
