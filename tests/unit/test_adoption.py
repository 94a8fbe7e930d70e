"""From an envelope on disk to a batch in hand: a record is believed in what harms nobody, and in nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from dropwatch import config
from dropwatch.daemon import Daemon
from dropwatch.ledger import Ledger
from dropwatch.model import Envelope, Place, Verdict
from dropwatch.pipeline.adoption import adopt, batch_id, first_record, next_record
from dropwatch.pipeline.case import Case
from dropwatch.pipeline.desk import Desk
from dropwatch.record import Record
from dropwatch.spool.folders import Spool

CLAIM, EARLIER = "20261124-080000-abcd", "20261123-070000-efgh"
RECORD = Record(EARLIER, CLAIM, "alice", "HeLa day 3", "run", 1795507200.0, attempts=2, planned=True)


class Idle:
    """Workers whom nobody gives a job here."""

    died = 0

    def close(self, grace: float) -> None:
        pass


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    for user in ("alice", "bob"):
        for place in Place:
            (tmp_path / "spool" / user / place).mkdir(parents=True)
    (tmp_path / "spool" / ".dropwatch-spool").write_text("{}")
    settings = {
        "spools": [{"path": str(tmp_path / "spool")}],
        "state": str(tmp_path / "state"),
        "omero": {"host": "127.0.0.1", "user": "dropwatch"},
        "mail": {"host": "127.0.0.1", "port": 1, "security": "none", "from": "d@example.org",
                 "admins": ["a@example.org"]},
        "users": {"alice": {"email": "alice@example.org"}},
    }  # fmt: skip
    source = tmp_path / "dropwatch.yaml"
    source.write_text(json.dumps(settings))
    daemon = Daemon(config.load(source), Idle(), {})  # type: ignore[arg-type]
    yield daemon
    daemon.line.stop()


@pytest.fixture
def desk(daemon: Daemon) -> Desk:
    return daemon.line.desk


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


Adopt = Callable[..., Case | None]


@pytest.fixture
def adopted(desk: Desk, spool: Spool) -> Adopt:
    """Lay an envelope with *files* and this record into alice's processing/, and adopt it."""

    def lay(record: Record | None, *files: str, **forged: Any) -> Case | None:
        path = spool.folder("alice", Place.PROCESSING) / f"{CLAIM}_run"
        for name in (".dropwatch/import.log", *files):
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text(name)
        if record is not None:
            document = {**asdict(record), **forged}
            (path / ".dropwatch" / "record.json").write_text(json.dumps({"_default": {"1": document}}))
        (envelope,) = spool.envelopes("alice", Place.PROCESSING)
        return adopt(desk, spool, envelope)

    return lay


# -- what a record may say -------------------------------------------------------------------------------


def test_what_was_done_in_this_claim_is_believed(adopted: Adopt) -> None:
    case = adopted(replace(RECORD, attempting=True, verdict=Verdict.FAILED), "run/a.tif")

    assert case is not None
    assert (case.record.batch, case.record.attempts, case.record.verdict) == (EARLIER, 2, Verdict.FAILED)
    assert case.suspect  # an attempt was open: the daemon died in it
    assert case.envelope.batch_folder.name == "run"


def test_what_was_done_in_an_earlier_claim_is_history(adopted: Adopt) -> None:
    case = adopted(replace(RECORD, claim=EARLIER, verdict=Verdict.IMPORTED, notified=True), "run/a.tif")

    assert case is not None
    assert (case.record.batch, case.record.claim) == (
        EARLIER,
        CLAIM,
    )  # the same keys in OMERO, so the same answers
    assert (case.record.attempts, case.record.verdict, case.record.notified) == (0, None, False)


def test_a_lost_record_costs_nothing_but_what_it_knew(adopted: Adopt) -> None:
    case = adopted(None, "run/a.tif")

    assert case is not None
    assert (case.record.batch, case.record.name, case.record.attempts) == (CLAIM, "run", 0)


def test_whose_batch_it_is_says_its_place_and_not_its_record(adopted: Adopt) -> None:
    case = adopted(RECORD, "run/a.tif", user="bob")

    assert case is not None
    assert (case.user, case.record.user) == ("alice", "alice")


@pytest.mark.parametrize("forged", ["", "x", "%", f"{EARLIER}/../../x", f"{EARLIER}\n"])
def test_a_batch_id_that_is_none_is_replaced_by_the_claim(adopted: Adopt, forged: str) -> None:
    case = adopted(RECORD, "run/a.tif", batch=forged)

    assert case is not None
    assert case.record.batch == CLAIM


