"""Two daemons for one spool, on one machine and on two: never do both act, and nothing is done twice.

The two machines are two mounts of one folder by sshfs, as in any group of workstations with one share: neither sees
the other's locks, and only the lease in the spool keeps them apart.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("omero")

from dropwatch.sandbox.samples import ome_tiff
from dropwatch.spool.lease import LEASE, Pace
from tests import sshfs
from tests.lives import Life
from tests.sshfs import Sshfs
from tests.world import (
    SandboxProcess,
    World,
    assert_imported_once,
    assert_told,
    leftovers,
    wait_until,
)

CHANGES = 8  #: of hands, while a thousand batches are imported; whoever gets the spool plans all of them anew
PACE = Pace(beat=0.2, valid=1.0, stale=4.0)

on_two_machines = pytest.mark.skipif(bool(sshfs.missing()), reason=sshfs.missing() or "never")


@dataclass
class Machine:
    """One of two machines that mount the spool of *world*, with a daemon of its own state."""

    world: World
    number: int
    mount: Sshfs = field(init=False)
    life: Life | None = None

    def __post_init__(self) -> None:
        root = self.world.root
        self.mount = Sshfs(root / "spool", root / f"mount{self.number}")
        settings = json.loads(self.world.config.read_text())
        settings["spools"][0] |= {"path": str(self.mount.point), "poll": "300ms"}
        settings["state"] = str(self.state)
        self.config = root / f"dropwatch{self.number}.yaml"
        self.config.write_text(json.dumps(settings))

    @property
    def state(self) -> Path:
        return self.world.root / f"state{self.number}"

    @property
    def log(self) -> Path:
        return self.world.root / f"daemon{self.number}.log"

    def start(self) -> None:
        self.life = Life(self.config, self.log, pace=PACE, longest=1500)
        wait_until(self.life.has_started)

    def freeze(self) -> None:
        """The machine sleeps: all threads of its daemon do."""
        assert self.life is not None
        os.kill(self.life.pid, signal.SIGSTOP)

    def wake(self) -> None:
        assert self.life is not None
        os.kill(self.life.pid, signal.SIGCONT)

    def serves(self) -> bool:
        """Whether its heartbeat says that the spool is its own to serve."""
        targets = self.heartbeat().get("targets")
        return targets is not None and f"spool:{self.mount.point}" not in targets

    def reason(self) -> str:
        """Why it leaves the spool alone, by its heartbeat."""
        target = self.heartbeat().get("targets", {}).get(f"spool:{self.mount.point}", {})
        return str(target.get("reason", ""))

    def heartbeat(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.state / "heartbeat.json").read_text()))
        except (OSError, ValueError):
            return {}

    def is_quiet(self) -> bool:
        return not list((self.state / "outbox" / "queued").glob("*.json"))

    def close(self) -> None:
        if self.life is not None:
            self.life.kill()
        self.mount.close()


@pytest.fixture
def world(tmp_path: Path, sandbox_process: SandboxProcess) -> Iterator[World]:
    sandbox_process.set_faults()
    many = ["200ms"] * 200
    yield World(
        tmp_path, sandbox_process, {"spools": {"settle": "100ms"}, "retry": {"import": many, "mail": many}}
    )
    sandbox_process.set_faults()


@pytest.fixture
def machines(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Machine, Machine]]:
    # Both are this machine, and what it knows of its own processes must not help.
    monkeypatch.setattr("dropwatch.spool.lease.this_life", lambda: "")
    made = (Machine(world, 1), Machine(world, 2))
    try:
        for machine in made:
            machine.mount.mount()
        yield made
    finally:
        for machine in made:
            machine.close()


def drop(world: World, user: str, name: str, count: int = 1) -> None:
    """A folder of images that are like no others."""
    files = {}
    for number in range(count):
        path = world.root / "image.ome.tif"
        ome_tiff(path, seed=int.from_bytes(os.urandom(4)), size=64)
        files[f"{name} {number}.ome.tif"] = path.read_bytes()
    world.drop(user, name, files)


def assert_each_once(world: World) -> None:
    mails = world.sandbox.mails()
    for one in world.drops:
        world.assert_whole(one)
        assert world.place(one) == "done", one.name
        assert_imported_once(world, one)
        assert_told(world, one, mails)
    assert list(leftovers(world, world.drops)) == []


@on_two_machines
def test_the_second_waits_and_says_why_and_takes_over_from_one_that_sleeps(
    world: World, machines: tuple[Machine, Machine]
) -> None:
    first, second = machines
    first.start()
    wait_until(first.serves)
    second.start()
    wait_until(lambda: "Another dropwatch daemon serves the spool" in second.reason())

    world.sandbox.set_faults(omero={"hold_upload": True})
    drop(world, "alice", "in the middle", 3)
    wait_until(lambda: " claim " in first.log.read_text())
    first.freeze()
    wait_until(second.serves)
    drop(world, "bob", "for the second")
    world.sandbox.set_faults()
    wait_until(world.is_quiet)
    first.wake()
    wait_until(lambda: "Another" in first.reason())
    drop(world, "carol", "after all", 2)
    wait_until(lambda: world.is_quiet() and all(machine.is_quiet() for machine in machines))

    assert_each_once(world)
    assert [mail.subject for mail in world.sandbox.mails() if mail.kind == "withdrawn"] == []
    assert first.log.read_text().count(" claim ") == 1, "the first claimed after it was relieved"
    assert [path.name for path in world.spool.glob(f"{LEASE}*")] == [LEASE]


@on_two_machines
@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_thousand_batches_are_imported_once_while_the_spool_changes_hands(
    world: World, machines: tuple[Machine, Machine]
) -> None:
    for machine in machines:
        machine.start()
    for number in range(1000):
        drop(world, world.users[number % len(world.users)], f"run {number}")

    changes = 0
    while changes < CHANGES and not world.is_quiet():
        serving = next((machine for machine in machines if machine.serves()), None)
        other = machines[1] if serving is machines[0] else machines[0]
        if serving is None or not world.envelopes("processing"):
            wait_until(lambda: any(machine.serves() for machine in machines) or world.is_quiet())
            continue
        serving.freeze()
        wait_until(other.serves)
        before = len(world.envelopes("done"))
        wait_until(lambda: len(world.envelopes("done")) > before + 20 or world.is_quiet(), 300)  # noqa: B023
        serving.wake()
        wait_until(lambda: not serving.serves() or world.is_quiet())  # noqa: B023
        changes += 1
    wait_until(lambda: world.is_quiet() and all(machine.is_quiet() for machine in machines), 900)

    print(f"{changes} changes of hands")
    assert changes >= 5
    assert_each_once(world)
    assert [mail.subject for mail in world.sandbox.mails() if mail.kind == "withdrawn"] == []


def test_a_second_daemon_of_this_machine_is_refused_also_with_a_state_folder_of_its_own(world: World) -> None:
    settings = json.loads(world.config.read_text())
    other = world.root / "other.yaml"
    other.write_text(json.dumps(settings | {"state": str(world.root / "other")}))
    first, second = Life(world.config, world.log), None
    try:
        wait_until(first.has_started)
        log = world.root / "other.log"
        second = Life(other, log)
        code = second.end(60)
        first_lives = not first.ends_within(0)
    finally:
        first.kill()
        if second is not None:
            second.kill()

    assert code != 0
    assert first_lives
    assert (
        f"Another dropwatch daemon runs here: it holds {world.spool / '.dropwatch-spool'}" in log.read_text()
    )


def test_a_spool_that_was_away_at_the_start_is_locked_when_it_comes(world: World) -> None:
    away = world.root / "away"
    world.spool.rename(away)
    world.spool.mkdir()  # what a mountpoint looks like with nothing mounted
    life = Life(world.config, world.log)
    try:
        wait_until(life.has_started)
        wait_until(lambda: " pause " in world.log.read_text())
        left = list(world.spool.iterdir())
        world.spool.rmdir()
        away.rename(world.spool)
        drop(world, "alice", "patient")
        wait_until(world.is_quiet)
        settings = json.loads(world.config.read_text())
        other = world.root / "other.yaml"
        other.write_text(json.dumps(settings | {"state": str(world.root / "other")}))
        refused = Life(other, world.root / "other.log").end(60)
    finally:
        life.kill()

    assert left == [], "something was made in an empty mountpoint"
    assert refused != 0
    assert_each_once(world)
