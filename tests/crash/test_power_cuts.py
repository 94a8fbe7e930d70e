"""The power fails at any point of any story: after it each batch is in exactly one place, imported once and told.

Spool and state lie on a small file system in a loop-mounted image; what a copy of the image holds is what a cut leaves.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

pytest.importorskip("omero")
if not sys.platform.startswith("linux"):
    pytest.skip("loop mounts need Linux", allow_module_level=True)

from tests.crash.power import Cut
from tests.crash.recovery import Lane, Sweep, lanes_in_memory
from tests.crash.stories import STORIES, Story
from tests.platter import BTRFS, EXT4, EXT4_WRITEBACK, XFS, FileSystem

LANES = 3  #: one loop device each
KINDS = (EXT4, XFS, BTRFS)
STORY = {story.name: story for story in STORIES}
#: Every claim that there is, every verdict, and the way back from failed/.
TELLING = ("fresh folder", "loose files with a listing", "partial", "returned envelope")
#: Right before and in the middle of what commits: a claim, an outcome, a letter, the end of a batch, a letter's end.
COMMITS = (
    "os.rename {spool}/alice/inbox",
    "open {spool}/alice/inbox",
    "import follow",
    "import done b",
    "os.rename {state}/outbox/queued/.",
    "os.rename {spool}/alice/processing",
    "open {spool}/alice/done",
    "os.rename {state}/outbox/queued/2",
)


@pytest.fixture(scope="module")
def lanes() -> Iterator[list[Lane]]:
    with lanes_in_memory(LANES) as made:
        yield made


def require(*kinds: FileSystem) -> None:
    for kind in kinds:
        if reason := kind.lacks():
            pytest.skip(reason)


def test_the_power_may_fail_at_each_commit_of_a_batch(lanes: list[Lane]) -> None:
    require(EXT4)
    story = STORY["fresh folder"]
    turns = iter(list(zip(COMMITS, (Cut(EXT4), Cut(EXT4, later=True)) * len(COMMITS), strict=False)))

    def tell(lane: Lane) -> int:
        return sum(cut.tell(lane, story, point) for point, cut in turns)

    with ThreadPoolExecutor(len(lanes)) as pool:
        came = sum(pool.map(tell, lanes))

    assert came == len(COMMITS)


@pytest.mark.long
@pytest.mark.parametrize("later", [False, True], ids=["at once", "a commit later"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("name", TELLING)
@pytest.mark.timeout(900)
def test_the_power_may_fail_at_any_point_of(
    name: str, kind: FileSystem, later: bool, lanes: list[Lane]
) -> None:
    require(kind)
    sweep = Sweep(Cut(kind, later).telling(STORY[name]), ((point,) for point in count(1)), to_the_end=True)
    came = sweep.run(lanes)

    print(f"{name} on {kind.name}, {later=}: {came[1]} images")
    assert came[1] > 10


@pytest.mark.long
@pytest.mark.parametrize("story", STORIES, ids=[story.name for story in STORIES])
@pytest.mark.timeout(900)
def test_the_power_may_fail_at_some_point_of(story: Story, lanes: list[Lane]) -> None:
    kinds = (*KINDS, EXT4_WRITEBACK)
    require(*kinds)
    rng = random.Random(story.name)
    cuts = [(Cut(kind, rng.random() < 0.5), point) for kind in kinds for point in rng.sample(range(1, 80), 5)]

    def tell(lane: Lane, number: int) -> int:
        cut, point = cuts[number]
        return cut.tell(lane, story, point)

    came = Sweep(tell, ((number,) for number in range(len(cuts)))).run(lanes)

    print(f"{story.name}: {came[1]} images")
    assert came[1] > 0
