"""The facility, for admins: how everything is, what needs somebody, and the few things an admin may do. Live."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

from nicegui import ui

from dropwatch.errors import Unavailable
from dropwatch.web.entrance import admin_at
from dropwatch.web.frame import frame
from dropwatch.web.house import House
from dropwatch.web.overview import overview
from dropwatch.web.pages import facility_letter
from dropwatch.web.pages.facility_desk import Desk
from dropwatch.web.pages.facility_parts import LOOKS
from dropwatch.web.pages.facility_sheet import Sheet
from dropwatch.web.visitor import Visitor

REFRESH = 2.0  #: seconds
FIRST = 2.0  #: seconds that the page waits for what it shows: a disk may hang


def register(house: House) -> None:
    """Hang up /facility, and its letters."""
    asking = admin_at(house.doorkeeper)
    facility_letter.register(house, asking)

    @ui.page("/facility")
    async def facility(visitor: Visitor = asking) -> None:
        ui.add_head_html(LOOKS)
        with frame(house, visitor, "Facility", "/facility") as head:

            async def look() -> None:
                see = partial(overview, house.config, house.shares, house.outbox, house.clock())
                with suppress(
                    Unavailable
                ):  # a disk hangs from this moment on; the next look knows, and says so
                    sheet.show(await house.lookout.work(None, see))

            sheet = Sheet(head, house.config.site.timezone, Desk(house, head, look))
            await asyncio.wait({asyncio.create_task(look())}, timeout=FIRST)
            ui.timer(REFRESH, look, immediate=False)
