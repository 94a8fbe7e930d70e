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

LANES = (os.cpu_count() or 2) + 1  #: worlds told in at the same time: a life waits a third of its time


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


#: By default the daemon dies at every point of the first and at each so-many-th of the others, whose points are mostly
#: the same; `make test-all` lets it die at all of them.
BY_DEFAULT = {"fresh folder": 1, "loose files": 3, "returned envelope": 3, "withdrawn": 3}

every_story = pytest.mark.parametrize("story", STORIES, ids=[story.name for story in STORIES])


def sweep(story: Story, lanes: list[Lane], step: int) -> None:
    points = ((point,) for point in count(1, step))
    came = Sweep(telling(story), points, to_the_end=True).run(lanes)

    print(f"{story.name}: {came[1]} points")
    assert came[1] * step > 10


@pytest.mark.parametrize(
    "story",
    [
        pytest.param(
            story, id=story.name, marks=[] if BY_DEFAULT.get(story.name) == 1 else [pytest.mark.long]
        )
        for story in STORIES
    ],
)
@pytest.mark.timeout(300)
def test_the_daemon_may_die_at_any_point_of(story: Story, lanes: list[Lane]) -> None:
    sweep(story, lanes, 1)


@pytest.mark.parametrize("name", [name for name, step in BY_DEFAULT.items() if step > 1])
def test_the_daemon_may_die_at_some_points_of(name: str, lanes: list[Lane]) -> None:
    sweep(next(story for story in STORIES if story.name == name), lanes, BY_DEFAULT[name])


@pytest.mark.long
@every_story
@pytest.mark.timeout(900)
def test_the_daemon_may_die_twice_at_any_two_points_of(story: Story, lanes: list[Lane]) -> None:
    rng = random.Random(story.name)
    pairs = [(rng.randint(1, 60), rng.randint(1, 60)) for _ in range(100)]

    came = Sweep(telling(story), iter(pairs)).run(lanes)

    print(f"{story.name}: {came[2]} of {len(pairs)} double crashes came about")
    assert came[2] > 0
