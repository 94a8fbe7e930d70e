"""The page about the facility, in a real browser: what an admin sees and does there, and that nobody else can."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect
from playwright.sync_api import Page as Tab

from tests.browser.conftest import Site
from tests.lives import Life
from tests.world import wait_until

SOON = 60_000  #: milliseconds


@pytest.fixture(scope="module")
def admin(site: Site, browser: Browser) -> Iterator[Tab]:
    """An admin's tab on the page, opened once for all stories; it is live and never loaded anew."""
    thrown: list[str] = []
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 860})
    tab = context.new_page()
    tab.on("pageerror", lambda error: thrown.append(str(error)))
    tab.goto(site.page.link_to_come_in("root", admin=True))
    tab.wait_for_url(f"{site.page.address}/")
    tab.goto(f"{site.page.address}/facility")
    yield tab
    context.close()

    assert thrown == []


def part(tab: Tab, name: str) -> Locator:
    """A part of the page by its heading."""
    return tab.get_by_role("region", name=name, exact=True)


def cells(tab: Tab, user: str) -> Locator:
    return part(tab, "Users").locator("table").get_by_role("row", name=re.compile(rf"^{user}\b"))


def test_what_is_held_waits_in_the_queue_until_it_is_released(site: Site, admin: Tab) -> None:
    expect(admin.get_by_text("All is well")).to_be_visible()

    cells(admin, "bob").get_by_role("button", name="Hold bob").click()
    admin.get_by_role("dialog").get_by_role("button", name="Hold", exact=True).click()
    expect(cells(admin, "bob").get_by_text("On hold")).to_be_visible(timeout=SOON)
    drop = site.world.drop("bob", "held run", {"held.fake": b"h"})

    row = part(admin, "Queue").get_by_role("row", name="held run")
    expect(row).to_contain_text("held by an admin", timeout=SOON)
    expect(cells(admin, "bob").get_by_role("cell").nth(2)).to_have_text("1")
    cells(admin, "bob").get_by_role("button", name="Release bob").click()
    admin.get_by_role("dialog").get_by_role("button", name="Release").click()
    wait_until(lambda: site.world.place(drop) in ("done", "failed"))
    expect(part(admin, "Queue").get_by_text("Nothing waits")).to_be_visible(timeout=SOON)


@pytest.mark.long
def test_everything_can_be_held_and_a_question_can_be_answered_with_no(site: Site, admin: Tab) -> None:
    admin.get_by_role("button", name="Hold everything").click()
    admin.get_by_role("dialog").get_by_role("button", name="Leave it as it is").click()
    assert not (site.world.state / "hold" / "all").exists()

    admin.get_by_role("button", name="Hold everything").click()
    admin.get_by_role("dialog").get_by_role("button", name="Hold", exact=True).click()
    expect(admin.get_by_text("Everything is on hold.")).to_be_visible(timeout=SOON)
    assert (site.world.state / "hold" / "all").exists()
    admin.get_by_role("button", name="Release everything").click()
    admin.get_by_role("dialog").get_by_role("button", name="Release").click()
    expect(admin.get_by_text("Everything is on hold.")).to_be_hidden(timeout=SOON)
    assert not (site.world.state / "hold" / "all").exists()


def test_letter_that_was_refused_is_read_as_text_and_sent_again(site: Site, admin: Tab) -> None:
    wait_until(site.world.is_quiet)  # so that no other letter is the one that is refused
    site.sandbox.set_faults(smtp={"code": 550, "count": 1})
    site.world.drop("carol", "<b id=evil>bold", {"bold.fake": b"b"})
    letter = part(admin, "Letters").get_by_role("link", name=re.compile("<b id=evil>"))
    expect(letter).to_be_visible(timeout=SOON)
    expect(admin.get_by_text("1 letter could not be delivered.")).to_be_visible()
    refused = site.world.letters("dead")[0]
    site.sandbox.set_faults()

    letter.click()

    expect(admin.get_by_role("heading", level=1)).to_contain_text("<b id=evil>")
    expect(admin.locator("pre")).to_contain_text(refused["text"].splitlines()[0])
    expect(admin.locator("#evil")).to_have_count(0)
    admin.get_by_role("button", name="Send again").click()
    wait_until(lambda: not site.world.letters("dead"))
    site.world.drop(
        "alice", "next", {"next.fake": b"n"}
    )  # its letter wakes who sends them: nobody waits a minute
    wait_until(
        lambda: [
            mail for mail in site.sandbox.mails() if mail.to == refused["to"] and refused["id"] in mail.id
        ]
    )
    expect(admin).to_have_url(f"{site.page.address}/facility")
    expect(part(admin, "Letters").get_by_text("could not be delivered")).to_be_hidden(timeout=SOON)


@pytest.mark.long
def test_outages_and_a_dead_daemon_are_told_with_what_to_do(site: Site, admin: Tab) -> None:
    site.sandbox.set_faults(omero={"refuse": True})
    drop = site.world.drop("alice", "bad timing", {"timing.fake": b"t"})
    expect(admin.get_by_text(re.compile("^OMERO: "))).to_be_visible(timeout=SOON)
    expect(admin.get_by_text(re.compile(r"Since \d\d:\d\d\. Tried again at"))).to_be_visible()
    site.sandbox.set_faults()
    expect(admin.get_by_text(re.compile("^OMERO: "))).to_be_hidden(timeout=2 * SOON)
    wait_until(lambda: site.world.place(drop) in ("done", "failed"))

    identity = site.world.spool / ".dropwatch-spool"
    away = identity.rename(site.world.root / "away")
    expect(admin.get_by_text(re.compile("is not there: its identity file")).first).to_be_visible(timeout=SOON)
    admin.reload()
    expect(admin.get_by_text("Mount the share.").first).to_be_visible(timeout=SOON)
    away.rename(identity)

    site.life.kill()
    expect(admin.get_by_text("dropwatch is not running: it ended")).to_be_visible(timeout=SOON)
    expect(admin.get_by_text("systemctl start dropwatch")).to_be_visible()
    site.life = Life(site.world.config, site.world.log)
    expect(admin.get_by_text("All is well")).to_be_visible(timeout=SOON)


def test_nobody_else_gets_there(site: Site, tab: Tab, admin: Tab) -> None:
    site.world.drop("alice", "private", {"private.fake": b"p"})
    letter = wait_until(lambda: site.world.letters("sent"))[0]["id"]
    tab.goto(site.page.link)
    tab.wait_for_url(f"{site.page.address}/")
    expect(tab.get_by_role("link", name="Facility")).to_have_count(0)
    unknown = tab.goto(f"{site.page.address}/nothing-here")
    assert unknown is not None
    words = tab.locator("body").inner_text()

    for path in ("/facility", f"/facility/letters/{letter}"):
        answer = tab.goto(f"{site.page.address}{path}")
        assert answer is not None

        assert answer.status == unknown.status == 404
        assert tab.locator("body").inner_text() == words
    for path in ("/facility", f"/facility/letters/{letter}"):
        assert stranger(f"{site.page.address}{path}").endswith("/sign-in")


def stranger(address: str) -> str:
    """Where somebody ends who never signed in."""
    with urllib.request.urlopen(address, timeout=200) as answer:
        return str(answer.url).partition("?")[0]
