"""Does what an admin asks for on the page about the facility, after asking back. Every deed is one of actions.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from dropwatch import actions
from dropwatch.errors import DropwatchError
from dropwatch.report import clean
from dropwatch.web.house import House
from dropwatch.web.pieces import confirm

_EVERYTHING = (
    "What is being imported is finished; nothing else begins until you release it. Dropping goes on."
)
_ONE = "What is being imported is finished; nothing else of theirs begins until then. Dropping goes on."


class Desk:
    """The deeds of an admin.

    home  -- stays on the page, whatever is drawn anew around it: questions and answers hang there
    after -- shows how things are then
    """

    def __init__(self, house: House, home: ui.element, after: Callable[[], Awaitable[object]]) -> None:
        self._house, self._home, self._after = house, home, after

    async def hold(self, user: str | None) -> None:
        """Begin nothing more of *user*, or (None) of anybody."""
        who, text = (f"the batches of {user}", _ONE) if user else ("everything", _EVERYTHING)
        with self._home:
            if await confirm(f"Hold {who}?", text, yes="Hold"):
                await self._do(lambda: self._held(user))

    async def release(self, user: str | None) -> None:
        """End a hold."""
        who = f"the batches of {user}" if user else "everything"
        with self._home:
            if await confirm(f"Release {who}?", "What waits goes on within seconds.", yes="Release"):
                await self._do(lambda: self._released(user))

    async def send_again(self, letter: str | None) -> None:
        """Send a letter, or (None) every one that waits or was given up, once more."""
        outbox = self._house.outbox
        if outbox is not None:
            with self._home:
                await self._do(
                    lambda: actions.send_again(self._house.config, outbox, letter, self._house.clock())
                )

    def _held(self, user: str | None) -> str:
        actions.hold(self._house.config, user)
        return f"On hold: {user or 'everything'}."

    def _released(self, user: str | None) -> str:
        actions.release(self._house.config, user)
        return f"Released: {user or 'everything'}."

    async def _do(self, deed: Callable[[], str]) -> None:
        try:
            told = await self._house.lookout.work(None, deed)
        except DropwatchError as err:
            ui.notify(clean(str(err)), type="warning", multi_line=True)
        except OSError as err:
            ui.notify(
                f"It could not be done: {clean(err.strerror or str(err))}.", type="negative", multi_line=True
            )
        else:
            ui.notify(clean(told), type="positive", multi_line=True)
        await self._after()
