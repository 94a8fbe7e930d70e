"""What every page stands in: title, navigation, who is signed in, sign-out; light and dark as the system has it.

Only here is it decided what all pages have in common; colours and spacing are in static/dropwatch.css.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nicegui import ui

from dropwatch.web.house import House
from dropwatch.web.visitor import Visitor

_HEAD = '<link rel="stylesheet" href="/static/dropwatch.css">'


@contextmanager
def frame(house: House, visitor: Visitor, title: str, here: str) -> Iterator[None]:
    """The page called *title* at the path *here*; what is made in the block is its content."""
    ui.page_title(f"{title} · {house.config.site.name}")
    ui.add_head_html(_HEAD)
    with ui.header().classes("dw-header"):
        ui.link(house.config.site.name, "/").classes("dw-site")
        with ui.element("nav").props('aria-label="Pages"').classes("dw-nav"):
            for text, path in _pages(visitor):
                current = ' aria-current="page"' if path == here else ""
                ui.link(text, path).props(current.strip())
        ui.space()
        ui.label(visitor.name).classes("dw-who")
        with ui.element("form").props('method="post" action="/sign-out"'):
            ui.button("Sign out").props('type="submit" flat no-caps')
    with ui.element("main").classes("dw-main"):
        ui.html(f"<h1>{title}</h1>", sanitize=False)
        yield


def _pages(visitor: Visitor) -> Iterator[tuple[str, str]]:
    yield "My batches", "/"
    yield "New batch", "/new"
    if visitor.admin:
        yield "Facility", "/facility"
