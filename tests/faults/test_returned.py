"""Moved back by a person: only what is missing is imported, whatever became of the record."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dropwatch.daemon import Daemon
from dropwatch.model import Place
from dropwatch.pipeline.adoption import adopt
from dropwatch.sandbox.samples import corrupt_tiff, ome_tiff
from facility import Facility
from threads import thread_staff

Make = Callable[..., Facility]


def failed_once(place: Facility) -> Path:
    """A batch of three of which one is corrupt, in failed/."""
    place.drop("alice", "run", "a.ome.tif", "b.ome.tif", "c.ome.tif")
    corrupt_tiff(place.spool / "alice" / "inbox" / "run" / "b.ome.tif")
    place.start()
    place.until(lambda: place.retired("alice"))
    assert place.imported() == ["a.ome.tif", "c.ome.tif"]
    return place.batch("alice", "failed")


def repair(folder: Path) -> None:
    ome_tiff(folder / "b.ome.tif", seed=7)


def ends_complete(place: Facility, count: int = 1) -> None:
    place.until(lambda: place.retired("alice", count))

    assert place.imported() == ["a.ome.tif", "b.ome.tif", "c.ome.tif"]
    assert len(place.envelopes("alice", "done")) == 1
    assert place.leftovers() == []


def test_envelope_with_a_replaced_file(facility: Make) -> None:
    place = facility()
    envelope = failed_once(place)
    repair(envelope / "run")
    place.bring("alice", envelope)

    ends_complete(place)


def test_inner_folder_alone(facility: Make) -> None:
    place = facility()
    envelope = failed_once(place)
    repair(envelope / "run")
    place.bring("alice", envelope / "run")

    # The emptied envelope stays in failed/; the folder is a fresh batch whose files are mostly there already.
    place.until(lambda: place.envelopes("alice", "done"))
    assert place.imported() == ["a.ome.tif", "b.ome.tif", "c.ome.tif"]


def test_record_deleted(facility: Make) -> None:
    place = facility()
    envelope = failed_once(place)
    repair(envelope / "run")
    shutil.rmtree(envelope / ".dropwatch")
    place.bring("alice", envelope)

    ends_complete(place)


FORGERIES = {
    "no JSON": "{",
    "of another shape": json.dumps({"_default": {"1": {"batch": ["x"], "claim": 7}}}),
    "another id": json.dumps(
        {"_default": {"1": {"batch": "20200101-000000-abcd", "claim": "x", "user": "bob", "name": "run",
                            "folder": "../../bob", "claimed_at": 1.0, "verdict": "imported", "notified": True}}}
    ),
    "wildcards for an id": json.dumps(
        {"_default": {"1": {"batch": "%' or 1=1", "claim": "x", "user": "bob", "name": "run",
                            "folder": "run", "claimed_at": 1.0}}}
    ),
}  # fmt: skip


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
def test_record_forged(facility: Make, forgery: str) -> None:
    place = facility()
    envelope = failed_once(place)
    repair(envelope / "run")
    (envelope / ".dropwatch" / "record.json").write_text(forgery)
    (envelope / ".dropwatch" / "filesets.jsonl").write_text('{"claim": "x", "kind": "imported"}\nrubbish')
    place.bring("alice", envelope)

    place.until(lambda: place.retired("alice"))
    assert place.imported() == ["a.ome.tif", "b.ome.tif", "c.ome.tif"]
    assert len(place.envelopes("alice", "done")) == 1


def test_copy_of_a_finished_batch_imports_nothing(facility: Make) -> None:
    place = facility()
    place.drop("alice", "run", "a.ome.tif", "b.ome.tif")
    place.start()
    place.until(lambda: place.retired("alice"))
    copy = place.folder / "copy of it"
    shutil.copytree(place.batch("alice", "done"), copy)
    place.bring("alice", copy)
    place.until(lambda: place.retired("alice", 2))

    assert place.imported() == ["a.ome.tif", "b.ome.tif"]
    assert len(place.envelopes("alice", "done")) == 2


def test_duplicates_import_makes_it_a_new_batch(facility: Make) -> None:
    place = facility()
    place.drop("alice", "run", "a.ome.tif")
    place.start()
    place.until(lambda: place.retired("alice"))
    envelope = place.batch("alice", "done")
    (envelope / "run" / "batch.yaml").write_text("duplicates: import\n")
    place.bring("alice", envelope)
    place.until(lambda: len(place.imports()) == 2)

    assert place.imported() == ["a.ome.tif", "a.ome.tif"]


def test_taken_out_in_mid_import_and_put_back(facility: Make) -> None:
    place = facility()
    place.faults(omero={"hold_upload": True})
    place.drop("alice", "run", "a.ome.tif", "b.ome.tif", "c.ome.tif")
    place.start()
    place.until(lambda: place.ask_server("select id from fileset"))
    envelope = place.batch("alice", "processing")
    kept = place.folder / "kept"
    envelope.rename(kept)
    place.faults()
    place.until(lambda: any("stopped" in subject.lower() or "taken" in subject.lower()
                            for subject in place.subjects("alice@")))  # fmt: skip
    kept.rename(place.spool / "alice" / "inbox" / envelope.name)

    ends_complete(place)


def test_what_another_daemon_may_have_moved_was_not_taken_away(facility: Make) -> None:
    """A daemon that has not got its spool, or has it no more, cannot know who moved a batch."""
    place = facility()
    config = place.config()
    line = Daemon(config, thread_staff(config), {}).line  # it does not run: the spool is not its own
    spool = line.arrivals.spools[place.spool]
    path = place.spool / "alice" / "processing" / "20261124-140355-k3f9_HeLa"
    (path / "HeLa").mkdir(parents=True)
    (path / ".dropwatch").mkdir()
    case = adopt(line.desk, spool, next(spool.envelopes("alice", Place.PROCESSING)))
    assert case is not None
    line.desk.cases[case.key] = case
    shutil.rmtree(path)
    line.oversight.withdraw(case)
    line.desk.workers.close(0)

    assert case.key in line.desk.cases
    assert not case.withdrawn
    assert list((place.folder / "state").rglob("*.json")) == []
