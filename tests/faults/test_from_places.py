"""Batches whose files the daemon fetches from a place: copied, verified, imported; the originals as they were."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("omero")

from dropwatch import submit_from
from dropwatch.pipeline import glance
from dropwatch.sandbox.samples import ome_tiff
from dropwatch.status import Row, snapshot
from facility import Facility

posix = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes")


@pytest.fixture(scope="module")
def facility(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facility]:
    top = tmp_path_factory.mktemp("facility")
    (top / "disk").mkdir()
    (top / "disk" / "README").write_text("a microscope's data disk")
    places = {
        "confocal1-disk": {"path": str(top / "disk"), "users": ["alice", "scope", "group:lab-b"]},
        "shut": {"path": str(top / "shut"), "users": ["bob", "group:lab-b"]},
        "away": {"path": str(top / "away"), "users": ["*"]},
    }
    settings: dict[str, Any] = {
        "places": places,
        "instruments": {"scope": {"may_import_for": ["carol"]}},
        "limits": {"min_free": "1MiB"},
        "spools": [{"path": str(top / "spool"), "settle": "300ms", "sweep": "1s"}],
    }
    made = Facility(top, settings, users=("alice", "bob", "carol", "scope"))
    made.start()
    yield made
    made.close()


def originals(facility: Facility, *names: str, size: int = 64) -> dict[str, tuple[str, int, int]]:
    """Make images in the place; what they are: hash, mtime, inode."""
    for number, name in enumerate(names):
        path = facility.folder / "disk" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        ome_tiff(path, seed=hash((name, number)) % 1000, size=size)
        os.utime(path, ns=(10**18, 10**18 + 123456789 + number))
    return state(facility, *names)


def state(facility: Facility, *names: str) -> dict[str, tuple[str, int, int]]:
    found = {}
    for name in names:
        path = facility.folder / "disk" / name
        info = path.stat()
        found[name] = hashlib.sha1(path.read_bytes()).hexdigest(), info.st_mtime_ns, info.st_ino
    return found


def order(
    facility: Facility, user: str, name: str, *paths: str, place: str = "confocal1-disk", **more: Any
) -> None:
    submit_from(place, list(paths), spool=facility.spool, user=user, name=name, **more)


def ended(facility: Facility, user: str, name: str, place: str) -> Path:
    facility.until(
        lambda: facility.retired(user, 1) or list((facility.spool / user / place).glob(f"*_{name}"))
    )
    found = list((facility.spool / user / place).glob(f"*_{name}"))
    assert len(found) == 1, facility.picture()
    return found[0]


def imports_of(facility: Facility, name: str) -> dict[str, str]:
    """By path, the sha1 of what OMERO got."""
    return {
        path: file["sha1"]
        for one in facility.imports()
        for file in one["files"]
        if (path := file["client_path"].split("/", 3)[3]).startswith(name)
    }


def record(envelope: Path) -> dict[str, Any]:
    tables = json.loads((envelope / ".dropwatch" / "record.json").read_text())
    return dict(tables["_default"]["1"])


def sha256(facility: Facility, name: str) -> str:
    return hashlib.sha256((facility.folder / "disk" / name).read_bytes()).hexdigest()


def contents(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    return {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino)
        for path in folder.iterdir()
    }


def report_of(envelope: Path) -> str:
    return " ".join((envelope / "REPORT.txt").read_text().split())


def copies_of(envelope: Path) -> list[Path]:
    return sorted(
        path for path in (envelope / ".dropwatch" / "fetched" / "files").rglob("*") if path.is_file()
    )


def heartbeat(facility: Facility) -> dict[str, Any]:
    return dict(json.loads((facility.folder / "state" / "heartbeat.json").read_text()))


def rows(facility: Facility) -> list[Row]:
    return list(snapshot(facility.config(), time.time(), glance.inbox).rows)


def second_claim(facility: Facility, name: str) -> Path | None:
    """The envelope in failed/ that was claimed twice."""
    for path in (facility.spool / "alice" / "failed").glob(f"*_{name}"):
        if record(path)["history"]:
            return path
    return None


def test_files_and_folders_are_fetched_imported_and_the_copies_removed(facility: Facility) -> None:
    names = "run7/a.ome.tif", "run7/deep/b.ome.tif", "run8/single é.ome.tif"
    before = originals(facility, *names, "run8/not wanted.ome.tif")

    order(facility, "alice", "HeLa day 3", "run7", "run8/single e\u0301.ome.tif")
    envelope = ended(facility, "alice", "HeLa day 3", "done")

    assert imports_of(facility, "run") == {name: before[name][0] for name in names}
    assert state(facility, *before) == before
    assert not (envelope / ".dropwatch" / "fetched").exists()
    assert "The files were copied from their place; nothing was changed there." in report_of(envelope)
    assert [event["verb"] for event in record(envelope)["events"]][:4] == [
        "claim",
        "fetch",
        "fetched",
        "plan",
    ]
    facility.until(lambda: any("HeLa day 3" in line for line in facility.subjects("alice@example.org")))


def test_a_folder_may_bring_files_of_its_own_and_attach_them(facility: Facility) -> None:
    before = originals(facility, "both/fetched.ome.tif")
    made = facility.folder / "made" / "own and fetched"
    made.mkdir(parents=True)
    ome_tiff(made / "own.ome.tif", seed=5)
    (made / "notes.pdf").write_bytes(b"%PDF notes")
    manifest = {
        "from": {"place": "CONFOCAL1-disk", "paths": ["both"]},
        "files": [
            {"path": "own.ome.tif", "size": (made / "own.ome.tif").stat().st_size},
            {"path": "both/fetched.ome.tif", "sha256": sha256(facility, "both/fetched.ome.tif")},
        ],
        "attachments": ["notes.pdf"],
    }
    (made / "batch.json").write_text(json.dumps(manifest))
    kept = contents(made)

    facility.bring("alice", made)
    envelope = ended(facility, "alice", "own and fetched", "done")

    assert imports_of(facility, "both") == {"both/fetched.ome.tif": before["both/fetched.ome.tif"][0]}
    assert "own.ome.tif" in facility.imported()
    assert contents(envelope / "own and fetched") == kept
    assert state(facility, *before) == before


def test_what_is_both_in_the_folder_and_to_be_fetched_is_refused(facility: Facility) -> None:
    originals(facility, "twice.ome.tif")
    made = facility.folder / "made" / "clash"
    made.mkdir(parents=True)
    ome_tiff(made / "Twice.ome.tif", seed=6)
    manifest = {"from": {"place": "confocal1-disk", "paths": ["twice.ome.tif"]}}
    (made / "batch.json").write_text(json.dumps(manifest))

    facility.bring("alice", made)
    envelope = ended(facility, "alice", "clash", "failed")

    assert "Both in the folder and to be fetched: twice.ome.tif" in report_of(envelope)
    assert imports_of(facility, "twice") == {}


@pytest.mark.parametrize(
    ("user", "place", "path", "told"),
    [
        ("carol", "confocal1-disk", "nowhere", "nowhere is not there in confocal1-disk"),
        ("alice", "confocal1-disk", "empty folder", "There is no file in empty folder"),
        ("alice", "no such place", "run7", "There is no place no such place"),
        ("alice", "shut", "README", "alice may not fetch files from shut"),
    ],
)
def test_what_cannot_be_fetched_fails_at_once_in_words(
    facility: Facility, user: str, place: str, path: str, told: str
) -> None:
    """carol may, by her group; alice may not fetch from shut, whatever lies there."""
    (facility.folder / "disk" / "empty folder").mkdir(exist_ok=True)

    order(facility, user, f"bad {path}", path, place=place)
    envelope = ended(facility, user, f"bad {path}", "failed")

    assert told in report_of(envelope)
    assert record(envelope)["attempts"] == 0


def test_who_may_by_group_or_through_an_instrument_gets_the_files(facility: Facility) -> None:
    originals(facility, "group.ome.tif", "instrument.ome.tif")
    order(facility, "bob", "by group", "group.ome.tif")
    made = facility.folder / "made" / "by instrument"
    made.mkdir(parents=True)
    manifest = {"from": {"place": "confocal1-disk", "paths": ["instrument.ome.tif"]}, "user": "carol"}
    (made / "batch.json").write_text(json.dumps(manifest))
    facility.bring("scope", made)

    ended(facility, "bob", "by group", "done")
    ended(facility, "scope", "by instrument", "done")

    users = {one["files"][0]["client_path"].split("/", 3)[3]: one["user"] for one in facility.imports()}
    assert (users["group.ome.tif"], users["instrument.ome.tif"]) == ("bob", "carol")


@posix
def test_links_and_pipes_in_the_place_are_refused_by_name_and_the_rest_imported(facility: Facility) -> None:
    originals(facility, "odd/good.ome.tif")
    secret = facility.folder / "secret.ome.tif"
    ome_tiff(secret, seed=7)
    (facility.folder / "disk" / "odd" / "link.ome.tif").symlink_to(secret)
    os.mkfifo(facility.folder / "disk" / "odd" / "pipe.ome.tif")

    order(facility, "alice", "odd ones", "odd")
    envelope = ended(facility, "alice", "odd ones", "failed")

    assert record(envelope)["verdict"] == "partial"
    assert list(imports_of(facility, "odd")) == ["odd/good.ome.tif"]
    assert "odd/link.ome.tif" in report_of(envelope)
    assert "odd/pipe.ome.tif" in report_of(envelope)
    assert [path.name for path in copies_of(envelope)] == ["good.ome.tif"]


def test_a_place_that_is_away_is_waited_for_and_costs_no_attempt(facility: Facility) -> None:
    order(facility, "alice", "patient", "later.ome.tif", place="away")
    facility.until(lambda: "place:away" in json.dumps(heartbeat(facility)))
    shown = [row.reason for row in rows(facility) if row.name == "patient"]

    (facility.folder / "away").mkdir()
    ome_tiff(facility.folder / "away" / "later.ome.tif", seed=8)
    envelope = ended(facility, "alice", "patient", "done")

    assert shown == ["waiting: the place away is not there, or empty"]
    assert record(envelope)["attempts"] == 1
    assert list(imports_of(facility, "later")) == ["later.ome.tif"]


def test_a_batch_that_comes_back_fetches_what_changed_and_needs_nothing_that_is_gone(
    facility: Facility,
) -> None:
    originals(facility, "again/a.ome.tif", "again/b.ome.tif")
    (facility.folder / "disk" / "again" / "b.ome.tif").write_bytes(b"II*\0 no image")
    order(facility, "alice", "again", "again")
    first = ended(facility, "alice", "again", "failed")
    kept = {path.name: path.stat().st_ino for path in copies_of(first)}

    originals(facility, "again/b.ome.tif")
    first.rename(facility.spool / "alice" / "inbox" / first.name)
    ended(facility, "alice", "again", "done")

    assert sorted(kept) == ["a.ome.tif", "b.ome.tif"]
    assert sorted(imports_of(facility, "again")) == ["again/a.ome.tif", "again/b.ome.tif"]
    assert len([one for one in facility.imports() if "again/a.ome.tif" in json.dumps(one)]) == 1


def test_what_was_fetched_is_used_though_the_place_was_tidied_up(facility: Facility) -> None:
    originals(facility, "tidy/a.ome.tif")
    (facility.folder / "disk" / "tidy" / "b.ome.tif").write_bytes(b"II*\0 no image")
    order(facility, "alice", "tidy", "tidy")
    first = ended(facility, "alice", "tidy", "failed")

    shutil.rmtree(facility.folder / "disk" / "tidy")
    first.rename(facility.spool / "alice" / "inbox" / first.name)
    facility.until(lambda: second_claim(facility, "tidy"))

    assert record(second_claim(facility, "tidy"))["verdict"] == "partial"
    assert len([one for one in facility.imports() if "tidy/a.ome.tif" in json.dumps(one)]) == 1
