"""The index of the page: one look for all visitors, each of whom sees their own."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from dropwatch import config
from dropwatch.model import Place
from dropwatch.web.index import Index
from dropwatch.web.listed import Stage, Wanted
from dropwatch.web.shares import Shares
from dropwatch.web.visitor import DropFolder, Visitor
from tests.many import retire_many


def make_index(root: Path, count: int = 0) -> Index:
    spool = root / "spool"
    for user in ("alice", "bob"):
        for place in Place:
            (spool / user / place).mkdir(parents=True)
        retire_many(spool, user, count)
    (spool / ".dropwatch-spool").write_text("{}")
    text = f"spools: [{{path: {spool}}}]\nstate: {root / 'state'}\nmail: null\nomero: {{host: h, user: u}}\n"
    (root / "dropwatch.yaml").write_text(text)
    read = config.load(root / "dropwatch.yaml")
    return Index(read, time.time, Shares(read), idle=0.2)


def visitor(index: Index, name: str, *, admin: bool = False) -> Visitor:
    return Visitor(name, (DropFolder(index.config.spools[0].path, name),), admin)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < end
        threading.Event().wait(0.02)


def test_each_visitor_sees_their_own_batches_and_admins_all(tmp_path: Path) -> None:
    index = make_index(tmp_path, 14)
    alice, admin = visitor(index, "alice"), visitor(index, "root", admin=True)

    rows = index.rows(alice)

    assert {row.user for row in rows} == {"alice"}
    assert [row.claim for row in rows] == sorted((str(row.claim) for row in rows), reverse=True)
    assert len(rows) == 14
    assert len(index.rows(admin)) == 28
    assert index.rows(visitor(index, "carol")) == []


def test_a_batch_of_somebody_else_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    index = make_index(tmp_path, 2)
    theirs = next(one for one in index.fresh().batches if one.row.user == "bob")

    assert index.batch(visitor(index, "bob"), theirs.key) == theirs
    assert index.batch(visitor(index, "carol"), theirs.key) is None


def test_the_address_of_a_drop_still_leads_to_it_when_it_was_claimed(tmp_path: Path) -> None:
    index, spool = make_index(tmp_path), tmp_path / "spool"
    alice, inbox = visitor(index, "alice"), spool / "alice" / "inbox"
    (inbox / "HeLa knockdown 0").mkdir()
    (inbox / "HeLa knockdown 0" / "a.czi").write_bytes(b"a")
    dropped = index.select(alice, Wanted()).rows[0]

    shutil.rmtree(inbox / "HeLa knockdown 0")
    retire_many(spool, "alice", 1)
    until(lambda: [row.place for row in index.rows(alice)] == [Place.DONE])

    found = index.batch(alice, dropped.key)
    assert found is not None
    assert (found.row.name, found.row.place) == ("HeLa knockdown 0", Place.DONE)


def test_a_search_counts_each_stage_and_gives_a_part(tmp_path: Path) -> None:
    index = make_index(tmp_path, 28)
    alice = visitor(index, "alice")

    needs = index.select(alice, Wanted(stage=Stage.NEEDS_YOU), most=3)
    named = index.select(alice, Wanted(text="HELA pos"))
    by_target = index.select(alice, Wanted(text='"day 5"'.strip('"')))

    assert (len(needs.rows), needs.total) == (3, 4)
    assert needs.counts == {Stage.NEEDS_YOU: 4, Stage.DONE: 24}
    assert {one.row.name.rsplit(maxsplit=1)[0] for one in named.rows} == {"HeLa knockdown"}
    assert "day 5" in {one.where for one in by_target.rows}


def test_what_is_retired_or_taken_away_later_is_noticed(tmp_path: Path) -> None:
    index = make_index(tmp_path, 1)
    spool = tmp_path / "spool"
    alice = visitor(index, "alice")
    assert len(index.rows(alice)) == 1

    retire_many(spool, "alice", 1, first=1)

    until(lambda: len(index.rows(alice)) == 2)
    shutil.rmtree(next((spool / "alice" / "done").iterdir()))
    until(lambda: len(index.rows(alice)) == 1)


def test_a_retired_record_is_read_once(tmp_path: Path) -> None:
    index = make_index(tmp_path, 1)
    alice = visitor(index, "alice")
    before = index.rows(alice)
    record = next((tmp_path / "spool" / "alice" / "done").glob("*/.dropwatch/record.json"))
    record.write_text("{}")  # nobody may do this; who reads it again shows it

    retire_many(tmp_path / "spool", "alice", 1, first=1)
    until(lambda: len(index.rows(alice)) == 2)

    assert index.rows(alice)[1] is before[0]


def test_a_spool_that_is_away_is_told_and_its_batches_stay_as_they_were(tmp_path: Path) -> None:
    index = make_index(tmp_path, 1)
    alice = visitor(index, "alice")
    assert len(index.rows(alice)) == 1

    (tmp_path / "spool").rename(tmp_path / "unmounted")

    until(lambda: bool(index.fresh().troubles))
    assert "not there" in index.fresh().troubles[0].reason
    assert len(index.rows(alice)) == 1


def test_nobody_looks_when_nobody_asks(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    assert not is_looking(index)

    index.fresh()

    assert is_looking(index)
    until(lambda: not is_looking(index))


def is_looking(index: Index) -> bool:
    name = f"index {index.config.spools[0].path}"
    return name in [thread.name for thread in threading.enumerate()]
