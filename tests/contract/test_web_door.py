"""Who comes in to the page, and who does not: a real OMERO (the sandbox), a real server process, raw HTTP."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from itsdangerous import URLSafeSerializer

from dropwatch import exits
from dropwatch.web.links import Links
from dropwatch.web.patience import SPAN, TRIES, Patience
from dropwatch.web.sessions import LASTING, Sessions
from dropwatch.web.tokens import Tokens
from tests.asker import Asker, stranger, visitor
from tests.page import Page, running_page
from tests.world import World, running_sandbox, wait_until


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("door")
    with running_sandbox(root / "sandbox") as sandbox:
        yield World(root, sandbox, {"web": {"admins": ["carol"], "proxies": ["127.0.0.1"]}}, ("alice", "bob"))


@pytest.fixture(scope="module")
def page(world: World) -> Iterator[Page]:
    with running_page(world.config, world.root / "web.log") as made:
        yield made


def asking_from(page: Page, address: str) -> Asker:
    """A stranger whom the proxy names: each story has an address of its own, for wrong passwords are counted."""
    return stranger(page).having(X_Forwarded_For=address)


def sessions(world: World, *, late: float = 0.0) -> Sessions:
    """The page's own, in this process; the clock *late* seconds behind."""
    import time

    return Sessions(world.state / "web", lambda: time.time() - late)


@pytest.mark.long
def test_a_page_that_cannot_listen_says_what_to_do(page: Page) -> None:
    taken = page.address.rpartition(":")[2]
    command = [sys.executable, "-m", "dropwatch", "--config", str(page.config), "web"]
    said = {
        more: subprocess.run([*command, *more], capture_output=True, text=True, timeout=200, check=False)
        for more in (("--port", taken), ("--port", "0", "--host", "192.0.2.1"))
    }

    assert {one.returncode for one in said.values()} == {exits.FAILED}
    texts = [" ".join(one.stderr.split()) for one in said.values()]
    assert texts[0].startswith(f"Something listens at 127.0.0.1, port {taken}, already")
    assert "--port, or web.port" in texts[0]
    assert texts[1].startswith("The page cannot listen at 192.0.2.1, port 0: ")
    assert "--host and --port" in texts[1]


# -- passwords -------------------------------------------------------------------------------------------


def test_who_knows_name_and_password_of_omero_comes_in_and_is_led_to_where_they_wanted(page: Page) -> None:
    asker = asking_from(page, "10.0.0.1")
    wanted = asker.get("/?batch=x")
    answer = asker.send_form("/sign-in", name="alice", password="alice", next="/?batch=x")
    me = asker.get("/api/me", Cookie=answer.cookie)

    assert (wanted.status, wanted.headers["location"]) == (303, "/sign-in?next=/%3Fbatch%3Dx")
    assert (answer.status, answer.headers["location"]) == (303, "/?batch=x")
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(answer.headers["set-cookie"].split("; "))
    assert me.json["name"] == "alice"
    assert not me.json["admin"]


def test_a_wrong_password_and_an_unknown_name_are_told_in_the_same_words(page: Page) -> None:
    asker = asking_from(page, "10.0.0.2")
    wrong = asker.send_form("/sign-in", name="bob", password="wrong")
    unknown = asker.send_form("/sign-in", name="nobody-at-all", password="wrong")
    empty = asker.send_form("/sign-in", name="", password="")

    assert wrong.status == unknown.status == empty.status == 401
    assert wrong.text.replace('value="bob"', "") == unknown.text.replace('value="nobody-at-all"', "")
    assert 'role="alert"' in wrong.text
    assert not wrong.cookie


