"""What nobody claimed yet is cancelled: it leaves the inbox by one rename, whole, and is concluded as cancelled.

That a death at any point of it loses nothing, and that the daemon may claim at the same moment, tells
tests/crash/test_cancelled_drops.py.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest
from still import AT, Facility

from dropwatch import exits
from dropwatch.actions import Refused, cancel
from dropwatch.config import load
from dropwatch.daemon import Daemon
from dropwatch.ledger import Ledger
from dropwatch.model import Envelope, Place
from dropwatch.pipeline import cancelling, glance
from dropwatch.pipeline.adoption import BEING_CANCELLED, adopt
from dropwatch.pipeline.drops import LooseFiles
from dropwatch.pipeline.sightings import Seen, Sighting
from dropwatch.pipeline.withdrawing import withdraw
from dropwatch.settling import Ready
from dropwatch.spool import unseen
from dropwatch.spool.folders import MEMORY, Spool, claim_stamp
from dropwatch.spool.tree import Snapshot
from dropwatch.status import Found, find


@pytest.fixture
def facility(tmp_path: Path) -> Facility:
    return Facility(tmp_path)


def found(facility: Facility, name: str) -> Found:
    (one,) = find(load(facility.file), name, glance.inbox)
    return one


def only_envelope(facility: Facility) -> Envelope:
    (envelope,) = Spool(facility.spool).envelopes("alice", Place.PROCESSING)
    return envelope


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# -- what becomes of it ----------------------------------------------------------------------------------


def test_a_fresh_drop_leaves_the_inbox_whole_and_is_cancelled(facility: Facility) -> None:
    drop = facility.drop("alice", "HeLa", "a.czi")
    inode = drop.stat().st_ino

    done = facility("cancel", "HeLa")
    row = facility.json("show", "HeLa")

    envelope = only_envelope(facility)
    record = Ledger(MEMORY).read(envelope.path)
    assert done.exit_code == exits.GOOD, done.output
    assert "HeLa will not be imported: it is out of the inbox. It goes to failed when" in done.stderr
    assert str(envelope.batch_folder) in done.stderr
    assert cancelling.is_marked(envelope)
    assert record is not None
    assert (record.name, record.claim, record.loose) == ("HeLa", envelope.claim, ())
    assert (envelope.batch_folder.stat().st_ino, names(envelope.batch_folder)) == (inode, ["a.czi"])
    assert names(facility.spool / "alice" / "inbox") == []
    assert names(facility.spool / "alice" / "processing") == [envelope.path.name]
    assert (row["name"], row["place"]) == ("HeLa", "processing")


def test_loose_files_are_cancelled_together_and_others_stay(facility: Facility) -> None:
    inbox = facility.spool / "alice" / "inbox"
    for name in ("scan.tif", "scan.xml", "other.tif"):
        (inbox / name).write_text(name)

    done = facility("cancel", "scan")

    envelope = only_envelope(facility)
    assert done.exit_code == exits.GOOD, done.output
    assert cancelling.is_marked(envelope)
    assert names(envelope.batch_folder) == ["scan.tif", "scan.xml"]
    assert names(inbox) == ["other.tif"]


def test_an_envelope_that_came_back_without_its_stamp_is_cancelled_under_a_new_one(
    facility: Facility,
) -> None:
    back = facility.claimed("alice", "HeLa")
    back.rename(facility.spool / "alice" / "inbox" / "mine")

    done = facility("cancel", "mine")

    envelope = only_envelope(facility)
    assert done.exit_code == exits.GOOD, done.output
    assert cancelling.is_marked(envelope)
    assert envelope.batch_folder.name == "HeLa"
    assert names(facility.spool / "alice" / "inbox") == []


def test_an_envelope_that_came_back_before_it_came_to_an_end_is_concluded_and_told_of(
    facility: Facility,
) -> None:
    """Somebody took it out of processing/ and put it into the inbox: it never lay in failed before."""
    out = facility.claimed("alice", "HeLa", Place.PROCESSING, verdict=None)
    out.rename(facility.spool / "alice" / "inbox" / out.name)

    done = facility("cancel", "HeLa")

    envelope = only_envelope(facility)
    assert done.exit_code == exits.GOOD, done.output
    assert (cancelling.is_marked(envelope), envelope.claim == out.name[:20]) == (True, False)
    assert envelope.path.name == f"{envelope.claim}_HeLa"


def test_who_may_still_be_copying_is_told_what_comes_of_it(facility: Facility) -> None:
    facility.drop("alice", "HeLa", "a.czi")
    one = found(facility, "HeLa")

    assert "Stop what still copies" in cancel(load(facility.file), one, one.path.stat().st_ctime + 5)


# -- what somebody else does at the same moment ----------------------------------------------------------


@pytest.mark.parametrize("kind", ["folder", "loose"])
def test_what_somebody_else_took_first_is_theirs(facility: Facility, kind: str) -> None:
    inbox = facility.spool / "alice" / "inbox"
    if kind == "folder":
        facility.drop("alice", "scan", "a.tif")
    else:
        (inbox / "scan.tif").touch()
        (inbox / "scan.xml").touch()
    seen = found(facility, "scan")
    (inbox / "scan" if kind == "folder" else inbox / "scan.tif").rename(facility.folder / "taken")

    with pytest.raises(Refused, match="moved on meanwhile"):
        cancel(load(facility.file), seen, AT)

    assert names(facility.spool / "alice" / "processing") == []
    assert names(inbox) == ([] if kind == "folder" else ["scan.xml"])


# -- what the daemon makes of it -------------------------------------------------------------------------


class Idle:
    """Workers whom nobody gives a job here."""

    died = 0

    def close(self, grace: float) -> None:
        pass


class Hand:
    """The daemon's hand that adopts, at a time that is told to it."""

    def __init__(self, facility: Facility) -> None:
        self.now = AT
        self.daemon = Daemon(load(facility.file), Idle(), {}, clock=lambda: self.now)  # type: ignore[arg-type]
        self.spool = Spool(facility.spool)

    def adopt(self) -> list[bool]:
        """Adopt what is in processing/; whether each was cancelled from the start."""
        envelopes = self.spool.envelopes("alice", Place.PROCESSING)
        cases = [adopt(self.daemon.line.desk, self.spool, envelope) for envelope in envelopes]
        return [case.cancelled for case in cases if case is not None]


