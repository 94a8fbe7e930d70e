"""The page of one batch, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect
from playwright.sync_api import Page as Tab

from tests.browser.conftest import Site
from tests.browser.looking import SOON, faults_of, image, row, visit
from tests.many import retire_many
from tests.world import wait_until


@pytest.fixture(scope="module")
def alice(site: Site, browser: Browser) -> Iterator[Tab]:
    """Alice's tab, opened once for all stories."""
    with visit(site, browser, "alice") as tab:
        yield tab


def test_a_failed_batch_is_mended_and_tried_again_from_its_page(site: Site, alice: Tab) -> None:
    files = {"a.ome.tif": image(), "batch.yaml": b"target: Dataset:999999\ndescription: with siRNA 7\n"}
    drop = site.world.drop("alice", "wrong target", files, bad=("a.ome.tif",))
    alice.goto(site.page.address)
    row(alice, "wrong target").get_by_role("link", name="wrong target").click()
    expect(alice.get_by_role("heading", name="wrong target", level=1)).to_be_visible()
    expect(alice.get_by_role("heading", name="What needs you")).to_be_visible(timeout=SOON)
    expect(alice.get_by_text("with siRNA 7")).to_be_visible()
    expect(alice.locator(".dw-letters li").filter(has_text="alice@example.org")).to_have_count(1)
    assert faults_of(alice) == []
    (site.world.envelope(drop) / drop.name / "batch.yaml").write_text("target: Dataset:mended\n")

    alice.get_by_role("button", name="Try again").dblclick()

    expect(alice.get_by_text("is back in the inbox of alice")).to_be_visible()
    alice.get_by_role("button", name="Close").click()
    expect(alice.get_by_text("is back in the inbox of alice")).to_be_hidden()
    expect(alice.locator(".dw-head .dw-badge")).to_have_text(re.compile("Done"), timeout=SOON)
    expect(alice.locator(".dw-file")).to_contain_text("In OMERO")
    expect(alice.get_by_role("link", name="Open in OMERO.web")).to_have_attribute(
        "href", re.compile("show=dataset-")
    )
    expect(alice.get_by_role("button", name="Submit again")).to_be_visible()
    assert site.sandbox.imports()[-1]["user"] == "alice"
    expect(alice.get_by_text(re.compile("meanwhile|already"))).to_have_count(0)  # of the second click
    expect(alice.get_by_text("Files looked at: 1 image file").first).to_be_visible()
    assert faults_of(alice) == []


def test_an_import_is_stopped_after_a_question(site: Site, alice: Tab) -> None:
    site.sandbox.set_faults(omero={"hold_upload": True})
    site.world.drop("alice", "too much", {f"b{number}.ome.tif": image() for number in range(30)})
    alice.goto(site.page.address)
    row(alice, "too much").get_by_text("Importing", exact=True).wait_for()
    row(alice, "too much").get_by_role("link", name="too much").click()
    alice.get_by_role("button", name="Stop the import").click()
    alice.get_by_role("dialog").get_by_role("button", name="Go on importing").click()
    expect(alice.get_by_role("dialog")).to_be_hidden()

    alice.get_by_role("button", name="Stop the import").click()
    alice.get_by_role("dialog").get_by_role("button", name="Stop the import").click()

    expect(alice.get_by_text("will be cancelled within seconds")).to_be_visible()
    site.sandbox.set_faults(omero={"slow_upload": "1s"})
    expect(alice.locator(".dw-head .dw-badge")).to_have_text(re.compile("Cancelled"), timeout=SOON)
    site.sandbox.set_faults()