def test_the_eleventh_wrong_password_within_a_minute_is_not_put_to_omero(page: Page, world: World) -> None:
    one, other = asking_from(page, "10.0.0.3"), asking_from(page, "10.0.0.4")
    before = sessions(world).begin("carol", admin=False)
    guess = lambda n: one.send_form("/sign-in", name="carol", password=f"guess {n}").status  # noqa: E731
    with ThreadPoolExecutor(10) as pool:  # all at once: one after the other they may take more than a minute
        tries = list(pool.map(guess, range(10)))
    tries.append(guess(10))
    right = one.send_form("/sign-in", name="carol", password="carol")
    elsewhere = other.send_form("/sign-in", name="Carol", password="carol")
    another_name = one.send_form("/sign-in", name="alice", password="alice")

    assert tries == [401] * 10 + [429]
    assert (right.status, elsewhere.status, another_name.status) == (429, 429, 429)
    assert 0 < int(right.headers["retry-after"]) <= 60
    assert f"Wait {right.headers['retry-after']} seconds" in right.text
    assert stranger(page).get("/api/me", Cookie=f"dropwatch={before}").status == 200, "who is in stays in"


def test_an_omero_that_is_away_is_said_to_be_and_counts_as_no_wrong_password(
    page: Page, world: World
) -> None:
    asker = asking_from(page, "10.0.0.5")
    world.sandbox.set_faults(omero={"refuse": True})
    try:
        away = [asker.send_form("/sign-in", name="bob", password="bob") for _ in range(11)]
    finally:
        world.sandbox.set_faults()
    back = wait_until(
        lambda: (found := asker.send_form("/sign-in", name="bob", password="bob")).status != 503 and found
    )

    assert {answer.status for answer in away} == {503}
    assert "OMERO cannot be asked at the moment" in away[-1].text
    assert back.status == 303


def test_tries_are_counted_before_they_are_answered_and_forgotten_after_a_minute() -> None:
    now = 0.0
    patience = Patience(lambda: now)
    begun = [patience.begin("Alice", f"2001:db8::{n}") for n in range(TRIES)]

    assert begun == [0.0] * TRIES
    assert patience.begin("alice", "192.0.2.1") == SPAN
    assert patience.begin("bob", "2001:db8::ffff") == SPAN  # the same /64
    assert patience.begin("bob", "2001:db8:0:1::1") == 0
    now = SPAN
    assert patience.begin("alice", "192.0.2.1") == 0


def test_no_password_is_written_anywhere(page: Page, world: World) -> None:
    asking_from(page, "10.0.0.6").send_form("/sign-in", name="bob", password="hush-not-this")
    asking_from(page, "10.0.0.6").send_form("/sign-in", name="bob", password="bob")
    link = page.link_to_come_in("bob")
    key = link.rpartition("=")[2]
    page.cookie(link)
    kept = b"".join(path.read_bytes() for path in world.state.rglob("*") if path.is_file())
    said = (world.root / "web.log").read_bytes()

    assert b"refuse name=bob" in said
    for secret in ("hush-not-this", key):
        assert secret.encode() not in kept + said


def test_who_has_no_drop_folder_is_told_whom_to_ask(page: Page) -> None:
    answer = visitor(page, "dave").get("/")

    assert answer.status == 403
    assert "dave has no drop folder yet" in answer.text
    assert "help@example.org" in answer.text


def test_who_is_named_an_admin_is_one(page: Page) -> None:
    assert visitor(page, "carol").get("/api/me").json["admin"]
    assert visitor(page, "bob", admin=True).get("/api/me").json["admin"]


def test_sign_in_leads_to_no_other_site(page: Page) -> None:
    asker = asking_from(page, "10.0.0.7")
    elsewhere = [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "/\t/evil.example",
        "javascript:evil()",
    ]
    shown = [asker.get(f"/sign-in?next={quote(path)}").text for path in elsewhere]
    led = [asker.send_form("/sign-in", name="alice", password="alice", next=path) for path in elsewhere]

    assert [answer.headers.get("location") for answer in led] == ["/"] * len(elsewhere)
    assert not [text for text in shown if "evil" in text]


