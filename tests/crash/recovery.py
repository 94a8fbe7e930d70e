"""Lives after a crash, and what must be true of a world right after it and in the end."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dropwatch.ledger import Ledger
from dropwatch.spool.folders import MEMORY
from tests.crash.stories import QUICK, Story, trap
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

KILLED = -9
IN_FLIGHT = ("import first block", "import verify", "import follow", "import done")


@dataclass
class Lane:
    """A sandbox, and the worlds that are told in it one after the other."""

    folder: Path
    sandbox: SandboxProcess

    def world(self, story: Story, name: str, disk: Path | None = None) -> World:
        self.sandbox.set_faults()
        root = self.folder / name
        root.mkdir(exist_ok=True)
        return World(root, self.sandbox, merged(QUICK, story.settings), disk=disk)


@contextmanager
def lanes_in_memory(count: int) -> Iterator[list[Lane]]:
    """In memory where there is some: killing a process needs no disk, and hundreds of lives sync a lot."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="dropwatch-crash-", dir=memory))
    made = [Lane(folder / f"lane{n}", SandboxProcess(folder / f"lane{n}" / "sandbox")) for n in range(count)]
    try:
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(SandboxProcess.start, (lane.sandbox for lane in made)))
        yield made
    finally:
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(SandboxProcess.stop, (lane.sandbox for lane in made)))
        shutil.rmtree(folder)


@dataclass
class Sweep:
    """Tells a story once for each of *points*, in all lanes at once; says of how many crashes each came about.

    tell       -- tells it in a lane with a crash at each of the points it is given, and says how many came about
    to_the_end -- stop as soon as the story ended before its crash came
    """

    tell: Callable[..., int]
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
                came = self.tell(lane, *points)
            except BaseException:
                self.over = True  # the first failure ends it in all lanes
                raise
            counted[came] += 1
            self.over |= self.to_the_end and came < len(points)
        return counted

    def _next(self) -> tuple[int, ...]:
        with self.taking:
            return () if self.over else next(self.points, ())


def live_on(world: World, *, until: int | str = 0, syncs: bool = False) -> bool:
    """One life after the other until nothing waits. Says whether one died of passing the *until*-th point.

    until -- or the beginning of the label of the point; "{spool}" and "{state}" stand for these folders
    syncs -- whether the syncs of folders are points too
    """
    already, deadline = len(passed(world)), time.monotonic() + 200
    before = until.format(spool=world.spool, state=world.state) if isinstance(until, str) else ""
    while time.monotonic() < deadline:
        at = until + already - len(passed(world)) if until and isinstance(until, int) else 0
        snare = trap(world, at=at, before=before, syncs=syncs)
        code = Life(world.config, world.log, once=True, trap=snare).end()
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
        world.assert_whole(drop, twins=True)
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
        if story.ends == "done":
            lines = Ledger(MEMORY).lines(envelope, envelope.name[:20])
            assert all(line.outcome for line in lines), "what became of a file was forgotten"
    assert len(world.envelopes("done") + world.envelopes("failed")) == len(world.drops)
    assert_each_letter_at_most(mails, most)
    assert list(leftovers(world, world.drops)) == []
    assert world.letters("dead") == []
    assert [path for user in world.users for path in (world.spool / user / "inbox").iterdir()] == []
    if not world.drops:
        batches = {mail.batch for mail in mails if mail.kind == "withdrawn"}
        assert set(world.claims()) <= batches, "nobody was told that it was taken away"
