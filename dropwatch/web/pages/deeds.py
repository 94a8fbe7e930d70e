"""What people do to a batch on a page, and the sentence that comes of it. actions.py does it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from dropwatch import actions
from dropwatch.errors import DropwatchError
from dropwatch.status import Found
from dropwatch.web.house import House
from dropwatch.web.listed import Listed
from dropwatch.web.pieces import Tone, confirm, tell

Deed = Callable[[House, Listed], Awaitable[None]]


async def retry(house: House, one: Listed) -> None:
    """Try it again, and say what came of it."""
    await _do(house, one, lambda found: actions.retry(house.config, found, house.clock()).told)


async def cancel(house: House, one: Listed) -> None:
    """Stop it, if that is really wanted, and say what came of it."""
    if await confirm(
        f"Stop importing {one.row.name}?",
        "Image files that OMERO already has stay there. The files you dropped stay as they are; the rest can be"
        " imported later.",
        yes="Stop the import",
        no="Go on importing",
        danger=True,
    ):
        await _do(house, one, lambda found: actions.cancel(house.config, found, house.clock()))


async def withdraw(house: House, one: Listed) -> None:
    """Take a batch that waits to be tried again back to where it was, and say so."""
    await _do(house, one, lambda found: actions.cancel(house.config, found, house.clock()))


async def _do(house: House, one: Listed, deed: Callable[[Found], str]) -> None:
    try:
        told = await asyncio.to_thread(_found_and, house, one, deed)
    except DropwatchError as err:
        tell(f"{err.message} {err.remedy}".strip(), Tone.BAD)
    except OSError as err:
        tell(f"The folder cannot be moved: {err.strerror or err}. Ask {house.config.site.contact}.", Tone.BAD)
    else:
        tell(told, Tone.GOOD)


def _found_and(house: House, one: Listed, deed: Callable[[Found], str]) -> str:
    found = house.index.found(one)
    if found is None:
        raise actions.Refused(f"{one.row.name} has moved on meanwhile: look at it again.")
    return deed(found)
