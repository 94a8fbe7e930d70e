"""When to try again, and whose turn it is. It only computes: the caller stores what comes out.

All times are seconds since the epoch, from the caller's clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from random import Random

import backoff

JITTER = 0.25  #: a pause is shortened by up to this part, so that several daemons do not come back in step


def next_attempt(intervals: Sequence[float], attempts: int, now: float) -> float | None:
    """When the next attempt is due, or None when the last interval was used.

    intervals -- seconds to wait after the first, second, ... attempt; none at all means no retry
    attempts  -- how many were made already; with 0 the first one is due at once
    """
    if attempts <= 0:
        return now
    if attempts > len(intervals):
        return None
    return now + intervals[attempts - 1]


@dataclass(frozen=True)
class Pause:
    """A target (OMERO, the mail host, one user) that is left alone for a while.

    since  -- when it first failed
    until  -- when to try it again
    reason -- what it said, in words for people
    times  -- how often it failed since then
    """

    since: float
    until: float
    reason: str
    times: int = 1

    def over(self, now: float) -> bool:
        """Is it time to try again? Also after the clock was set back: the pause means nothing then."""
        return now >= self.until or now < self.since


def pause(
    previous: Pause | None, now: float, *, first: float, most: float, rng: Random, reason: str
) -> Pause:
    """The pause after one more failure: about *first* seconds, then doubling, never longer than *most*.

    Never shorter than three quarters of *first* either, so a dead target is not hammered, and an account
    is not locked out.
    """
    times = previous.times + 1 if previous else 1
    wait = _doubling(times, first, most) * (1 - JITTER * rng.random())
    return Pause(previous.since if previous else now, now + wait, reason, times)


def _doubling(times: int, first: float, most: float) -> float:
    waits = backoff.expo(factor=first, max_value=most)
    next(waits)  # backoff's generators yield an empty value before the first wait
    return next(islice(waits, times - 1, None))


@dataclass(frozen=True)
class Turns:
    """Round robin over users: one with a thousand jobs waiting does not hold up another's one.

    per_user -- how many jobs of one user may run at the same time
    last     -- who was served last
    """

    per_user: int
    last: str = ""

    def choose(self, waiting: Mapping[str, int], running: Mapping[str, int]) -> str | None:
        """Whose job starts next: the first after *last*, in the order of names, who has one waiting and
        is under the limit. None when nobody is."""
        able = sorted(
            user for user, jobs in waiting.items() if jobs > 0 and running.get(user, 0) < self.per_user
        )
        behind = [user for user in able if user > self.last]
        return next(iter(behind + able), None)

    def after(self, user: str) -> Turns:
        """The turns once *user* was served."""
        return replace(self, last=user)
