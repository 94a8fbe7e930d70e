"""The JSON API: what the pages can do, for programs. /docs shows it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from dropwatch.status.plain import plain_row
from dropwatch.web.entrance import asking_at
from dropwatch.web.house import House
from dropwatch.web.visitor import Visitor


def router(house: House) -> APIRouter:
    """All of it."""
    made, asking = APIRouter(), asking_at(house.doorkeeper)

    @made.get("/batches")
    def batches(visitor: Visitor = asking) -> list[dict[str, Any]]:
        """Your batches, newest first."""
        return [plain_row(row) for row in house.index.rows(visitor)]

    return made
