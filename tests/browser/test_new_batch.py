"""New batch, in a real browser: files are chosen where they lie, handed over, and somebody logs out."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, expect
from playwright.sync_api import Page as Tab

from dropwatch.sandbox.samples import corrupt_tiff, ome_set, ome_tiff
from tests.browser.conftest import Site, running_site
from tests.browser.looking import PHONE, WIDE, image, slow_down
from tests.images import PLATE, fake
from tests.page import running_page
from tests.world import World, running_sandbox, wait_until

PLACE = "Confocal 1"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A facility with the disk of a microscope, and another one that is not mounted."""
    root = tmp_path_factory.mktemp("site")
    disk = root / "disk"
    for run, number in (("run 7", 2), ("run 8", 3), ("calibration", 1)):
        (disk / run).mkdir(parents=True)
        for position in range(1, number + 1):
            ome_tiff(disk / run / f"{run} position {position}.ome.tif", seed=len(run) * 10 + position, size=8)
    (disk / "unsorted").mkdir()
    ome_tiff(disk / "unsorted" / "cells.ome.tif", seed=77, size=8)
    fake(disk / "unsorted", PLATE)
    corrupt_tiff(disk / "unsorted" / "corrupt.tif")
    (disk / "<img src=x onerror=alert(1)>.ome.tif").write_bytes(b"x")
    (disk / "to the password.ome.tif").symlink_to("/etc/passwd")
    places = {
        PLACE: {"path": str(disk), "users": ["*"]},
        "Light sheet": {"path": str(root / "unplugged"), "users": ["alice"]},
        "Private": {"path": str(root / "private"), "users": ["bob"]},
        "Shared by lab-a": {"path": str(root / "shared"), "users": ["group:lab-a"]},
    }
    with running_site(root, java=True, places=places, mail={"send_to": ["*@example.org"]}) as site:
        ome_tiff(root / "old.ome.tif", size=8)
        files = {
            "old.ome.tif": (root / "old.ome.tif").read_bytes(),
            "batch.yaml": b"target: Project:HeLa/Dataset:day 1\n",
        }
        site.world.drop("alice", "before", files)
        wait_until(site.sandbox.imports)
        yield site


def disk_of(site: Site) -> Path:
    return site.world.root / "disk"


