"""A real browser, one for each test process; and a site: OMERO and mail server, a spool, daemon and page.

A test takes `site` (or makes a World of its own) and `tab`, a fresh browser profile that fails the test when the
page's own code throws in it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright
from playwright.sync_api import Page as Tab

from tests.lives import Life
from tests.page import Page, running_page
from tests.world import SandboxProcess, World, running_sandbox

CHROMIUM = (
    os.environ.get("DROPWATCH_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
)
#: Milliseconds that a step may take: a test waits for what it sees, and the machine may be busy.
_PATIENCE = 60_000
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@dataclass
class Site:
    """A facility: *world* with its sandbox, the daemon and the page."""

    world: World
    page: Page
    life: Life

    @property
    def sandbox(self) -> SandboxProcess:
        return self.world.sandbox


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    if CHROMIUM is None:
        pytest.skip("no chromium here (.ci/fault-tools installs it as root)")
    expect.set_options(timeout=_PATIENCE)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        try:
            yield launched
        finally:
            launched.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A fresh profile: no cookie, nothing remembered."""
    made = browser.new_context(
        viewport={"width": 1280, "height": 860}, locale="en-GB", timezone_id="Europe/Paris"
    )
    made.set_default_timeout(_PATIENCE)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def tab(context: BrowserContext) -> Iterator[Tab]:
    """A tab; the test fails when a script of the page threw in it."""
    thrown: list[str] = []
    made = context.new_page()
    made.on("pageerror", lambda error: thrown.append(str(error)))
    yield made
    made.close()

    assert thrown == []


@contextmanager
def running_site(root: Path, *, java: bool = False, **settings: Any) -> Iterator[Site]:
    """A facility below *root* for the time of the block; `site.page.link` signs alice in, once.

    java -- the daemon looks into files, as in Life
    settings -- sections of the configuration
    """
    with running_sandbox(root / "sandbox") as sandbox:
        world = World(root, sandbox, settings)
        life = Life(world.config, world.log, java=java)
        try:
            with running_page(world.config, root / "web.log", "alice") as page:
                yield Site(world, page, life)
        finally:
            life.kill()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One facility for the stories of a module."""
    with running_site(tmp_path_factory.mktemp("site")) as site:
        yield site
