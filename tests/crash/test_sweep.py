"""Every state-changing call of every story is a crash point. The daemon dies there; the next life must make it good.

It crashes between calls only and looks at no clock; what that cannot show stands in test_beside_the_sweep.py and
tests/unit/test_lifecycle.py.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

pytest.importorskip("omero")
if sys.platform == "win32":
    pytest.skip("SIGKILL", allow_module_level=True)

from tests.crash.stories import QUICK, STORIES, Story, trap
from tests.lives import Life
from tests.world import (
    SandboxProcess,
    World,
    assert_each_letter_at_most,
    assert_imported_once,
    assert_told,
    leftovers,
    merged,
)

LANES = 2 * (os.cpu_count() or 2) + 1  #: worlds told in at the same time: a life waits more than it computes
KILLED = -9
IN_FLIGHT = ("import first block", "import verify", "import follow", "import done")


@dataclass
class Lane:
    """A sandbox, and the worlds that are told in it one after the other."""

    folder: Path
    sandbox: SandboxProcess

    def world(self, story: Story, name: str) -> World:
        self.sandbox.set_faults()
        root = self.folder / name
        root.mkdir()
        return World(root, self.sandbox, merged(QUICK, story.settings))


@pytest.fixture(scope="module")
def lanes() -> Iterator[list[Lane]]:
    """In memory where there is some: killing a process needs no disk, and hundreds of lives sync a lot."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="dropwatch-sweep-", dir=memory))
    made = [Lane(folder / f"lane{n}", SandboxProcess(folder / f"lane{n}" / "sandbox")) for n in range(LANES)]
    try:
        with ThreadPoolExecutor(LANES) as pool:
            list(pool.map(SandboxProcess.start, (lane.sandbox for lane in made)))
        yield made
    finally:
        with ThreadPoolExecutor(LANES) as pool:
            list(pool.map(SandboxProcess.stop, (lane.sandbox for lane in made)))
        shutil.rmtree(folder)


# -- one crash -------------------------------------------------------------------------------------------


def live_on(world: World, *, until: int = 0) -> bool:
    """One life after the other until nothing waits. Says whether one died of passing the *until*-th point."""
    already, deadline = len(passed(world)), time.monotonic() + 60
    while time.monotonic() < deadline:
        at = until and until + already - len(passed(world))
        code = Life(world.config, world.log, once=True, trap=trap(world, at=at)).end()
        if until and code == KILLED:
            return True
        assert code == 0, f"exit code {code}, see {world.log}"
        if world.is_quiet():
            return False
        time.sleep(0.02)
    raise AssertionError(f"still there: {world.envelopes('processing')} {world.letters('queued')}")


def passed(world: World) -> list[str]:
    """The points that were passed, the deadly one last."""
    path = world.root / "points.txt"
    return path.read_text().splitlines() if path.exists() else []


def assert_sound_after_crash(world: World) -> None:
    """Right after a crash: everything in one place, what was begun was counted, what retired was told."""
    for drop in world.drops:
        world.assert_whole(drop)
    for envelope in world.envelopes("processing"):
        record = world.record(envelope)
        if passed(world)[-1].startswith(IN_FLIGHT):
            assert record["attempts"] > 0, "the attempt was not counted before it was made"
    told = {(letter["batch"], letter["claim"]) for letter in world.letters("queued") + world.letters("sent")}
    for envelope in world.envelopes("done") + world.envelopes("failed"):
        assert (world.record(envelope)["batch"], envelope.name[:20]) in told, "retired before it was told"


