"""What all stories of pages look for: a visitor's tab, the batches in a list, whether a page keeps to the rules."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator
from playwright.sync_api import Page as Tab

from dropwatch.sandbox.samples import ome_tiff
from tests.browser.conftest import Site

SOON = 60_000  #: milliseconds
PHONE = {"width": 390, "height": 844}
WIDE = {"width": 1280, "height": 860}


_numbers = count()


def image(size: int = 64) -> bytes:
    """A file that is one image, with pixels of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.ome.tif"
        ome_tiff(path, seed=next(_numbers), size=size)
        return path.read_bytes()


@contextmanager
def visit(site: Site, browser: Browser, name: str, *, admin: bool = False) -> Iterator[Tab]:
    """A tab in which *name* is signed in; the story fails when a script of the page threw in it."""
    thrown: list[str] = []
    context = browser.new_context(locale="en-GB", viewport=WIDE, timezone_id="Europe/Paris")
    context.set_default_timeout(SOON)
    tab = context.new_page()
    tab.on("pageerror", lambda error: thrown.append(str(error)))
    tab.goto(site.page.link_to_come_in(name, admin=admin))
    tab.wait_for_url(f"{site.page.address}/")
    try:
        yield tab
    finally:
        context.close()

    assert thrown == []


def row(tab: Tab, name: str) -> Locator:
    """The line of a batch in the list."""
    return tab.locator("li.dw-batch").filter(has=tab.get_by_role("link", name=name, exact=True))


def faults_of(tab: Tab) -> list[str]:
    """What axe-core finds serious or critical, in the light, in the dark, and on a phone; and what is too wide."""
    found = []
    for scheme, size in (("light", WIDE), ("dark", PHONE)):
        tab.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        tab.set_viewport_size(size)
        for violation in Axe().run(tab, options={"resultTypes": ["violations"]}).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                found.append(f"{scheme}: {violation['id']} at {violation['nodes'][0]['html'][:200]}")
        beyond = tab.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        found += [f"{scheme}: {beyond} pixels wider than the screen"] if beyond > 0 else []
    tab.emulate_media(color_scheme="light", reduced_motion="no-preference")
    tab.set_viewport_size(WIDE)
    return found


def slow_down(tab: Tab, bytes_a_second: int) -> Callable[[], None]:
    """What the browser sends is slow, until what is returned is called."""
    tools = tab.context.new_cdp_session(tab)
    facts = {"offline": False, "latency": 0, "downloadThroughput": -1}
    tools.send("Network.enable")
    tools.send("Network.emulateNetworkConditions", {**facts, "uploadThroughput": bytes_a_second})
    return lambda: tools.send("Network.emulateNetworkConditions", {**facts, "uploadThroughput": -1})