def test_a_name_that_is_none_fills_neither_memory_nor_log_and_is_no_try(page: Page, world: World) -> None:
    asker = asking_from(page, "10.0.0.8")
    long = [asker.send_form("/sign-in", name="n" * 256 + str(n), password="x") for n in range(11)]
    right = asker.send_form("/sign-in", name="alice", password="alice")

    assert {answer.status for answer in long} == {401}
    assert "OMERO does not take this name and password" in long[0].text
    assert right.status == 303
    assert "nnnnnnnn" not in (world.root / "web.log").read_text()


def test_only_a_proxy_that_is_named_is_believed(page: Page) -> None:
    """Who came by TLS, and from where: here the word of 127.0.0.1 counts, and that of 127.0.0.2 does not."""
    by_tls = Asker(page, {"Origin": page.address.replace("http:", "https:"), "X-Forwarded-Proto": "https"})

    assert by_tls.post("/api/tokens", {}).status == 401  # of a page of ours; and nobody whom it knows
    assert replace(by_tls, source="127.0.0.2").post("/api/tokens", {}).status == 403
    assert by_tls.post("/api/tokens", {}, X_Forwarded_Proto="http").status == 403


# -- links -----------------------------------------------------------------------------------------------


def test_a_link_is_used_once_also_by_two_at_once(page: Page) -> None:
    key = page.link_to_come_in("alice").rpartition("=")[2]
    looked_at = [stranger(page).get(f"/enter?key={key}").status for _ in range(3)]
    together = threading.Barrier(8)

    def use(_: int) -> int:
        together.wait(60)
        return stranger(page).send_form("/enter", key=key).status

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(use, range(8)))

    assert looked_at == [200] * 3
    assert statuses == [303] + [401] * 7


def test_a_link_in_the_folder_is_kept_hashed_and_ends_by_itself(tmp_path: Path) -> None:
    now = 1000.0
    links = Links(tmp_path, lambda: now)
    links.open("http://here")
    old, new = links.leave("alice", admin=False), links.leave("bob", admin=True)
    keys = [link.rpartition("=")[2] for link in (old, new)]
    kept = "".join(f"{path.name} {path.read_text()}" for path in (tmp_path / "links").iterdir())
    used = links.use(keys[1])
    now += 15 * 60

    assert not any(key in kept for key in keys)
    assert used is not None
    assert (used.name, used.admin) == ("bob", True)
    assert links.use(keys[0]) is None
    assert links.use("../../address") is None


# -- cookies ---------------------------------------------------------------------------------------------


def test_only_a_cookie_that_we_signed_and_that_is_not_over_lets_anybody_in(
    page: Page, world: World, tmp_path: Path
) -> None:
    good = sessions(world).begin("alice", admin=False)
    said, mark = good.rsplit(".", 1)
    forged = {
        "none at all": "",
        "of another key": Sessions(tmp_path, lambda: 2e9).begin("alice", admin=True),
        "over": sessions(world, late=LASTING + 1).begin("alice", admin=False),
        "another name": sessions(world).begin("bob", admin=False).split(".")[0] + "." + mark,
        "another mark": said + "." + mark[::-1],
        "no mark": said,
        "no cookie": "%00\\x00{}[]",
        "unsigned": json.dumps(["a", "alice", True, 9e9]),
    }
    asker = stranger(page)
    answers = {
        what: (
            asker.get("/api/me", Cookie=f"dropwatch={cookie}").status,
            asker.get("/", Cookie=f"dropwatch={cookie}").headers.get("location"),
        )
        for what, cookie in forged.items()
    }

    assert asker.get("/api/me", Cookie=f"dropwatch={good}").status == 200
    assert set(answers.values()) == {(401, "/sign-in")}, answers


def test_after_sign_out_a_copy_of_the_cookie_is_worth_nothing_also_after_a_restart(
    page: Page, world: World
) -> None:
    alice, bob = visitor(page, "alice"), visitor(page, "bob")
    out = alice.send_form("/sign-out")
    at_once = alice.get("/api/me").status
    page.stop()
    page.start()

    assert (out.status, out.headers["location"]) == (303, "/sign-in")
    assert "Max-Age=0" in out.headers["set-cookie"]
    assert (at_once, alice.get("/api/me").status) == (401, 401)
    assert bob.get("/api/me").status == 200