def test_the_daemon_leaves_loose_files_alone_whose_first_one_was_taken(facility: Facility) -> None:
    facility.configure(limits={"min_free": "1MiB"})
    inbox, hand = facility.spool / "alice" / "inbox", Hand(facility)
    (inbox / "scan.xml").touch()
    drop = LooseFiles("scan", ("scan.tif", "scan.xml"))  # as it was seen a moment ago
    seen = Seen(drop, Sighting(drop, Snapshot(()), 0.0), Ready())

    with pytest.raises(FileNotFoundError):
        hand.daemon.line.arrivals.claims.claim(hand.spool, "alice", seen, Ready())

    assert names(inbox) == ["scan.xml"]
    assert names(facility.spool / "alice" / "processing") == []


def test_what_was_cancelled_is_so_before_anything_of_it_is_begun(facility: Facility) -> None:
    facility.drop("alice", "HeLa", "a.czi")
    facility("cancel", "HeLa")

    assert Hand(facility).adopt() == [True]


def test_an_envelope_that_somebody_is_just_cancelling_into_is_left_alone_for_a_minute(
    facility: Facility,
) -> None:
    facility.drop("alice", "HeLa", "a.czi")
    hand = Hand(facility)
    hidden = unseen.make(hand.spool, "alice", claim_stamp(AT, random.Random(1)), "HeLa")
    cancelling.mark(hidden.path, hidden.claim)
    assert hand.adopt() == []  # it does not see it
    shown = unseen.show(hidden, "HeLa")

    assert hand.adopt() == []
    there = shown.path.is_dir()
    hand.now = AT + BEING_CANCELLED + 1
    assert hand.adopt() == []

    assert there
    assert names(facility.spool / "alice" / "processing") == []
    assert names(facility.spool / "alice" / "inbox") == ["HeLa"]


def test_what_a_death_left_hidden_goes_with_the_next_one_of_an_hour_later(facility: Facility) -> None:
    spool, rng = Spool(facility.spool), random.Random(1)
    left = unseen.make(spool, "alice", claim_stamp(AT, rng), "HeLa")
    young = unseen.make(spool, "alice", claim_stamp(AT + 3000, rng), "HeLa")
    (drop,) = (
        glance.inbox(load(facility.file), spool, "alice") if facility.drop("alice", "a", "a.czi") else ()
    )

    withdraw(load(facility.file), spool, drop, AT + 3700, rng)

    assert not left.path.exists()
    assert young.path.exists()


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root gives files away")
def test_what_root_cancels_the_daemon_can_read_and_go_on_with(facility: Facility) -> None:
    owner, group = 4321, 1234
    processing = facility.spool / "alice" / "processing"
    claimed = facility.claimed("alice", "in work", Place.PROCESSING, verdict=None)
    for path in (processing, claimed, claimed / MEMORY):
        os.chown(path, owner, group)
    facility.drop("alice", "fresh", "a.czi")
    before = os.umask(0o077)
    try:
        done = facility("cancel", "fresh"), facility("cancel", "in work")
    finally:
        os.umask(before)

    assert [one.exit_code for one in done] == [exits.GOOD, exits.GOOD]
    marks = list(processing.glob(f"*/{MEMORY}/cancel"))
    fresh = next(mark.parent.parent for mark in marks if mark.parent.parent != claimed)
    made = [*marks, fresh, fresh / MEMORY, fresh / MEMORY / "record.json"]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(owner, group)}
    assert len(marks) == 2
