"""Uploads in bad circumstances that take their time: a disk that fills up, a hand that is quicker than the network."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page as Tab
from playwright.sync_api import Route, expect

from dropwatch.spool.staging import UPLOADS
from tests.browser.test_uploads import MB, Client, come_in, dropped, figures, make, needs_client, slow_down
from tests.faulty_mount import SmallDisk, can_mount
from tests.page import running_page
from tests.world import SandboxProcess, World, wait_until

pytestmark = [needs_client, pytest.mark.long, pytest.mark.timeout(400)]


def world_on(root: Path, **settings: object) -> World:
    nowhere = SandboxProcess(root / "sandbox")
    nowhere.omero_port, nowhere.smtp_port = 1, 2
    return World(root, nowhere, settings, disk=root / "disk")


@pytest.mark.skipif(bool(can_mount()), reason=can_mount())
def test_a_disk_that_fills_up_is_told_at_once_and_the_upload_goes_on_when_there_is_room(
    tab: Tab, tmp_path: Path
) -> None:
    """The line is so slow that the rest of the file would take longer than anybody waits here."""
    disk = SmallDisk(tmp_path / "disk", 150 * 2**20)
    world = world_on(tmp_path)
    sums = make(tmp_path / "run", {"x.fake": 100 * MB})
    try:
        with running_page(world.config, tmp_path / "log", program="tests.browser.upload_page") as page:
            come_in(tab, page)
            alice = Client(page, "alice")
            fast = slow_down(tab, MB)
            tab.locator("[data-chooses=files]").set_input_files(tmp_path / "run" / "x.fake")
            wait_until(lambda: list((world.spool / UPLOADS / "alice").rglob("x.fake")), 30)
            disk.fill()
            expect(tab.get_by_text("The server's disk is too full to take this now.")).to_be_visible()
            figures(tab, "1 failed")
            # Not every browser reads what was answered to half a file: then it asks how much is there, and begins anew.
            listed = alice.ask("GET", "/api/uploads")[2]
            found = alice.ask("GET", f"/api/uploads/{listed[0]['draft']}")[2]["list"][0]
            asked = alice.ask("HEAD", f"/uploads/files/{found['id']}")
            begun = alice.create(listed[0]["draft"], "x.fake", 100 * MB)
            disk.empty()
            fast()
            tab.get_by_role("button", name="Try again").click()
            figures(tab, "1 of 1 files", 120)
            tab.get_by_role("button", name="Submit").click()
            expect(tab.get_by_text("dropped as x")).to_be_visible()

            assert asked[0] == 507
            assert (begun[0], begun[2]["detail"]) == (507, "The server's disk is too full to take this now.")
            assert dropped(world, "x") == {"x.fake": sums["x.fake"]}
    finally:
        disk.close()


def test_what_is_dropped_right_after_a_reload_goes_on_in_the_same_batch(tab: Tab, tmp_path: Path) -> None:
    """It is dropped before the server has told what it has."""
    world = world_on(tmp_path)
    sums = make(tmp_path, {"x.fake": 4 * MB})
    with running_page(world.config, tmp_path / "log", program="tests.browser.upload_page") as page:
        come_in(tab, page)
        fast = slow_down(tab, MB)
        tab.locator("[data-chooses=files]").set_input_files(tmp_path / "x.fake")
        wait_until(lambda: list((world.spool / UPLOADS / "alice").rglob("x.fake")), 30)
        fast()
        held: list[Route] = []
        tab.route("**/api/uploads", lambda route: _hold(route, held))
        tab.reload()
        tab.locator("[data-chooses=files]").set_input_files(tmp_path / "x.fake")
        while not held:
            tab.wait_for_timeout(100)
        held[0].continue_()
        figures(tab, "1 of 1 files")
        drafts = [path for path in (world.spool / UPLOADS / "alice").iterdir() if path.is_dir()]
        tab.get_by_role("button", name="Submit").click()
        expect(tab.get_by_text("dropped as x")).to_be_visible()

    assert len(drafts) == 1
    assert dropped(world, "x") == sums


def _hold(route: Route, held: list[Route]) -> None:
    if route.request.method == "GET":
        held.append(route)
    else:
        route.continue_()
