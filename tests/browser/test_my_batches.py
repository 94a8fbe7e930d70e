"""My batches, in a real browser."""

from __future__ import annotations

from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from tests.browser.conftest import Site


def test_who_comes_by_a_link_sees_a_batch_come_to_its_end(site: Site, tab: Tab) -> None:
    tab.goto(site.page.link)
    expect(tab.get_by_role("heading", name="My batches")).to_be_visible()
    site.world.drop("alice", "HeLa day 3", {"a.fake": b""})

    expect(tab.get_by_text("HeLa day 3")).to_be_visible()
