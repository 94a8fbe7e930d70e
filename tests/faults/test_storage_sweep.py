"""The n-th change of a story fails as a disk or a share fails, for each n. The daemon lives on and makes it good.

The crash sweep's stories (tests/crash/stories.py) are told over a FUSE file system that fails as it is ordered.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("omero")
if sys.platform == "win32":
    pytest.skip("FUSE", allow_module_level=True)

from tests.crash.stories import STORIES, Story
from tests.faulty_mount import FaultyMount, can_fuse
from tests.lives import Life
from tests.world import (
    SandboxProcess,
    World,
    assert_imported_once,
    assert_told,
    leftovers,
    merged,
    wait_until,
)

pytestmark = pytest.mark.skipif(bool(can_fuse()), reason=can_fuse())

SETTINGS: dict[str, Any] = {
    "spools": {"settle": "0s", "sweep": "1s", "watch": "poll", "poll": "200ms"},
    "retry": {"import": ["50ms"] * 6, "mail": ["50ms"] * 6},
    "mail": {"send_to": ["*@example.org"]},
}
LANES = os.cpu_count() or 2
TOLD = ("fresh folder", "loose files with a listing", "partial", "returned envelope")
STORY = {story.name: story for story in STORIES}


@dataclass(frozen=True)
class Fault:
    """How the n-th change fails: *error*, *count* times in a row; *after*: it was done all the same."""

    error: str
    count: int = 1
    after: bool = False

    def __str__(self) -> str:
        return f"{self.error} {self.count}x{' but done' * self.after}"


FAULTS = (Fault("ENOSPC"), Fault("ENOSPC", 6), Fault("EIO"), Fault("EIO", after=True), Fault("ESTALE", 3))


@dataclass
class Lane:
    """A sandbox, and a mount for the worlds that are told in it one after the other."""

    folder: Path
    sandbox: SandboxProcess = field(init=False)
    mount: FaultyMount = field(init=False)

    def __post_init__(self) -> None:
        (self.folder / "disk").mkdir(parents=True)
        (self.folder / "mnt").mkdir()
        self.sandbox = SandboxProcess(self.folder / "sandbox")
        self.mount = FaultyMount(self.folder / "disk", self.folder / "mnt")

    def start(self) -> None:
        self.sandbox.start()
        self.mount.start()

    def stop(self) -> None:
        self.mount.close()
        self.sandbox.stop()

    def world(self, story: Story, name: str) -> World:
        self.sandbox.set_faults()
        root = self.folder / "mnt" / name
        root.mkdir()
        return World(root, self.sandbox, merged(SETTINGS, story.settings))


@pytest.fixture(scope="module")
def lanes(request: pytest.FixtureRequest) -> Iterator[list[Lane]]:
    """One is enough for the small version."""
    many = any(item.get_closest_marker("long") for item in request.session.items)
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(
        prefix="dropwatch-faults-", dir=memory, ignore_cleanup_errors=True
    ) as folder:
        made = [Lane(Path(folder) / f"lane{n}") for n in range(LANES if many else 1)]
        try:
            for lane in made:
                lane.start()
            yield made
        finally:
            for lane in made:
                lane.stop()


def fails_at(lane: Lane, story: Story, folder: str, fault: Fault, point: int) -> bool:
    """Tell *story*; the *point*-th change below *folder* ("spool", "state") fails. Says whether there was one."""
    world = lane.world(story, f"{story.name} {folder} {fault} {point}")
    story.tell(world)
    lane.mount.fail(
        "change",
        fault.error,
        f"*/{world.root.name}/{folder}/*",
        skip=point - 1,
        count=fault.count,
        after=fault.after,
    )
    life = Life(world.config, world.log)
    try:
        try:
            wait_until(lambda: is_quiet(world), what="the end of the story")
        finally:
            met = lane.mount.heal()
            life.stop()
        assert_good_in_the_end(world, story)
    except AssertionError as err:
        err.add_note(f"{story.name}: {fault} at change {point} of the {folder}: {met}; see {world.root}")
        print(world.log.read_text())
        raise
    world.clear()
    return bool(met)


def is_quiet(world: World) -> bool:
    try:
        return world.is_quiet()
    except OSError:  # it failed for us as it was ordered for the daemon, or something moved on meanwhile
        return False


def assert_good_in_the_end(world: World, story: Story) -> None:
    batches = {letter["batch"] for letter in world.letters("sent") + world.letters("queued")}
    mails = [mail for mail in world.sandbox.mails() if mail.batch in batches]
    for drop in world.drops:
        world.assert_whole(drop)
        assert world.place(drop) == story.ends
        assert_imported_once(world, drop)
        assert_told(world, drop, mails, most=1)
        for to, kind in story.tells:
            assert_told(world, drop, mails, to=to, kind=kind, most=1)
        envelope = world.envelope(drop)
        record = world.record(envelope)
        assert record["attempts"] <= story.attempts + 1
        assert "finished" in (envelope / "REPORT.txt").read_text(), "the report is not the last word"
        assert not list(envelope.rglob("*.part"))
        assert not list(envelope.rglob(".dropwatch-trial"))
    assert len(world.envelopes("done") + world.envelopes("failed")) == len(world.drops)
    assert list(leftovers(world, world.drops)) == []
    assert world.letters("dead") == []
    assert " bug " not in world.log.read_text()


def sweep(
    lanes: list[Lane], story: Story, folder: str, fault: Fault, step: int = 1, most: int = 10_000
) -> int:
    """Each *step*-th change fails; how many there were."""
    points, over, taking = iter(range(1, most, step)), threading.Event(), threading.Lock()

    def tell(lane: Lane) -> Counter[str]:
        told: Counter[str] = Counter()
        while not over.is_set():
            with taking:
                point = next(points, 0)
            try:
                if not point or not fails_at(lane, story, folder, fault, point):
                    over.set()
                    break
            except BaseException:
                over.set()
                raise
            told["points"] += 1
        return told

    with ThreadPoolExecutor(len(lanes)) as pool:
        return sum((one.result() for one in [pool.submit(tell, lane) for lane in lanes]), Counter())["points"]


def test_a_disk_that_is_full_for_a_moment_loses_nothing(lanes: list[Lane]) -> None:
    assert fails_at(lanes[0], STORY["fresh folder"], "spool", Fault("ENOSPC", 6), 17)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("fault", FAULTS, ids=str)
@pytest.mark.parametrize("folder", ["spool", "state"])
@pytest.mark.parametrize("story", TOLD)
def test_any_change_may_fail(lanes: list[Lane], story: str, folder: str, fault: Fault) -> None:
    points = sweep(lanes, STORY[story], folder, fault)

    print(f"{story}, {folder}, {fault}: {points} points")
    assert points > 10
