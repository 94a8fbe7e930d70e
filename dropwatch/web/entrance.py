"""How a page, an API route or an upload learns who asks. There is no other way.

A route takes `visitor: Visitor = asking`, where `asking = asking_at(house.doorkeeper)`. Who did not come in never
reaches the route: a browser is led to the sign-in page, a program gets 401.
"""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import quote

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from dropwatch.config import Config
from dropwatch.errors import DropwatchError, PermanentError, Unavailable
from dropwatch.web import plain
from dropwatch.web.doorkeeper import Doorkeeper
from dropwatch.web.visitor import Visitor

SIGN_IN = "/sign-in"
SIGN_OUT = "/sign-out"
_PROGRAMS = ("/api/", "/uploads")  #: below these paths nobody is led to a page


class NotSignedIn(DropwatchError):
    """Nobody whom we know asks."""


class NoDropFolder(DropwatchError):
    """Somebody asks who signed in, and has nothing here."""


def visitor_of(doorkeeper: Doorkeeper, request: Request) -> Visitor:
    """Who asks. Raises NotSignedIn, Unavailable (a spool is away)."""
    said = request.headers.get("authorization")
    if said is None:
        visitor = doorkeeper.visitor(request.cookies.get(doorkeeper.cookie))
    else:
        # Never both: what bears a token is not asked where it comes from (guard.py), so no cookie may count then.
        kind, _, secret = said.partition(" ")
        visitor = doorkeeper.program(secret.strip()) if kind.casefold() == "bearer" else None
    if visitor is None:
        raise NotSignedIn("You are not signed in.", remedy="Sign in, or send a token that is still good.")
    if not (visitor.folders or visitor.admin or _by_program(request)):
        raise NoDropFolder(f"{visitor.name} has no drop folder yet.")
    return visitor


def asking_in_person_at(doorkeeper: Doorkeeper) -> Any:
    """The same for what only somebody who signed in may do, and no program."""

    def ask(request: Request) -> Visitor:
        visitor = visitor_of(doorkeeper, request)
        if "authorization" in request.headers:
            raise NotInPerson("A token cannot do this.", remedy="Sign in, and do it on the page or at /docs.")
        return visitor

    return Depends(ask)


def asking_at(doorkeeper: Doorkeeper) -> Any:
    """The default value of a route's parameter `visitor`."""

    def ask(request: Request) -> Visitor:
        return visitor_of(doorkeeper, request)

    return Depends(ask)


class NotInPerson(PermanentError):
    """A program asks for what only a person may do."""


def admin_at(doorkeeper: Doorkeeper) -> Any:
    """As asking_at(), for what admins alone may see: for everybody else it is not there."""

    def ask(request: Request) -> Visitor:
        visitor = visitor_of(doorkeeper, request)
        if not visitor.admin:
            raise HTTPException(404)  # the answer is that of nothing_here()
        return visitor

    return Depends(ask)


def local(path: str) -> str:
    """*path* if it leads to a page of ours, else `/`. Browsers take a backslash for a slash and drop control
    characters, so nothing of that is let through."""
    plain_path = path.startswith("/") and path.isprintable() and not set(path) & set("\\ ")
    return path if plain_path and not path.startswith(("//", SIGN_IN, SIGN_OUT, "/enter")) else "/"


def lead_strangers(app: FastAPI, config: Config) -> None:
    """Let *app* tell those who cannot come in where they can, and why not."""
    app.add_exception_handler(NotSignedIn, _to_sign_in)
    app.add_exception_handler(NoDropFolder, partial(_to_whom_to_ask, config))
    app.add_exception_handler(Unavailable, partial(_to_later, config))
    app.add_exception_handler(404, partial(_to_nothing, config))


def nothing_here(config: Config) -> Response:
    """What a browser gets for a page that is not there, or is none of the visitor's: one answer for both."""
    content = plain.paragraph("There is no such page, or nothing of yours on it.") + plain.link(
        "/", "My batches"
    )
    return plain.page(config.site.name, "Nothing here", content, 404)


def _by_program(request: Request) -> bool:
    return request.url.path.startswith(_PROGRAMS)


def _told(error: DropwatchError, status: int) -> Response:
    return JSONResponse({"detail": error.message, "remedy": error.remedy}, status)


def _to_sign_in(request: Request, error: Exception) -> Response:
    assert isinstance(error, NotSignedIn), "registered for it alone"
    if _by_program(request):
        return _told(error, 401)
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(SIGN_IN if asked == "/" else f"{SIGN_IN}?next={quote(asked, safe='/')}", 303)


def _to_whom_to_ask(config: Config, request: Request, error: Exception) -> Response:
    assert isinstance(error, NoDropFolder), "registered for it alone"
    whom = config.site.contact or "the people who look after it"
    remedy = f"Ask {whom} for one, then come back to this page."
    content = plain.paragraph(f"{error.message} {remedy}") + plain.button(SIGN_OUT, "Sign out")
    return plain.page(config.site.name, "No drop folder yet", content, 403)


def _to_nothing(config: Config, request: Request, error: Exception) -> Response:
    if _by_program(request):
        return JSONResponse({"detail": getattr(error, "detail", "Not Found"), "remedy": ""}, 404)
    return nothing_here(config)


def _to_later(config: Config, request: Request, error: Exception) -> Response:
    assert isinstance(error, Unavailable), "registered for it alone"
    if _by_program(request):
        return _told(error, 503)
    content = plain.alert(str(error)) + plain.paragraph("Load the page again in a few minutes.")
    return plain.page(config.site.name, "Not at the moment", content, 503)
