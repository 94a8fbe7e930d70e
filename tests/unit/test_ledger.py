"""The memory of a batch on disk: what is remembered, what a torn or forged record comes to, what a line costs."""

from __future__ import annotations

import dataclasses
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dropwatch.ledger import Ledger
from dropwatch.model import (
    Container,
    Failed,
    FileFact,
    Fileset,
    Image,
    Imported,
    Kind,
    Problem,
    Skipped,
    Verdict,
)
from dropwatch.record import Event, Line, PastClaim, Record

CLAIM, OTHER = "20261124-080000-abcd", "20261125-090000-efgh"
RECORD = Record(
    batch=CLAIM,
    claim=CLAIM,
    user="alice",
    name="HeLa \udcff day 3",  # a byte that cannot be decoded
    folder="HeLa \udcff day 3",
    claimed_at=1795507200.25,
    loose=("a.tif", "b.tif"),
    planned=True,
    attempts=2,
    attempting=True,
    not_before=1795507260.5,
    verdict=Verdict.PARTIAL,
    concluded_at=1795507300.0,
    told=("delay",),
    container=Container(Kind.DATASET, 7, "HeLa", "lab-a", created=True, note="several match"),
    group="lab-a",
    problems=(Problem("no such dataset", "make it"),),
    notes=("left aside: x",),
    events=(Event(1795507200.0, "claim", "HeLa"),),
    history=(PastClaim(OTHER, 1.0, None, 3, (Event(1.0, "claim"),)),),
)
IMPORTED = Imported((Image(1, "a"), Image(2, "p", "Plate")), 12, warning="no thumbnail", log=4)
SKIPPED = Skipped((Image(1, "a"),), 12)
FAILED = Failed("it is corrupt", "acquire it again", True, "PermanentError x", "trace", 5)


@pytest.fixture
def envelope(tmp_path: Path) -> Path:
    (tmp_path / ".dropwatch").mkdir()
    return tmp_path


def forge(envelope: Path, text: str) -> None:
    (envelope / ".dropwatch" / "record.json").write_text(text)


# -- what is remembered ----------------------------------------------------------------------------------


def test_a_record_comes_back_as_it_was_written(envelope: Path) -> None:
    ledger = Ledger(".dropwatch")
    assert ledger.read(envelope) is None

    ledger.write(envelope, RECORD)
    assert Ledger(".dropwatch").read(envelope) == RECORD
    ledger.write(envelope, dataclasses.replace(RECORD, attempts=3))
    assert Ledger(".dropwatch").read(envelope) == dataclasses.replace(RECORD, attempts=3)
    assert [path.name for path in (envelope / ".dropwatch").iterdir()] == ["record.json"]


@pytest.mark.parametrize("outcome", [None, IMPORTED, SKIPPED, FAILED])
def test_a_line_comes_back_as_it_was_written(envelope: Path, outcome: Any) -> None:
    line = Line(CLAIM, "f1", "a \udcff\n.tif", 1, 100, 2, 3.5, outcome)

    Ledger(".dropwatch").note(envelope, line)

    assert Ledger(".dropwatch").lines(envelope) == [line]


def test_the_last_line_of_a_fileset_in_a_claim_counts_and_claims_are_told_apart(envelope: Path) -> None:
    ledger = Ledger(".dropwatch")
    first, second = Fileset("f1", (FileFact("a.tif", 1, 1),)), Fileset("f2", (FileFact("b.tif", 2, 2),))
    ledger.plan(envelope, CLAIM, [first, second])
    failed = Line(CLAIM, "f1", "a.tif", 1, 1, 1, 1.0, FAILED)
    imported = Line(CLAIM, "f1", "a.tif", 1, 1, 2, 2.0, IMPORTED)
    ledger.note(envelope, failed)
    ledger.note(envelope, imported)
    ledger.plan(envelope, OTHER, [first])

    planned = Line(CLAIM, "f2", "b.tif", 1, 2)
    assert ledger.lines(envelope, CLAIM) == [imported, planned]
    assert ledger.lines(envelope, OTHER) == [Line(OTHER, "f1", "a.tif", 1, 1)]
    assert len(ledger.lines(envelope)) == 3
    assert len(ledger.history(envelope)) == 5


# -- torn ------------------------------------------------------------------------------------------------


