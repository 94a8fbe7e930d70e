"""What is left alone for a while: a target that cannot be reached, a fault that an admin has to mend.

Only one probe at a time goes to a target that is paused, and a success lets everything go again.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace

from dropwatch.errors import DropwatchError, OperatorError
from dropwatch.schedule import Pause, pause

_LONGEST_OUTAGE = 300.0  #: seconds between two tries to reach a host that is down
_LONGEST_FAULT = 3600.0  #: seconds between two tries after a refused login: some sites lock accounts


@dataclass(frozen=True)
class Paused:
    """A target or user that is left alone. *told* is what the admins were told of it: "" nothing yet."""

    name: str
    pause: Pause
    error: DropwatchError
    told: bool = False
    probing: bool = False

    @property
    def operator(self) -> bool:
        return isinstance(self.error, OperatorError)


class Pauses:
    """The paused targets ("omero", "mail", "spool:PATH") and users ("user:alice"), by name.

    first -- seconds of the first pause
    """

    def __init__(self, first: float, rng: random.Random) -> None:
        self._first = first
        self._rng = rng
        self._paused: dict[str, Paused] = {}

    def fail(self, name: str, error: DropwatchError, now: float) -> Paused:
        """Note a failure; returns the pause that follows."""
        before = self._paused.get(name)
        most = _LONGEST_FAULT if isinstance(error, OperatorError) else _LONGEST_OUTAGE
        first = min(self._first, most)
        if before and type(before.error) is not type(error):
            before = None  # an outage that became a fault of ours is another story
        after = pause(
            before.pause if before else None, now, first=first, most=most, rng=self._rng, reason=error.message
        )
        self._paused[name] = Paused(name, after, error, told=bool(before and before.told))
        return self._paused[name]

    def clear(self, name: str) -> Paused | None:
        """Note a success; returns the pause that it ended."""
        return self._paused.pop(name, None)

    def told(self, name: str) -> None:
        self._paused[name] = replace(self._paused[name], told=True)

    def probe(self, names: Iterable[str]) -> None:
        """Something sets out to try these targets; until it is back, nothing else does."""
        for name in names:
            if name in self._paused:
                self._paused[name] = replace(self._paused[name], probing=True)

    def probed(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self._paused:
                self._paused[name] = replace(self._paused[name], probing=False)

    def blocked(self, names: Iterable[str], now: float) -> Paused | None:
        """The pause among *names* that lasts longest, or None when all may be tried now."""
        paused = [self._paused[name] for name in names if name in self._paused]
        active = [entry for entry in paused if entry.probing or not entry.pause.over(now)]
        return max(active, key=lambda entry: entry.pause.until, default=None)

    def all(self) -> list[Paused]:
        return list(self._paused.values())

    def hurry(self) -> None:
        """An admin asked to go on at once: every pause is over, none is forgotten."""
        for name, entry in self._paused.items():
            self._paused[name] = replace(entry, pause=replace(entry.pause, until=0.0))


def first_pause(intervals: tuple[float, ...]) -> float:
    """How long a target is left alone at first (seconds): the first retry interval, within bounds."""
    return min(30.0, max(0.2, intervals[0] if intervals else 30.0))
