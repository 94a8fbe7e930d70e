"""Coming in and going out: /sign-in, /enter (sign-in links) and /sign-out. Plain forms, which work without scripts."""

from __future__ import annotations

from html import escape

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from nicegui import app

from dropwatch.errors import DropwatchError, Unavailable
from dropwatch.web import plain
from dropwatch.web.doorkeeper import Doorkeeper, NotLetIn, TooMany
from dropwatch.web.entrance import SIGN_IN, SIGN_OUT, local
from dropwatch.web.house import House
from dropwatch.web.live import end_pages
from dropwatch.web.sessions import LASTING

_FORM = """<form method="post" action="{action}">
<input type="hidden" name="next" value="{next}">
<label for="name">OMERO user name</label>
<input id="name" name="name" value="{name}" autocomplete="username" autocapitalize="none" spellcheck="false" \
maxlength="255" required {focus_name}>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" maxlength="255" required \
{focus_password}>
<button type="submit">Sign in</button>
</form>
"""


def register(house: House) -> None:
    """Hang up the three."""
    _hang_up_sign_in(app, house)
    _hang_up_enter(app, house)
    _hang_up_sign_out(app, house)


def _hang_up_sign_in(app: FastAPI, house: House) -> None:
    @app.get(SIGN_IN, include_in_schema=False)
    def sign_in(next: str = "/") -> Response:
        return _sign_in_page(house, next)

    @app.post(SIGN_IN, include_in_schema=False)
    async def come_in(request: Request) -> Response:
        form = await _form(request)
        name, next_ = form.get("name", "").strip(), form.get("next", "/")
        address = request.client.host if request.client else ""
        try:
            cookie = await house.doorkeeper.by_password(name, form.get("password", ""), address)
        except DropwatchError as err:
            return _refused(house, err, next_, name)
        return _let_in(house.doorkeeper, request, cookie, next_)


def _hang_up_enter(app: FastAPI, house: House) -> None:
    @app.get("/enter", include_in_schema=False)
    def offered(key: str = "") -> Response:
        content = plain.button("/enter", "Sign in", key=key) + '<script src="/static/enter.js"></script>'
        return plain.page(house.config.site.name, "Sign in", content)

    @app.post("/enter", include_in_schema=False)
    async def enter(request: Request) -> Response:
        form = await _form(request)
        try:
            cookie = house.doorkeeper.by_link(form.get("key", ""))
        except NotLetIn as err:
            return _refused(house, err, "/", "")
        return _let_in(house.doorkeeper, request, cookie, "/")


def _hang_up_sign_out(app: FastAPI, house: House) -> None:
    @app.get(SIGN_OUT, include_in_schema=False)
    def offered() -> Response:
        return plain.page(house.config.site.name, "Sign out", plain.button(SIGN_OUT, "Sign out"))

    @app.post(SIGN_OUT, include_in_schema=False)
    async def sign_out(request: Request) -> Response:
        _end_session(house.doorkeeper, request)
        answer = RedirectResponse(SIGN_IN, 303)
        answer.delete_cookie(
            house.doorkeeper.cookie, httponly=True, samesite="lax", secure=house.doorkeeper.secure
        )
        return answer


def _sign_in_page(
    house: House, next_: str, name: str = "", told: str = "", status: int = 200, **headers: str
) -> Response:
    site = house.config.site
    ask = f"Ask {site.contact}." if site.contact else "Ask the people who look after this page."
    if house.config.importer == "folder":
        content = plain.alert(told) + plain.paragraph(
            "There are no passwords here: you come in by a sign-in link, which works once."
        )
        content += plain.paragraph(f"{ask} They make one with `dropwatch web-link`.", "dw-hint")
    else:
        form = _FORM.format(
            action=SIGN_IN,
            next=escape(local(next_)),
            name=escape(name),
            focus_name="" if name else "autofocus",
            focus_password="autofocus" if name else "",
        )
        content = plain.alert(told) + form
        content += plain.paragraph(f"Name and password are those of OMERO. No account yet? {ask}", "dw-hint")
    return plain.page(site.name, "Sign in", content, status, **headers)


def _refused(house: House, error: DropwatchError, next_: str, name: str) -> Response:
    if isinstance(error, TooMany):
        return _sign_in_page(house, next_, name, str(error), 429, Retry_After=f"{error.wait:.0f}")
    told = str(error)
    if isinstance(error, Unavailable):
        told = f"OMERO cannot be asked at the moment, so nobody can sign in. {error}"
    return _sign_in_page(house, next_, name, told, 503 if isinstance(error, Unavailable) else 401)


def _let_in(doorkeeper: Doorkeeper, request: Request, cookie: str, next_: str) -> Response:
    """A browser has one session: who was signed in there before is signed out."""
    _end_session(doorkeeper, request)
    answer = RedirectResponse(local(next_), 303)
    # Lax, not strict: who follows the link of a mail is still signed in. What changes something needs our own origin.
    answer.set_cookie(
        doorkeeper.cookie,
        cookie,
        max_age=int(LASTING),
        httponly=True,
        samesite="lax",
        secure=doorkeeper.secure,
    )
    return answer


def _end_session(doorkeeper: Doorkeeper, request: Request) -> None:
    session = doorkeeper.session(request.cookies.get(doorkeeper.cookie))
    if session is not None:
        doorkeeper.sign_out(session)
        end_pages(session, doorkeeper)


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form that are text."""
    async with request.form() as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}
