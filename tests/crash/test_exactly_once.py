"""The daemon is killed again and again, at moments that nobody chose; in the end everything was done, and once."""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("omero")
if sys.platform == "win32":
    pytest.skip("SIGKILL and process groups", allow_module_level=True)

from dropwatch import config
from dropwatch.sandbox.samples import corrupt_tiff, ome_tiff
from dropwatch.task import open_workshop
from dropwatch.workers import Perform
from tests.lives import Life
from tests.world import (
    USERS,
    Drop,
    SandboxProcess,
    World,
    assert_each_letter_at_most,
    assert_imported_once,
    assert_told,
    leftovers,
    wait_until,
)

SEED = 20261124
#: What the server does when so many of a hundred kills are done.
TROUBLE = {20: {"slow_after_verify": "700ms"}, 45: {"slow_upload": "200ms"}, 75: {}}
MANY = ["200ms"] * 200  #: each kill may use up an attempt of a batch and of a letter


class Cargo:
    """Makes *batches* batches: image files of which no two are alike, from a few kB to a few MB."""

    def __init__(self, world: World, desk: Path, rng: random.Random, batches: int = 30) -> None:
        self._world, self._desk, self._rng = world, desk, rng
        self.batches = batches
        self._made = 0

    def image(self, *, largest: int = 1500) -> bytes:
        self._made += 1
        path = self._desk / "image.ome.tif"
        ome_tiff(path, seed=self._made, size=self._rng.choice([64, 200, 600, largest]))
        return path.read_bytes()

    def corrupt(self) -> bytes:
        path = self._desk / "corrupt.tif"
        corrupt_tiff(path)
        return path.read_bytes() + bytes([self._made % 256])

    def folder(self, number: int) -> dict[str, bytes]:
        return {f"cell {number}-{n}.ome.tif": self.image() for n in range(self._rng.randint(3, 7))}

    def drop(self, number: int) -> Drop:
        """Drop batch *number*: most are plain folders, now and then comes one of each of five special kinds."""
        world, user, name = self._world, USERS[number % len(USERS)], f"run {number}"
        nth, plain = divmod(number + 1, self.batches // 5)
        kind = "plain" if plain else ("listed", "corrupt", "typo", "loose", "deep")[nth % 5 - 1]
        if kind == "loose":
            images = {f"slide{number}.ome.tif": self.image(), f"slide{number}.tif": self.image()}
            return world.drop_loose(user, f"slide{number}", images)
        files = self.folder(number)
        match kind:
            case "listed":
                # The manifest comes first and the files trickle in: only the list says when all are there.
                return world.drop(user, name, {"batch.json": listing(files), **files}, move=False)
            case "corrupt":
                return world.drop(user, name, {**files, "broken.tif": self.corrupt()}, bad=("broken.tif",))
            case "typo":
                return world.drop(
                    user, name, {"batch.yaml": b"taget: Dataset:x\n", **files}, bad=tuple(files)
                )
            case "deep":
                return world.drop(
                    user, name, {f"day {n}/a/{path}": data for n, (path, data) in enumerate(files.items())}
                )
        return world.drop(user, name, files)


def listing(files: dict[str, bytes]) -> bytes:
    listed = [
        {"path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for path, data in files.items()
    ]
    return json.dumps({"files": listed}).encode()


def expected(drop: Drop) -> str:
    """Where *drop* belongs in the end: what is not imported for a reason of its own leads to failed/."""
    reasons = any(not file.good and not file.path.endswith(".json") for file in drop.files)
    return "failed" if reasons else "done"


def kill_often(
    world: World, cargo: Cargo, rng: random.Random, kills: int, longest: float, make: Perform | None
) -> int:
    """Start the daemon and kill it, again and again, while batches are dropped by and by.

    longest -- seconds that a life may last; more, when the machine is too busy for one to come to anything

    Says how many of the kills met a batch in processing/.
    """
    met, trouble = 0, {part * kills // 100: faults for part, faults in TROUBLE.items()}
    for kill in range(kills):
        while len(world.drops) < min(cargo.batches, cargo.batches * (kill + 1) / (0.9 * kills)):
            cargo.drop(len(world.drops))
        if kill in trouble:
            world.sandbox.set_faults(omero=trouble[kill])
        life = Life(world.config, world.log, make=make)
        try:
            assert not life.ends_within(rng.uniform(0.05, longest)), f"it ended by itself, see {world.log}"
        finally:
            life.kill(group=rng.random() < 0.5)
        met += bool(world.envelopes("processing"))
        longest *= 1 if world.envelopes("processing") or world.is_quiet() else 1.5
    return met


def finish(world: World, seconds: float, make: Perform | None) -> None:
    """A last life, which nobody kills."""
    life = Life(world.config, world.log, make=make, longest=int(seconds) + 60)
    try:
        wait_until(lambda: life.has_started() and world.is_quiet(), seconds)
        assert life.stop() == 0
    except AssertionError as err:
        inboxes = [list((world.spool / user / "inbox").iterdir()) for user in world.users]
        err.add_note(f"still there: {world.envelopes('processing')}, {inboxes}, {world.letters('queued')}")
        raise
    finally:
        life.kill()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    sandbox = SandboxProcess(tmp_path / "sandbox")
    sandbox.start()
    try:
        yield World(
            tmp_path, sandbox, {"spools": {"settle": "100ms"}, "retry": {"import": MANY, "mail": MANY}}
        )
    finally:
        sandbox.stop()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("kills", "batches", "longest", "processes"),
    [
        pytest.param(8, 15, 1.3, False, id="8 kills, workers in threads"),
        pytest.param(100, 30, 1.3, False, id="100 kills, workers in threads", marks=pytest.mark.long),
        pytest.param(40, 30, 6.0, True, id="40 kills, workers in processes", marks=pytest.mark.long),
    ],
)
def test_nothing_is_lost_or_done_twice_however_often_the_daemon_is_killed(
    world: World, tmp_path: Path, kills: int, batches: int, longest: float, processes: bool
) -> None:
    rng = random.Random(SEED)
    print(f"seed {SEED}")  # shown when it fails
    make = partial(open_workshop, config.load(world.config)) if processes else None

    met = kill_often(world, Cargo(world, tmp_path, rng, batches), rng, kills, longest, make)
    finish(world, 240, make)

    mails = world.sandbox.mails()
    print(f"{met} of {kills} kills met a batch in processing/")
    assert met > kills / 5  # how many it is depends on how busy the machine is
    assert len(world.drops) == batches
    for drop in world.drops:
        world.assert_whole(drop)
        assert world.place(drop) == expected(drop), drop.name
        assert_imported_once(world, drop)
        assert_told(world, drop, mails)
    assert_each_letter_at_most(mails)
    assert world.envelopes("processing") == []
    assert list(leftovers(world, world.drops)) == []
    assert len(world.envelopes("done")) + len(world.envelopes("failed")) == batches
