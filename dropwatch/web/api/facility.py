"""What an admin sees and does: outages, the queue, workers, disks, letters, holds."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field

from dropwatch import actions
from dropwatch.config import Config
from dropwatch.errors import Unavailable
from dropwatch.outbox import Outbox, Shelf
from dropwatch.status.plain import moment, plain_letter, plain_status
from dropwatch.web.api.batches import Told
from dropwatch.web.api.errors import Forbidden, NotThere, documented
from dropwatch.web.api.shapes import Letter, Shape
from dropwatch.web.entrance import asking_at
from dropwatch.web.house import House
from dropwatch.web.overview import overview
from dropwatch.web.shares import Shares
from dropwatch.web.visitor import Visitor

_Id = Annotated[str, Path(max_length=255)]


class Outage(Shape):
    """Something that is left alone for a while, and why."""

    since: str | None
    until: str | None
    times: int
    reason: str
    remedy: str
    operator: bool = Field(description="An admin has to act.")


class Disk(BaseModel):
    path: str
    total: int | None = Field(description="Bytes; none when it does not answer.")
    free: int | None
    floor: int | None = Field(description="Nothing more is taken up below this.")


class Facility(BaseModel):
    """How things stand."""

    running: bool = Field(description="Whether the daemon works now.")
    holds: list[str] = Field(description="Users on hold; * is everybody.")
    daemon: dict[str, Any] = Field(description="What the daemon said of itself last, its workers among it.")
    targets: dict[str, Outage] = Field(description="Outages.")
    outbox: dict[str, int] = Field(description="Letters by shelf.")
    disks: list[Disk]


class Person(BaseModel):
    """A drop folder, and whose it is."""

    user: str
    owner: str = Field(description="Their name in OMERO; empty for an instrument.")
    address: str = Field(description="Where their mail goes; empty when that is not known yet.")
    waiting: int = Field(description="Batches in the inbox.")
    importing: int
    attention: int = Field(description="Batches in failed.")
    done: int
    last: str | None = Field(description="When their newest batch was dropped or taken up.")
    held: bool


class LetterText(Letter):
    text: str


class Whom(BaseModel):
    """Of whom."""

    model_config = ConfigDict(extra="forbid")

    user: Annotated[str, Field(max_length=255)] | None = Field(default=None, description="Else everybody.")


def router(house: House) -> APIRouter:
    """/facility."""
    made = APIRouter(prefix="/facility", tags=["facility"], dependencies=[_admins_only(house)])
    _hang_up_sight(made, house)
    _hang_up_letters(made, house)
    return made


def _admins_only(house: House) -> Any:
    asking = asking_at(house.doorkeeper)

    def check(visitor: Visitor = asking) -> None:
        if not visitor.admin:
            raise Forbidden("Only an admin may see this.")

    return Depends(check)


def _hang_up_sight(made: APIRouter, house: House) -> None:
    @made.get("", responses=documented())
    def facility() -> Facility:
        """Outages, workers, disks, holds."""
        status = house.index.status()
        told = plain_status(status)
        return Facility(
            running=status.running,
            holds=list(status.holds),
            daemon=told["daemon"],
            targets=told["targets"],
            outbox=told["outbox"],
            disks=_disks(house.config, house.shares),
        )

    @made.get("/users", responses=documented())
    def users() -> list[Person]:
        """Everybody with a drop folder, and how many batches they have where."""
        seen = overview(house.config, house.shares, house.outbox, house.clock())
        return [Person(**{**asdict(one), "last": moment(one.last)}) for one in seen.people]

    @made.post("/hold", responses=documented(409, 422))
    def hold(whom: Whom) -> Told:
        """Begin nothing more, of one user or of everybody; what runs is finished."""
        actions.hold(house.config, whom.user)
        return Told(told=" ".join(actions.tell_holds(house.config, house.clock())))

    @made.post("/release", responses=documented(409, 422))
    def release(whom: Whom) -> Told:
        """End a hold."""
        actions.release(house.config, whom.user)
        return Told(told=" ".join(actions.tell_holds(house.config, house.clock())))


def _hang_up_letters(made: APIRouter, house: House) -> None:
    def outbox() -> Outbox:
        if house.outbox is None:
            raise NotThere("No mail is sent: mail is switched off in the configuration.")
        return house.outbox

    @made.get("/letters", responses=documented(404, 422), response_model=list[Letter])
    def letters(shelf: Literal["queued", "dead"] = "dead") -> Any:
        """Letters that wait to be sent (queued), or that were given up (dead)."""
        box, kind = outbox(), Shelf(shelf)
        there = box.queued() if kind is Shelf.QUEUED else box.dead()
        return [plain_letter(letter, kind) for letter in there]

    @made.get("/letters/{letter}", responses=documented(404, 422), response_model=LetterText)
    def letter(letter: _Id) -> Any:
        """One letter, with its text."""
        box = outbox()
        found = box.find(letter) if letter.isprintable() else None
        if found is None:
            raise NotThere("There is no such letter.", remedy="GET /api/facility/letters lists them.")
        return {**plain_letter(found, box.where(letter) or Shelf.DEAD), "text": found.text}

    @made.post("/letters/send", responses=documented(404))
    def send_all() -> Told:
        """Try to send every letter again that waits or was given up, with a fresh schedule."""
        return Told(told=actions.send_again(house.config, outbox(), None, house.clock()))

    @made.post("/letters/{letter}/send", responses=documented(404, 422))
    def send(letter: _Id) -> Told:
        """Try to send a letter again, with a fresh schedule."""
        try:
            return Told(told=actions.send_again(house.config, outbox(), letter, house.clock()))
        except actions.Refused:
            raise NotThere(
                "No such letter waits or was given up.", remedy="GET /api/facility/letters lists them."
            ) from None


def _disks(config: Config, shares: Shares) -> list[Disk]:
    """The file systems of state and spools."""
    found = []
    for path in dict.fromkeys((config.state, *(spool.path for spool in config.spools))):
        try:
            if path != config.state:
                shares.spool(path).check_present()
            usage = shutil.disk_usage(path)
        except (Unavailable, OSError):
            found.append(Disk(path=str(path), total=None, free=None, floor=None))
        else:
            floor = config.limits.min_free.of(usage.total)
            found.append(Disk(path=str(path), total=usage.total, free=usage.free, floor=floor))
    return found
