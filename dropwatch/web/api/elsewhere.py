"""What is below /api and nothing of it: said as the API says things. NiceGUI's pages would answer else."""

from __future__ import annotations

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.routing import Match

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


def hang_up(app: FastAPI) -> None:
    """The last of all routes below /api."""
    before = list(app.routes)

    def nothing(request: Request) -> None:
        known = [method for method in _METHODS if _answers({**request.scope, "method": method})]
        if known:
            raise HTTPException(405, "That cannot be done with it.", {"Allow": ", ".join(known)})
        raise HTTPException(404, "There is nothing at this address.")

    def _answers(scope: dict[str, object]) -> bool:
        return any(route.matches(scope)[0] is Match.FULL for route in before)

    app.add_api_route("/api/{rest:path}", nothing, methods=_METHODS, include_in_schema=False)