def assert_good_in_the_end(world: World, story: Story, crashes: int) -> None:
    batches = {letter["batch"] for letter in world.letters("sent") + world.letters("queued")}
    mails = [mail for mail in world.sandbox.mails() if mail.batch in batches]
    # A daemon that dies between the mail host's yes and the noting of it sends the letter again: once for each death.
    most = 1 + max(1, crashes)
    for drop in world.drops:
        world.assert_whole(drop)
        assert world.place(drop) == story.ends
        assert_imported_once(world, drop)
        assert_told(world, drop, mails, most=most)
        for to, kind in story.tells:
            assert_told(world, drop, mails, to=to, kind=kind, most=most)
        envelope = world.envelope(drop)
        assert world.record(envelope)["attempts"] <= story.attempts + crashes
        assert "finished" in (envelope / "REPORT.txt").read_text(), "the report is not the last word"
        assert not list(envelope.rglob("*.part"))
    assert len(world.envelopes("done") + world.envelopes("failed")) == len(world.drops)
    assert_each_letter_at_most(mails, most)
    assert list(leftovers(world, world.drops)) == []
    assert world.letters("dead") == []
    assert [path for user in world.users for path in (world.spool / user / "inbox").iterdir()] == []
    if not world.drops:
        batches = {mail.batch for mail in mails if mail.kind == "withdrawn"}
        assert set(world.claims()) <= batches, "nobody was told that it was taken away"


def crash(lane: Lane, story: Story, *points: int) -> int:
    """Tell *story* and let the daemon die at the n-th point, then at the m-th of what follows, ... and recover.

    Says how many of the crashes came about: the story may end before.
    """
    world = lane.world(story, f"{story.name}-{'-'.join(map(str, points))}")
    story.tell(world)
    crashes = 0
    try:
        for point in points:
            if not live_on(world, until=point):
                break
            crashes += 1
            assert_sound_after_crash(world)
        if crashes == len(points):
            live_on(world)
        assert_good_in_the_end(world, story, crashes)
    except AssertionError as err:
        err.add_note(f"{story.name}: died at {passed(world)[-1:]}, point {points}; see {world.root}")
        raise
    world.clear()
    return crashes


# -- all of them -----------------------------------------------------------------------------------------


@dataclass
class Sweep:
    """Tells *story* once for each of *points*, in all lanes at once; says of how many crashes each came about.

    to_the_end -- stop as soon as the story ended before its crash came
    """

    story: Story
    points: Iterator[tuple[int, ...]]
    to_the_end: bool = False
    over: bool = False
    taking: threading.Lock = field(default_factory=threading.Lock)

    def run(self, lanes: list[Lane]) -> Counter[int]:
        with ThreadPoolExecutor(len(lanes)) as pool:
            counted = [pool.submit(self._in_lane, lane) for lane in lanes]
        return sum((one.result() for one in counted), Counter())

    def _in_lane(self, lane: Lane) -> Counter[int]:
        counted: Counter[int] = Counter()
        while points := self._next():
            try:
                came = crash(lane, self.story, *points)
            except BaseException:
                self.over = True  # the first failure ends it in all lanes
                raise
            counted[came] += 1
            self.over |= self.to_the_end and came < len(points)
        return counted

    def _next(self) -> tuple[int, ...]:
        with self.taking:
            return () if self.over else next(self.points, ())


#: Told by `make test-all` only: each takes the better part of a minute, and shares most of its points with another.
SELDOM = {
    *("listed manifest", "loose files with a listing", "manifest with a typo"),
    *("checksum differs once", "reply lost", "cancelled"),
}

every_story = pytest.mark.parametrize("story", STORIES, ids=[story.name for story in STORIES])


@pytest.mark.parametrize(
    "story",
    [
        pytest.param(story, id=story.name, marks=[pytest.mark.long] if story.name in SELDOM else [])
        for story in STORIES
    ],
)
@pytest.mark.timeout(300)
def test_the_daemon_may_die_at_any_point_of(story: Story, lanes: list[Lane]) -> None:
    came = Sweep(story, ((point,) for point in count(1)), to_the_end=True).run(lanes)

    print(f"{story.name}: {came[1]} points")
    assert came[1] > 10


@pytest.mark.long
@every_story
@pytest.mark.timeout(900)
def test_the_daemon_may_die_twice_at_any_two_points_of(story: Story, lanes: list[Lane]) -> None:
    rng = random.Random(story.name)
    pairs = [(rng.randint(1, 60), rng.randint(1, 60)) for _ in range(100)]

    came = Sweep(story, iter(pairs)).run(lanes)

    print(f"{story.name}: {came[2]} of {len(pairs)} double crashes came about")
    assert came[2] > 0
