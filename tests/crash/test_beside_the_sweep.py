"""What the sweep cannot show: a death inside a write, a wait, a batch that kills each time, a server that goes on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("omero")
if sys.platform == "win32":
    pytest.skip("SIGKILL", allow_module_level=True)

from dropwatch.durable import write_durably
from dropwatch.ledger import Ledger
from dropwatch.model import FileFact, Fileset
from dropwatch.outbox import Letter
from dropwatch.outbox.shelves import Shelf, Shelves
from dropwatch.pipeline.fetches import UNSEEN
from dropwatch.record import Line, Record
from dropwatch.spool.moves import make_directory, move
from tests.crash.stories import FROM_DISK, QUICK, fresh, image, trap
from tests.lives import Life, dies_writing
from tests.world import (
    SandboxProcess,
    World,
    assert_imported_once,
    assert_told,
    leftovers,
    merged,
    wait_until,
)

KILLED = -9
CLAIM = "20261124-080000-abcd"
RECORD = Record(CLAIM, CLAIM, "alice", "HeLa", "HeLa", 0.0)


@pytest.fixture
def make_world(tmp_path: Path, sandbox_process: SandboxProcess) -> Callable[..., World]:
    def make(**settings: Any) -> World:
        sandbox_process.set_faults()
        return World(tmp_path, sandbox_process, merged(QUICK, settings))

    return make


def live_once(world: World, **deadly: Any) -> int:
    return Life(world.config, world.log, once=True, trap=trap(world, **deadly) if deadly else None).end()


# -- a death inside a write ------------------------------------------------------------------------------


def test_a_death_in_the_middle_of_writing_a_record_leaves_the_old_one(tmp_path: Path) -> None:
    ledger = Ledger(".dropwatch")
    (tmp_path / ".dropwatch").mkdir()
    ledger.write(tmp_path, RECORD)
    longer = replace(RECORD, attempts=1, notes=("long " * 100,))

    for size in range(0, 1200, 150):
        died = dies_writing(partial(ledger.write, tmp_path, longer), size)

        assert died or size > 1000, size
        assert ledger.read(tmp_path) in (RECORD, longer)


def test_a_death_in_the_middle_of_noting_an_outcome_costs_that_line_only(tmp_path: Path) -> None:
    ledger, first, second = Ledger(".dropwatch"), line("first"), line("second")
    (tmp_path / ".dropwatch").mkdir()
    ledger.note(tmp_path, first)
    size = (tmp_path / ".dropwatch" / "filesets.jsonl").stat().st_size

    assert dies_writing(partial(ledger.note, tmp_path, second), size + 20)
    assert ledger.lines(tmp_path) == [first]
    ledger.note(tmp_path, second)
    assert ledger.lines(tmp_path) == [first, second]


def line(fileset: str) -> Line:
    return Line(CLAIM, fileset, f"{fileset}.tif", 1, 100)


# -- synced before it counts -----------------------------------------------------------------------------


def calls_of(work: Callable[[], object]) -> list[str]:
    """The calls of *work* that make something durable or visible, in their order. Only watched, not replaced."""
    wanted = {os.fsync: "fsync", os.rename: "rename", os.replace: "rename", os.mkdir: "mkdir"}
    seen: list[str] = []

    def watch(frame: object, event: str, arg: object) -> None:
        if event == "c_call" and (name := wanted.get(arg)):  # type: ignore[call-overload]
            seen.append(name)

    sys.setprofile(watch)
    try:
        work()
    finally:
        sys.setprofile(None)
    return seen


LETTER = Letter("a-letter", "outcome", CLAIM, CLAIM, "alice", "alice@example.org", "s", "t", "", 0.0)


def test_whatever_is_renamed_or_replaced_is_synced_before_and_its_folder_after(tmp_path: Path) -> None:
    ledger, shelves = Ledger(".dropwatch"), Shelves(tmp_path / "outbox")
    (tmp_path / ".dropwatch").mkdir()
    (tmp_path / "inbox" / "batch").mkdir(parents=True)
    (tmp_path / "processing").mkdir()
    ledger.write(tmp_path, RECORD)
    shelves.write(Shelf.QUEUED, LETTER)
    shelves.write(Shelf.SENT, replace(LETTER, id="another"))
    fileset = Fileset("f1", (FileFact("a.tif", 1, 1),))

    replaced = ["fsync", "rename", "fsync"]
    assert calls_of(lambda: ledger.write(tmp_path, replace(RECORD, attempts=1))) == replaced
    assert calls_of(lambda: write_durably(tmp_path / "a.json", b"{}")) == replaced
    assert calls_of(lambda: shelves.write(Shelf.QUEUED, LETTER)) == replaced
    assert calls_of(lambda: shelves.move("a-letter", Shelf.QUEUED, Shelf.SENT)) == [
        "rename",
        "fsync",
        "fsync",
    ]
    assert calls_of(lambda: move(tmp_path / "inbox/batch", tmp_path / "processing/batch")) == [
        "rename",
        "fsync",
        "fsync",
    ]
    assert calls_of(lambda: make_directory(tmp_path / "done")) == ["mkdir", "fsync"]
    assert calls_of(lambda: ledger.plan(tmp_path, CLAIM, [fileset])) == ["fsync"]
    assert calls_of(lambda: ledger.note(tmp_path, line("f1"))) == ["fsync"]


# -- time, and death without end -------------------------------------------------------------------------


def test_a_batch_that_kills_the_daemon_each_time_is_given_up_and_told(
    make_world: Callable[..., World],
) -> None:
    world = make_world(retry={"import": ["10ms"] * 3})
    files = {"killer.ome.tif": image(world)}
    drop = world.drop("alice", "killer", files, bad=tuple(files))

    deaths = 0
    while (code := live_once(world, before="import verify")) == KILLED:
        deaths += 1
        assert deaths <= 4, "the attempts have no bound"
        assert world.record(world.envelope(drop))["attempts"] == deaths
    assert code == 0
    wait_until(lambda: world.is_quiet() or live_once(world) != 0)

    assert deaths == 4  # three intervals, four attempts
    assert world.place(drop) == "failed"
    assert_imported_once(world, drop)
    assert_told(world, drop, world.sandbox.mails())


@pytest.mark.long
def test_a_fetch_that_kills_the_daemon_each_time_is_given_up_and_told(
    make_world: Callable[..., World],
) -> None:
    world = make_world(**FROM_DISK)
    drop = world.drop_from("alice", "killer", {"killer.ome.tif": image(world)}, "killer.ome.tif")

    deaths = 0
    while (code := live_once(world, before="open .dropwatch.part")) == KILLED:
        deaths += 1
        assert deaths <= UNSEEN, "the fetches have no bound"
    assert code == 0

    assert deaths == UNSEEN
    assert world.place(drop) == "failed"
    world.assert_whole(drop)
    assert "ended 20 times while it fetched" in (world.envelope(drop) / "REPORT.txt").read_text()
    assert_told(world, drop, world.sandbox.mails())


def test_a_batch_that_kills_the_daemon_does_not_take_another_one_down_with_it(
    make_world: Callable[..., World],
) -> None:
    world = make_world(retry={"import": ["10ms"] * 3})
    killer = world.drop("alice", "killer", {"killer.ome.tif": image(world)}, bad=("killer.ome.tif",))
    quiet = world.drop("bob", "quiet", {"quiet.ome.tif": image(world)})

    for _ in range(8):
        live_once(world, before="import verify killer")
    wait_until(lambda: world.is_quiet() or live_once(world) != 0)

    assert (world.place(killer), world.place(quiet)) == ("failed", "done")
    assert_imported_once(world, quiet)


def test_an_attempt_is_not_made_before_its_time_also_not_by_a_new_daemon(
    make_world: Callable[..., World],
) -> None:
    world = make_world(retry={"import": ["1h"]})
    world.sandbox.set_faults(omero={"checksum": 1})
    fresh(world)
    (drop,) = world.drops

    for _ in range(3):
        assert live_once(world) == 0
        assert world.record(world.envelope(drop))["attempts"] == 1
    assert world.place(drop) == "processing"


def test_the_next_daemon_waits_for_an_import_that_the_server_goes_on_with(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.sandbox.set_faults(omero={"hold_after_verify": True})
    drop = world.drop("alice", "slow", {"slow.ome.tif": image(world)})

    assert live_once(world, before="import follow") == KILLED
    watched = trap(world)
    asked = watched.notes.read_text().count("asked")
    life = Life(world.config, world.log, once=True, trap=watched)
    try:
        wait_until(lambda: watched.notes.read_text().count("asked") > asked)
        world.sandbox.set_faults()
        assert life.end() == 0
    finally:
        life.kill()
    wait_until(lambda: world.is_quiet() or live_once(world) != 0)

    assert world.place(drop) == "done"
    assert_imported_once(world, drop)
    assert world.record(world.envelope(drop))["attempts"] == 1
    assert list(leftovers(world, [drop])) == []


def test_what_is_taken_out_and_dropped_anew_waits_for_the_import_that_goes_on(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.sandbox.set_faults(omero={"hold_after_verify": True})
    drop = world.drop("alice", "there and back", {"back.ome.tif": image(world)})
    watched = trap(world)
    life = Life(world.config, world.log, trap=watched)
    try:
        wait_until(lambda: watched.notes.exists() and "import follow" in watched.notes.read_text())
        envelope = world.envelope(drop)
        first = world.record(envelope)["batch"]
        (envelope / drop.name).rename(world.spool / drop.user / "inbox" / drop.name)
        wait_until(lambda: world.place(drop) == "processing")
        world.sandbox.set_faults()
        wait_until(lambda: world.place(drop) == "done" and world.is_quiet())
    finally:
        life.kill()

    assert world.record(world.envelope(drop))["batch"] != first
    assert_imported_once(world, drop)
    assert "already" in (world.envelope(drop) / "REPORT.txt").read_text()


def test_what_is_taken_out_of_an_upload_and_dropped_anew_is_not_asked_about_before_that_has_ended(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.sandbox.set_faults(omero={"hold_upload": True})
    drop = world.drop("alice", "out of an upload", {"out.ome.tif": image(world)})
    watched = trap(world)
    life = Life(world.config, world.log, trap=watched)
    try:
        wait_until(
            lambda: any(path.endswith("/out.ome.tif") for path in world.sandbox.filesets_without_images())
        )
        (world.envelope(drop) / drop.name).rename(world.spool / drop.user / "inbox" / drop.name)
        wait_until(lambda: world.place(drop) == "processing")
        world.sandbox.set_faults()
        wait_until(lambda: world.place(drop) == "done" and world.is_quiet())
    finally:
        life.kill()

    assert_imported_once(world, drop)


def test_a_second_daemon_for_the_same_spool_is_refused(make_world: Callable[..., World]) -> None:
    world = make_world()
    life = Life(world.config, world.log)
    try:
        wait_until(life.has_started)
        assert live_once(world) != 0
        assert "Another dropwatch daemon runs here" in world.log.read_text()
        assert life.stop() == 0
    finally:
        life.kill()


def test_the_key_is_in_omero_before_the_first_byte(make_world: Callable[..., World]) -> None:
    world = make_world()
    drop = world.drop("alice", "keyed", {"keyed.ome.tif": image(world)})

    assert live_once(world, before="import first block") == KILLED
    batch = world.record(world.envelope(drop))["batch"]

    keys = [path for path, _ in world.sandbox.entries() if path.endswith("/keyed.ome.tif")]
    assert len(keys) == 1
    assert keys[0].startswith(f"dropwatch/{batch}/")


def test_what_was_cancelled_after_a_stop_but_too_late_is_told_as_imported(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.sandbox.set_faults(omero={"hold_after_verify": True})
    drop = world.drop("alice", "late", {"late.ome.tif": image(world)})
    watched = trap(world)
    life = Life(world.config, world.log, trap=watched)
    try:
        wait_until(lambda: watched.notes.exists() and "import follow" in watched.notes.read_text())
        assert life.stop() == 0
    finally:
        life.kill()
    envelope = world.envelope(drop)
    (envelope / ".dropwatch" / "cancel").write_text(envelope.name[:20])
    world.sandbox.set_faults()

    wait_until(lambda: live_once(world) == 0 and world.is_quiet())

    assert_imported_once(world, drop)
    assert world.place(drop) == "done"
