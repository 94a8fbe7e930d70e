"""The door of the page in a real browser: keyboard, sign-out, a second origin, names that would like to act."""

from __future__ import annotations

import http.server
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, expect
from playwright.sync_api import Page as Tab

from dropwatch.model import Place
from dropwatch.web.sessions import Sessions
from tests.asker import Asker, stranger
from tests.page import Page, running_page
from tests.quiet import Quiet
from tests.world import World, running_sandbox

EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>`${alert(3)}` {{alert(4)}}"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("door")
    with running_sandbox(root / "sandbox") as sandbox:
        instruments = {"confocal1": {"may_import_for": ["alice"]}}
        yield World(root, sandbox, {"site": {"name": f"Site {EVIL}"}, "instruments": instruments})


@pytest.fixture(scope="module")
def page(world: World) -> Iterator[Page]:
    with running_page(world.config, world.root / "web.log") as made:
        yield made


def sign_in(tab: Tab, page: Page, name: str) -> None:
    tab.goto(f"{page.address}/sign-in")
    tab.get_by_label("OMERO user name").fill(name)
    tab.get_by_label("Password").fill(name)
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("heading", name="My batches")).to_be_visible()


def test_somebody_signs_in_by_keyboard_and_signs_out(page: Page, tab: Tab) -> None:
    tab.goto(f"{page.address}/")
    expect(tab.get_by_label("OMERO user name")).to_be_focused()
    tab.keyboard.type("alice")
    tab.keyboard.press("Tab")
    tab.keyboard.type("wrong")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("alert")).to_contain_text("OMERO does not take this name and password")
    expect(tab.get_by_label("OMERO user name")).to_have_value("alice")
    expect(tab.get_by_label("Password")).to_be_focused()
    serious = [
        one for one in Axe().run(tab).response["violations"] if one["impact"] in ("serious", "critical")
    ]
    tab.keyboard.type("alice")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("heading", name="My batches")).to_be_visible()
    tab.evaluate("sessionStorage.setItem('kept by a form', 'alices notes')")
    tab.get_by_role("button", name="Sign out").click()
    expect(tab.get_by_role("heading", name="Sign in")).to_be_visible()
    kept = tab.evaluate("sessionStorage.getItem('kept by a form')")
    tab.go_back()

    expect(tab.get_by_role("heading", name="Sign in")).to_be_visible()
    assert kept is None
    assert serious == []


def test_a_page_that_is_open_is_shown_nothing_more_when_its_session_is_over(
    page: Page, tab: Tab, context: BrowserContext, world: World
) -> None:
    sign_in(tab, page, "alice")
    cookie = next(one["value"] for one in context.cookies() if one["name"] == "dropwatch")
    said: list[str] = []
    tab.on("websocket", lambda socket: socket.on("framereceived", lambda frame: said.append(str(frame))))
    tab.reload()
    expect(tab.get_by_role("heading", name="My batches")).to_be_visible()
    tab.wait_for_function("window.socket?.connected")
    # Not by the page's own sign-out, which forgets its pages: as a session ends whose time is over.
    sessions = Sessions(world.state / "web", time.time)
    session = sessions.read(cookie)
    assert session is not None
    sessions.end(session)
    (world.spool / "alice" / "inbox" / "Dropped later").mkdir()
    (world.spool / "alice" / "inbox" / "Dropped later" / "a.fake").touch()

    expect(tab.get_by_role("heading", name="Sign in")).to_be_visible()
    assert "Dropped later" not in "".join(said)


@pytest.mark.long
def test_a_tab_that_stood_still_for_a_while_goes_on_where_it_was(page: Page, tab: Tab, world: World) -> None:
    sign_in(tab, page, "bob")
    tab.wait_for_function("window.socket?.connected")
    tab.evaluate("window.mark = 'the same page'; for (const end = Date.now() + 12000; Date.now() < end; );")
    (world.spool / "bob" / "inbox" / "Meanwhile").mkdir()
    (world.spool / "bob" / "inbox" / "Meanwhile" / "a.fake").touch()
    expect(tab.get_by_text("Meanwhile").first).to_be_visible()

    assert tab.evaluate("window.mark") == "the same page"


def test_a_page_opened_by_one_person_does_not_act_for_the_next(
    page: Page, tab: Tab, context: BrowserContext
) -> None:
    """The second signs in in another tab of the same browser; the first tab is loaded anew, as the second."""
    sign_in(tab, page, "alice")
    expect(tab.locator(".dw-who")).to_contain_text("alice")
    other = context.new_page()
    sign_in(other, page, "bob")

    expect(tab.locator(".dw-who")).to_contain_text("bob")


@pytest.mark.long
def test_a_token_is_made_shown_once_used_and_revoked_on_the_page(page: Page, tab: Tab) -> None:
    tab.goto(page.link_to_come_in("carol", admin=True))
    expect(tab.get_by_role("heading", name="My batches")).to_be_visible()
    tab.goto(f"{page.address}/account")
    expect(tab.get_by_text("There is no token yet")).to_be_visible()
    tab.get_by_role("button", name="Make a token").click()
    expect(tab.get_by_text("Give it a name")).to_be_visible()
    tab.get_by_label("Name, such as ZEN").fill(EVIL)
    tab.get_by_role("combobox", name="Acts as").click()
    tab.get_by_role("option", name="confocal1, an instrument").click()
    tab.get_by_role("button", name="Make a token").click()
    secret = tab.locator(".dw-secret")
    expect(secret).to_have_text(re.compile("^dw_"))
    token = secret.inner_text()
    zen = Asker(page, {"Authorization": f"Bearer {token}"})
    good = zen.get("/api/me")
    tab.reload()
    row = tab.get_by_role("row", name="onerror")
    expect(row).to_contain_text("confocal1")
    shown = tab.content()
    row.get_by_role("button", name="Revoke").click()
    tab.get_by_role("dialog").get_by_role("button", name="Revoke", exact=True).click()
    expect(tab.get_by_text("There is no token yet")).to_be_visible()

    assert (good.status, good.json["name"], good.json["admin"]) == (200, "confocal1", False)
    assert token not in shown
    assert zen.get("/api/me").status == 401


def test_names_that_would_like_to_act_are_text(page: Page, tab: Tab, world: World) -> None:
    alerts: list[str] = []
    tab.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    folder = world.spool / "carol" / "inbox" / EVIL.replace("/", "_")
    folder.mkdir()
    (folder / f"{EVIL.replace('/', '_')[:80]}.fake").touch()
    tab.goto(f"{page.address}/sign-in?next=/%22%3E%3Cscript%3Ealert(5)%3C/script%3E")
    expect(tab.get_by_role("heading", name="Sign in")).to_be_visible()
    made = tab.locator("img[src=x], main script").count()
    sign_in(tab, page, "carol")
    expect(tab.get_by_text("onerror").first).to_be_visible()
    made += tab.locator("img[src=x], main script").count()
    tab.evaluate("""() => {
        document.body.insertAdjacentHTML("beforeend", "<img src=x onerror=alert(6)>");
        const script = document.createElement("script");
        script.textContent = "alert(7)";
        document.body.append(script);
    }""")
    tab.wait_for_timeout(300)  # for scripts that must not run there is no event to wait for

    assert alerts == []
    assert made == 0


def test_a_page_of_another_origin_can_do_nothing_with_the_cookie(
    page: Page, tab: Tab, tmp_path: Path
) -> None:
    """The other one is on the same machine at another port: for cookies that is the same site."""
    sign_in(tab, page, "bob")
    foreign = tab.context.new_page()
    (tmp_path / "index.html").write_text(
        f"""<form method="post" action="{page.address}/sign-out"><button>Win a prize</button></form>
        <iframe src="{page.address}/" width="300" height="200"></iframe>"""
    )
    with serving(tmp_path) as address:
        foreign.goto(address)
        asked = foreign.evaluate(
            """async address => {
            const tried = [];
            for (const [path, wishes] of [["/api/tokens", {method: "POST", body: '{"name": "x"}'}], ["/api/me", {}]]) {
                tried.push(await fetch(address + path, {credentials: "include", ...wishes}).then(
                    answer => answer.text(), () => "unreadable"));
            }
            tried.push(await new Promise(done => {
                const socket = new WebSocket(
                    address.replace("http", "ws") + "/_nicegui_ws/socket.io/?EIO=4&transport=websocket");
                socket.onopen = () => done("open");
                socket.onerror = () => done("refused");
            }));
            return tried;
        }""",
            page.address,
        )
        framed = foreign.frames[1].url if len(foreign.frames) > 1 else ""
        foreign.get_by_role("button").click()
        foreign.wait_for_url(f"{page.address}/sign-out")
        shown = foreign.locator("body").inner_text()
    cookie = "; ".join(f"{one['name']}={one['value']}" for one in tab.context.cookies())
    bob = stranger(page).having(Cookie=cookie)

    assert asked == ["unreadable", "unreadable", "refused"]
    assert framed.startswith("chrome-error:")
    assert "did not come from a page of ours" in shown
    assert bob.get("/api/me").json["name"] == "bob"
    assert bob.get("/api/tokens").json == []


def test_the_api_is_shown_by_this_server_alone(page: Page, tab: Tab) -> None:
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(f"{page.address}/docs")
    expect(tab.get_by_role("heading", name="dropwatch")).to_be_visible()

    assert [url for url in asked if not url.startswith((page.address, "data:"))] == []


@pytest.mark.long
def test_where_there_are_no_passwords_a_link_leads_in_once(tab: Tab, tmp_path: Path) -> None:
    quiet = Quiet(tmp_path)
    assert list(quiet.place("alice", Place.INBOX).iterdir()) == []
    with running_page(quiet.config, tmp_path / "web.log", "alice") as page:
        tab.goto(page.link)
        expect(tab.get_by_role("heading", name="My batches")).to_be_visible()
        tab.get_by_role("button", name="Sign out").click()
        expect(tab.get_by_text("There are no passwords here")).to_be_visible()
        tab.goto(page.link)
        expect(tab.get_by_role("alert")).to_contain_text("This link does not work")


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The files of *folder*, as another site."""

    class Quietly(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quietly) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join(60)
