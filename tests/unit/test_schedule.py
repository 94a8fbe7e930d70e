"""Retries, pauses and turns, told with a hand-moved clock."""

from __future__ import annotations

import pickle
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropwatch.schedule import JITTER, Pause, Turns, next_attempt, pause


def pauses(failures: int, *, first: float = 5.0, most: float = 600.0, seed: int = 1) -> list[Pause]:
    """A target that fails again each time its pause is over."""
    rng, now, held, seen = Random(seed), 1000.0, None, []
    for _ in range(failures):
        held = pause(held, now, first=first, most=most, rng=rng, reason="connection refused")
        now = held.until
        seen.append(held)
    return seen


# -- attempts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempts", "due"), [(0, 1000.0), (1, 1030.0), (2, 1300.0), (3, 2800.0), (4, None), (99, None)]
)
def test_each_attempt_waits_its_own_interval_and_the_last_ends_it(attempts: int, due: float | None) -> None:
    assert next_attempt([30, 300, 1800], attempts, now=1000.0) == due


def test_an_empty_list_means_no_retry() -> None:
    assert next_attempt([], 1, now=1000.0) is None


# -- pauses ---------------------------------------------------------------------------------------------


def test_the_first_pause_is_short_and_remembers_when_the_trouble_began() -> None:
    [held] = pauses(1)

    assert held.since == 1000.0
    assert 5.0 * (1 - JITTER) <= held.until - 1000.0 <= 5.0
    assert held.reason == "connection refused"


def test_pauses_grow_until_the_longest_and_never_hammer() -> None:
    story = pauses(12)

    starts = [1000.0, *(held.until for held in story)]
    waits = [held.until - start for held, start in zip(story, starts, strict=False)]
    assert {held.since for held in story} == {1000.0}
    assert [held.times for held in story] == list(range(1, 13))
    for wait, grown in zip(waits, [5, 10, 20, 40, 80, 160, 320, 600, 600, 600, 600, 600], strict=True):
        assert grown * (1 - JITTER) <= wait <= grown


def test_two_daemons_do_not_come_back_in_step() -> None:
    assert pauses(10, seed=1)[-1].until != pauses(10, seed=2)[-1].until


def test_a_week_of_outage_is_counted_without_overflow() -> None:
    last = pauses(5000)[-1]

    assert last.times == 5000
    assert last.until > last.since


@given(st.integers(1, 50), st.floats(0.1, 60), st.floats(60, 3600), st.integers())
def test_every_pause_keeps_its_bounds(failures: int, first: float, most: float, seed: int) -> None:
    story = pauses(failures, first=first, most=most, seed=seed)

    starts = [1000.0, *(held.until for held in story)]
    for held, start in zip(story, starts, strict=False):
        assert first * (1 - JITTER) - 1e-6 <= held.until - start <= most + 1e-6


def test_a_pause_is_over_when_its_time_has_come_or_the_clock_was_set_back() -> None:
    held = Pause(since=1000.0, until=1060.0, reason="down")

    assert not held.over(1059.9)
    assert held.over(1060.0)
    assert held.over(999.0)


def test_a_pause_travels_between_processes() -> None:
    held = Pause(since=1.0, until=2.0, reason="down", times=3)

    assert pickle.loads(pickle.dumps(held)) == held


# -- turns ----------------------------------------------------------------------------------------------


def serve(turns: Turns, waiting: dict[str, int], jobs: int) -> list[str]:
    """Run *jobs* jobs one after another and say whose they were."""
    order = []
    for _ in range(jobs):
        user = turns.choose(waiting, {})
        if user is None:
            break
        waiting[user] -= 1
        turns = turns.after(user)
        order.append(user)
    return order


def test_a_thousand_batches_do_not_hold_up_anothers_one() -> None:
    turns, waiting = Turns(per_user=1), {"zoe": 1000}
    for _ in range(10):  # zoe was alone for a while
        assert turns.choose(waiting, {}) == "zoe"
        turns = turns.after("zoe")

    order = serve(turns, {"zoe": 990, "alice": 1}, 3)

    assert order == ["alice", "zoe", "zoe"]


def test_a_late_comer_waits_one_round_at_most_whatever_the_names() -> None:
    for name in ("aaron", "mike", "zzz"):
        order = serve(Turns(per_user=1, last="mike"), {"bob": 500, "nina": 500, name: 1}, 3)

        assert name in order


def test_turns_go_round_evenly() -> None:
    order = serve(Turns(per_user=1), {"alice": 100, "bob": 100, "carol": 100}, 30)

    assert Counter(order) == {"alice": 10, "bob": 10, "carol": 10}


def test_a_user_at_the_limit_is_passed_over() -> None:
    turns = Turns(per_user=2)

    assert turns.choose({"alice": 5, "bob": 5}, {"alice": 2}) == "bob"
    assert turns.choose({"alice": 5}, {"alice": 1}) == "alice"
    assert turns.choose({"alice": 5}, {"alice": 2}) is None


def test_nobody_waiting_is_nobodys_turn() -> None:
    assert Turns(per_user=1).choose({"alice": 0}, {}) is None


@given(
    st.dictionaries(st.text(max_size=3), st.integers(0, 5)),
    st.dictionaries(st.text(max_size=3), st.integers(0, 3)),
    st.integers(1, 3),
    st.text(max_size=3),
)
def test_whoever_is_chosen_waits_and_is_under_the_limit(
    waiting: dict[str, int], running: dict[str, int], per_user: int, last: str
) -> None:
    user = Turns(per_user, last).choose(waiting, running)

    able = {name for name, jobs in waiting.items() if jobs and running.get(name, 0) < per_user}
    assert (user in able) if able else (user is None)
