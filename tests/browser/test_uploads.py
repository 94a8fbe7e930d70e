"""Files of this computer, uploaded in a real browser: dropped, paused, cut off, killed, reloaded, and submitted."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect
from playwright.sync_api import Page as Tab

from dropwatch.spool.staging import UPLOADS
from tests.browser.looking import slow_down
from tests.page import Page, running_page
from tests.relay import Relay
from tests.world import SandboxProcess, World, wait_until

VENDOR = Path(__file__).parents[2] / "dropwatch/web/static/vendor/tus.min.js"
MB = 10**6

needs_client = pytest.mark.skipif(not VENDOR.is_file(), reason="tus-js-client is not here (make setup)")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("uploads")
    nowhere = SandboxProcess(root / "sandbox")
    nowhere.omero_port, nowhere.smtp_port = 1, 2
    return World(root, nowhere)


@pytest.fixture(scope="module")
def page(world: World) -> Iterator[Page]:
    with running_page(world.config, world.root / "web.log", program="tests.browser.upload_page") as page:
        yield page


def come_in(tab: Tab, page: Page, name: str = "alice", address: str = "") -> None:
    """Sign in, and open the page with the panel; by another *address* when there is one."""
    cookie, _, value = page.cookie(page.link_to_come_in(name)).partition("=")
    address = address or page.address
    tab.context.add_cookies([{"name": cookie, "value": value, "url": address}])
    tab.on("dialog", lambda dialog: dialog.accept())
    tab.goto(f"{address}/trial")
    expect(tab.get_by_role("button", name="Choose files")).to_be_visible()


def figures(tab: Tab, text: str, seconds: float = 60) -> None:
    expect(tab.locator(".dw-upload-figures")).to_contain_text(text, timeout=seconds * 1000)


def make(folder: Path, files: dict[str, int]) -> dict[str, str]:
    """Files of so many random bytes; what their SHA-256 is."""
    sums = {}
    for path, size in files.items():
        data = os.urandom(size)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
        sums[path] = hashlib.sha256(data).hexdigest()
    return sums


def dropped(world: World, name: str, user: str = "alice") -> dict[str, str]:
    """The files of a batch in the inbox by what is on the disk, each as its list says."""
    folder = world.spool / user / "inbox" / name
    listed = {one["path"]: one["sha256"] for one in json.loads((folder / "batch.json").read_bytes())["files"]}
    found = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "batch.json"
    }

    assert found == listed
    return found


def drop(tab: Tab, files: dict[str, str]) -> None:
    """Drag files of these texts onto the panel and let go."""
    transfer = tab.evaluate_handle(
        """(files) => {
            const transfer = new DataTransfer();
            for (const [name, text] of Object.entries(files))
                transfer.items.add(new File([text], name, { lastModified: 1 }));
            return transfer;
        }""",
        files,
    )
    for event in ("dragover", "drop"):
        tab.locator(".dw-upload-zone").dispatch_event(event, {"dataTransfer": transfer})


# -- at its best ------------------------------------------------------------------------------------------


@needs_client
def test_files_are_dropped_a_folder_is_chosen_one_is_taken_out_and_all_become_one_batch(
    world: World, page: Page, tab: Tab, tmp_path: Path
) -> None:
    before = {path.name for path in (world.spool / "alice/inbox").iterdir()}
    come_in(tab, page)
    drop(tab, {"a.fake": "one", "b.fake": "two", "c.fake": "three", ".DS_Store": "litter"})
    figures(tab, "3 of 3 files, 11 bytes of 11 bytes")
    for bar in ("All files", "a.fake"):
        shown = tab.get_by_role("progressbar", name=bar, exact=True)
        expect(shown).to_have_attribute("aria-valuenow", "100")
    sums = make(tmp_path / "run 7", {"x.fake": 300_000, "deep/er/y.fake": 0})
    tab.locator("[data-chooses=folder]").set_input_files(tmp_path / "run 7")
    figures(tab, "5 of 5 files")
    tab.get_by_role("button", name="Take b.fake out").click()
    figures(tab, "4 of 4 files")
    drop(tab, {"aux.fake": "no"})
    expect(tab.get_by_text("aux.fake: Windows allows no such name.")).to_be_visible()
    (tmp_path / "huge.fake").touch()
    os.truncate(tmp_path / "huge.fake", 2**40 + 1)  # of holes
    tab.locator("[data-chooses=files]").set_input_files(tmp_path / "huge.fake")
    expect(
        tab.get_by_text("This is more than you may upload before you submit: 1.1 TB in all")
    ).to_be_visible()
    expect(tab.get_by_text("ready False, 4 here")).to_be_visible()
    tab.get_by_role("button", name="Take out what failed").click()
    expect(tab.get_by_text("ready True, 4 here")).to_be_visible()

    tab.get_by_label("Name").fill("HeLa day 3")
    tab.get_by_role("button", name="Submit").dblclick()
    expect(tab.get_by_text("dropped as HeLa day 3")).to_be_visible()

    found = dropped(world, "HeLa day 3")
    assert set(found) == {"a.fake", "c.fake", "run 7/x.fake", "run 7/deep/er/y.fake"}
    assert found["run 7/x.fake"] == sums["x.fake"]
    assert {path.name for path in (world.spool / "alice/inbox").iterdir()} - before == {"HeLa day 3"}
    expect(tab.locator(".dw-upload-summary")).to_be_hidden()


@needs_client
def test_an_upload_is_paused_goes_on_and_is_discarded(
    world: World, page: Page, tab: Tab, tmp_path: Path
) -> None:
    make(tmp_path, {"p.fake": 20 * MB})
    come_in(tab, page)
    fast = slow_down(tab, MB // 4)
    tab.locator("[data-chooses=files]").set_input_files(tmp_path / "p.fake")
    figures(tab, "left")

    tab.get_by_role("button", name="Pause").click()
    figures(tab, "paused")
    staged = wait_until(lambda: list((world.spool / UPLOADS / "alice").rglob("p.fake")))[0]
    at = wait_until(lambda: _noted(staged), what="what came is made sure of")
    fast()
    tab.get_by_role("button", name="Go on").click()
    figures(tab, "1 of 1 files")
    whole = staged.stat().st_size
    tab.get_by_role("button", name="Discard all").click()
    tab.get_by_role("button", name="Really discard all?").click()
    expect(tab.locator(".dw-upload-summary")).to_be_hidden()
    wait_until(lambda: not staged.exists())

    assert 0 < at < 20 * MB
    assert whole == 20 * MB


# -- at its worst -----------------------------------------------------------------------------------------


@needs_client
def test_a_cut_line_a_killed_page_and_a_reloaded_tab_cost_nothing_but_time(
    world: World, page: Page, tab: Tab, tmp_path: Path
) -> None:
    sums = make(tmp_path / "long", {"x.fake": 60 * MB, "y.fake": 100})
    relay = Relay(int(page.address.rpartition(":")[2]))
    address = f"http://127.0.0.1:{relay.port}"
    come_in(tab, page, address=address)
    fast = slow_down(tab, MB)
    relay.cut_after(MB, MB)
    tab.locator("[data-chooses=folder]").set_input_files(tmp_path / "long")
    staged = wait_until(lambda: list((world.spool / UPLOADS / "alice").rglob("x.fake")))[0]
    wait_until(lambda: staged.stat().st_size > 3 * MB, what="it goes on after two cuts")

    page.kill()
    at_death = _noted(staged)
    page.start()
    # NiceGUI would load the page again, and the files that were dropped would be gone with it.
    tab.wait_for_function("document.querySelector('dropwatch-upload').still.due")
    at_return = staged.stat().st_size
    wait_until(lambda: staged.stat().st_size > at_return, what="it goes on by itself")
    tab.reload()
    figures(tab, "1 to be dropped again")
    expect(tab.get_by_text("Drop the file that is not complete again")).to_be_visible()
    kept, before = _noted(staged), relay.up
    fast()
    tab.locator("[data-chooses=folder]").set_input_files(tmp_path / "long")
    figures(tab, "2 of 2 files")
    sent = relay.up - before
    tab.get_by_role("button", name="Submit").click()
    expect(tab.get_by_text("dropped as long")).to_be_visible()

    assert kept >= at_death > 0
    assert sent < 60 * MB - kept + MB, "what was there was not sent again"
    assert dropped(world, "long") == sums
    relay.shut()


def _noted(staged: Path) -> int:
    """What is certain of the file, by its note."""
    draft = next(folder for folder in staged.parents if (folder / "uploads").is_dir())
    notes = [json.loads(note.read_bytes()) for note in (draft / "uploads").glob("*.json")]
    return next(int(note["received"]) for note in notes if note["path"].endswith(staged.name))


@needs_client
def test_two_people_upload_at_once_and_neither_sees_the_other(
    world: World, page: Page, browser: Browser, tab: Tab, tmp_path: Path
) -> None:
    theirs: BrowserContext = browser.new_context()
    bobs = theirs.new_page()
    sums = {name: make(tmp_path / name, {f"{name}.fake": 2 * MB}) for name in ("alice", "bob")}
    for name, one in (("alice", tab), ("bob", bobs)):
        come_in(one, page, name)
        one.locator("[data-chooses=files]").set_input_files(tmp_path / name / f"{name}.fake")
    for one in (tab, bobs):
        figures(one, "1 of 1 files")
        one.get_by_role("button", name="Submit").click()
        expect(one.get_by_text("dropped as")).to_be_visible()
    theirs.close()

    for name in ("alice", "bob"):
        assert dropped(world, name, name) == sums[name]


@needs_client
@pytest.mark.long
@pytest.mark.timeout(600)
def test_two_gibibytes_come_over_a_line_that_is_cut_twice_and_the_page_stays_small(
    world: World, page: Page, tab: Tab, tmp_path: Path
) -> None:
    block, digest = os.urandom(MB), hashlib.sha256()
    with (tmp_path / "huge.fake").open("wb") as file:
        for _ in range(2148):
            file.write(block)
            digest.update(block)
    relay = Relay(int(page.address.rpartition(":")[2]))
    come_in(tab, page, address=f"http://127.0.0.1:{relay.port}")
    before = memory(page.pid)
    relay.cut_after(600 * MB, 700 * MB)

    tab.locator("[data-chooses=files]").set_input_files(tmp_path / "huge.fake")
    figures(tab, "1 of 1 files", 400)
    tab.get_by_role("button", name="Submit").click()
    expect(tab.get_by_text("dropped as huge")).to_be_visible(timeout=60_000)
    after, sent = memory(page.pid, "VmHWM"), relay.up
    relay.shut()

    listed = json.loads((world.spool / "alice/inbox/huge/batch.json").read_bytes())["files"]
    assert [(one["size"], one["sha256"]) for one in listed] == [(2148 * MB, digest.hexdigest())]
    # What is on its way when a line is cut is sent again: some megabytes in the buffers of two connections.
    again = sent - 2148 * MB
    print(
        f"sent again after two cuts: {again / MB:.1f} MB; memory {before:.0f} MiB before, {after:.0f} MiB at its peak"
    )
    assert again < 100 * MB, "it went on where it was"
    assert after - before < 60, f"{before} MiB before, {after} MiB at the peak"


@needs_client
@pytest.mark.long
def test_two_thousand_small_files_come_through_while_few_rows_are_drawn(
    world: World, page: Page, tab: Tab, tmp_path: Path
) -> None:
    sums = make(tmp_path / "plate", {f"{well:04}.fake": 2000 for well in range(2000)})
    come_in(tab, page)

    tab.locator("[data-chooses=folder]").set_input_files(tmp_path / "plate")
    figures(tab, "2000 of 2000 files", 240)
    rows = tab.locator(".dw-upload-row").count()
    tab.get_by_role("button", name="Submit").click()
    expect(tab.get_by_text("dropped as plate")).to_be_visible(timeout=60_000)

    assert rows < 40
    assert dropped(world, "plate") == sums


def memory(pid: int, key: str = "VmRSS") -> float:
    """MiB that /proc says (Linux)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