def contents(disk: Path) -> dict[str, str]:
    return {
        str(path.relative_to(disk)): hashlib.sha256(path.read_bytes()).hexdigest()
        + str(path.stat().st_mtime_ns)
        for path in sorted(disk.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def sign_in(site: Site, tab: Tab, name: str = "alice") -> None:
    """To the form of a new batch, with a password."""
    tab.goto(f"{site.page.address}/new")
    tab.get_by_label("Name").fill(name)
    tab.get_by_label("Password").fill(name)
    tab.get_by_role("button", name="Sign in").click()
    expect(tab.get_by_role("heading", name="New batch")).to_be_visible()


def tick(tab: Tab, name: str) -> None:
    tab.get_by_role("row", name=name).get_by_role("checkbox").click()


def assert_accessible(tab: Tab) -> None:
    # Colours that are about to change are no colours yet. The framework's own bar at the top of the window is there
    # while something is fetched.
    tab.wait_for_function(
        "document.getAnimations().every((one) => one.effect.getTiming().iterations === Infinity)"
    )
    found = Axe().run(tab, context={"exclude": [[".q-loading-bar"]]}).response["violations"]
    serious = [
        (one["id"], [node["html"] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]

    assert serious == []


def submitted(site: Site, user: str = "alice") -> list[dict[str, object]]:
    """What the page wrote for the batches that this user has, wherever they are by now."""
    found = (site.world.spool / user).rglob("batch.json")
    return [json.loads(path.read_text()) for path in found if ".part" not in str(path)]


def test_files_are_picked_where_they_lie_and_come_to_a_dataset_of_ones_own(site: Site, tab: Tab) -> None:
    before, known = contents(disk_of(site)), len(submitted(site))
    sign_in(site, tab)

    tick(tab, "run 7")
    search = tab.get_by_label("Search here and in all folders below")
    search.fill("POSITION 3")
    tick(tab, "run 8 position 3.ome.tif")
    search.fill("")
    tab.get_by_role("button", name="run 8", exact=True).click()
    tick(tab, "run 8 position 1.ome.tif")
    expect(tab.get_by_text("1 folder and 2 files chosen: 4 files,")).to_be_visible()
    tab.get_by_label("Name of the batch").fill("HeLa knockdown")
    tab.get_by_label("One that I have already").click()
    tab.get_by_role("treeitem", name="day 1").click()
    tab.get_by_label("Tags").fill("confocal")
    tab.get_by_label("Who else gets the mail").fill("pi@example.org")
    expect(tab.get_by_text(", to dataset HeLa / day 1")).to_be_visible()
    assert_accessible(tab)
    tab.get_by_role("button", name="Submit").dblclick()
    expect(tab.get_by_role("heading", name="You can log out now")).to_be_visible()
    expect(tab.get_by_text("The outcome goes to alice@example.org.")).to_be_visible()
    assert_accessible(tab)
    done = wait_until(lambda: list((site.world.spool / "alice" / "done").glob("*_HeLa knockdown")))

    assert len(done) == 1
    assert len(submitted(site)) == known + 1, "two clicks made two batches"
    # Other stories import into other datasets.
    into = {line["target"] for line in site.sandbox.imports() if "old.ome.tif" in json.dumps(line["files"])}
    lines = [line for line in site.sandbox.imports() if line["target"] in into]
    names = sorted(file["client_path"].rpartition("/")[2] for line in lines for file in line["files"])
    assert len(into) == 1
    assert names == [
        "old.ome.tif",
        *(f"run 7 position {number}.ome.tif" for number in (1, 2)),
        *(f"run 8 position {number}.ome.tif" for number in (1, 3)),
    ]
    assert contents(disk_of(site)) == before
    told = wait_until(lambda: [mail for mail in site.sandbox.mails() if "HeLa knockdown" in mail.subject])
    wait_until(
        lambda: (
            {mail.to for mail in site.sandbox.mails() if "HeLa knockdown" in mail.subject}
            == {"alice@example.org", "pi@example.org"}
        ),
        what=f"{told}",
    )


# A drop with a folder in it can only be had from the browser itself; files of a script are as good as those of a mouse.
_DROP = """(zone, names) => {
    const data = new DataTransfer();
    for (const [name, text] of names) {
        const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
        data.items.add(new File([bytes], name));
    }
    for (const kind of ["dragenter", "dragover", "drop"])
        zone.dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
}"""


_SHOWN = "dropwatch-upload:not(.hidden)"  # there is one for each drop folder


def drag_and_drop(tab: Tab, files: dict[str, bytes]) -> None:
    """As a person drags *files* of this computer onto the page."""
    named = [[name, base64.b64encode(data).decode()] for name, data in files.items()]
    tab.wait_for_function(f"customElements.get('dropwatch-upload') && document.querySelector('{_SHOWN} *')")
    tab.evaluate(f"(names) => ({_DROP})(document.querySelector('{_SHOWN}').firstElementChild, names)", named)


def uploaded(tab: Tab, told: str) -> Locator:
    return tab.locator(".dw-upload-figures", has_text=told).filter(visible=True)


def test_a_set_of_three_files_is_dragged_onto_the_page_and_seen_until_it_is_one_image_in_omero(
    site: Site, tab: Tab, tmp_path: Path
) -> None:
    names = [f"cells_T{number}.ome.tif" for number in range(3)]
    ome_set(tmp_path, names, seed=900, size=16)
    sign_in(site, tab)

    tab.get_by_role("tab", name="From this computer").click()
    drag_and_drop(tab, {name: (tmp_path / name).read_bytes() for name in names})
    expect(tab.get_by_text(", to dataset")).to_contain_text("3 files")
    tab.get_by_label("Name of the batch").fill("Dragged set")
    expect(tab.get_by_text("1 image file with 1 image.")).to_be_visible()
    expect(tab.get_by_role("listitem").filter(has_text="Can be read")).to_contain_text(
        "cells_T0.ome.tif3 files"
    )
    tab.get_by_role("button", name="Submit").click()
    expect(tab.get_by_role("heading", name="You can log out now")).to_be_visible()
    tab.get_by_role("link", name="Watch it in My batches").click()
    expect(tab.get_by_role("heading", name="Dragged set")).to_be_visible()
    wait_until(lambda: list((site.world.spool / "alice" / "done").glob("*_Dragged set")))
    expect(tab.get_by_text("1 of 1 imported.")).to_be_visible()
    expect(tab.locator("a[href^='http://localhost/webclient']").first).to_be_visible()
    imported = [line for line in site.sandbox.imports() if "cells_T" in str(line["files"])]
    (mail,) = wait_until(lambda: [mail for mail in site.sandbox.mails() if "Dragged set" in mail.subject])

    assert [len(line["images"]) for line in imported] == [1]
    assert sorted(file["sha1"] for file in imported[0]["files"]) == sorted(
        hashlib.sha1((tmp_path / name).read_bytes()).hexdigest() for name in names
    )
    assert mail.to == "alice@example.org"
    assert "cells_T0.ome.tif (with 2 more files)" in mail.text


@pytest.mark.long
def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_handed_over(site: Site, tab: Tab) -> None:
    known = len(submitted(site))
    sign_in(site, tab)
    tab.get_by_role("button", name="Submit").click()
    expect(tab.get_by_text("Choose at least one file or folder.")).to_be_visible()
    tick(tab, "run 7")
    tab.get_by_label("Name of the dataset").fill("{nonsense}")
    tab.get_by_role("button", name="Add a pair").click()
    tab.get_by_label("Value 1").fill("63x")
    tab.get_by_label("Who else gets the mail").fill("pi@elsewhere.org")
    tab.get_by_role("button", name="Submit").click()

    expect(
        tab.get_by_text("Unknown placeholder '{nonsense}'; there are {batch}, {folder}, {date}.")
    ).to_be_visible()
    expect(tab.get_by_text("A value has no key.")).to_be_visible()
    expect(tab.get_by_text("This facility sends no mail to pi@elsewhere.org.")).to_be_visible()
    expect(tab.get_by_text("Not submitted yet. Please look at")).to_be_visible()
    expect(tab.get_by_label("Name of the dataset")).to_be_focused()
    for scheme, size in (("light", WIDE), ("dark", PHONE)):
        tab.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        tab.set_viewport_size(size)
        assert_accessible(tab)
        assert tab.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert len(submitted(site)) == known


@pytest.mark.long
def test_what_cannot_be_read_and_what_goes_to_a_wrong_place_is_said_before_it_is_submitted(
    site: Site, tab: Tab
) -> None:
    sign_in(site, tab)
    tab.get_by_role("button", name="unsorted", exact=True).click()
    tick(tab, "corrupt.tif")
    tick(tab, "cells.ome.tif")
    tab.get_by_label("Name of the dataset").fill("day 3")
    expect(tab.get_by_text("1 image file with 1 image. 1 file would not be imported.")).to_be_visible(
        timeout=40_000
    )
    expect(tab.get_by_text("Replace it by a good copy")).to_be_visible()
    warning = tab.get_by_text("go to a screen").filter(visible=True)
    expect(warning).to_have_count(0)
    tab.set_viewport_size(PHONE)
    assert_accessible(tab)
    assert tab.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    tab.set_viewport_size(WIDE)

    tick(tab, PLATE)
    expect(warning).to_have_text("1 plate among the files: plates go to a screen, not to a dataset.")
    tab.get_by_label("A new screen, for plates").click()
    expect(warning).to_have_text("1 image file among the files: only plates go to a screen.")
    tick(tab, "corrupt.tif")
    tick(tab, "cells.ome.tif")
    expect(tab.get_by_text("1 image file with 6 images, 1 plate among them.")).to_be_visible()
    expect(warning).to_have_count(0)


@pytest.mark.long
def test_without_omero_the_places_known_by_name_are_there_and_words_for_the_rest(
    site: Site, tab: Tab
) -> None:
    sign_in(site, tab, "bob")
    bobs = tab.get_by_label("Where the files are")
    bobs.click()
    expect(tab.get_by_role("option", name="Shared by lab-a")).to_be_visible()
    site.page.stop()  # what it knows of bob is good for a minute
    site.sandbox.stop()
    try:
        site.page.start()
        tab.goto(site.page.link_to_come_in("bob"))
        tab.wait_for_url(f"{site.page.address}/")
        tab.goto(f"{site.page.address}/new")
        expect(tab.get_by_text("Places for groups are shown when it answers: then reload.")).to_be_visible(
            timeout=25_000
        )
        bobs.click()

        expect(tab.get_by_role("option", name="Private")).to_be_visible()
        expect(tab.get_by_role("option", name="Shared by lab-a")).to_have_count(0)
        tab.keyboard.press("Escape")
        tick(tab, "run 7")
        tab.get_by_role("button", name="Submit").click()
        expect(tab.get_by_role("heading", name="You can log out now")).to_be_visible()
        expect(tab.get_by_text("To which address, OMERO does not tell at the moment.")).to_be_visible(
            timeout=25_000
        )
    finally:
        site.sandbox.start()


@pytest.mark.long
def test_names_of_others_do_nothing_and_what_cannot_be_fetched_says_why(site: Site, tab: Tab) -> None:
    sign_in(site, tab)
    expect(tab.get_by_text("<img src=x onerror=alert(1)>.ome.tif")).to_be_visible()
    link = tab.get_by_role("row", name="to the password.ome.tif")

    expect(link).to_contain_text("it is a link")
    expect(link.get_by_role("checkbox")).to_be_disabled()
    assert tab.locator("main img").count() == 0, "a file name became part of the page"
    places = tab.get_by_label("Where the files are")
    places.click()
    expect(tab.get_by_role("option", name="Private")).to_have_count(0)
    expect(tab.get_by_role("option", name="Shared by lab-a")).to_be_visible()
    tab.get_by_role("option", name="Light sheet").click()
    expect(tab.get_by_text("The place Light sheet is not there, or empty.")).to_be_visible()


@pytest.mark.long
def test_a_reload_loses_nothing_and_the_next_person_at_this_computer_sees_nothing_of_it(
    site: Site, tab: Tab
) -> None:
    sign_in(site, tab)
    tick(tab, "run 7")
    tab.get_by_label("Name of the batch").fill("Kept over a reload")
    tab.get_by_label("Tags").fill("confocal")
    tab.get_by_label("Description").fill("siRNA 7")
    tab.wait_for_function("(sessionStorage.getItem('dropwatch-new-batch') ?? '').includes('siRNA 7')")
    tab.reload()

    expect(tab.get_by_label("Name of the batch")).to_have_value("Kept over a reload")
    expect(tab.get_by_label("Description")).to_have_value("siRNA 7")
    expect(tab.get_by_text("1 folder chosen: 2 files")).to_be_visible()
    expect(tab.get_by_role("row", name="run 7").get_by_role("checkbox")).to_be_checked()
    tab.context.clear_cookies()  # a session that ran out
    sign_in(site, tab, "bob")
    expect(tab.get_by_role("row", name="run 7")).to_be_visible()  # what was kept would be there by now
    expect(tab.get_by_text("Nothing chosen yet. Tick files")).to_be_visible()
    expect(tab.get_by_label("Name of the batch")).to_have_value("")


@pytest.mark.long
def test_all_of_it_can_be_done_without_a_mouse(site: Site, tab: Tab) -> None:
    known = len(submitted(site))
    tab.goto(f"{site.page.address}/new")
    tab.get_by_label("Name").focus()
    for text in ("alice", "\t", "alice", "\n"):
        tab.keyboard.press({"\t": "Tab", "\n": "Enter"}[text]) if text in "\t\n" else tab.keyboard.type(text)
    expect(tab.get_by_role("row", name="run 7")).to_be_visible()
    tab_to(tab, "Files and folders")
    for key in ("ArrowDown", "ArrowDown", "Enter"):  # calibration, run 7, run 8
        tab.keyboard.press(key)
    expect(tab.get_by_role("row", name="run 8 position 2")).to_be_visible()
    for key in ("ArrowDown", "ArrowDown", "Space"):
        tab.keyboard.press(key)
    expect(tab.get_by_text("1 file chosen: 1 file")).to_be_visible()
    tab_to(tab, "Submit")
    tab.keyboard.press("Enter")

    expect(tab.get_by_role("heading", name="You can log out now")).to_be_visible()
    assert len(submitted(site)) == known + 1


def tab_to(tab: Tab, name: str) -> None:
    """Press Tab until what is called *name* has the focus."""
    told = "document.activeElement.ariaLabel ?? document.activeElement.textContent"
    for _ in range(60):
        tab.keyboard.press("Tab")
        if tab.evaluate(told) == name:
            return
    raise AssertionError(f"no Tab leads to {name}")


@pytest.mark.long
def test_an_upload_goes_to_the_drop_folder_that_was_chosen(tmp_path: Path, tab: Tab) -> None:
    with running_sandbox(tmp_path / "sandbox") as sandbox:
        world = World(tmp_path, sandbox, {}, ("alice",))
        other = tmp_path / "other"
        for place in ("inbox", "processing", "done", "failed"):
            (other / "alice" / place).mkdir(parents=True)
        (other / ".dropwatch-spool").write_text("{}")
        settings = json.loads(world.config.read_text())
        settings["spools"].append({"path": str(other), "settle": "300ms"})
        world.config.write_text(json.dumps(settings))
        with running_page(world.config, tmp_path / "web.log", "alice") as page:
            tab.goto(page.link)
            tab.wait_for_url(f"{page.address}/")
            tab.goto(f"{page.address}/new")
            go_on = slow_down(tab, 20_000)
            drag_and_drop(tab, {"first.ome.tif": image() + bytes(600_000)})
            expect(uploaded(tab, "0 of 1 files")).to_be_visible()
            tab.get_by_label("Drop folder").click()
            tab.get_by_role("option", name=f"alice in {other}").click()
            expect(uploaded(tab, "of 1 files")).to_be_hidden()
            go_on()
            drag_and_drop(tab, {"second.ome.tif": image(), "third.ome.tif": image()})
            expect(uploaded(tab, "2 of 2 files")).to_be_visible()
            tab.get_by_label("Drop folder").click()
            tab.get_by_role("option", name=f"alice in {world.spool}").click()
            expect(uploaded(tab, "1 of 1 files")).to_be_visible()
            expect(tab.get_by_text("You uploaded this before")).to_have_count(0)  # it went on, unseen
            tab.get_by_label("Drop folder").click()
            tab.get_by_role("option", name=f"alice in {other}").click()
            expect(uploaded(tab, "2 of 2 files")).to_be_visible()
            tab.get_by_label("Name of the batch").fill("Elsewhere")
            tab.get_by_role("button", name="Submit").click()
            expect(tab.get_by_role("heading", name="You can log out now")).to_be_visible()

    here = sorted(path.name for path in (other / "alice" / "inbox" / "Elsewhere").glob("*.tif"))
    assert here == ["second.ome.tif", "third.ome.tif"]
    assert list((world.spool / "alice" / "inbox").iterdir()) == []


@pytest.mark.long
def test_images_that_go_to_folders_need_no_tree_and_a_person_without_drop_folder_is_told_so(
    tmp_path: Path, tab: Tab
) -> None:
    folders = {"importer": "folder", "folder": {"path": str(tmp_path / "images")}, "mail": None}
    with running_sandbox(tmp_path / "sandbox") as sandbox:
        world = World(tmp_path, sandbox, folders, ("alice",))
        with running_page(world.config, tmp_path / "web.log", "alice") as page:
            tab.goto(page.link)
            tab.wait_for_url(f"{page.address}/")
            tab.goto(f"{page.address}/new")
            expect(tab.get_by_label("Name of the dataset")).to_be_visible()
            expect(tab.get_by_label("One that I have already")).to_have_count(0)
            drag_and_drop(tab, {"first.ome.tif": image()})
            expect(uploaded(tab, "1 of 1 files")).to_be_visible()
            tab.get_by_role("button", name="Submit").click()
            expect(tab.get_by_role("heading", name="You can log out now")).to_be_visible()
            expect(tab.get_by_text("This facility sends no mails")).to_be_visible()
            tab.context.clear_cookies()
            tab.goto(page.link_to_come_in("zoe", admin=True))
            tab.wait_for_url(f"{page.address}/")
            tab.goto(f"{page.address}/new")

            expect(tab.get_by_role("heading", name="You have no drop folder yet")).to_be_visible()
            expect(tab.get_by_text("help@example.org")).to_be_visible()
            assert_accessible(tab)
