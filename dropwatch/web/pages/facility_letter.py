"""One letter of the outbox, for admins: to whom, how it stands, and its words. Shown as text, never as HTML."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import Response
from nicegui import ui

from dropwatch.outbox import Letter, Outbox, Shelf
from dropwatch.report import count, moment
from dropwatch.report.words import clean_lines
from dropwatch.web.entrance import nothing_here
from dropwatch.web.frame import frame
from dropwatch.web.house import House
from dropwatch.web.pages.facility_desk import Desk
from dropwatch.web.pages.facility_parts import LOOKS
from dropwatch.web.pieces import Say, button, card, fact, facts
from dropwatch.web.visitor import Visitor

_STANDS = {Shelf.QUEUED: "waits to be sent", Shelf.SENT: "sent", Shelf.DEAD: "could not be delivered"}


def register(house: House, asking: Any) -> None:
    """Hang up /facility/letters/ID. *asking*: lets admins in only."""

    @ui.page("/facility/letters/{name}")
    async def letter(name: str, visitor: Visitor = asking) -> Response | None:
        found = await asyncio.to_thread(_find, house.outbox, name)
        if found is None:
            return nothing_here(house.config)
        shelf, one = found
        ui.add_head_html(LOOKS)
        with frame(house, visitor, one.subject or "A file that is no letter", "/facility") as head:
            _show(one, shelf, house.config.site.timezone)

        async def back() -> None:
            ui.navigate.to("/facility")

        if shelf is not Shelf.SENT:
            with head:
                button(
                    "Send again", lambda: Desk(house, head, back).send_again(one.id), sign="forward_to_inbox"
                )
        return None


def _find(outbox: Outbox | None, name: str) -> tuple[Shelf, Letter] | None:
    found = outbox.find(name) if outbox else None
    return None if outbox is None or found is None else (outbox.where(name) or Shelf.DEAD, found)


def _show(letter: Letter, shelf: Shelf, zone: str) -> None:
    with card(), facts():
        fact("To", letter.to or "nobody")
        fact("State", f"{_STANDS[shelf]}, {count(letter.attempts, 'attempt')}")
        if letter.created:
            fact("Written", moment(letter.created, zone))
        if letter.user:
            fact("User", letter.user)
        if letter.error:
            fact("Error", letter.error)
    if letter.text:
        with card("pre", "dw-letter"):
            Say("span", "").set_text("\n".join(clean_lines(letter.text)))
