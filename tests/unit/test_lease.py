"""A lease on a spool has one holder at a time, whoever sleeps, dies or hurries."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest

from dropwatch.config import Config
from dropwatch.errors import Interrupted, OperatorError, Unavailable
from dropwatch.importers.base import Importer
from dropwatch.model import Answers, Container, ImportJob
from dropwatch.spool.folders import IDENTITY, MEMORY
from dropwatch.spool.lease import LEASE, Holder, Lease, Pace
from dropwatch.spool.lives import is_over, this_life
from dropwatch.task import Workshop
from dropwatch.task.looking import Looker
from tests.orders import make_batch
from tests.world import wait_until

_forks = multiprocessing.get_context("fork")
QUICK = Pace(beat=0.02, valid=0.1, stale=0.4)


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Machine:
    """A daemon on another machine than all others here: nothing but the lease keeps them apart."""

    root: Path
    clock: Clock

    def __post_init__(self) -> None:
        self.lease = Lease(self.root, self.clock)

    def may_act(self) -> bool:
        try:
            self.lease.check()
        except OperatorError:
            return False
        return True


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def one(tmp_path: Path, clock: Clock) -> Machine:
    return Machine(tmp_path, clock)


@pytest.fixture
def two(tmp_path: Path, clock: Clock) -> Machine:
    return Machine(tmp_path, clock)


@pytest.fixture(autouse=True)
def everyone_is_somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All machines of these stories are this one; what it knows of its own processes must not help."""
    (tmp_path / IDENTITY).write_text("{}")
    monkeypatch.setattr("dropwatch.spool.lease.this_life", lambda: "")


def test_a_free_lease_is_taken_and_taken_again_without_a_change(one: Machine) -> None:
    assert one.lease.take(local=False) is True
    assert one.lease.take(local=False) is False
    assert one.may_act()


def test_who_comes_second_waits_and_is_refused_once_the_first_is_seen_alive(
    one: Machine, two: Machine
) -> None:
    one.lease.take(local=False)

    with pytest.raises(Unavailable, match="until lately"):
        two.lease.take(local=False)
    one.lease.beat()
    with pytest.raises(
        OperatorError, match=f"Another dropwatch daemon serves the spool .*process {os.getpid()}"
    ):
        two.lease.take(local=False)
    assert not two.may_act()
    assert one.may_act()


def test_a_lease_given_back_is_free_at_once(one: Machine, two: Machine) -> None:
    one.lease.take(local=False)

    one.lease.give_back()

    assert two.lease.take(local=False) is True
    assert not one.may_act()


def test_a_silent_holder_loses_its_lease_and_stops(one: Machine, two: Machine, clock: Clock) -> None:
    one.lease.take(local=False)
    with pytest.raises(Unavailable):
        two.lease.take(local=False)

    clock.now += Pace.stale
    assert two.lease.take(local=False) is True

    with pytest.raises(OperatorError, match="has taken over the spool"):
        one.lease.check()
    with pytest.raises(Unavailable):
        one.lease.take(local=False)
    assert two.may_act()


def test_a_holder_that_beat_in_time_keeps_it(one: Machine, two: Machine, clock: Clock) -> None:
    one.lease.take(local=False)
    with pytest.raises(Unavailable):
        two.lease.take(local=False)

    clock.now += Pace.stale - 1
    one.lease.beat()
    clock.now += 2

    with pytest.raises(OperatorError):
        two.lease.take(local=False)
    clock.now += Pace.stale - 1
    with pytest.raises(OperatorError):
        two.lease.take(local=False)
    assert one.may_act()


def test_a_silent_holder_that_nobody_relieved_goes_on(one: Machine, clock: Clock) -> None:
    one.lease.take(local=False)

    clock.now += 10 * Pace.stale

    assert one.may_act()
    assert one.lease.take(local=False) is False


def test_a_lease_that_somebody_removed_is_lost(one: Machine, tmp_path: Path, clock: Clock) -> None:
    one.lease.take(local=False)
    next((tmp_path / LEASE).iterdir()).unlink()

    clock.now += Pace.beat

    assert not one.may_act()


def test_a_holder_that_beats_in_the_last_moment_gets_its_lease_back(one: Machine, two: Machine) -> None:
    """It beat between the other's look and the other's rename."""
    one.lease.take(local=False)
    seen = Holder(next((two.root / LEASE).iterdir()).name, 0)
    one.lease.beat()

    assert two.lease._clear(seen) is False

    assert one.lease.take(local=False) is False


@pytest.mark.skipif(sys.platform == "win32", reason="there it is waited for, like any other")
def test_an_empty_lease_is_nobodys(two: Machine, tmp_path: Path) -> None:
    """Its holder died between the two calls that give it back."""
    (tmp_path / LEASE).mkdir()

    assert two.lease.take(local=False) is True


def test_a_lease_is_never_seen_before_it_says_whose_it_is(one: Machine, tmp_path: Path) -> None:
    """Who dies in between leaves none: one that says nothing would have to be waited out."""
    seen = []

    def look(event: str, args: tuple[object, ...]) -> None:
        if watching and event in ("open", "os.mkdir", "os.rename"):
            seen.append((tmp_path / LEASE).exists())

    watching = True
    sys.addaudithook(look)
    one.lease.take(local=False)
    watching = False

    assert seen and not any(seen)


