"""Whatever is put where a file of ours is to be: nothing else is read, nothing else is written, nobody waits."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dropwatch.durable_memory import Folder, inside
from dropwatch.ledger import Ledger
from dropwatch.model import FileFact, Fileset, Place
from dropwatch.record import Line, Record
from dropwatch.spool.folders import Spool, inner_folder, inner_name
from dropwatch.spool.locks import is_held, locked
from dropwatch.spool.reports import write_report
from dropwatch.task.looks import Journal

if sys.platform == "win32":
    pytest.skip("links and pipes", allow_module_level=True)

pytestmark = pytest.mark.timeout(20)  # a test that waits at a pipe has failed

CLAIM = "20261124-140355-k3f9"
RECORD = Record(CLAIM, CLAIM, "alice", "HeLa", "HeLa", 1.0)
SECRET = "root:$6$secret\n"


@pytest.fixture
def envelope(tmp_path: Path) -> Path:
    made = tmp_path / "spool" / "alice" / "processing" / f"{CLAIM}_HeLa"
    (made / ".dropwatch").mkdir(parents=True)
    (made / "HeLa").mkdir()
    return made


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder of somebody else, with a file in it."""
    made = tmp_path / "elsewhere"
    made.mkdir()
    for name in ("secret", "record.json", "filesets.jsonl", "lock", "REPORT.txt"):
        (made / name).write_text(SECRET)
    return made


def is_untouched(elsewhere: Path) -> bool:
    return (
        all(path.read_text() == SECRET for path in elsewhere.iterdir())
        and len(list(elsewhere.iterdir())) == 5
    )


def link(path: Path, elsewhere: Path) -> None:
    path.symlink_to(elsewhere / "secret")


def dangling_link(path: Path, elsewhere: Path) -> None:
    path.symlink_to(elsewhere / "not there")


def second_name(path: Path, elsewhere: Path) -> None:
    os.link(elsewhere / "secret", path)


def pipe(path: Path, elsewhere: Path) -> None:
    os.mkfifo(path)


def folder(path: Path, elsewhere: Path) -> None:
    path.mkdir()
    (path / "theirs").write_text("kept")


def door(path: Path, elsewhere: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        here = Path.cwd()
        os.chdir(path.parent)  # the path of a socket is short
        made.bind(path.name)
        os.chdir(here)


TRAPS = (link, dangling_link, second_name, pipe, folder, door)

Put = Callable[[Path, Path], None]


def write_record(envelope: Path) -> None:
    Ledger(".dropwatch").write(envelope, RECORD)
    assert Ledger(".dropwatch").read(envelope) == RECORD


def note(envelope: Path) -> None:
    Ledger(".dropwatch").note(envelope, Line(CLAIM, "f1", "a.tif", 1, 1))
    assert [line.fileset for line in Ledger(".dropwatch").lines(envelope)] == ["f1"]


def log(envelope: Path) -> None:
    Ledger(".dropwatch").log(envelope, "ours")
    assert Ledger(".dropwatch").read_log(envelope) == "ours\n"


def report(envelope: Path) -> None:
    write_report(envelope, "ours", durably=True)
    assert (envelope / "REPORT.txt").read_text() == "ours"


def lock(envelope: Path) -> None:
    path = envelope / ".dropwatch" / "lock"
    with locked(path, shared=True) as got:
        assert got
        assert is_held(path)
        assert not path.is_symlink()
    assert not is_held(path)


def look(envelope: Path) -> None:
    journal = Journal(envelope / ".dropwatch", envelope / "HeLa", claim=CLAIM, state="x")
    journal.begin(FileFact("a.tif", 1, 1))
    journal.close()
    assert "a.tif" in (envelope / ".dropwatch" / "looks.jsonl").read_text()


OURS = {
    ".dropwatch/record.json": write_record,
    ".dropwatch/record.json.part": write_record,
    ".dropwatch/filesets.jsonl": note,
    ".dropwatch/import.log": log,
    ".dropwatch/looks.jsonl": look,
    ".dropwatch/lock": lock,
    "REPORT.txt": report,
    "REPORT.txt.part": report,
}


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.__name__)
@pytest.mark.parametrize("name", OURS)
def test_what_stands_where_we_write_is_put_aside(
    envelope: Path, elsewhere: Path, name: str, trap: Put
) -> None:
    if name.endswith("lock") and trap is second_name:
        pytest.skip("a lock is never read or written; with two names it still keeps others away")
    trap(envelope / name, elsewhere)

    OURS[name](envelope)

    assert is_untouched(elsewhere)
    assert inner_folder(envelope) == "HeLa"
    if trap is folder:
        assert [path.read_text() for path in envelope.rglob("theirs")] == ["kept"]


