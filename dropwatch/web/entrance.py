"""How a page, an API route or an upload learns who asks. There is no other way.

A route takes `visitor: Visitor = asking`, where `asking = asking_at(house.doorkeeper)`. Who did not come in never
reaches the route: a browser is led to the sign-in page, a program gets 401.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from dropwatch.errors import DropwatchError
from dropwatch.web.doorkeeper import COOKIE, Doorkeeper
from dropwatch.web.visitor import Visitor

SIGN_IN = "/sign-in"
PROGRAMS = ("/api/", "/uploads")  #: below these paths nobody is led to a page


class NotSignedIn(DropwatchError):
    """Nobody whom we know asks."""


def visitor_of(doorkeeper: Doorkeeper, request: Request) -> Visitor:
    """Who asks. Raises NotSignedIn, Unavailable (a spool is away)."""
    visitor = doorkeeper.visitor(request.cookies.get(COOKIE))
    if visitor is None:
        raise NotSignedIn("You are not signed in.", remedy="Sign in first.")
    return visitor


def asking_at(doorkeeper: Doorkeeper) -> Any:
    """The default value of a route's parameter `visitor`."""

    def ask(request: Request) -> Visitor:
        return visitor_of(doorkeeper, request)

    return Depends(ask)


def lead_strangers(app: FastAPI) -> None:
    """Let *app* send those who did not sign in where they can."""
    app.add_exception_handler(NotSignedIn, _turn_away)


def _turn_away(request: Request, error: Exception) -> Response:
    assert isinstance(error, NotSignedIn), "registered for it alone"
    if request.url.path.startswith(PROGRAMS):
        return JSONResponse({"detail": error.message, "remedy": error.remedy}, 401)
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(SIGN_IN if asked == "/" else f"{SIGN_IN}?next={quote(asked, safe='/')}", 303)