@pytest.mark.parametrize("said", [b"", b"\xff\xfe", b"[1]", b"[" * 100_000, b'{"beats": "x", "pid": []}'])
def test_a_lease_that_says_nonsense_is_waited_for_like_any_other(
    said: bytes, two: Machine, tmp_path: Path, clock: Clock
) -> None:
    (tmp_path / LEASE).mkdir()
    (tmp_path / LEASE / "x").write_bytes(said)
    with pytest.raises(Unavailable):
        two.lease.take(local=False)

    clock.now += Pace.stale

    assert two.lease.take(local=False) is True


def test_on_the_machine_of_the_disk_its_locks_decide_and_nobody_waits(tmp_path: Path) -> None:
    Lease(tmp_path).take(local=True)

    assert Lease(tmp_path).take(local=True) is True


def test_who_is_on_the_machine_of_the_disk_waits_for_one_who_is_not(one: Machine, tmp_path: Path) -> None:
    one.lease.take(local=False)

    with pytest.raises(Unavailable):
        Lease(tmp_path).take(local=True)


# -- lives ---------------------------------------------------------------------------------------------------


def test_a_dead_holder_of_this_machine_is_relieved_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # here is what it knows of its own processes
    holder = _forks.Process(target=lambda: Lease(tmp_path).take(local=False))
    holder.start()
    holder.join(60)

    assert Lease(tmp_path).take(local=False) is True


def test_a_life_is_over_only_when_that_is_certain() -> None:
    boot, table, pid, began = this_life().split()

    assert not is_over(this_life())
    assert is_over(f"{boot} {table} {pid} {int(began) - 1}"), "the number was given to another process since"
    assert not is_over(f"other-boot {table} {pid} 1"), "another machine"
    assert not is_over(f"{boot} pid:[1] {pid} 1"), "another container"
    assert not is_over("")
    assert not is_over("a b c d")


# -- workers -------------------------------------------------------------------------------------------------


class Patient:
    """An importer that goes on until it is stopped."""

    def import_(self, *_: Any, stopped: Callable[[], bool], **__: Any) -> None:
        wait_until(stopped)
        raise Interrupted("Stopped.")


def test_a_worker_stops_when_the_spool_is_another_daemons(tmp_path: Path, one: Machine, two: Machine) -> None:
    batch = make_batch(tmp_path / "HeLa")
    (tmp_path / MEMORY).mkdir()
    one.lease.take(local=False)
    job = ImportJob(
        tmp_path,
        batch.order,
        batch.image(),
        Answers(Container("Dataset", 1, "day 3", "lab-a"), None, "lab-a"),
        60.0,
        one.lease.proof(),
    )
    workshop = Workshop(cast(Config, None), lambda: cast(Importer, Patient()), lambda: cast(Looker, None))
    shutil.rmtree(tmp_path / LEASE)
    two.lease.take(local=False)

    with pytest.raises(Interrupted, match="Stopped"):
        workshop.perform(job, lambda _: None, lambda: False)


# -- many at once ----------------------------------------------------------------------------------------------


def _serve(root: Path, seed: int) -> None:
    """Until told to end: take the lease, act for a moment, and fall asleep for too long now and then. It notes when it
    looked whether it may, began to act, and ended."""
    random_ = random.Random(seed)
    lease = Lease(root / "spool", pace=QUICK)
    nap, acts = threading.Event(), False
    while not (root / "end").exists():
        nap.wait(random_.choice((0.005, 0.02, 0.02, 0.7)) if acts else 0.02)
        acts, looked = False, time.monotonic()
        try:
            lease.take(local=False)
            lease.check()
        except (OperatorError, Unavailable):
            continue
        acts, checked = True, time.monotonic()
        nap.wait(0.03)
        with (root / f"acted-{seed}").open("a") as file:
            file.write(f"{looked} {checked} {time.monotonic()}\n")


def test_of_many_that_sleep_and_wake_never_two_act_at_once(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    machines = [_forks.Process(target=_serve, args=(tmp_path, seed)) for seed in range(4)]

    def noted() -> list[Path]:
        return list(tmp_path.glob("acted-*"))

    def lines(path: Path) -> int:
        return path.read_text().count("\n")

    for machine in machines:
        machine.start()
    wait_until(lambda: len(noted()) > 2 and sum(map(lines, noted())) > 30, what="nobody was relieved")
    (tmp_path / "end").touch()
    for machine in machines:
        machine.join(60)

    # Who was held up between the look at the lease and the act, by the machine and not by us, tells nothing.
    acts = [tuple(map(float, line.split())) for path in noted() for line in path.read_text().splitlines()]
    acts = sorted((begun, ended) for looked, begun, ended in acts if ended - looked < QUICK.valid)
    assert [machine.exitcode for machine in machines] == [0] * 4
    assert [(one, other) for one, other in pairwise(acts) if other[0] < one[1]] == []