def test_an_empty_key_signs_nothing(tmp_path: Path) -> None:
    (tmp_path / "secret").touch(0o600)
    signer = URLSafeSerializer(b"", salt="dropwatch-visitor", signer_kwargs={"digest_method": hashlib.sha256})
    forged = str(signer.dumps(["x", "alice", True, 2e9]))

    ours = Sessions(tmp_path, lambda: 1e9)
    good = ours.begin("alice", admin=False)

    assert ours.read(forged) is None
    assert ours.read(good) is not None
    assert Sessions(tmp_path, lambda: 1e9).read(good) is not None
    (tmp_path / "secret").unlink()
    assert Sessions(tmp_path, lambda: 1e9).read(good) is None, "so an admin ends all of them"


def test_who_signs_out_has_no_page_open_any_more_and_others_have(page: Page) -> None:
    """The name of a page that is still open is known: then it is its session's alone."""
    alice, again, bob = visitor(page, "alice"), visitor(page, "alice"), visitor(page, "bob")
    hers, his = (who.get("/").text.partition("'client_id': '")[2].partition("'")[0] for who in (alice, bob))

    def asks(client: str) -> int:
        return again.get(f"/_nicegui_ws/socket.io/?EIO=4&transport=polling&client_id={client}").status

    before = asks(hers), asks(his)
    alice.send_form("/sign-out")

    assert before == (401, 401)
    assert (asks(hers), asks(his)) == (200, 401)


# -- tokens ----------------------------------------------------------------------------------------------


def test_a_token_of_an_admin_is_no_admin_by_itself(page: Page) -> None:
    carol = visitor(page, "carol")
    token = carol.post("/api/tokens", {"name": "ZEN"}).json["token"]

    assert carol.get("/api/me").json["admin"]
    assert not Asker(page, {"Authorization": f"Bearer {token}"}).get("/api/me").json["admin"]


def test_a_token_ends_by_itself_and_is_as_good_on_a_full_disk(tmp_path: Path) -> None:
    now = 1000.0
    tokens = Tokens(tmp_path, lambda: now)
    secret, made = tokens.make("alice", "ZEN", admin=False, expires=now + 100)
    for_ever, _ = tokens.make("alice", "LAS X", admin=False, expires=None)
    (kept,) = (tmp_path / "tokens").glob(f"{made.id}*")
    first = tokens.read(secret)
    noted = {token.name: token.used for token in tokens.all()}["ZEN"]
    kept.with_name(f"{kept.name}.part").mkdir()  # so that its use cannot be written down
    now += 99
    second = tokens.read(secret)
    now += 1

    assert first is not None
    assert second is not None
    assert noted == 1000.0
    assert tokens.read(secret) is None
    assert tokens.read(for_ever) is not None


def test_key_links_and_sessions_are_closed_to_other_accounts(page: Page, world: World) -> None:
    visitor(page, "alice").send_form("/sign-out")
    page.link_to_come_in("alice")
    web = world.state / "web"
    modes = {path.relative_to(web).parts[0]: oct(path.stat().st_mode)[-3:] for path in web.rglob("*")}

    assert oct(web.stat().st_mode)[-3:] == "700"
    assert oct((web / "secret").stat().st_mode)[-3:] == "600"
    assert set(modes.values()) <= {"600", "700"}


def test_every_route_asks_who_comes(page: Page) -> None:
    """All that OpenAPI names, and the pages: nobody can have forgotten."""
    asker = stranger(page)
    document = asker.get("/openapi.json").json
    open_ways = [
        (method, path, status)
        for path, methods in document["paths"].items()
        for method in methods
        if (status := asker.ask(method.upper(), path.replace("{", "").replace("}", "")).status)
        not in (401, 422)
    ]
    pages = {path: asker.get(path).status for path in ("/", "/new", "/facility", "/batch/x")}

    assert open_ways == []
    assert set(pages.values()) <= {303, 404}, pages
