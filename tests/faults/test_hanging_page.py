"""The page while something that it needs hangs: a share in mid-call, an OMERO that takes calls and says nothing.

Nothing is measured: what must not wait is over before what hangs is let go.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nicegui")

from tests.asker import Answer, Asker, stranger, visitor
from tests.faulty_mount import FaultyMount, can_fuse
from tests.page import Page, running_page
from tests.world import PLACES, SandboxProcess, World, wait_until

with_shares = pytest.mark.skipif(bool(can_fuse()), reason=can_fuse())

MANY = 60  #: requests at once: more than there are threads for them


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes every call and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=200)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def world(tmp_path: Path, silent: int) -> World:
    """Without daemon. alice's drop folder lies on a share, carol's on a disk of this machine; OMERO hangs."""
    sandbox = SandboxProcess(tmp_path / "sandbox")
    sandbox.omero_port = sandbox.smtp_port = silent
    disk = tmp_path / "disk"
    disk.mkdir()
    settings = {
        "places": {"scope": {"path": str(disk), "users": ["group:lab-b"]}},
        "web": {"admins": ["root"]},
    }
    made = World(tmp_path, sandbox, settings, ("alice",))
    other = tmp_path / "other"
    for place in PLACES:
        (other / "carol" / place).mkdir(parents=True)
    (other / ".dropwatch-spool").write_text("{}")
    told: dict[str, Any] = json.loads(made.config.read_text())
    told["spools"].append({"path": str(other)})
    made.config.write_text(json.dumps(told))
    return made


@pytest.fixture
def share(world: World) -> Iterator[FaultyMount]:
    world.spool.rename(world.root / "backing")
    world.spool.mkdir()
    mount = FaultyMount(world.root / "backing", world.spool)
    mount.start()
    yield mount
    mount.go_on()
    mount.close()


@pytest.fixture
def page(world: World, share: FaultyMount) -> Iterator[Page]:
    with running_page(world.config, world.root / "web.log") as made:
        yield made
        share.go_on()  # or its end would wait as well


def at_once(asker: Asker, *paths: str) -> list[Answer]:
    with ThreadPoolExecutor(MANY) as threads:
        return list(threads.map(asker.get, paths))


@with_shares
def test_a_share_that_hangs_in_mid_call_keeps_only_those_waiting_whose_files_lie_there_and_not_for_long(
    world: World, share: FaultyMount, page: Page
) -> None:
    alice, carol, admin = visitor(page, "alice"), visitor(page, "carol"), visitor(page, "root")
    before = alice.get("/api/me")
    share.hang("readdir", "/")
    theirs = at_once(alice, *["/api/me", "/", "/api/batches", "/api/uploads"] * (MANY // 4))
    hers = at_once(carol, *["/api/me", "/", "/api/batches", "/api/uploads", "/new", "/account"] * 5)
    begun = carol.post("/api/uploads")
    dropped = carol.post("/api/batches", {"from": {"place": "scope", "paths": ["a"]}})
    seen = admin.get("/api/facility")
    facility = admin.get("/facility")
    hung = share.hung()
    share.go_on()
    wait_until(lambda: alice.get("/api/me").status == 200, 30, "it is noticed that it answers")

    assert (before.status, hung) == (200, True)
    assert {answer.status for answer in theirs} == {503}
    assert f"The spool {world.spool} does not answer." in theirs[0].json["detail"]
    assert {answer.status for answer in hers} == {200}
    assert "Asking OMERO which disks you may use" in hers[4].text
    assert begun.status == 201
    assert (dropped.status, dropped.json["detail"]) == (
        404,
        "There is no such place.",
    )  # OMERO cannot be asked
    assert [disk["total"] is None for disk in seen.json["disks"]] == [False, True, False]
    assert "does not answer" in seen.json["targets"][f"spool:{world.spool}"]["reason"]
    assert facility.status == 200


@pytest.mark.long
@with_shares
def test_an_omero_that_hangs_keeps_nobody_waiting_for_anything_else(
    world: World, share: FaultyMount, page: Page
) -> None:
    carol = visitor(page, "carol")
    with ThreadPoolExecutor(2 * MANY) as threads:
        signing = [
            threads.submit(stranger(page).send_form, "/sign-in", name=f"n{number}", password="x")
            for number in range(8)
        ]
        asking = [
            threads.submit(carol.get, path)
            for number in range(20)
            for path in ("/api/targets", f"/api/images/{number + 1}/thumbnail", "/api/places")
        ]
        wait_until(
            lambda: not any(one.running() for one in signing) or carol.get("/api/me").status == 200, 20
        )
        others = at_once(carol, *["/api/me", "/", "/new", "/account", "/sign-in"] * 6)
        early = [one.done() for one in signing]

    assert {answer.status for answer in others} == {200}
    assert not any(early)  # OMERO was waited for, and the others did not wait with it
    assert {one.result().status for one in signing} == {503}
    assert "OMERO does not answer." in signing[0].result().text
    assert {one.result().status for one in asking} <= {503, 200}
    assert asking[0].result().json["detail"] == "OMERO does not answer."
    assert asking[2].result().json == []  # of a place for a group, nobody knows then
