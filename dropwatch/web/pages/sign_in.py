"""Coming in and going out."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from nicegui import app, ui

from dropwatch.web.doorkeeper import COOKIE, SESSION
from dropwatch.web.house import House


def register(house: House) -> None:
    """Hang up /sign-in, /enter (sign-in links) and /sign-out."""

    @ui.page("/sign-in", title="Sign in")
    def sign_in() -> None:
        ui.label("Ask for a sign-in link.")

    @app.get("/enter")
    def enter(key: str = "") -> Response:
        visitor = house.doorkeeper.by_link(key)
        if visitor is None:
            return RedirectResponse("/sign-in", 303)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            COOKIE, house.doorkeeper.cookie(visitor), max_age=int(SESSION), httponly=True, samesite="strict"
        )
        return answer

    @app.get("/sign-out")
    def sign_out(request: Request) -> Response:
        answer = RedirectResponse("/sign-in", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer
