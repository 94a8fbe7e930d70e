"""What stands before every room of the page: names, origins, sizes, headers; and the API as programs meet it."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from socketio import AsyncClient, AsyncSimpleClient
from socketio.exceptions import ConnectionError
from starlette.types import Message

from dropwatch.model import Place
from dropwatch.web.guard import Guard
from tests.asker import Asker, stranger, visitor
from tests.page import Page, running_page
from tests.quiet import Quiet
from tests.world import awaited, wait_until


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Quiet:
    root = tmp_path_factory.mktemp("guard")
    disk, secret = root / "disk", root / "secret"
    (disk / "run7").mkdir(parents=True)
    (disk / "run7" / "a.fake").write_bytes(b"a")
    (disk / "out").symlink_to(root)
    secret.write_text("secret")
    (root / "confocal1" / "2026-11-24" / "run7").mkdir(parents=True)
    settings = {
        "users": {name: {"omero": "eve"} for name in ("eve", "eves-plates")},
        "places": {
            "confocal1-disk": {"path": str(root / "confocal1"), "users": ["confocal1"]},
            "disk": {"path": str(disk), "users": ["alice", "confocal1", "eve"]},
            "bobs": {"path": str(disk), "users": ["bob"]},
            "team": {"path": str(disk), "users": ["group:imaging"]},
        },
        "instruments": {"confocal1": {"may_import_for": ["alice"]}},
        "web": {"url": "https://import.example.org"},
        "mail": {
            "host": "localhost", "port": 1, "security": "none", "from": "d@example.org", "admins": ["a@example.org"],
        },
    }  # fmt: skip
    made = Quiet(root, settings, ("alice", "bob", "confocal1", "eve", "eves-plates"))
    (made.place("alice", Place.INBOX) / "HeLa").mkdir()
    (made.place("alice", Place.INBOX) / "HeLa" / "a.fake").write_bytes(b"")
    return made


@pytest.fixture(scope="module")
def page(quiet: Quiet) -> Iterator[Page]:
    with running_page(quiet.config, quiet.root / "web.log") as made:
        yield made


@pytest.fixture(scope="module")
def alice(page: Page) -> Asker:
    return visitor(page, "alice")


@pytest.fixture(scope="module")
def bob(page: Page) -> Asker:
    return visitor(page, "bob")


@pytest.fixture(scope="module")
def admin(page: Page) -> Asker:
    return visitor(page, "carol", admin=True)


def program(page: Page, owner: Asker, **wanted: Any) -> Asker:
    """Software with a token that *owner* made."""
    made = owner.post("/api/tokens", {"name": "ZEN", **wanted})
    assert made.status == 201, made.text
    return Asker(page, {"Authorization": f"Bearer {made.json['token']}"})


# -- before any room -------------------------------------------------------------------------------------


def test_nothing_is_framed_guessed_kept_or_run_that_is_not_ours(alice: Asker) -> None:
    answers = {
        path: alice.get(path) for path in ("/", "/sign-in", "/api/me", "/docs", "/no-such", "/api/no-such")
    }
    for path, answer in answers.items():
        policy = answer.headers["content-security-policy"]
        scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))

        assert "frame-ancestors 'none'" in policy, path
        assert "default-src 'none'" in policy, path
        assert "unsafe-inline" not in scripts, path
        assert answer.headers["x-frame-options"] == "DENY", path
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert answer.headers["referrer-policy"] == "same-origin", path
        assert answer.headers["cache-control"] == "no-store", path
        assert "server" not in answer.headers, path


def test_behind_tls_the_cookie_goes_by_nothing_else(page: Page) -> None:
    link = visitor(page, "alice").headers["Cookie"]

    assert link.startswith("__Host-dropwatch=")


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("evil.example", 421),
        ("evil.example:80", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
        ("import.example.org", 200),
        ("IMPORT.example.org.", 200),
        ("localhost:1", 200),
        ("127.0.0.1", 200),
        ("[::1]:80", 200),
    ],
)
def test_the_page_answers_to_its_own_names_alone(page: Page, alice: Asker, name: str, status: int) -> None:
    asker = Asker(page, {"Cookie": alice.headers["Cookie"]})

    assert asker.get("/api/me", Host=name).status == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"}, 403),
        ({}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 404),
        ({"Origin": "https://import.example.org"}, 404),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_what_changes_something_comes_from_a_page_of_ours(
    page: Page, alice: Asker, headers: dict[str, str], status: int, method: str
) -> None:
    asker = Asker(page, {"Cookie": alice.headers["Cookie"], **headers})
    answer = asker.ask(method, "/api/batches/nothing/retry")

    assert answer.status == (status if method == "POST" or status == 403 else 405)


def test_a_token_needs_no_origin_and_lets_no_cookie_count(page: Page, alice: Asker) -> None:
    zen = program(page, alice)
    foreign = {"Origin": "https://evil.example", "Cookie": alice.headers["Cookie"]}

    assert zen.post("/api/batches/nothing/retry").status == 404
    assert zen.post("/api/batches/nothing/retry", **foreign).status == 404
    for wrong in ("Bearer nothing", "Bearer ", "bearer x", "Basic x", ""):
        answer = Asker(page, {"Authorization": wrong, **foreign, "Origin": page.address})
        assert answer.post("/api/batches/nothing/retry").status == 401, wrong


def test_a_websocket_from_a_page_of_somebody_else_is_refused(page: Page, alice: Asker, bob: Asker) -> None:
    shown = alice.get("/").text
    client = shown.partition("'client_id': '")[2].partition("'")[0]

    mine, others = {"Cookie": alice.headers["Cookie"]}, {"Cookie": bob.headers["Cookie"]}
    ours, foreign = {"Origin": page.address}, {"Origin": "https://evil.example"}
    polling = f"/_nicegui_ws/socket.io/?EIO=4&transport=polling&client_id={client}"

    def asks(**headers: str) -> int:
        return Asker(page, headers).get(polling).status

    assert awaited(_joins(page, client, {**mine, **ours}))
    assert not awaited(_joins(page, client, {**mine, **foreign}))
    assert not awaited(_joins(page, client, mine))
    assert not awaited(_joins(page, client, {**others, **ours}))
    assert not awaited(_joins(page, client, ours))
    assert (asks(**mine), asks(**others), asks()) == (200, 401, 401)
    assert (asks(**mine, **foreign), asks(**mine, **{"Sec-Fetch-Site": "same-site"})) == (403, 403)


def test_a_socket_acts_in_no_page_that_somebody_else_opened(page: Page, alice: Asker, bob: Asker) -> None:
    pages = [who.get("/").text.partition("'client_id': '")[2].partition("'")[0] for who in (alice, bob)]
    ours = {"Cookie": bob.headers["Cookie"], "Origin": page.address}

    assert awaited(_shakes_hands(page, ours, pages)) == [False, True]


async def _shakes_hands(page: Page, headers: dict[str, str], clients: list[str]) -> list[bool]:
    """Whether a socket that names no page in its address is let into each of *clients*."""
    async with AsyncSimpleClient(reconnection=False) as socket:
        await socket.connect(page.address, headers, ["websocket"], socketio_path="/_nicegui_ws/socket.io")
        said = {"tab_id": "x", "document_id": "y", "next_message_id": 0}
        return [bool(await socket.call("handshake", {**said, "client_id": client})) for client in clients]


async def _joins(page: Page, client: str, headers: dict[str, str]) -> bool:
    """Whether a websocket is let in."""
    socket = AsyncClient(reconnection=False)
    query = f"client_id={client}&tab_id=x&document_id=y&next_message_id=0&implicit_handshake=false"
    way = {"transports": ["websocket"], "socketio_path": "/_nicegui_ws/socket.io"}
    try:
        await socket.connect(f"{page.address}/?{query}", dict(headers), **way)
    except ConnectionError:
        return False
    finally:
        await socket.disconnect()
    return True


def test_a_request_has_a_bound(alice: Asker) -> None:
    big = b'{"name": "' + b"x" * 2**20 + b'"}'
    answer = alice.ask("POST", "/api/tokens", big, Content_Type="application/json")

    assert answer.status == 413
    assert set(answer.json) == {"detail", "remedy"}


def test_a_request_that_does_not_say_how_long_it_is_has_the_same_bound(page: Page, alice: Asker) -> None:
    line = http.client.HTTPConnection(page.address.removeprefix("http://"), timeout=200)
    try:
        headers = {**alice.headers, "Content-Type": "application/json"}
        with suppress(OSError):  # it need not wait for the rest to answer
            line.request("POST", "/api/tokens", iter([b" " * 2**16] * 17), headers, encode_chunked=True)
        status = line.getresponse().status
    finally:
        line.close()

    assert status == 413


def test_a_request_has_its_time_to_come() -> None:
    never, said = asyncio.Event(), []

    async def receive() -> Message:
        await never.wait()
        raise AssertionError("it never comes")

    async def send(message: Message) -> None:
        said.append(message)

    guard = Guard(lambda *_: pytest.fail("it got through"), frozenset({"here"}), None, patience=0.01)
    headers = [(b"host", b"here"), (b"authorization", b"Bearer x")]
    scope = {"type": "http", "method": "POST", "path": "/api/tokens", "scheme": "http", "headers": headers}
    awaited(guard(scope, receive, send))

    assert said[0]["status"] == 408


def test_without_a_proxy_nobody_is_believed_who_says_to_be_one(page: Page, alice: Asker) -> None:
    by_tls = {"Origin": page.address.replace("http:", "https:"), "X-Forwarded-Proto": "https"}
    asker = Asker(page, {"Cookie": alice.headers["Cookie"], **by_tls})

    assert asker.post("/api/batches/nothing/retry").status == 403


@pytest.mark.long
def test_what_keeps_it_from_starting_is_told(quiet: Quiet, tmp_path: Path) -> None:
    def start(*words: str, config: Path = quiet.config) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "dropwatch", "--config", str(config), "web", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)

    (tmp_path / "state").touch()
    other = tmp_path / "other.yaml"
    other.write_text(json.dumps({**json.loads(quiet.config.read_text()), "state": str(tmp_path / "state")}))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        in_use = start("--port", str(port))
    closed = start("--port", "0", config=other)

    assert (in_use.returncode, closed.returncode) == (1, 1)
    assert f"127.0.0.1, port {port}" in in_use.stderr
    assert f"{tmp_path / 'state'}" in closed.stderr
    assert "listen" not in closed.stderr


@pytest.mark.long
def test_it_ends_soon_when_it_is_stopped_whoever_still_sends(quiet: Quiet, tmp_path: Path) -> None:
    page = Page(quiet.config, tmp_path / "web.log")
    page.start()
    try:
        line = http.client.HTTPConnection(page.address.removeprefix("http://"), timeout=200)
        line.putrequest("POST", "/sign-in")
        line.putheader("Origin", page.address)
        line.putheader("Content-Length", "1000")
        line.endheaders(b"half of it")
        started = time.monotonic()
        page.stop()
        took = time.monotonic() - started
        line.close()
    finally:
        page.kill()

    assert took < 30


def test_nicegui_writes_no_prefix_of_a_stranger_into_a_page(alice: Asker) -> None:
    assert "evil" not in alice.get("/", X_Forwarded_Prefix="//evil.example").text


# -- the API ---------------------------------------------------------------------------------------------


def test_a_batch_of_somebody_else_is_not_there(alice: Asker, bob: Asker, admin: Asker) -> None:
    mine, other = alice.get("/api/batches"), bob.get("/api/batches?user=alice")
    ways = [("GET", ""), ("GET", "/log"), ("POST", "/retry"), ("POST", "/cancel")]
    statuses = {
        bob.ask(method, f"/api/batches/{name}{way}").status
        for method, way in ways
        for name in ("HeLa", "alice%2FHeLa", "nothing", "..%2F..%2Falice%2Finbox%2FHeLa", "%00", "HeLa%0A")
    }

    assert [batch["name"] for batch in mine.json["batches"]] == ["HeLa"]
    assert other.json == {"total": 0, "batches": []}
    assert statuses == {404}
    assert bob.get("/api/batches/HeLa").json == bob.get("/api/batches/nothing").json
    assert alice.get("/api/batches/HeLa").status == 200
    assert admin.get("/api/batches/HeLa").json["place"] == "inbox"
    assert alice.post("/api/batches/HeLa/retry").status == 409


def test_a_place_shows_nothing_outside_and_is_shown_to_nobody_else(alice: Asker, bob: Asker) -> None:
    ways = [
        "..",
        "run7/../..",
        "/etc",
        "out",
        "out/secret",
        "..%2f..%2fetc",
        "run7%00",
        "run7%5C..%5C..",
        "//",
        "~",
    ]
    outside = {path: alice.get(f"/api/places/disk?path={path}") for path in ways}
    searched = {path: alice.get(f"/api/places/disk/search?text=secret&path={path}") for path in ways}

    assert alice.get("/api/places").json == [{"name": "disk"}]
    assert [entry["path"] for entry in alice.get("/api/places/disk?path=run7").json["entries"]] == [
        "run7/a.fake"
    ]
    assert not [
        path for path, answer in outside.items() if answer.status == 200 and "run7" not in answer.text
    ]
    assert not [answer for answer in searched.values() if "secret" in answer.text and answer.status == 200]
    for name in ("disk", "team", "nothing", "..", "%2e%2e%2fdisk"):
        assert bob.get(f"/api/places/{name}").status == 404, name
        assert bob.post("/api/batches", {"from": {"place": name, "paths": ["run7"]}}).status == 404, name


def test_acquisition_software_submits_for_its_instruments_user(
    page: Page, admin: Asker, quiet: Quiet
) -> None:
    zen = program(page, admin, user="confocal1")
    batch = {"from": {"place": "disk", "paths": ["run7"]}, "name": "run 7", "user": "alice", "tags": ["day3"]}
    answer = zen.post("/api/batches", batch)
    assert answer.status == 201, answer.text
    written = json.loads((Path(answer.json["path"]) / "batch.json").read_text())

    assert answer.status == 201, answer.text
    assert zen.get(f"/api/batches/{answer.json['name'].replace(' ', '%20')}").status == 200
    assert (written["user"], written["from"], written["tags"]) == ("alice", batch["from"], ["day3"])
    assert zen.get("/api/me").json["admin"] is False


def test_the_example_for_acquisition_software_submits(page: Page, admin: Asker) -> None:
    script = Path(__file__).parents[2] / "examples" / "submit_by_api.py"
    token = admin.post("/api/tokens", {"name": "script", "user": "confocal1"}).json["token"]
    command = [sys.executable, str(script), page.address, "disk", "run7/a.fake", "--user", "alice"]

    def run(token: str) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "DROPWATCH_TOKEN": token}
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=200, check=False)

    good, bad = run(token), run("dw_wrong")

    assert (good.returncode, Path(good.stdout.strip()).parent.name) == (0, "inbox"), good.stderr
    assert (bad.returncode, bad.stderr) == (
        1,
        "You are not signed in. Sign in, or send a token that is still good.\n",
    )


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl")
def test_each_example_of_the_documentation_does_what_it_says(
    page: Page, admin: Asker, quiet: Quiet, tmp_path: Path
) -> None:
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    token = admin.post("/api/tokens", {"name": "examples", "user": "confocal1"}).json["token"]
    environ = {**os.environ, "DROPWATCH": page.address, "DROPWATCH_TOKEN": token}
    (tmp_path / "a.ome.tif").write_bytes(b"pixels")
    said = []
    for language, script in re.findall(r"^```(sh|python)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        program = {"sh": ["bash", "-euc"], "python": [sys.executable, "-c"]}[language]
        command = [*program, script]
        done = subprocess.run(
            command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False
        )
        assert done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"
        said.append(done.stdout)
    dropped = [
        path for path in quiet.place("confocal1", Place.INBOX).iterdir() if path.name.startswith("run")
    ]
    uploaded = next(path for path in dropped if (path / "a.ome.tif").exists())

    assert "run7 will not be imported" in said[0]
    assert "waiting" in said[1]
    assert '"key":"drop-' in said[2]
    assert json.loads((uploaded / "batch.json").read_text())["user"] == "alice"
    assert (uploaded / "a.ome.tif").read_bytes() == b"pixels"


def test_who_has_several_drop_folders_says_which(page: Page, quiet: Quiet) -> None:
    eve, origin = visitor(page, "eve"), {"place": "disk", "paths": ["run7"]}
    mine = [folder["user"] for folder in eve.get("/api/me").json["drop_folders"]]
    unclear = eve.post("/api/batches", {"from": origin}), eve.post("/api/uploads", {})
    other = eve.post("/api/batches", {"from": origin, "drop_folder": "eve", "spool": "/elsewhere"})
    plates = eve.post("/api/batches", {"from": origin, "drop_folder": "eves-plates"})
    named = {"user": "eves-plates", "spool": str(quiet.spool)}
    upload = eve.post("/api/uploads", named)
    eve.ask("DELETE", f"/api/uploads/{upload.json['draft']}")

    assert mine == ["eve", "eves-plates"]
    assert {answer.status for answer in unclear} == {409}
    assert f"eves-plates in {quiet.spool}" in unclear[0].json["remedy"]
    assert other.status == 404
    assert (plates.status, Path(plates.json["path"]).parent) == (201, quiet.place("eves-plates", Place.INBOX))
    assert (upload.status, upload.json["user"]) == (201, "eves-plates")


def test_its_key_leads_to_a_batch_before_and_after_it_was_taken_up(
    page: Page, alice: Asker, bob: Asker, admin: Asker
) -> None:
    batch = {"from": {"place": "disk", "paths": ["run7"]}, "name": "twice"}
    eves = visitor(page, "eve").post("/api/batches", {**batch, "drop_folder": "eve"})
    keys = [alice.post("/api/batches", batch).json["key"], eves.json["key"]]
    by_name = admin.get("/api/batches/twice")

    def listed() -> set[str]:
        return {batch["key"] for batch in admin.get("/api/batches?text=twice").json["batches"]}

    wait_until(lambda: listed() == set(keys))  # a list may be a second old
    before = alice.get(f"/api/batches/{keys[0]}").json
    told = alice.post(f"/api/batches/{keys[0]}/cancel").json["told"]
    after = alice.get(f"/api/batches/{keys[0]}").json

    assert by_name.status == 409
    assert all(key in by_name.json["remedy"] for key in keys)
    assert bob.get(f"/api/batches/{keys[0]}").status == 404
    assert (before["place"], before["key"], before["id"]) == ("inbox", keys[0], None)
    assert "twice will not be imported" in told
    assert (after["place"], after["name"], after["key"]) == ("processing", "twice", after["claim"])


@pytest.mark.long
def test_what_is_uploaded_is_looked_at_before_it_is_submitted(alice: Asker, bob: Asker) -> None:
    draft = alice.post("/api/uploads", {}).json["draft"]
    nothing = alice.post(f"/api/uploads/{draft}/preview")
    facts = [("draft", draft), ("path", "run7/a.fake")]
    said = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in facts)
    tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "1", "Upload-Metadata": said}
    at = Asker(alice.page, {**alice.headers, **tus}).ask("POST", "/uploads/files").headers["location"]
    part = {
        "Tus-Resumable": "1.0.0",
        "Upload-Offset": "0",
        "Content-Type": "application/offset+octet-stream",
    }
    Asker(alice.page, {**alice.headers, **part}).ask("PATCH", at, b"x")
    seen = alice.post(f"/api/uploads/{draft}/preview")
    of_bob = bob.post(f"/api/uploads/{draft}/preview")
    alice.ask("DELETE", f"/api/uploads/{draft}")

    assert (nothing.status, of_bob.status, seen.status) == (409, 404, 200)
    assert (seen.json["files"], seen.json["bytes"]) == (1, 1)


def test_a_person_submits_for_themselves_alone(alice: Asker, bob: Asker, quiet: Quiet) -> None:
    origin = {"place": "disk", "paths": ["run7"]}
    for_bob = alice.post("/api/batches", {"from": origin, "user": "bob"})
    into_bobs = alice.post("/api/batches", {"from": origin, "drop_folder": "bob"})
    named = alice.post("/api/batches", {"from": origin, "name": "../../bob/inbox/x"})
    outside = alice.post("/api/batches", {"from": {"place": "disk", "paths": ["../secret"]}})
    draft = alice.post("/api/uploads", {}).json["draft"]
    uploaded = alice.post("/api/batches", {"upload": draft, "user": "bob"})
    alice.ask("DELETE", f"/api/uploads/{draft}")

    assert "imports for nobody else" in uploaded.text
    assert (for_bob.status, into_bobs.status) == (409, 404)
    assert outside.status == 422
    assert named.status == 201
    assert list(quiet.place("bob", Place.INBOX).iterdir()) == []


def test_a_token_is_shown_once_and_ends_when_it_is_revoked(
    page: Page, alice: Asker, bob: Asker, quiet: Quiet
) -> None:
    made = alice.post("/api/tokens", {"name": "ZEN", "days": 1}).json
    zen = Asker(page, {"Authorization": f"Bearer {made['token']}"})
    before = zen.get("/api/me").status
    listed = alice.get("/api/tokens").text
    kept = "".join(path.read_text() for path in (quiet.root / "state/web/tokens").iterdir())
    by_bob, by_itself = (
        bob.ask("DELETE", f"/api/tokens/{made['id']}"),
        zen.ask("DELETE", f"/api/tokens/{made['id']}"),
    )
    mints, for_bob = (
        zen.post("/api/tokens", {"name": "x"}),
        alice.post("/api/tokens", {"name": "x", "user": "bob"}),
    )
    as_admin = alice.post("/api/tokens", {"name": "x", "admin": True})
    revoked = alice.ask("DELETE", f"/api/tokens/{made['id']}")

    assert (before, zen.get("/api/me").status) == (200, 401)
    assert made["token"] not in listed + kept
    assert made["id"] in listed
    assert (by_bob.status, by_itself.status, mints.status) == (404, 403, 403)
    assert (for_bob.status, as_admin.status, revoked.status) == (403, 403, 204)


def test_only_an_admin_is_shown_the_facility_and_holds_it(alice: Asker, admin: Asker) -> None:
    ways = [
        *(("GET", way) for way in ("", "/users", "/letters", "/letters/x")),
        *(("POST", way) for way in ("/letters/send", "/letters/x/send")),
    ]
    holds = [alice.post("/api/facility/hold", {}).status, alice.post("/api/facility/release", {}).status]
    held = admin.post("/api/facility/hold", {"user": "bob"})
    shown = admin.get("/api/facility").json
    admin.post("/api/facility/release", {"user": "bob"})

    assert {alice.ask(method, f"/api/facility{way}").status for method, way in ways} == {403}
    assert holds == [403, 403]
    assert "On hold: bob" in held.json["told"]
    assert shown["holds"] == ["bob"]
    assert [disk["free"] > 0 for disk in shown["disks"]]
    assert admin.get("/api/facility").json["holds"] == []
    assert admin.get("/api/facility/letters").json == []
    assert admin.post("/api/facility/letters/send").json["told"] == "No letter waits, and none was given up."
    assert admin.post("/api/facility/letters/x/send").status == 404
    people = {one["user"]: one for one in admin.get("/api/facility/users").json}
    assert (people["eves-plates"]["owner"], people["confocal1"]["owner"]) == ("eve", "")


def test_what_goes_wrong_is_always_told_in_the_same_shape(page: Page, alice: Asker) -> None:
    wrong = [
        stranger(page).get("/api/me"),
        alice.get("/api/no-such"),
        alice.ask("POST", "/api/tokens", b"{", Content_Type="application/json"),
        alice.post("/api/tokens", {"name": ""}),
        alice.get("/api/batches?most=0"),
        alice.ask("PUT", "/api/me"),
    ]

    assert [answer.status for answer in wrong] == [401, 404, 422, 422, 422, 405]
    assert all(set(answer.json) == {"detail", "remedy"} for answer in wrong), [
        answer.text for answer in wrong
    ]