def test_a_torn_last_line_is_as_if_it_had_never_been_written_and_swallows_none(envelope: Path) -> None:
    ledger = Ledger(".dropwatch")
    lines = [Line(CLAIM, f"f{n}", f"{n}.tif", 1, n) for n in range(3)]
    for line in lines[:2]:
        ledger.note(envelope, line)
    path = envelope / ".dropwatch" / "filesets.jsonl"
    whole = path.read_bytes()
    for cut in range(whole.index(b"\n") + 2, len(whole)):
        path.write_bytes(whole[:cut])

        ledger.note(envelope, lines[2])

        kept = lines[:1] + ([lines[1]] if cut == len(whole) - 1 else [])  # all but the line's end was there
        assert ledger.lines(envelope) == [*kept, lines[2]], cut


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.binary(max_size=200))
def test_rubbish_among_the_lines_costs_those_lines_only(envelope: Path, rubbish: bytes) -> None:
    ledger, line = Ledger(".dropwatch"), Line(CLAIM, "f1", "a.tif", 1, 1, 1, 1.0, IMPORTED)
    (envelope / ".dropwatch" / "filesets.jsonl").write_bytes(rubbish)

    ledger.note(envelope, line)

    assert ledger.lines(envelope)[-1] == line


# -- forged ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "7", '"x"', "[" * 100_000, '{"_default": []}', '{"_default": {"x": {}}}',
     '{"_default": {"1": []}}', '{"_default": {"1": null}}', '{"_default": {"1": {}}}', "\\ud800", "é" * 10],
)  # fmt: skip
def test_a_record_that_is_none_is_lost_and_does_not_stop_the_next_one(envelope: Path, text: str) -> None:
    ledger = Ledger(".dropwatch")
    forge(envelope, text)

    assert ledger.read(envelope) is None
    ledger.write(envelope, RECORD)
    assert ledger.read(envelope) == RECORD


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("attempts", "2"), ("attempts", 2.5), ("attempts", None), ("attempts", True), ("attempts", [1]),
        ("claimed_at", "now"), ("loose", [1]), ("loose", "a.tif"), ("loose", {"a": 1}), ("verdict", "good"),
        ("container", {"kind": "Dataset"}), ("container", "7"), ("events", [[]]), ("name", 7), ("user", None),
        ("planned", 1), ("problems", [{"reason": 1}]),
    ],
)  # fmt: skip
def test_a_record_with_a_value_of_another_type_is_refused_whole(envelope: Path, key: str, value: Any) -> None:
    document = {**dataclasses.asdict(RECORD), key: value}
    forge(envelope, json.dumps({"_default": {"1": document}}))

    assert Ledger(".dropwatch").read(envelope) is None


def test_keys_of_a_later_version_are_left_out(envelope: Path) -> None:
    document = {**dataclasses.asdict(RECORD), "invented later": 1}
    forge(envelope, json.dumps({"_default": {"1": document}}))

    assert Ledger(".dropwatch").read(envelope) == RECORD


def test_a_record_of_many_megabytes_is_not_read(envelope: Path) -> None:
    document = dataclasses.asdict(dataclasses.replace(RECORD, notes=("x" * (5 * 2**20),)))
    forge(envelope, json.dumps({"_default": {"1": document}}))

    assert Ledger(".dropwatch").read(envelope) is None


@pytest.mark.skipif(sys.platform == "win32", reason="links")
def test_our_folder_put_elsewhere_by_a_link_is_made_anew_beside_it(tmp_path: Path) -> None:
    envelope, elsewhere = tmp_path / "envelope", tmp_path / "elsewhere"
    envelope.mkdir()
    elsewhere.mkdir()
    (envelope / ".dropwatch").symlink_to(elsewhere)

    Ledger(".dropwatch").write(envelope, RECORD)

    assert Ledger(".dropwatch").read(envelope) == RECORD
    assert list(elsewhere.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="links")
def test_outcomes_are_not_appended_through_a_link(envelope: Path) -> None:
    target = envelope / "target"
    target.write_text("theirs\n")
    (envelope / ".dropwatch" / "filesets.jsonl").symlink_to(target)

    Ledger(".dropwatch").note(envelope, Line(CLAIM, "f1", "a.tif", 1, 1))

    assert target.read_text() == "theirs\n"
    assert [line.fileset for line in Ledger(".dropwatch").lines(envelope)] == ["f1"]


# -- what it costs ---------------------------------------------------------------------------------------


def test_ten_thousand_filesets_go_by_appending_never_through_the_document(envelope: Path) -> None:
    ledger = Ledger(".dropwatch")
    filesets = [Fileset(f"f{n}", (FileFact(f"{n}.tif", n, n),)) for n in range(10_000)]
    ledger.write(envelope, RECORD)
    before = (envelope / ".dropwatch" / "record.json").read_bytes()

    ledger.plan(envelope, CLAIM, filesets)
    path = envelope / ".dropwatch" / "filesets.jsonl"
    planned = path.stat().st_size
    for n in random.Random(1).sample(range(10_000), 100):
        size = path.stat().st_size
        ledger.note(envelope, Line(CLAIM, f"f{n}", f"{n}.tif", 1, n, 1, 1.0, IMPORTED))
        assert 0 < path.stat().st_size - size < 500  # as much for the last one as for the first

    assert (envelope / ".dropwatch" / "record.json").read_bytes() == before
    assert planned < 2_000_000
    assert len(ledger.lines(envelope, CLAIM)) == 10_000
