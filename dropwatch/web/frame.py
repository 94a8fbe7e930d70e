"""What every page stands in: site name, navigation, who is signed in, sign-out, light or dark.

Only here is it decided what all pages have in common. What pages are made of is in pieces.py; colours and spacing
are in static/dropwatch.css.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nicegui import ui

from dropwatch.report import clean
from dropwatch.web.house import House
from dropwatch.web.pieces import Say, button, icon
from dropwatch.web.visitor import Visitor

THEME = "dropwatch-theme"  #: cookie: light, dark or system; written by static/dropwatch.js
_HEAD = (
    '<script src="/static/dropwatch.js"></script><script src="/static/focus.js"></script>'
    '<link rel="stylesheet" href="/static/dropwatch.css">'
    '<link rel="icon" href="/static/favicon.svg" type="image/svg+xml">'
)
_NO_SCRIPT = (
    "<noscript><style>#esm-fallback { display: none !important; }</style>"
    '<p class="dw-no-script">This page needs JavaScript, and it is switched off in this browser. Switch it on for'
    " this address, then load the page again.</p></noscript>"
)
_THEMES = (  # with the names of their icons
    ("light", "Light", "light_mode"),
    ("dark", "Dark", "dark_mode"),
    ("system", "As the system", "contrast"),
)


@contextmanager
def frame(house: House, visitor: Visitor, title: str, here: str) -> Iterator[ui.element]:
    """The page called *title* at the path *here*; what is made in the block is its content.

    Gives the line with the heading: what one can do on the whole page is made in there.
    """
    with _page(house, title) as (header, content):
        with header:
            _navigation(visitor, here)
            with ui.element("div").classes("dw-account"):
                _theme()
                _who(visitor)
                _leave()
        with content:
            yield _heading(title)


@contextmanager
def _page(house: House, title: str) -> Iterator[tuple[ui.element, ui.element]]:
    site = clean(house.config.site.name)
    ui.page_title(f"{clean(title)} · {site}")
    ui.add_head_html(_HEAD)
    ui.add_body_html(_NO_SCRIPT)
    header = ui.header().classes("dw-header")
    with header, ui.element("a").props('href="/"').classes("dw-site"):
        ui.element("img").props('src="/static/favicon.svg" alt=""')
        Say("span", site)
    content = ui.element("div").classes("dw-main")
    ui.skip_link("Skip to the content", target=content).classes("dw-skip")
    yield header, content


def _heading(title: str) -> ui.element:
    with ui.element("div").classes("dw-head") as made:
        Say("h1", title, "dw-grow")
    return made


def _navigation(visitor: Visitor, here: str) -> None:
    with ui.element("nav").props('aria-label="Pages"').classes("dw-nav"):
        for text, path in _pages(visitor):
            ui.link(text, path).props('aria-current="page"' if path == here else "")


def _pages(visitor: Visitor) -> Iterator[tuple[str, str]]:
    yield "My batches", "/"
    yield "New batch", "/new"
    if visitor.admin:
        yield "Facility", "/facility"


def _who(visitor: Visitor) -> None:
    with ui.element("a").props('href="/account"').classes("dw-who") as who:
        who.props["title"] = f"Signed in as {clean(visitor.name)}{', an admin' if visitor.admin else ''}"
        icon("account_circle")
        Say("span", visitor.name)


def _leave() -> None:
    with ui.element("form").props('method="post" action="/sign-out"'):
        leave = button("", sign="logout", kind="plain", label="Sign out").props('type="submit"')
        leave.tooltip("Sign out")


def _theme() -> None:
    """Light, dark or as the system has it; static/dropwatch.js does it, the browser remembers."""
    request = ui.context.client.request
    said = request.cookies.get(THEME, "") if request is not None else ""
    now = next((one for one in _THEMES if one[0] == said), _THEMES[-1])
    switch = button("", sign=now[2], kind="plain", label="Light or dark").props('aria-haspopup="menu"')
    with switch, ui.menu().props("auto-close"):
        for name, text, sign in _THEMES:

            def choose(name: str = name, sign: str = sign) -> None:
                switch.set_icon(sign)
                ui.run_javascript(f'dropwatchTheme("{name}")')

            with ui.menu_item(on_click=choose), ui.element("span").classes("dw-row"):
                icon(sign)
                Say("span", text)
