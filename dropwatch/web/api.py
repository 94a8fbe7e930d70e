"""The JSON API: what the pages can do, for programs. /docs shows it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Request

from dropwatch.status.plain import plain_row
from dropwatch.web.doorkeeper import COOKIE
from dropwatch.web.house import House
from dropwatch.web.visitor import Visitor


def router(house: House) -> APIRouter:
    """All of it."""
    made = APIRouter()

    @made.get("/batches")
    def batches(request: Request) -> list[dict[str, Any]]:
        """Your batches, newest first."""
        return [plain_row(row) for row in house.index.rows(_asking(house, request))]

    return made


def _asking(house: House, request: Request) -> Visitor:
    visitor = house.doorkeeper.visitor(request.cookies.get(COOKIE))
    if visitor is None:
        raise HTTPException(401, "Sign in first.")
    return visitor