@pytest.mark.parametrize("folder", ["../../../bob/inbox/theirs", "..", ".", "", ".dropwatch", "/etc", "a\\b"])
def test_a_record_names_no_folder_outside_its_envelope(adopted: Adopt, spool: Spool, folder: str) -> None:
    theirs = spool.folder("bob", Place.INBOX) / "theirs"
    theirs.mkdir()

    assert adopted(RECORD, folder=folder) is None
    assert list(spool.folder("alice", Place.PROCESSING).iterdir()) == []
    assert theirs.is_dir()


def test_a_record_gathers_no_files_from_elsewhere(adopted: Adopt, spool: Spool) -> None:
    (spool.folder("bob", Place.INBOX) / "theirs.tif").write_text("theirs")
    (spool.folder("alice", Place.INBOX) / "mine.tif").write_text("mine")

    case = adopted(RECORD, "run/a.tif", loose=["../../bob/inbox/theirs.tif", "mine.tif", "..", ""])

    assert case is not None
    assert case.record.loose == ("mine.tif",)
    assert not case.gathered


# -- claims that did not happen --------------------------------------------------------------------------


@pytest.mark.parametrize("record", [None, replace(RECORD, planned=False, attempts=0)])
def test_an_envelope_without_its_folder_means_that_the_claim_did_not_happen(
    adopted: Adopt, spool: Spool, daemon: Daemon, record: Record | None
) -> None:
    assert adopted(record) is None
    assert list(spool.folder("alice", Place.PROCESSING).iterdir()) == []
    assert daemon.mailroom.outbox is None or daemon.mailroom.outbox.queued() == []


def test_a_folder_that_was_taken_out_meanwhile_is_withdrawn_and_its_user_told(
    adopted: Adopt, spool: Spool, tmp_path: Path
) -> None:
    assert adopted(RECORD) is None

    letters = [json.loads(path.read_text()) for path in (tmp_path / "state/outbox/queued").glob("*.json")]
    assert [(letter["kind"], letter["to"]) for letter in letters] == [("withdrawn", "alice@example.org")]
    assert list(spool.folder("alice", Place.PROCESSING).iterdir()) == []


def test_loose_files_that_wait_in_the_inbox_are_gathered_on(adopted: Adopt, spool: Spool) -> None:
    (spool.folder("alice", Place.INBOX) / "b.tif").write_text("b")

    case = adopted(replace(RECORD, loose=("a.tif", "b.tif")), "run/a.tif")

    assert case is not None
    assert not case.gathered


# -- batches that come back ------------------------------------------------------------------------------


def test_a_batch_that_comes_back_keeps_its_id_and_its_history(tmp_path: Path) -> None:
    old = replace(RECORD, verdict=Verdict.PARTIAL, notified=True, dropped="run of monday")
    returned = Envelope("alice", Place.INBOX, tmp_path / f"{CLAIM}_run", CLAIM, "run")

    batch = batch_id(old, returned)
    record = next_record(old, batch or "", returned, "20261125-080000-ijkl", 5.0)

    assert record.batch == EARLIER
    assert (record.attempts, record.verdict, record.notified, record.planned) == (0, None, False, False)
    assert (record.name, record.dropped) == ("run of monday", "run of monday")
    assert [(past.claim, past.verdict) for past in record.history] == [(CLAIM, Verdict.PARTIAL)]


def test_without_a_record_the_stamp_is_the_id_and_without_a_stamp_there_is_none(tmp_path: Path) -> None:
    stamped = Envelope("alice", Place.INBOX, tmp_path / f"{CLAIM}_run", CLAIM, "run")
    renamed = Envelope("alice", Place.INBOX, tmp_path / "renamed", "", "run")

    assert batch_id(None, stamped) == CLAIM
    assert batch_id(None, renamed) is None
    assert batch_id(RECORD, renamed) == EARLIER
    assert batch_id(replace(RECORD, batch="forged"), renamed) is None


def test_the_record_of_a_first_claim_is_what_a_restart_finds(spool: Spool, desk: Desk) -> None:
    envelope = spool.make_envelope("alice", CLAIM, "run", "run")
    ledger: Ledger = desk.ledger
    ledger.write(envelope.path, first_record(envelope, "run", 7.0, ("a.tif",)))

    found = ledger.read(envelope.path)

    assert found is not None
    assert (found.batch, found.claim, found.dropped, found.loose) == (CLAIM, CLAIM, "run", ("a.tif",))
