"""The panel that says what is in the chosen files, in a real browser, with real Bio-Formats."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from dropwatch.sandbox.samples import corrupt_tiff, ome_tiff
from tests.images import PLATE, fake
from tests.page import Page, running_page
from tests.world import World, running_sandbox

pytestmark = pytest.mark.long

EVIL = "<img src=x onerror=alert(1)>.tif"


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    made = tmp_path / "disk"
    made.mkdir()
    ome_tiff(made / "three.ome.tif", series=3)
    (made / "evil").mkdir()
    ome_tiff(made / "evil" / EVIL)
    fake(made, PLATE)
    corrupt_tiff(made / "corrupt.tif")
    (made / "notes.txt").write_text("notes")
    slow = made / "slow"
    slow.mkdir()
    for number in range(120):
        fake(slow, f"{number:02}&sleepInitFile=500.fake")
    return made


@pytest.fixture
def page(tmp_path: Path, disk: Path) -> Iterator[Page]:
    os.environ["TRIAL"] = str(disk)
    with running_sandbox(tmp_path / "sandbox") as sandbox:
        world = World(tmp_path / "world", sandbox, {}, ("alice",))
        program = "tests.browser.preview_page"
        with running_page(world.config, tmp_path / "web.log", "alice", program=program) as made:
            yield made
    del os.environ["TRIAL"]


def test_what_is_in_the_files_is_seen_before_anything_is_submitted(tab: Tab, page: Page, disk: Path) -> None:
    tab.goto(page.link)
    if tab.get_by_role("button", name="Sign in").count():
        tab.get_by_role("button", name="Sign in").click()
    tab.goto(f"{page.address}/trial")
    again = tab.get_by_role("button", name="Check again")
    said, result = tab.locator("p[role=status]"), tab.locator(".dw-found")
    expect(again).to_be_hidden()

    paths = tab.get_by_label("Paths")
    paths.fill(f"three.ome.tif {PLATE} corrupt.tif notes.txt")
    expect(said).to_contain_text("2 image files with 9 images, 1 plate among them.", timeout=60_000)
    expect(said).to_contain_text("1 file would not be imported.")
    expect(result).to_contain_text("Replace it by a good copy")
    expect(result).to_contain_text("Left aside, not an image: notes.txt.")

    paths.fill("evil")
    expect(result).to_be_empty()
    expect(result).to_contain_text(f"evil/{EVIL}", timeout=60_000)

    paths.fill("slow")
    expect(result).to_be_empty()
    expect(tab.get_by_role("progressbar")).to_be_visible()
    expect(tab.get_by_text("of 120 files")).to_be_visible(timeout=60_000)
    tab.get_by_role("button", name="Stop").click()
    expect(again).to_be_visible()
    expect(result).to_be_empty()
    again.click()
    expect(tab.get_by_text("of 120 files")).to_be_visible(timeout=60_000)
    tab.goto(f"{page.address}/trial")  # who leaves holds up nobody: 120 files would take a minute
    paths.fill("three.ome.tif")
    expect(said).to_contain_text("1 image file with 3 images.", timeout=40_000)

    paths.fill("gone.tif")
    expect(tab.get_by_text("gone.tif is not there in disk.")).to_be_visible(timeout=60_000)
    assert sorted(path.name for path in disk.iterdir()) == sorted(
        ["three.ome.tif", "evil", PLATE, "corrupt.tif", "notes.txt", "slow"]
    )
