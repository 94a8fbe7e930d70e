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

from dropwatch import __version__
from dropwatch.web import api, pages
from dropwatch.web.entrance import lead_strangers
from dropwatch.web.house import House

STATIC = Path(__file__).parent / "static"


def make_app(house: House) -> FastAPI:
    """The application that answers a browser. NiceGUI keeps one for each process."""
    app = FastAPI(title="dropwatch", version=__version__, docs_url="/docs", redoc_url=None)
    app.include_router(api.router(house), prefix="/api")
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    pages.register(house)
    for rooms in (app, nicegui_app):
        lead_strangers(rooms)
    ui.run_with(app, title="dropwatch", dark=None, tailwind=False, show_welcome_message=False)
    return app


def serve(house: House, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Answer at *host* and *port* (0: any free one) until stopped; *ready* is told the address once it listens.

    Raises OSError when nobody can listen there.
    """
    with socket.create_server((host, port), reuse_port=False) as listening:
        server = uvicorn.Server(uvicorn.Config(make_app(house), access_log=False, log_config=None))
        ready(f"http://{host}:{listening.getsockname()[1]}")
        server.run(sockets=[listening])
