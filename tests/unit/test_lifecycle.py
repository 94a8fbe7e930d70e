"""The decision table: each row of STATES and each branch of next_step(), in words. Time is looked at here only."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropwatch.lifecycle import (
    STATES,
    Ask,
    Claim,
    Conclude,
    Facts,
    Fetch,
    Gather,
    Import,
    Limits,
    Notify,
    Plan,
    Retire,
    State,
    Step,
    Wait,
    is_settled_outcome,
    next_step,
    state_table,
    verdict,
)
from dropwatch.model import Failed, Image, Imported, Outcome, Place, Skipped, Verdict

NOW = 1_000_000.0
LIMITS = Limits(attempts=3)

INBOX = Facts(Place.INBOX)
CLAIMED = Facts(Place.PROCESSING)
PLANNED = replace(CLAIMED, planned=True, left=2)
ASKED = replace(PLANNED, asked=True)
CONCLUDED = replace(PLANNED, verdict=Verdict.IMPORTED, left=0)
NOTIFIED = replace(CONCLUDED, notified=True)

S0, S1, S2, S3, S4, S5 = STATES

#: state, what is the case, the facts, the step
TABLE = [
    (S0, "not settled, nothing to look forward to", INBOX, Wait(None)),
    (S0, "not settled", replace(INBOX, look_again=NOW + 7), Wait(NOW + 7)),
    (S0, "settled", replace(INBOX, ready=True), Claim()),
    (S1, "loose files still in the inbox", replace(CLAIMED, gathered=False), Gather()),
    (S1, "claimed", CLAIMED, Plan()),
    (S1, "something has to be fetched first", replace(CLAIMED, fetched=False), Fetch()),
    (S1, "a worker fetches", replace(CLAIMED, fetched=False, busy=True), Wait()),
    (S1, "cancelled before it was fetched", replace(CLAIMED, fetched=False, cancelled=True), Conclude()),
    (
        S2,
        "cancelled after a fetch that broke",
        replace(CLAIMED, fetched=False, cancelled=True, attempts=1),
        Conclude(),
    ),
    (
        S1,
        "the next try to fetch is not due",
        replace(CLAIMED, fetched=False, not_before=NOW + 5),
        Wait(NOW + 5),
    ),
    (
        S2,
        "cancelled, the server may have something, and copies are missing",
        replace(CLAIMED, fetched=False, cancelled=True, reached=True),
        Fetch(),
    ),
    (S1, "a worker plans it", replace(CLAIMED, busy=True), Wait()),
    (S1, "cannot be imported as a whole", replace(CLAIMED, planned=True, hopeless=True), Conclude()),
    (S1, "cancelled before it was planned", replace(CLAIMED, cancelled=True), Conclude()),
    (S1, "a file is still open for writing", replace(CLAIMED, not_before=NOW + 5), Wait(NOW + 5)),
    (S2, "the server was not asked", PLANNED, Ask()),
    (S2, "the target is paused", replace(PLANNED, blocked=NOW + 9), Wait(NOW + 9)),
    (S2, "asked, paused meanwhile", replace(ASKED, blocked=NOW + 9), Wait(NOW + 9)),
    (S2, "asked", ASKED, Import()),
    (S2, "asked, some still running", replace(ASKED, running=1), Import()),
    (S2, "asked, all still running", replace(ASKED, running=2, ask_again=NOW + 2), Wait(NOW + 2)),
    (
        S2,
        "running, and the target paused",
        replace(ASKED, running=2, ask_again=NOW + 2, blocked=NOW + 9),
        Wait(NOW + 2),
    ),
    (S2, "a worker has it", replace(ASKED, busy=True), Wait()),
    (S2, "everything is there", replace(ASKED, left=0), Conclude()),
    (S2, "everything is given up or there, not asked", replace(PLANNED, left=0, attempts=1), Conclude()),
    (S2, "the next attempt is not due", replace(CLAIMED, attempts=1, not_before=NOW + 30), Wait(NOW + 30)),
    (
        S2,
        "not due, planned and asked already",
        replace(ASKED, attempts=1, not_before=NOW + 30),
        Wait(NOW + 30),
    ),
    (S2, "the next attempt is due", replace(CLAIMED, attempts=1, not_before=NOW), Plan()),
    (S2, "due, planned", replace(PLANNED, attempts=1, not_before=NOW), Ask()),
    (S2, "due, asked", replace(ASKED, attempts=1, not_before=NOW), Import()),
    (S2, "last attempt used, not planned", replace(CLAIMED, attempts=3, not_before=NOW + 30), Plan()),
    (S2, "last attempt used, not asked: a reply may be lost", replace(PLANNED, attempts=3), Ask()),
    (
        S2,
        "last attempt used, the target paused",
        replace(PLANNED, attempts=3, blocked=NOW + 9),
        Wait(NOW + 9),
    ),
    (S2, "last attempt used, asked", replace(ASKED, attempts=3), Conclude()),
    (
        S2,
        "last attempt used, one still running",
        replace(ASKED, attempts=3, running=1, ask_again=NOW + 2),
        Wait(NOW + 2),
    ),
    (S2, "cancelled after an attempt, not asked", replace(PLANNED, attempts=1, cancelled=True), Ask()),
    (S2, "cancelled after a stop of ours", replace(CLAIMED, cancelled=True, reached=True), Plan()),
    (S2, "and planned: a reply may be lost", replace(PLANNED, cancelled=True, reached=True), Ask()),
    (S2, "cancelled after an attempt, asked", replace(ASKED, attempts=1, cancelled=True), Conclude()),
    (
        S2,
        "cancelled, one is past help",
        replace(ASKED, attempts=1, cancelled=True, running=1, ask_again=NOW + 2),
        Wait(NOW + 2),
    ),
    (S2, "hopeless only since it was returned, asked", replace(ASKED, attempts=1, hopeless=True), Conclude()),
    (S3, "concluded", CONCLUDED, Notify()),
    (
        S3,
        "concluded, something left",
        replace(CONCLUDED, left=2, attempts=3, verdict=Verdict.FAILED),
        Notify(),
    ),
    (S3, "concluded, the target paused", replace(CONCLUDED, blocked=NOW + 9), Notify()),
    (S3, "concluded, an address is looked up", replace(CONCLUDED, busy=True), Wait()),
    (S4, "notified", NOTIFIED, Retire()),
    (S4, "notified, a restart since", replace(NOTIFIED, planned=False), Retire()),
    (S5, "done", replace(NOTIFIED, place=Place.DONE), None),
    (S5, "failed", replace(NOTIFIED, place=Place.FAILED), None),
    (S5, "done, whatever else is said", replace(INBOX, place=Place.DONE, ready=True, left=5), None),
]


@pytest.mark.parametrize(
    ("facts", "step"), [row[2:] for row in TABLE], ids=[f"{row[0].name}: {row[1]}" for row in TABLE]
)
def test_the_next_step_is(facts: Facts, step: Step | None) -> None:
    assert next_step(facts, LIMITS, NOW) == step


@pytest.mark.parametrize("state", STATES, ids=[state.name for state in STATES])
def test_each_step_that_a_row_names_is_taken_in_that_state(state: State) -> None:
    taken = {type(step).__name__ for row, _, _, step in TABLE if row is state}

    assert set(re.findall(r"\b[A-Z]\w+", state.step)) <= taken


@pytest.mark.parametrize(
    ("state", "what", "facts", "step"), TABLE, ids=[f"{row[0].name}: {row[1]}" for row in TABLE]
)
def test_the_facts_bear_the_signs_of_their_state(
    state: State, what: str, facts: Facts, step: Step | None
) -> None:
    inbox, processing, retired, attempts, ruling, letters = state.signs

    assert retired == ("+" if facts.place in (Place.DONE, Place.FAILED) else "-")
    assert processing == ("+" if facts.place is Place.PROCESSING else "-")
    assert inbox == ("+" if facts.place is Place.INBOX else "-")
    assert attempts != "0" or facts.attempts == 0
    if state is not S5:
        assert ruling == ("+" if facts.verdict else "-")
        assert letters == ("+" if facts.notified else "-")


FACTS = st.builds(
    Facts,
    place=st.just(Place.PROCESSING),
    busy=st.booleans(),
    gathered=st.booleans(),
    fetched=st.booleans(),
    planned=st.booleans(),
    hopeless=st.booleans(),
    cancelled=st.booleans(),
    left=st.integers(0, 3),
    running=st.integers(0, 3),
    reached=st.booleans(),
    asked=st.booleans(),
    attempts=st.integers(0, 5),
    not_before=st.sampled_from([0.0, NOW - 1, NOW, NOW + 1]),
    blocked=st.sampled_from([None, NOW + 1]),
    ask_again=st.just(NOW + 2),
    verdict=st.sampled_from([None, Verdict.IMPORTED, Verdict.FAILED]),
    notified=st.booleans(),
)


@given(FACTS)
def test_nothing_is_imported_that_was_not_asked_for_is_not_due_or_has_no_attempt_left(facts: Facts) -> None:
    step = next_step(facts, LIMITS, NOW)

    if isinstance(step, Import):
        assert facts.asked
        assert facts.not_before <= NOW
        assert facts.attempts < LIMITS.attempts
        assert not facts.cancelled
        assert not facts.hopeless
        assert facts.blocked is None
        assert not facts.busy
    if isinstance(step, Retire):
        assert facts.notified
    if isinstance(step, Notify):
        assert facts.verdict is not None


@given(FACTS)
def test_a_batch_in_processing_always_has_a_next_step(facts: Facts) -> None:
    step = next_step(facts, LIMITS, NOW)

    assert step is not None
    if isinstance(step, Wait) and step.until is None:
        assert facts.busy, "it would wait for ever"


# -- what it came to -------------------------------------------------------------------------------------

GOOD: Outcome = Imported((Image(1),), 1)
SKIPPED: Outcome = Skipped((Image(1),), 1)
BAD: Outcome = Failed("it is corrupt", lasting=True)
TRIED: Outcome = Failed("the connection broke")


@pytest.mark.parametrize(
    ("outcomes", "cancelled", "hopeless", "ruling"),
    [
        ([GOOD, SKIPPED], False, False, Verdict.IMPORTED),
        ([GOOD], True, False, Verdict.IMPORTED),  # everything was there before the cancel took hold
        ([GOOD, BAD], False, False, Verdict.PARTIAL),
        ([GOOD, None], False, False, Verdict.PARTIAL),
        ([GOOD], False, True, Verdict.PARTIAL),  # returned with a manifest that is wrong now
        ([BAD, TRIED], False, False, Verdict.FAILED),
        ([], False, True, Verdict.FAILED),
        ([], False, False, Verdict.FAILED),
        ([GOOD, None], True, False, Verdict.CANCELLED),
        ([None], True, False, Verdict.CANCELLED),
    ],
)
def test_the_verdict_is(
    outcomes: list[Outcome | None], cancelled: bool, hopeless: bool, ruling: Verdict
) -> None:
    assert verdict(outcomes, cancelled=cancelled, hopeless=hopeless) is ruling
    assert ruling.place is (Place.DONE if ruling is Verdict.IMPORTED else Place.FAILED)


def test_only_what_another_attempt_may_mend_is_tried_again() -> None:
    assert [is_settled_outcome(one) for one in (GOOD, SKIPPED, BAD, TRIED, None)] == [
        True,
        True,
        True,
        False,
        False,
    ]


# -- as README shows it ----------------------------------------------------------------------------------


def test_the_state_table_has_a_line_for_each_state() -> None:
    lines = state_table().splitlines()

    assert len(lines) == 2 + len(STATES)
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    for state, line in zip(STATES, lines[2:], strict=True):
        assert line.startswith(f"| {state.name} |")


def test_readme_shows_the_state_table_as_the_code_has_it() -> None:
    assert state_table() in (Path(__file__).parents[2] / "README.md").read_text("utf-8")