@pytest.mark.long
def test_what_was_only_just_dropped_is_taken_back_and_submitted_after_all(site: Site, alice: Tab) -> None:
    hold = site.world.state / "hold" / "user-alice"
    hold.parent.mkdir(exist_ok=True)
    hold.touch()
    drop = site.world.drop("alice", "by mistake", {"m.ome.tif": image()})
    alice.goto(site.page.address)
    row(alice, "by mistake").get_by_role("link", name="by mistake", exact=True).click()
    alice.get_by_role("button", name="Do not import").click()
    alice.get_by_role("dialog").get_by_role("button", name="Leave it as it is").click()
    expect(alice.get_by_role("dialog")).to_be_hidden()
    assert (site.world.spool / "alice" / "inbox" / "by mistake").is_dir()

    alice.get_by_role("button", name="Do not import").click()
    alice.get_by_role("dialog").get_by_role("button", name="Do not import").click()

    expect(alice.locator(".dw-head .dw-badge")).to_have_text(re.compile("Cancelled"), timeout=SOON)
    assert site.world.place(drop) == "failed"
    hold.unlink()
    alice.get_by_role("button", name="Try again").click()
    expect(alice.locator(".dw-head .dw-badge")).to_have_text(re.compile("Done"), timeout=SOON)
    (site.world.envelope(drop) / drop.name / "added.ome.tif").write_bytes(image())
    before = len(site.sandbox.imports())

    alice.get_by_role("button", name="Submit again").click()
    alice.get_by_role("dialog").get_by_role("button", name="Submit again").click()

    expect(alice.get_by_role("heading", name="Image files (2)")).to_be_visible(timeout=SOON)
    expect(alice.locator(".dw-head .dw-badge")).to_have_text(re.compile("Done"), timeout=SOON)
    assert len(site.sandbox.imports()) == before + 1


def test_a_batch_of_somebody_else_is_as_if_there_were_none(site: Site, browser: Browser, alice: Tab) -> None:
    drop = site.world.drop("alice", "nobody else's", {"d.ome.tif": image()})
    wait_until(lambda: site.world.place(drop) == "done")
    claim = site.world.envelope(drop).name.partition("_")[0]

    with visit(site, browser, "bob") as bob:
        theirs = bob.goto(f"{site.page.address}/batch/{claim}")
        said = bob.locator("main").inner_text()
        none = bob.goto(f"{site.page.address}/batch/20200101-000000-none")

        assert theirs is not None
        assert none is not None
        assert (theirs.status, none.status) == (404, 404)
        assert said == bob.locator("main").inner_text()
        bob.goto(site.page.address)
        expect(bob.get_by_role("heading", name="No batches yet")).to_be_visible()


def test_the_page_dies_in_mid_import_and_the_tab_comes_back_by_itself(site: Site, alice: Tab) -> None:
    before = len(site.sandbox.imports())
    site.sandbox.set_faults(omero={"hold_upload": True})
    drop = site.world.drop("alice", "while it dies", {f"c{number}.ome.tif": image() for number in range(12)})
    alice.goto(site.page.address)
    row(alice, "while it dies").get_by_text("Importing", exact=True).wait_for()
    row(alice, "while it dies").get_by_role("link", name="while it dies").click()
    expect(alice.locator(".dw-head .dw-badge")).to_be_visible()

    site.page.kill()
    assert site.world.place(drop) == "processing"
    site.page.start()
    site.sandbox.set_faults()

    expect(alice.locator(".dw-head .dw-badge")).to_have_text(re.compile("Done"), timeout=SOON)
    wait_until(lambda: site.world.place(drop) == "done")
    site.world.assert_whole(drop)
    assert len(site.sandbox.imports()) == before + 12


@pytest.mark.long
def test_ten_thousand_batches_and_a_hundred_thousand_files_stay_fluid(site: Site, alice: Tab) -> None:
    retire_many(site.world.spool, "alice", 10_000, files=1)
    retire_many(site.world.spool, "alice", 1, files=100_000, first=10_000)
    alice.goto(site.page.address)
    expect(alice.get_by_role("button", name=re.compile("^All 10,0"))).to_be_visible(timeout=90_000)

    expect(alice.locator("li.dw-batch")).to_have_count(50)
    alice.get_by_label("Search name, target or file").fill("beads 9999")
    expect(alice.locator("li.dw-batch")).to_have_count(1)
    alice.get_by_label("Search name, target or file").fill("10000")
    row(alice, "Mouse cortex 10000").get_by_role("link", name="Mouse cortex 10000").click(no_wait_after=True)
    expect(alice.get_by_role("heading", name="Image files (100,000)")).to_be_visible(timeout=60_000)
    assert alice.locator(".dw-file").count() == 50
    alice.get_by_role("button", name="Next").click()
    expect(alice.get_by_text("51 to 100 of 100,000")).to_be_visible()
