"""What people do to a batch on a page, and the sentence that comes of it. actions.py does it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from dropwatch import actions
from dropwatch.errors import DropwatchError
from dropwatch.report import site_of
from dropwatch.status import Found
from dropwatch.web.house import House
from dropwatch.web.listed import Listed
from dropwatch.web.pieces import Tone, confirm, tell

Deed = Callable[[House, Listed], Awaitable[None]]


async def retry(house: House, one: Listed) -> None:
    """Try it again, and say what came of it."""
    await _do(house, one, lambda found: actions.retry(house.config, found, house.clock()).told)


async def again(house: House, one: Listed) -> None:
    """Submit what is done once more, if that is really wanted, and say what came of it."""
    if await confirm(
        f"Submit {one.row.name} again?",
        f"What {site_of(house.config).store} has of it stays as it is, and is not imported a second time. Files that"
        " you added to the folder or replaced since are imported.",
        yes="Submit again",
    ):
        await retry(house, one)


async def forgo(house: House, one: Listed) -> None:
    """Take back what was only just dropped, if that is really wanted, and say what came of it."""
    if await confirm(
        f"Do not import {one.row.name}?",
        "Nothing of it is imported. The files you dropped stay as they are; you find them in the folder failed of"
        " your drop folder, and can have them imported later.",
        yes="Do not import",
        danger=True,
    ):
        await withdraw(house, one)


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
        await withdraw(house, one)


async def withdraw(house: House, one: Listed) -> None:
    """Cancel it without a question: a batch that waits to be tried again goes back to where it was. Say so."""
    await _do(house, one, lambda found: actions.cancel(house.config, found, house.clock()))


class Hand:
    """Does one deed at a time for a batch on a page: a second click on the same button means nothing."""

    def __init__(self, house: House) -> None:
        self._house, self._busy = house, False

    async def do(self, deed: Deed, one: Listed) -> bool:
        """Do it, and wait until the pages know what came of it. False: another one is under way."""
        if self._busy:
            return False
        self._busy = True
        try:
            await deed(self._house, one)
            await asyncio.to_thread(self._house.index.fresh, 0.0)
        finally:
            self._busy = False
        return True


async def _do(house: House, one: Listed, deed: Callable[[Found], str]) -> None:
    try:
        told = await house.lookout.work(one.spool, partial(_found_and, house, one, deed))
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
