"""Whatever fails on the way, a batch ends imported once and mailed; nothing half done stays on the server."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

from facility import Facility, text_of

Make = Callable[..., Facility]


def ends_imported_once(place: Facility, *files: str, user: str = "alice") -> None:
    place.until(lambda: place.retired(user))
    place.until(lambda: place.subjects(f"{user}@"))

    assert place.imported() == sorted(files)
    assert len(place.envelopes(user, "done")) == 1
    assert "imported" in place.subjects(f"{user}@")[-1]
    assert place.leftovers() == []


def test_reply_lost_after_a_finished_import(facility: Make) -> None:
    place = facility()
    place.faults(omero={"lose_reply": 1})
    place.drop("alice", "run", "a.ome.tif", "b.ome.tif")
    place.start()

    ends_imported_once(place, "a.ome.tif", "b.ome.tif")


def test_connection_lost_in_mid_upload(facility: Make) -> None:
    place = facility()
    place.faults(omero={"drop_after_bytes": 1_500_000})
    place.drop("alice", "run", "a.ome.tif", "b.ome.tif", size=1024)
    place.start()

    ends_imported_once(place, "a.ome.tif", "b.ome.tif")


def test_session_expired_in_mid_batch(facility: Make) -> None:
    place = facility()
    place.faults(omero={"expire": 1})
    place.drop("alice", "run", "a.ome.tif", "b.ome.tif", "c.ome.tif")
    place.start()

    ends_imported_once(place, "a.ome.tif", "b.ome.tif", "c.ome.tif")


def test_checksum_differs_once(facility: Make) -> None:
    place = facility()
    place.faults(omero={"checksum": 1})
    place.drop("alice", "run", "a.ome.tif")
    place.start()

    ends_imported_once(place, "a.ome.tif")


def test_server_busy_and_broken_for_a_while(facility: Make) -> None:
    place = facility()
    place.faults(omero={"busy": 2, "internal": 1})
    place.drop("alice", "run", "a.ome.tif")
    place.start()

    ends_imported_once(place, "a.ome.tif")


def test_omero_down_at_first_uses_no_attempt(facility: Make) -> None:
    place = facility(retry={"import": ["200ms"], "outage_alert": "500ms"})
    place.faults(omero={"refuse": True})
    place.drop("alice", "run", "a.ome.tif")
    place.start()
    place.until(lambda: place.subjects("admin@"))
    place.faults()

    ends_imported_once(place, "a.ome.tif")
    place.until(lambda: len(place.subjects("admin@")) == 2)
    assert "attempt" not in text_of(place.mails("alice@")[-1])


def test_mail_host_down_for_the_whole_import(facility: Make) -> None:
    place = facility()
    place.faults(smtp={"refuse": True})
    place.drop("alice", "run", "a.ome.tif")
    place.start()
    place.until(lambda: place.retired("alice"))

    assert place.mails() == []
    place.faults()
    ends_imported_once(place, "a.ome.tif")


def test_stopped_while_the_server_is_still_importing_waits_for_it(facility: Make) -> None:
    place = facility()
    place.faults(omero={"hold_after_verify": True})
    place.drop("alice", "run", "a.ome.tif")
    place.start()
    place.until(lambda: place.ask_server("select id from originalfile where hash is not null"))
    place.stop()
    assert place.imports() == []
    place.start()
    assert place.daemon is not None
    cases = place.daemon.line.desk.cases
    place.until(lambda: any(case.running() for case in list(cases.values())))
    place.faults()

    ends_imported_once(place, "a.ome.tif")


def test_what_a_batch_that_was_taken_away_has_left_in_omero_is_removed_within_a_day(facility: Make) -> None:
    place = facility(retry={"import": ["1h"]})
    good = place.drop("alice", "good", "good.ome.tif")
    place.start()
    place.until(lambda: place.retired("alice"))
    dropped = place.drop("alice", "taken", "half.ome.tif", size=2000)
    place.faults(omero={"slow_upload": "500ms"})
    place.until(place.leftovers)
    place.sandbox.stop()  # in mid-upload; its sessions end with it
    place.faults()
    place.sandbox.start()
    envelope = place.batch("alice", "processing")
    record = envelope / ".dropwatch" / "record.json"
    place.until(lambda: "the attempt left something to do" in record.read_text())
    (envelope / dropped.name).rename(place.folder / "taken away")
    place.until(lambda: any("taken" in subject for subject in place.subjects("alice")))
    place.stop()
    left = place.leftovers()
    with closing(sqlite3.connect(place.folder / "sandbox" / "omero" / "omero.db")) as base, base:
        base.execute("update fileset set created = created - 2 * 86400000")
    (place.folder / "state" / "tidied").write_text("1000000000")
    place.start()
    place.until(lambda: not place.leftovers())

    assert len(left) == 1 and not good.exists()
    assert place.imported() == ["good.ome.tif"]
    assert place.ask_server("select count(*) from image") == [(1,)]
