"""My batches: what lies where and why, live, newest first."""

from __future__ import annotations

import asyncio

from nicegui import ui

from dropwatch.report import clean
from dropwatch.web.entrance import asking_at
from dropwatch.web.frame import frame
from dropwatch.web.house import House
from dropwatch.web.visitor import Visitor


def register(house: House) -> None:
    """Hang up /."""
    asking = asking_at(house.doorkeeper)

    @ui.page("/")
    async def batches(visitor: Visitor = asking) -> None:
        with frame(house, visitor, "My batches", "/"):

            @ui.refreshable
            async def listed() -> None:
                for row in await asyncio.to_thread(house.index.rows, visitor):
                    ui.label(f"{row.name}: {clean(row.reason)}")

            await listed()
            ui.timer(2.0, listed.refresh)
