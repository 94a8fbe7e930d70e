"""Every page for who cannot see it, or has no mouse: axe finds nothing serious, the keyboard reaches everything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser
from playwright.sync_api import Page as Tab

from tests.browser.conftest import Site
from tests.world import wait_until

THEMES = ("light", "dark")
BAD = {"serious", "critical"}
REACHABLE = "a[href], button, input:not([type=hidden]), select, textarea, [tabindex='0']"


@pytest.fixture(scope="module")
def tabs(site: Site, browser: Browser) -> Iterator[dict[str, Tab]]:
    """An admin's tab in a light and in a dark system; the facility has a batch of each kind."""
    site.world.drop("alice", "HeLa day 3", {"a.fake": b"a"})
    site.world.drop("bob", "broken", {"b.xyz": b"b"}, bad=("b.xyz",))
    wait_until(site.world.is_quiet)
    (site.world.state / "hold").mkdir(exist_ok=True)
    (site.world.state / "hold" / "user-carol").touch()
    site.world.drop("carol", "waits", {"c.fake": b"c"})
    made = {}
    for theme in THEMES:
        context = browser.new_context(color_scheme=theme, reduced_motion="reduce", locale="en-GB")  # type: ignore[arg-type]
        made[theme] = context.new_page()
        made[theme].goto(site.page.link_to_come_in("root", admin=True))
        made[theme].wait_for_url(f"{site.page.address}/")
    yield made
    for tab in made.values():
        tab.context.close()


def pages(site: Site) -> dict[str, str]:
    """What each page is called in its title, and where it is."""
    claim = site.world.envelopes("failed")[0].name[:20]
    return {
        "My batches": "/",
        "broken": f"/batch/{claim}",
        "New batch": "/new",
        "Facility": "/facility",
        "Account": "/account",
        "API": "/docs",
    }


def faults(tab: Tab) -> list[str]:
    """What axe calls serious or critical, with the place."""
    found = Axe().run(tab).response["violations"]
    return [
        f"{tab.url} {one['id']}: {node['html'][:200]}"
        for one in found
        if one["impact"] in BAD
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_serious_on_any_page(site: Site, tabs: dict[str, Tab], theme: str) -> None:
    tab, found, titles = tabs[theme], list[str](), list[str]()
    for path in pages(site).values():
        tab.goto(f"{site.page.address}{path}")
        tab.wait_for_load_state("networkidle")
        found += faults(tab)
        titles.append(tab.title())
    stranger = tab.context.browser.new_context(color_scheme=theme).new_page()  # type: ignore[union-attr, arg-type]
    for path in ("/sign-in", "/nothing-here"):
        stranger.goto(f"{site.page.address}{path}")
        found += faults(stranger)
        titles.append(stranger.title())
    stranger.context.close()

    assert not found, "\n".join(found)
    assert len(set(titles)) == len(titles), titles
    assert all("Test" in title for title in titles)
