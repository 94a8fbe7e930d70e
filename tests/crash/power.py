"""A power cut in the middle of a story: the daemon dies, and what it had not synced is gone from spool and state.

The servers live on elsewhere: what they were told before the cut they know after it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from tests.crash.recovery import Lane, assert_good_in_the_end, assert_sound_after_crash, live_on, passed
from tests.crash.stories import Story
from tests.platter import Disk, FileSystem

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Cut:
    """kind  -- the file system that spool and state lie on
    later -- whether the file system committed on its own just before: names it did, data it may hold back
    """

    kind: FileSystem
    later: bool = False

    def telling(self, story: Story) -> Callable[..., int]:
        """Tells *story* in a lane with the power cut at a point; says whether the story came so far (0 or 1)."""
        return lambda lane, point: self.tell(lane, story, point)

    def tell(self, lane: Lane, story: Story, point: int | str) -> int:
        """Tell *story* and cut the power at *point*, a number or the beginning of a label."""
        name = f"cut{next(_numbers)}"
        disk = Disk(lane.folder / name, self.kind)
        disk.make()
        disk.mount()
        try:
            world = lane.world(story, name, disk.path)
            story.tell(world)
            disk.sync()  # what people had not safe on disk themselves is not ours to keep
            came = live_on(world, until=point, syncs=True)
            if came:
                self._fail(disk)
                assert_sound_after_crash(world)
                live_on(world, syncs=True)
            assert_good_in_the_end(world, story, int(came))
        except AssertionError as err:
            err.add_note(
                f"{story.name} on {self}: the power failed before {passed(world)[-1:]}, point {point}"
            )
            raise
        finally:
            disk.unmount()
        world.clear()
        return int(came)

    def __str__(self) -> str:
        return f"{self.kind.name}, {'a commit later' if self.later else 'at once'}"

    def _fail(self, disk: Disk) -> None:
        if self.later:
            disk.commit()
        disk.cut()
