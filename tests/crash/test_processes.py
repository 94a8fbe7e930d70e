"""The daemon with its worker processes: killed alone, as a group, or a worker of it, in the middle of an upload."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from dropwatch import config
from dropwatch.sandbox.samples import ome_tiff
from dropwatch.task import open_workshop
from dropwatch.workers import Perform
from tests.alive import is_alive
from tests.crash.stories import FROM_DISK
from tests.hostile import Hostile, slow_to_die
from tests.lives import Life
from tests.world import (
    DISK,
    Drop,
    SandboxProcess,
    World,
    assert_imported_once,
    assert_told,
    leftovers,
    wait_until,
)


@pytest.fixture
def world(tmp_path: Path, sandbox_process: SandboxProcess) -> Iterator[World]:
    sandbox_process.set_faults()
    yield World(
        tmp_path,
        sandbox_process,
        {"spools": {"settle": "100ms"}, "workers": {"imports": 2, "per_user": 2, "grace": "0"}},
    )
    sandbox_process.set_faults()


def start(world: World, make: Perform | None = None) -> Life:
    settings = config.load(world.config)
    return Life(world.config, world.log, make=make or partial(open_workshop, settings))


def workers_of(pid: int) -> list[int]:
    """The processes that *pid* started, the resource tracker of Python's own included."""
    children = Path(f"/proc/{pid}/task/{pid}/children").parent.parent.glob("*/children")
    return [int(child) for file in children for child in file.read_text().split()]


def holders(envelope: Path) -> set[int]:
    """The processes that hold the lock of *envelope*, by what the kernel says."""
    inode = (envelope / ".dropwatch" / "lock").stat().st_ino
    rows = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return {int(row[4]) for row in rows if row[1] == "FLOCK" and row[5].endswith(f":{inode}")}


def is_worker(pid: int) -> bool:
    return "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()


def in_mid_upload(world: World) -> bool:
    """Whether the server has the key of some fileset and not yet its images."""
    return bool(world.sandbox.filesets_without_images())


def finish(world: World, life: Life, drop: Drop, *, place: str = "done") -> None:
    wait_until(world.is_quiet, what=f"see {world.log}")

    assert world.place(drop) == place
    world.assert_whole(drop)
    assert_imported_once(world, drop)
    assert_told(world, drop, world.sandbox.mails())
    assert list(leftovers(world, [drop])) == []
    children = workers_of(life.pid)
    assert life.stop() == 0
    wait_until(lambda: not any(is_alive(pid) for pid in children), what="an orphan is left")


def slides(world: World, count: int = 4, size: int = 300) -> dict[str, bytes]:
    """Image files that are like no others."""
    found = {}
    for number in range(count):
        path = world.root / "slide.ome.tif"
        ome_tiff(path, seed=int.from_bytes(os.urandom(4)), size=size)
        found[f"slide {number}.ome.tif"] = path.read_bytes()
    return found


@pytest.mark.parametrize("whom", ["a worker", "the daemon alone", "its whole group"])
def test_killed_in_mid_upload_everything_is_imported_once_and_no_process_is_left(
    world: World, whom: str
) -> None:
    world.sandbox.set_faults(omero={"hold_upload": True})
    drop = world.drop("alice", f"run, kill {whom}", slides(world))
    life = start(world)
    try:
        wait_until(lambda: in_mid_upload(world), what=f"see {world.log}")
        children = workers_of(life.pid)
        if whom == "a worker":
            for pid in filter(is_worker, children):
                os.kill(pid, signal.SIGKILL)
        else:
            life.kill(group="group" in whom)
            wait_until(lambda: not any(is_alive(pid) for pid in children), what="an orphan is left")
        world.sandbox.set_faults()
        if whom != "a worker":
            life = start(world)
        finish(world, life, drop)
    finally:
        life.kill()


@pytest.mark.long
@pytest.mark.parametrize("whom", ["a worker", "the daemon alone", "its whole group"])
def test_killed_in_mid_fetch_everything_is_imported_once_and_no_original_touched(
    world: World, whom: str
) -> None:
    settings = {**json.loads(world.config.read_text()), **FROM_DISK}
    world.config.write_text(json.dumps(settings))
    big = world.root / DISK / "run7" / "big.bin"
    big.parent.mkdir(parents=True)
    with big.open("wb") as file:
        file.truncate(400 * 2**20)  # no image: it is left aside, and takes a second to copy
    files = {f"run7/{name}": data for name, data in slides(world, 2).items()}
    drop = world.drop_from("alice", f"run, kill {whom}", files, "run7")
    life = start(world)
    try:
        wait_until(lambda: any(world.spool.rglob(".dropwatch.part")), what=f"see {world.log}")
        children = workers_of(life.pid)
        if whom == "a worker":
            for pid in filter(is_worker, children):
                os.kill(pid, signal.SIGKILL)
        else:
            life.kill(group="group" in whom)
            wait_until(lambda: not any(is_alive(pid) for pid in children), what="an orphan is left")
        world.assert_whole(drop)
        if whom != "a worker":
            life = start(world)
        finish(world, life, drop)
    finally:
        life.kill()

    assert big.stat().st_size == 400 * 2**20
    assert not list(world.spool.rglob("fetched"))


