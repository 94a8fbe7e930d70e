"""My batches: what lies where and why, live, newest first."""

from __future__ import annotations

import asyncio

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from nicegui import ui

from dropwatch.report import clean
from dropwatch.web.doorkeeper import COOKIE
from dropwatch.web.frame import frame
from dropwatch.web.house import House


def register(house: House) -> None:
    """Hang up /."""

    @ui.page("/")
    async def batches(request: Request) -> Response | None:
        visitor = house.doorkeeper.visitor(request.cookies.get(COOKIE))
        if visitor is None:
            return RedirectResponse("/sign-in", 303)
        with frame(house, visitor, "My batches", "/"):

            @ui.refreshable
            async def listed() -> None:
                for row in await asyncio.to_thread(house.index.rows, visitor):
                    ui.label(f"{row.name}: {clean(row.reason)}")

            await listed()
            ui.timer(2.0, listed.refresh)
        return None
