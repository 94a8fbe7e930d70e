"""Keeps answers for a while, the oldest go first. Values only: it asks nobody."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Shelf(Generic[V]):
    """Answers by what was asked, *room* in all. Not for several threads at once.

    clock -- seconds that only ever grow
    """

    def __init__(self, room: int, clock: Callable[[], float]) -> None:
        self._room, self._clock = room, clock
        self._kept: OrderedDict[Hashable, tuple[float, int, V]] = OrderedDict()
        self.taken = 0  #: room that is taken

    def put(self, asked: Hashable, answer: V, seconds: float, size: int = 1) -> None:
        """Keep *answer* for *seconds*; it takes *size* of the room."""
        self.drop(asked)
        self._kept[asked] = self._clock() + seconds, size, answer
        self.taken += size
        while self.taken > self._room and self._kept:
            _, (_, gone, _) = self._kept.popitem(last=False)
            self.taken -= gone

    def get(self, asked: Hashable) -> tuple[V] | None:
        """The answer, which may itself be None; None when there is none (any more)."""
        found = self._kept.get(asked)
        if found is None:
            return None
        until, _, answer = found
        if until <= self._clock():
            self.drop(asked)
            return None
        self._kept.move_to_end(asked)
        return (answer,)

    def drop(self, asked: Hashable) -> None:
        """Forget the answer, if there is one."""
        found = self._kept.pop(asked, None)
        if found is not None:
            self.taken -= found[1]
