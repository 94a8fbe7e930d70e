"""Every state-changing call of every story is a crash point. The daemon dies there; the next life must make it good.

It crashes between calls only and looks at no clock; what that cannot show stands in test_beside_the_sweep.py and
tests/unit/test_lifecycle.py.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator
from itertools import count

import pytest

pytest.importorskip("omero")
if sys.platform == "win32":
    pytest.skip("SIGKILL", allow_module_level=True)

from tests.crash.recovery import (
    Lane,
    Sweep,
    assert_good_in_the_end,
    assert_sound_after_crash,
    lanes_in_memory,
    live_on,
    passed,
)
from tests.crash.stories import STORIES, Story

LANES = 2 * (os.cpu_count() or 2) + 1  #: worlds told in at the same time: a life waits more than it computes


@pytest.fixture(scope="module")
def lanes() -> Iterator[list[Lane]]:
    with lanes_in_memory(LANES) as made:
        yield made


# -- one crash -------------------------------------------------------------------------------------------


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


def telling(story: Story) -> Callable[..., int]:
    return lambda lane, *points: crash(lane, story, *points)


# -- all of them -----------------------------------------------------------------------------------------


#: Told by `make test-all` only: each takes the better part of a minute, and shares most of its points with another.
SELDOM = {
    *(
        "fetched from a place",
        "listed manifest",
        "loose files with a listing",
        "manifest with a typo",
        "partial",
    ),
    *(
        "checksum differs once",
        "reply lost",
        "cancelled",
        "mail refused once",
        "connection lost in mid-upload",
    ),
}

every_story = pytest.mark.parametrize("story", STORIES, ids=[story.name for story in STORIES])


@pytest.mark.parametrize(
    "story",
    [
        pytest.param(story, id=story.name, marks=[pytest.mark.long] if story.name in SELDOM else [])
        for story in STORIES
    ],
)
@pytest.mark.timeout(900)
def test_the_daemon_may_die_at_any_point_of(story: Story, lanes: list[Lane]) -> None:
    came = Sweep(telling(story), ((point,) for point in count(1)), to_the_end=True).run(lanes)

    print(f"{story.name}: {came[1]} points")
    assert came[1] > 10


@pytest.mark.long
@every_story
@pytest.mark.timeout(900)
def test_the_daemon_may_die_twice_at_any_two_points_of(story: Story, lanes: list[Lane]) -> None:
    rng = random.Random(story.name)
    pairs = [(rng.randint(1, 60), rng.randint(1, 60)) for _ in range(100)]

    came = Sweep(telling(story), iter(pairs)).run(lanes)

    print(f"{story.name}: {came[2]} of {len(pairs)} double crashes came about")
    assert came[2] > 0