@pytest.mark.parametrize(
    "trap", [trap for trap in TRAPS if trap is not folder], ids=lambda trap: trap.__name__
)
def test_what_stands_in_place_of_our_folder_is_put_aside(envelope: Path, elsewhere: Path, trap: Put) -> None:
    (envelope / ".dropwatch").rmdir()
    trap(envelope / ".dropwatch", elsewhere)

    write_record(envelope)

    assert is_untouched(elsewhere)


@pytest.mark.parametrize("write", [write_record, note, log], ids=lambda write: write.__name__)
def test_our_folder_may_not_be_somebody_elses(
    envelope: Path, elsewhere: Path, write: Callable[[Path], None]
) -> None:
    (envelope / ".dropwatch").rmdir()
    (envelope / ".dropwatch").symlink_to(elsewhere)

    write(envelope)

    assert is_untouched(elsewhere)


@pytest.mark.parametrize("write", OURS.values(), ids=OURS)
def test_an_envelope_may_not_be_somebody_elses(
    tmp_path: Path, elsewhere: Path, write: Callable[[Path], None]
) -> None:
    (elsewhere / ".dropwatch").mkdir()
    envelope = tmp_path / f"{CLAIM}_HeLa"
    envelope.symlink_to(elsewhere)

    with pytest.raises((OSError, AssertionError)):
        write(envelope)

    assert list((elsewhere / ".dropwatch").iterdir()) == []
    assert (elsewhere / "REPORT.txt").read_text() == SECRET


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.__name__)
def test_what_cannot_be_a_record_of_ours_is_as_good_as_lost(
    envelope: Path, elsewhere: Path, trap: Put
) -> None:
    for name in ("record.json", "filesets.jsonl", "import.log"):
        trap(envelope / ".dropwatch" / name, elsewhere)
    ledger = Ledger(".dropwatch")

    assert ledger.read(envelope) is None
    assert ledger.lines(envelope) == []
    assert trap is second_name or ledger.read_log(envelope) == ""


def test_outcomes_without_end_are_read_from_their_end(envelope: Path) -> None:
    path = envelope / ".dropwatch" / "filesets.jsonl"
    with path.open("wb") as file:
        file.truncate(2**40)  # a terabyte of nothing
    Ledger(".dropwatch").note(envelope, Line(CLAIM, "f1", "a.tif", 1, 1))

    assert [line.fileset for line in Ledger(".dropwatch").lines(envelope)] == ["f1"]


def test_a_link_that_comes_and_goes_never_leads_a_write_elsewhere(envelope: Path, elsewhere: Path) -> None:
    ours, aside = envelope / ".dropwatch", envelope.parent / "aside"
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            ours.rename(aside)
            ours.symlink_to(elsewhere)
            ours.unlink()
            aside.rename(ours)

    swapping = threading.Thread(target=swap)
    swapping.start()
    written = 0
    try:
        while written < 30:
            try:
                with inside(envelope, ".dropwatch") as folder:
                    folder.put("record.json", b"ours", durably=False)
                    os.close(folder.append_to("filesets.jsonl"))
                written += 1
            except OSError:
                pass  # the folder was not there just then
    finally:
        stop.set()
        swapping.join()

    assert is_untouched(elsewhere)


def test_a_file_of_ours_is_replaced_whole_and_keeps_no_part(envelope: Path) -> None:
    with inside(envelope, ".dropwatch") as ours:
        assert isinstance(ours, Folder)
        ours.put("a.json", b"old")
        ours.put("a.json", b"new")

        assert ours.read("a.json", 100) == b"new"
        assert ours.read("a.json", 2) == b"ne"
    assert [path.name for path in (envelope / ".dropwatch").iterdir()] == ["a.json"]


def test_an_envelope_whose_claim_did_not_happen_is_removed_and_no_link_followed(
    envelope: Path, elsewhere: Path
) -> None:
    (envelope / "HeLa").rmdir()
    (envelope / ".dropwatch" / "more").symlink_to(elsewhere)
    spool = Spool(envelope.parents[2])

    spool.undo(next(iter(spool.envelopes("alice", Place.PROCESSING))))

    assert not envelope.exists()
    assert is_untouched(elsewhere)


@pytest.mark.parametrize("name", ["REPORT.txt", "report.TXT", ".dropwatch", "REPORT.txt.part"])
def test_a_folder_that_is_called_as_a_file_of_ours_gets_another_name_in_its_envelope(name: str) -> None:
    assert inner_name(name) == f"{name} (folder)"
    assert inner_name("HeLa") == "HeLa"


def test_a_plan_of_a_plate_is_one_line_that_is_read_again(envelope: Path) -> None:
    files = tuple(FileFact(f"well {number:06}.tif", 1, 1) for number in range(60_000))
    Ledger(".dropwatch").plan(envelope, CLAIM, [Fileset("f1", files)])

    (line,) = Ledger(".dropwatch").lines(envelope)

    assert line.files == 60_000
