"""Puts the page together, and serves it. Importing it needs dropwatch[web]."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from nicegui import app as nicegui_app
from nicegui import ui
from starlette.types import ASGIApp

from dropwatch import __version__
from dropwatch.web import api, docs, pages
from dropwatch.web.api import elsewhere
from dropwatch.web.api.errors import say_problems
from dropwatch.web.entrance import lead_strangers
from dropwatch.web.guard import Guard, names_of
from dropwatch.web.house import House
from dropwatch.web.live import OwnScripts, Wire, bind_messages
from dropwatch.web.uploads import routes

_LIVE = '<script src="/static/live.js" defer></script>'
_ABOUT = (
    "Submit batches of microscopy images and see what becomes of them. What goes wrong is always told as "
    "`{detail, remedy}`. Programs send a token: make one at POST /api/tokens, while you are signed in."
)
_LAST = 5  #: seconds that requests have to end by themselves when the page is stopped
STATIC = Path(__file__).parent / "static"


def make_app(house: House, host: str) -> ASGIApp:
    """The application that answers a browser at *host*. NiceGUI keeps one for each process."""
    app = FastAPI(
        title="dropwatch",
        version=__version__,
        description=_ABOUT,
        openapi_url=docs.OPENAPI,
        docs_url=None,
        redoc_url=None,
    )
    app.include_router(api.router(house), prefix="/api")
    app.mount(routes.PATH, routes.tus_at(house.uploads, house.doorkeeper), name="uploads")
    elsewhere.hang_up(app)
    docs.hang_up(app, house.config.site.name)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    pages.register(house)
    for rooms in (app, nicegui_app):
        lead_strangers(rooms, house.config)
    say_problems(app)
    ui.add_head_html(_LIVE, shared=True)
    nicegui_app.add_middleware(OwnScripts)
    bind_messages(house.doorkeeper)
    ui.run_with(
        app,
        title="dropwatch",
        favicon=STATIC / "favicon.svg",
        dark=None,
        language="en-GB",
        tailwind=False,
        show_welcome_message=False,
        # After 3 s, its usual, a line that a busy machine or network held up is given up, the page loaded anew, and a
        # click of meanwhile lost.
        reconnect_timeout=15.0,
    )
    return Guard(Wire(app, house.doorkeeper), names_of(house.config, host), house.config.web.url)


def listen(host: str, port: int) -> socket.socket:
    """Listen at *host* and *port* (0: any free one). Raises OSError when nobody can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, reuse_port=False)


def serve(house: House, host: str, listening: socket.socket, ready: Callable[[str, str], None]) -> None:
    """Answer what comes to *listening*, which listens at *host*, until stopped.

    ready -- is told the address where it listens, and the one by which people reach it
    Raises OSError when the page cannot keep what it must in its folder.
    """
    here = _reached_at(host, listening.getsockname()[1])
    address = house.config.web.url or here
    server = uvicorn.Server(_settings(house, host))
    house.doorkeeper.links.open(address)
    ready(here, address)
    server.run(sockets=[listening])


def _settings(house: House, host: str) -> uvicorn.Config:
    """No log of requests: their addresses may hold keys, and who asked is whom the page told."""
    proxies = house.config.web.proxies
    return uvicorn.Config(
        make_app(house, host),
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        timeout_graceful_shutdown=_LAST,
    )


def _reached_at(host: str, port: int) -> str:
    """How a browser asks for what listens there."""
    if host in ("0.0.0.0", "::"):  # every network of this machine
        host = socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
