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
_REMEMBERED = 600.0  #: seconds that a pause which ended is remembered
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
    """The paused targets ("omero", "mail", "state", "spool:PATH", "batch:ID") and users ("user:alice"), by name.

    first -- seconds of the first pause
    """

    def __init__(self, first: float, rng: random.Random) -> None:
        self._first = first
        self._rng = rng
        self._paused: dict[str, Paused] = {}
        self._ended: dict[str, tuple[float, Paused]] = {}

    def fail(
        self, name: str, error: DropwatchError, now: float, *, most: float | None = None, relapse: float = 0.0
    ) -> Paused:
        """Note a failure; returns the pause that follows.

        most    -- the longest pause (seconds)
        relapse -- what fails again within so many seconds after its end goes on with the pause that it had
        """
        before = self._paused.get(name) or self._relapsed(name, now - relapse)
        if most is None:
            most = _LONGEST_FAULT if isinstance(error, OperatorError) else _LONGEST_OUTAGE
        first = min(self._first, most)
        if before and type(before.error) is not type(error):
            before = None  # an outage that became a fault of ours is another story
        after = pause(
            before.pause if before else None, now, first=first, most=most, rng=self._rng, reason=error.message
        )
        self._paused[name] = Paused(name, after, error, told=bool(before and before.told))
        return self._paused[name]

    def clear(self, name: str, now: float = 0.0) -> Paused | None:
        """Note a success; returns the pause that it ended."""
        ended = self._paused.pop(name, None)
        self._ended = {known: one for known, one in self._ended.items() if now - one[0] < _REMEMBERED}
        if ended is not None:
            self._ended[name] = now, ended
        return ended

    def get(self, name: str) -> Paused | None:
        """The pause of *name*, over or not; None while it works."""
        return self._paused.get(name)

    def _relapsed(self, name: str, after: float) -> Paused | None:
        ended_at, ended = self._ended.get(name, (0.0, None))
        return ended if ended_at > after else None

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