# -- at the door, without a browser -----------------------------------------------------------------------


class Client:
    """Speaks tus with the cookie of *name*."""

    def __init__(self, page: Page, name: str) -> None:
        self.page, self.cookie = page, page.cookie(page.link_to_come_in(name)) if name else ""

    def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, dict[str, str], Any]:
        asked = http.client.HTTPConnection(self.page.address.removeprefix("http://"), timeout=200)
        sent = {"Origin": self.page.address, "Cookie": self.cookie, "Tus-Resumable": "1.0.0"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        asked.request(method, path, body, sent)
        answer = asked.getresponse()
        data = answer.read()
        asked.close()
        facts = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, facts, json.loads(data) if data else None

    def begin(self) -> str:
        return str(self.ask("POST", "/api/uploads", "{}", Content_Type="application/json")[2]["draft"])

    def create(self, draft: str, path: str, size: int, body: bytes = b"", **more: str) -> Any:
        said = {"draft": draft, "path": path, "modified": "1"}
        metadata = ",".join(
            f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in said.items()
        )
        return self.ask(
            "POST", "/uploads/files/", body, Upload_Length=str(size), Upload_Metadata=metadata, **more
        )

    def submit(self, draft: str, **keys: str) -> tuple[int, dict[str, str], Any]:
        body = json.dumps({"upload": draft, **keys})
        return self.ask("POST", "/api/batches", body, Content_Type="application/json")

    def send(self, address: str, offset: int, body: bytes) -> tuple[int, dict[str, str], Any]:
        kind = "application/offset+octet-stream"
        return self.ask("PATCH", address, body, Upload_Offset=str(offset), Content_Type=kind)


def test_who_may_not_is_stopped_before_a_byte_is_taken(world: World, page: Page) -> None:
    alice, bob, nobody = Client(page, "alice"), Client(page, "bob"), Client(page, "")
    draft = alice.begin()
    address = alice.create(draft, "x.fake", 10)[1]["location"]

    answers = {
        who: [
            client.send(address, 0, b"0123456789")[0],
            client.ask("HEAD", address)[0],
            client.ask("DELETE", address)[0],
            client.create(draft, "y.fake", 10)[0],
            client.ask("GET", f"/api/uploads/{draft}")[0],
            client.submit(draft)[0],
        ]
        for who, client in (("bob", bob), ("nobody", nobody))
    }
    refused = [
        alice.create(draft, "y.fake", 10, b"0123456789")[0],
        alice.create(draft, "y.fake", 10, Upload_Concat="partial")[0],
        alice.create(draft, "../y.fake", 10)[0],
        alice.create(draft, "y.fake", 2**50)[0],
        alice.send(address, 5, b"56789")[0],
        alice.send(address, 0, b"0123456789A")[0],
    ]
    foreign = alice.ask("HEAD", address, X_Forwarded_Host="evil.example")
    listed = alice.ask("GET", f"/api/uploads/{draft}")[2]["list"]
    alice.send(address, 0, b"0123456789")
    submitted = [alice.submit(draft, name="by a program") for _ in range(2)]

    assert answers == {"bob": [404] * 6, "nobody": [401] * 6}
    assert refused == [400, 400, 422, 413, 409, 400]
    assert foreign[1]["upload-offset"] == "0"
    assert [(one["path"], one["received"]) for one in listed] == [("x.fake", 0)]
    assert address.startswith("/uploads/files/")
    assert [(status, said["name"]) for status, _, said in submitted] == [(201, "by a program")] * 2
    assert set(dropped(world, "by a program")) == {"x.fake"}
    alice.ask("DELETE", f"/api/uploads/{draft}")


def test_a_line_that_says_no_goodbye_gives_way_to_the_next(page: Page) -> None:
    alice = Client(page, "alice")
    draft = alice.begin()
    address = alice.create(draft, "x.fake", 100_000)[1]["location"]
    host, _, port = page.address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as asleep:
        head = (
            f"PATCH {address} HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: {page.address}\r\nCookie: {alice.cookie}\r\n"
            "Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Length: 100000\r\n"
            "Content-Type: application/offset+octet-stream\r\n\r\n"
        )
        asleep.sendall(head.encode() + b"a" * 40_000)

        def offset() -> int:
            status, *_ = alice.send(address, 0, b"b" * 100_000)
            return int(alice.ask("HEAD", address)[1]["upload-offset"]) if status == 409 else 0

        at = wait_until(offset, what="the line that sleeps gives way, and what it brought is kept")
        rest = alice.send(address, at, b"c" * (100_000 - at))

    assert rest[:1] == (204,)
    assert rest[1]["upload-offset"] == "100000"
    alice.ask("DELETE", f"/api/uploads/{draft}")
