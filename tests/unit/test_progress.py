"""How far an import is, as `status` and `show` tell it: of what the workers say, and of what is on disk."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from still import Facility

from dropwatch.config import load
from dropwatch.ledger import Ledger
from dropwatch.model import Attached, Failed, FileFact, Fileset, Image, Imported, Place
from dropwatch.pipeline import glance
from dropwatch.record import Line
from dropwatch.report.words import brief, share
from dropwatch.spool.folders import MEMORY
from dropwatch.status import EVERYTHING, snapshot

MB = 1_000_000
DAMAGED = Failed(
    "The file is damaged or incomplete: its end is missing.", "Copy it again.", True, "unreadable"
)


@pytest.fixture
def facility(tmp_path: Path) -> Facility:
    return Facility(tmp_path)


def batch(facility: Facility, *lines: Line, **record: Any) -> Path:
    return facility.claimed("alice", "HeLa", Place.PROCESSING, lines=lines, attempts=1, **record)


def four(facility: Facility) -> Path:
    """A set in OMERO, two image files to come, a damaged one, an attachment."""
    return batch(
        facility,
        facility.line(0, "set_0.tif", Imported((Image(1),), 2), bytes=1000 * MB, files=12),
        facility.line(0, "a.lif", None, bytes=2000 * MB, series=14),
        facility.line(0, "b.lif", None, bytes=1900 * MB),
        facility.line(0, "cut.tif", DAMAGED, bytes=300 * MB),
        facility.line(0, "notes.pdf", None, bytes=100 * MB, attachment=True),
    )


def work(
    path: Path, name: str, stage: str = "", done: float = 0, total: int = 0, **more: Any
) -> dict[str, Any]:
    """What a heartbeat says of one worker."""
    at = {"stage": stage, "done": done, "total": total, **more} if stage else None
    return {"batch": path.name[:20], "fileset": f"id-{name}" if name else "", "file": name, "progress": at}


# -- numbers ---------------------------------------------------------------------------------------------


def test_a_worker_that_said_nothing_yet_of_files_that_nobody_listed_is_no_progress(
    facility: Facility,
) -> None:
    path = batch(facility)
    with facility.running(work(path, "")):
        silent = facility.json("status")["batches"][0]
    with facility.running(work(path, "", "plan", 1, 3)):
        looking = facility.json("status")["batches"][0]

    assert silent["progress"] is None  # 0 of 130 bytes of a manifest, where 200 GB were fetched
    assert looking["progress"]["stage"] == "plan"


def test_progress_is_that_of_all_bytes_that_can_still_come(facility: Facility) -> None:
    path = four(facility)

    with facility.running(work(path, "a.lif", "upload", 600 * MB, 2000 * MB, rate=40.0 * MB, left=35)):
        seen = facility.json("status")["batches"][0]

    assert seen["progress"] == {
        "stage": "upload",
        "done": 1600 * MB,
        "total": 5000 * MB,  # without the damaged one
        "rate": 40 * MB,
        "left": 85,
        "files": [
            {
                "file": "a.lif", "stage": "upload", "done": 600 * MB, "total": 2000 * MB,
                "rate": 40 * MB, "left": 35,
            }
        ],
    }  # fmt: skip
    assert seen["filesets"] == {"total": 4, "imported": 1, "skipped": 0, "failed": 1, "running": 1}
    assert seen["attachments"] == {"total": 1, "attached": 0, "failed": 0}


def test_an_upload_that_is_finished_stays_done_while_the_server_works_on_it(facility: Facility) -> None:
    path = four(facility)

    with facility.running(work(path, "a.lif", "server", 2, 5)):
        seen = facility.json("status")["batches"][0]
        table = facility("status").stdout

    assert (seen["progress"]["stage"], seen["progress"]["done"]) == ("server", 3000 * MB)
    assert "importing, 1 of 4 done, 1 failed; 3.0 of 5.0 GB, OMERO is processing\n" in table


def test_rates_of_several_workers_add_up(facility: Facility) -> None:
    path = four(facility)
    first = work(path, "a.lif", "upload", 500 * MB, 2000 * MB, rate=30.0 * MB, left=50)
    second = work(path, "b.lif", "upload", 500 * MB, 1900 * MB, rate=20.0 * MB, left=70)

    with facility.running(first, second):
        table = facility("status").stdout

    assert "importing, 1 of 4 done, 1 failed; 2.0 of 5.0 GB, 50 MB/s, about 1 min left\n" in table


def test_while_files_are_looked_at_status_says_how_many(facility: Facility) -> None:
    path = facility.claimed("alice", "HeLa", Place.PROCESSING, planned=False)
    (path / "HeLa" / "a.tif").write_bytes(b"pixels")

    with facility.running(work(path, "", "plan", 57, 1000, rate=220.0, left=4)):
        seen = facility.json("status")["batches"][0]
        table = facility("status").stdout

    assert "looking at file 57 of 1,000\n" in table
    assert seen["reason"] == "looking at file 57 of 1,000"
    assert (seen["progress"]["stage"], seen["progress"]["done"], seen["progress"]["total"]) == ("plan", 0, 6)
    assert seen["progress"]["rate"] is None  # files per second are no bytes per second
    assert seen["filesets"]["running"] == 0


def test_while_files_are_fetched_status_says_how_far_it_is(facility: Facility) -> None:
    path = facility.claimed("alice", "HeLa", Place.PROCESSING, planned=False)

    with facility.running(work(path, "", "fetch", 1200 * MB, 5000 * MB, rate=48.0 * MB, left=79)):
        seen = facility.json("status")["batches"][0]
        table = facility("status").stdout

    assert "fetching 1.2 of 5.0 GB, 48 MB/s, about 1 min left\n" in table
    assert seen["reason"] == "fetching 1.2 of 5.0 GB, 48 MB/s, about 1 min left"
    assert (seen["progress"]["stage"], seen["progress"]["done"], seen["bytes"]) == (
        "fetch",
        1200 * MB,
        5000 * MB,
    )
    assert seen["filesets"]["running"] == 0


def test_attachments_under_way_are_no_running_image_files(facility: Facility) -> None:
    path = four(facility)

    with facility.running(work(path, "notes.pdf", "upload", 50 * MB, 100 * MB), work(path, "a.lif")):
        seen = facility.json("status")["batches"][0]

    assert seen["filesets"]["running"] == 1
    assert seen["progress"]["done"] == 1050 * MB


@pytest.mark.parametrize("odd", [None, "fast", float("nan"), float("inf"), -1, [], True])
def test_what_an_earlier_or_broken_daemon_says_is_no_reason_to_fail(facility: Facility, odd: Any) -> None:
    path = four(facility)
    said = work(path, "a.lif", "upload", 600 * MB, 2000 * MB, rate=odd, left=odd)
    old = {"batch": path.name[:20], "file": "b.lif", "progress": {"stage": "upload", "done": odd}}

    with facility.running(said, old, workers=None):
        seen = facility.json("status")["batches"][0]
        shown = [facility("status"), facility("show", "HeLa")]

    assert seen["progress"]["done"] == 1600 * MB
    assert [one.exit_code for one in shown] == [0, 0]


def test_a_batch_that_nobody_works_on_has_no_progress(facility: Facility) -> None:
    four(facility)

    with facility.running():
        seen = facility.json("status")["batches"][0]

    assert seen["progress"] is None


def test_workers_that_died_are_told(facility: Facility) -> None:
    workers = {"planning": 1, "asking": 0, "importing": 2, "died": 2}

    with facility.running(workers=workers):
        seen, table = facility.json("status"), facility("status").stdout

    assert seen["daemon"]["workers"] == workers
    assert "2 worker processes have died since then" in table


def test_an_archive_is_not_called_omero(facility: Facility) -> None:
    facility.configure(importer="folder", folder={"path": str(facility.folder / "archive")})
    path = four(facility)

    with facility.running(work(path, "a.lif", "server", 1000 * MB, 2000 * MB)):
        told = facility("status").stdout + facility("show", "HeLa").stdout

    assert "3.0 of 5.0 GB, the copy is checked" in told
    assert "OMERO" not in told


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "10 s"), (33, "40 s"), (51, "1 min"), (62, "1 min"), (100, "2 min"), (3590, "1 h"), (5000, "1 h 23 min"),
     (90_000, "1 day"), (260_000, "3 days")],
)  # fmt: skip
def test_time_left_in_a_few_letters(seconds: float, text: str) -> None:
    assert brief(seconds) == text


@pytest.mark.parametrize(
    ("done", "total", "text"),
    [
        (0, 0, "0 of 0 bytes"),
        (12, 999, "12 of 999 bytes"),
        (1_234_000_000, 5_000_000_000, "1.2 of 5.0 GB"),
        (0, 41_300_000_000, "0.0 of 41.3 GB"),
        (120_000_000_000, 413_000_000_000, "120 of 413 GB"),
        (999_600, 999_600, "1.0 of 1.0 MB"),
    ],
)
def test_done_and_total_are_told_in_one_unit(done: int, total: int, text: str) -> None:
    assert share(done, total) == text


# -- what a batch consists of ----------------------------------------------------------------------------


def test_show_lists_the_files_of_each_fileset_a_few_in_the_table_and_all_as_json(facility: Facility) -> None:
    more = tuple(f"set_{number}.tif" for number in range(1, 12))
    done = Imported((Image(5),), 6)
    planned = facility.line(0, "set_0.tif", None, files=12, more=more, format="OME-TIFF", series=1)
    path = batch(
        facility, planned, facility.line(0, "a.lif", None, series=14), facility.line(0, "b.czi", None)
    )
    Ledger(MEMORY).note(path, facility.line(0, "set_0.tif", done, files=12, format="OME-TIFF", series=1))

    told, story = facility("show", "HeLa").stdout, facility.json("show", "HeLa")
    each = story["filesets"]["each"]

    assert "12 files, OME-TIFF: set_1.tif, set_2.tif, set_3.tif and 8 more\n" in told
    assert "14 images\n" in told
    assert each[0]["files"] == ["set_0.tif", *more]
    assert (each[0]["format"], each[0]["series"], each[0]["plate"], each[0]["outcome"]) == (
        "OME-TIFF", 1, False, "imported",
    )  # fmt: skip
    assert [len(one["images"]) for one in each] == [1, 0, 0]
    assert "files" not in story["claims"][0]["tries"][0]


def test_show_lists_attachments_apart(facility: Facility) -> None:
    path = four(facility)
    Ledger(MEMORY).note(path, facility.line(0, "notes.pdf", Attached(301, 401), attachment=True))

    told, story = facility("show", "HeLa").stdout, facility.json("show", "HeLa")

    assert "Attachments\n  attached  notes.pdf\n" in told
    assert [one["name"] for one in story["filesets"]["each"]] == ["set_0.tif", "a.lif", "b.lif", "cut.tif"]
    attachment = story["attachments"]["each"][0]
    assert (attachment["outcome"], attachment["annotation"], attachment["file"]) == ("attached", 301, 401)
    assert story["attachments"]["attached"] == 1


def test_show_says_what_a_worker_has_in_hand(facility: Facility) -> None:
    path = four(facility)
    more = {"rate": 40.0 * MB, "left": 35}

    with facility.running(work(path, "a.lif", "upload", 600 * MB, 2000 * MB, **more), work(path, "b.lif")):
        told = facility("show", "HeLa").stdout

    assert "0.6 of 2.0 GB, 40 MB/s, about 40 s left\n" in told
    assert "importing  b.lif" in told
    assert "progress  1.6 of 5.0 GB, 40 MB/s, about 1 min left\n" in told


def test_a_refused_fileset_is_shown_with_its_reason_and_remedy(facility: Facility) -> None:
    refused = Failed(
        "It is a plate, and plates go to a screen.", "Write `target: Screen:NAME`.", True, "no-screen"
    )
    facility.claimed("alice", "HeLa", lines=[facility.line(0, "P1.HTD", refused, files=1153, attempt=0)])

    told, row = facility("show", "HeLa").stdout, facility.json("status")["batches"][0]
    each = facility.json("show", "HeLa")["filesets"]["each"][0]

    for words in (refused.reason, refused.remedy, "no-screen", "1,153 files"):
        assert words in told
    assert "attempt 0" not in told
    assert row["reason"] == "0 of 1 in OMERO; P1.HTD: it is a plate, and plates go to a screen"
    assert (each["files"], each["file_count"], each["error"]) == (["P1.HTD"], 1153, "no-screen")


def test_names_from_hell_among_the_files_of_a_fileset_are_harmless(facility: Facility) -> None:
    names = ("\x1b[2J\n[red]\u202ex", "caf\udce9.tif", "n" * 4000, "plain.tif", "plain.tif")
    batch(facility, facility.line(0, "a.tif", None, files=6, more=names, format="\x1b[1m\n"))

    told, story = facility("show", "HeLa"), facility.json("show", "HeLa")

    assert "\\x1b[2J\\n[red]\\u202ex, caf\\xe9.tif, nnn" in told.stdout
    assert "n" * 60 not in told.stdout
    assert "\x1b" not in told.stdout
    assert story["filesets"]["each"][0]["files"] == ["a.tif", *names]


def test_records_of_an_earlier_dropwatch_are_read(facility: Facility) -> None:
    path = batch(facility)
    old = (
        '{"claim": "%s", "fileset": "1", "name": "a.czi", "files": 1, "bytes": 7, "attempt": 0, "at": 0.0}\n'
    )
    done = (
        old.strip().removesuffix("}")
        + ', "kind": "imported", "outcome": {"images": [{"id": 3}], "fileset": 4}}'
    )
    (path / MEMORY / "filesets.jsonl").write_text((old + done) % (path.name[:20], path.name[:20]))

    each = facility.json("show", "HeLa")["filesets"]["each"]

    assert [(one["files"], one["format"], one["series"], one["outcome"]) for one in each] == [
        (["a.czi"], "", 0, "imported")
    ]


# -- speed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("filesets", "files"), [(5, 12_000), (10_000, 1)])
def test_status_stays_fast_for_plates_and_for_many_image_files(
    facility: Facility, filesets: int, files: int
) -> None:
    path = batch(facility)
    planned = [
        Fileset(
            f"{number}",
            tuple(FileFact(f"plate {number}/well_{file:05}_w1.tif", MB, 1) for file in range(files)),
        )
        for number in range(filesets)
    ]
    Ledger(MEMORY).plan(path, path.name[:20], planned)

    begun = time.process_time()
    rows = snapshot(load(facility.file), time.time(), glance.inbox, EVERYTHING).rows
    took = time.process_time() - begun

    assert (rows[0].tally.total, rows[0].files) == (filesets, filesets * files)
    assert took < 5
