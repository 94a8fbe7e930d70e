"""My batches, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect
from playwright.sync_api import Page as Tab

from tests.browser.conftest import Site
from tests.browser.looking import SOON, faults_of, image, row, visit
from tests.world import wait_until

HOSTILE = "<img src=x onerror=alert(1)> \u202egnp.exe"


@pytest.fixture(scope="module")
def alice(site: Site, browser: Browser) -> Iterator[Tab]:
    """Alice's tab, opened once for all stories; it is live, and never loaded anew by a story but the last."""
    with visit(site, browser, "alice") as tab:
        yield tab


def test_a_batch_is_watched_to_its_end_and_nothing_moves_meanwhile(site: Site, alice: Tab) -> None:
    site.sandbox.set_faults(omero={"hold_upload": True})
    hold = site.world.state / "hold" / "user-alice"
    hold.parent.mkdir(exist_ok=True)
    hold.touch()
    site.world.drop("alice", "HeLa day 3", {"a.ome.tif": image()})
    one = row(alice, "HeLa day 3")
    expect(one.get_by_text("Waiting", exact=True)).to_be_visible()
    link = one.get_by_role("link", name="HeLa day 3", exact=True)
    link.focus()
    one.evaluate("line => line.mark = 'the same line'")
    one.get_by_role("heading").evaluate("line => getSelection().selectAllChildren(line)")
    assert not [path for path in site.world.envelopes("processing") if "HeLa" in path.name]

    hold.unlink()

    expect(one.get_by_text("Importing", exact=True)).to_be_visible()
    expect(one.get_by_role("progressbar", name="How far it is")).to_be_visible(timeout=SOON)
    site.sandbox.set_faults()
    expect(one.get_by_text("Done", exact=True)).to_be_visible(timeout=SOON)
    expect(one.get_by_text("1 of 1 imported.")).to_be_visible()
    expect(one.get_by_role("link", name="OMERO.web")).to_have_attribute(
        "href", re.compile(r"\?show=dataset-\d+$")
    )

    assert one.evaluate("line => line.mark") == "the same line"
    assert alice.evaluate("getSelection().toString()") == "HeLa day 3"
    expect(link).to_be_focused()


def test_names_of_others_are_text_and_what_needs_somebody_comes_first(site: Site, alice: Tab) -> None:
    site.world.drop(
        "alice",
        HOSTILE,
        {"b.ome.tif": image(), "batch.yaml": b"target: Dataset:999999\n"},
        bad=("b.ome.tif",),
    )

    urgent = alice.get_by_role("region", name="Needs you")
    expect(urgent.get_by_role("link")).to_have_text(HOSTILE.replace("\u202e", "\\u202e"), timeout=SOON)
    expect(urgent).to_contain_text("999999")
    assert faults_of(alice) == []


def test_who_has_no_batch_is_told_the_two_ways_to_make_one_and_what_is_searched_stays_over_a_reload(
    site: Site, browser: Browser
) -> None:
    with visit(site, browser, "carol") as carol:
        expect(carol.get_by_role("heading", name="My batches")).to_be_visible()
        expect(carol.get_by_role("heading", name="No batches yet")).to_be_visible()
        expect(carol.get_by_text(str(site.world.spool / "carol" / "inbox"))).to_be_visible()
        assert faults_of(carol) == []
        site.world.drop("carol", "HeLa day 3", {"a.ome.tif": image()})
        lost = {"b.ome.tif": image(), "batch.yaml": b"target: Dataset:999999\n"}
        site.world.drop("carol", "kidney", lost, bad=("b.ome.tif",))
        expect(row(carol, "HeLa day 3").get_by_text("Done", exact=True)).to_be_visible(timeout=SOON)
        expect(carol.get_by_role("button", name="Needs you 1")).to_be_visible(timeout=SOON)
        carol.get_by_label("Search name, target or file").fill("HELA a.ome")
        expect(carol.locator("li.dw-batch")).to_have_count(1)
        carol.get_by_label("Search name, target or file").fill("")
        expect(carol.locator("li.dw-batch")).to_have_count(2)
        carol.get_by_role("button", name="Needs you 1").click()
        expect(carol.locator("li.dw-batch")).to_have_count(1)
        expect(carol.get_by_role("button", name="Needs you 1")).to_have_attribute("aria-pressed", "true")

        carol.get_by_label("From").fill("2020-01-01")
        expect(carol).to_have_url(re.compile("since=2020-01-01"))

        carol.goto(f"{carol.url}&page=99")  # of which there was one, when the link was sent

        expect(carol.get_by_role("button", name="Needs you 1")).to_have_attribute("aria-pressed", "true")
        expect(carol.get_by_label("From")).to_have_value("2020-01-01")
        expect(carol.locator("li.dw-batch")).to_have_count(1)
        carol.get_by_label("From").fill("2031-01-01")
        expect(carol.get_by_text("No batch is like that.")).to_be_visible()
        carol.get_by_role("button", name="All 0").click()


def test_dark_is_remembered_and_known_before_the_page_is_painted(site: Site, alice: Tab) -> None:
    alice.get_by_role("button", name="Light or dark").click()
    alice.get_by_text("Dark", exact=True).click()
    expect(alice.locator("body")).to_have_class(re.compile("body--dark"))

    alice.reload()

    expect(alice.locator("html")).to_have_attribute("data-theme", "dark")
    expect(alice.locator("body")).to_have_class(re.compile("body--dark"))


def test_an_outage_is_told_in_words(site: Site, alice: Tab) -> None:
    alice.goto(site.page.address)
    site.sandbox.set_faults(omero={"refuse": True})
    site.world.drop("alice", "in the outage", {"c.ome.tif": image()})

    try:
        notice = alice.get_by_text("OMERO does not answer. Your batches wait and go on by themselves.")
        expect(notice).to_be_visible(timeout=SOON)
        expect(row(alice, "in the outage").get_by_text("Waiting", exact=True)).to_be_visible()
    finally:
        site.sandbox.set_faults()


@pytest.mark.long
def test_an_outage_ends_by_itself(site: Site, alice: Tab) -> None:
    alice.goto(site.page.address)
    site.sandbox.set_faults(omero={"refuse": True})
    drop = site.world.drop("alice", "after the outage", {"d.ome.tif": image()})
    notice = alice.get_by_text("OMERO does not answer. Your batches wait and go on by themselves.")
    expect(notice).to_be_visible(timeout=SOON)

    site.sandbox.set_faults()

    expect(notice).to_be_hidden(timeout=60_000)
    wait_until(lambda: site.world.place(drop) == "done")
    expect(row(alice, "after the outage").get_by_text("Done", exact=True)).to_be_visible()
