"""Batches whose files the daemon fetches from a place: copied, verified, imported; the originals as they were."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("omero")

from dropwatch import submit_from
from dropwatch.sandbox.samples import ome_tiff
from facility import Facility

posix = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes")


@pytest.fixture(scope="module")
def facility(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facility]:
    top = tmp_path_factory.mktemp("facility")
    (top / "disk").mkdir()
    (top / "disk" / "README").write_text("a microscope's data disk")
    places = {
        "confocal1-disk": {"path": str(top / "disk"), "users": ["alice", "scope", "group:lab-b"]},
        "away": {"path": str(top / "away"), "users": ["*"]},
    }
    settings: dict[str, Any] = {
        "places": places,
        "instruments": {"scope": {"may_import_for": ["carol"]}},
        "limits": {"min_free": "1MiB"},
        "spools": [{"path": str(top / "spool"), "settle": "1h", "sweep": "1s"}],
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


def test_files_and_folders_are_fetched_imported_and_the_copies_removed(facility: Facility) -> None:
    names = "run7/a.ome.tif", "run7/deep/b.ome.tif", "run8/single é.ome.tif"
    before = originals(facility, *names, "run8/not wanted.ome.tif")

    order(facility, "alice", "HeLa day 3", "run7", "run8/single e\u0301.ome.tif")
    envelope = ended(facility, "alice", "HeLa day 3", "done")

    assert imports_of(facility, "run") == {name: before[name][0] for name in names}
    assert state(facility, *before) == before
    assert not (envelope / ".dropwatch" / "fetched").exists()
    assert "3 files, " in (envelope / "REPORT.txt").read_text() or record(envelope)["fetched"]
    assert [event["verb"] for event in record(envelope)["events"]][:4] == [
        "claim",
        "fetch",
        "fetched",
        "plan",
    ]
    facility.until(lambda: any("HeLa day 3" in line for line in facility.subjects("alice@example.org")))