def test_nobody_acts_on_a_batch_while_a_worker_of_a_dead_daemon_still_lives(world: World) -> None:
    world.sandbox.set_faults(omero={"hold_upload": True})
    drop = world.drop("alice", "held", slides(world))
    life = start(world, partial(slow_to_die, config.load(world.config)))
    try:
        wait_until(lambda: in_mid_upload(world), what=f"see {world.log}")
        workers = {pid for pid in workers_of(life.pid) if is_worker(pid)}
        assert holders(world.envelope(drop)) & workers
        life.kill()
        world.sandbox.set_faults()
        life = start(world)
        wait_until(lambda: f" {life.pid} adopt " in world.log.read_text())
        acted = f" {life.pid} import "
        while True:
            said = world.log.read_text()
            if not holders(world.envelope(drop)) & workers:
                break
            assert acted not in said
            assert not life.ends_within(0.05)

        wait_until(lambda: acted in world.log.read_text() or world.is_quiet())
        finish(world, life, drop)
    finally:
        life.kill()


def test_a_file_that_crashes_its_worker_and_one_that_hangs_it_stop_no_other(
    world: World, tmp_path: Path
) -> None:
    settings = json.loads(world.config.read_text())
    settings["workers"] |= {"timeout": "10s"}  # whoever is slow counts as hanging, also on a busy machine
    settings["retry"]["import"] = ["200ms"]
    world.config.write_text(json.dumps(settings))
    good = slides(world, 3)
    names = dict(zip(["a.ome.tif", "crash.ome.tif", "hang.ome.tif"], good.values(), strict=True))
    drop = world.drop("bob", "hostile", names, bad=("crash.ome.tif", "hang.ome.tif"))
    calm = world.drop("carol", "calm", slides(world, 1))
    life = start(world, partial(Hostile, config.load(world.config)))
    try:
        wait_until(lambda: world.place(calm) == "done", what=f"see {world.log}")
        finish(world, life, drop, place="failed")
    finally:
        life.kill()

    report = (world.envelope(drop) / "REPORT.txt").read_text()
    assert "crash.ome.tif" in report and "hang.ome.tif" in report
    assert "ended in the middle of its work" in " ".join(report.split())
    assert world.record(world.envelope(drop))["attempts"] == 2


@pytest.mark.long
def test_files_that_hang_or_kill_bio_formats_are_refused_and_the_others_imported(world: World) -> None:
    """Real ones: Bio-Formats makes up as many series as the name of a .fake file asks for."""
    settings = json.loads(world.config.read_text())
    # Long enough for a planner to start Java beside other work: whoever is slow counts as hanging.
    settings["bioformats"] = {"memory": "256MiB", "timeout": "12s"}
    world.config.write_text(json.dumps(settings))
    bad = {"hang&series=200000.fake": b"", "kill&series=2000000.fake": b""}
    drop = world.drop("bob", "two bad ones", {**bad, **slides(world, 3)}, bad=tuple(bad))
    calm = world.drop("carol", "undisturbed", slides(world, 1))
    life = start(world)
    try:
        wait_until(lambda: world.place(calm) == "done", what=f"see {world.log}")
        finish(world, life, drop, place="failed")
    finally:
        life.kill()

    report = " ".join((world.envelope(drop) / "REPORT.txt").read_text().split())
    assert "3 of 5 image files imported" in report
    assert report.count("Bio-Formats hangs or crashes at this file") in (
        1,
        2,
    )  # told once of both, or of each
    assert all(name in report for name in bad)
    assert world.record(world.envelope(drop))["attempts"] == 1


def test_a_stop_lets_running_uploads_end_when_there_is_grace(world: World) -> None:
    settings = json.loads(world.config.read_text())
    settings["workers"] |= {"grace": "30s"}
    world.config.write_text(json.dumps(settings))
    world.sandbox.set_faults(omero={"hold_upload": True})
    drop = world.drop("alice", "graceful", slides(world))
    life = start(world)
    try:
        wait_until(lambda: in_mid_upload(world), what=f"see {world.log}")
        world.sandbox.set_faults()
        assert life.stop() == 0
        done = len(world.sandbox.imports())
        assert done  # what was under way has ended well; the rest was not begun
        life = start(world)
        finish(world, life, drop)
    finally:
        life.kill()


def test_the_daemon_itself_holds_neither_ice_nor_java(world: World) -> None:
    drop = world.drop("carol", "lean", slides(world, 1))
    command = [sys.executable, "-m", "dropwatch", "--config", str(world.config), "run"]
    with world.log.open("a") as log, subprocess.Popen(command, stderr=log) as daemon:
        try:
            wait_until(lambda: world.place(drop) == "done", what=f"see {world.log}")
            maps = Path(f"/proc/{daemon.pid}/maps").read_text()
        finally:
            daemon.terminate()

    assert "IcePy" not in maps
    assert "libjvm" not in maps
