"""Disks that are full and shares that come and go while files are fetched: nothing half, nobody else waits, it goes on
by itself. Real file systems: a small one in memory, a FUSE one that fails as it is ordered."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("omero")

from dropwatch import submit_from
from dropwatch.errors import Unavailable
from dropwatch.pipeline import glance
from dropwatch.sandbox.samples import ome_tiff
from dropwatch.status import snapshot
from facility import Facility
from tests.faulty_mount import FaultyMount, SmallDisk, can_fuse, can_mount
from tests.unit.test_fetching import MANY, Site, same

with_disks = pytest.mark.skipif(bool(can_mount()), reason=can_mount())
with_shares = pytest.mark.skipif(bool(can_fuse()), reason=can_fuse())


@pytest.fixture
def share(tmp_path: Path) -> Iterator[FaultyMount]:
    for name in ("backing", "share"):
        (tmp_path / name).mkdir()
    mount = FaultyMount(tmp_path / "backing", tmp_path / "share")
    mount.start()
    yield mount
    mount.close()


@pytest.fixture
def facility(tmp_path: Path, share: FaultyMount) -> Iterator[Facility]:
    places = {"disk": {"path": str(share.mountpoint), "users": ["*"]}}
    made = Facility(tmp_path, {"places": places, "limits": {"min_free": "1MiB"}})
    made.start()
    yield made
    made.close()


def originals(share: FaultyMount, *names: str, size: int = 64) -> None:
    for number, name in enumerate(names):
        ome_tiff(share.backing / name, seed=number, size=size)


def order(facility: Facility, user: str, name: str, *paths: str) -> None:
    submit_from("disk", paths, spool=facility.spool, user=user, name=name)


def attempts(envelope: Path) -> int:
    return int(json.loads((envelope / ".dropwatch" / "record.json").read_text())["_default"]["1"]["attempts"])


def copied(facility: Facility, name: str) -> bool:
    """Whether there is a copy of that name for alice, whole or not. It looks into no folder that may move."""
    envelopes = facility.envelopes("alice", "processing")
    return any((envelope / ".dropwatch/fetched/files" / name).exists() for envelope in envelopes)


def verdict(envelope: Path) -> str:
    return str(json.loads((envelope / ".dropwatch" / "record.json").read_text())["_default"]["1"]["verdict"])


def reason(facility: Facility, name: str) -> str:
    rows = snapshot(facility.config(), time.time(), glance.inbox).rows
    return next((row.reason for row in rows if row.name == name), "")


@pytest.mark.long
@with_shares
def test_a_file_that_the_share_cannot_read_fails_its_batch_and_no_other(
    facility: Facility, share: FaultyMount
) -> None:
    originals(share, "bad.ome.tif", "good.ome.tif")
    share.fail("read", "EIO", "*bad.ome.tif")

    order(facility, "alice", "bad", "bad.ome.tif")
    order(facility, "bob", "good", "good.ome.tif")
    facility.batch("bob", "done")
    failed = facility.batch("alice", "failed")

    assert "bad.ome.tif could not be read from disk" in " ".join((failed / "REPORT.txt").read_text().split())
    assert attempts(failed) == 5
    assert facility.imported() == ["good.ome.tif"]


@pytest.mark.long
@with_shares
def test_a_share_that_dies_in_mid_fetch_is_waited_for(facility: Facility, share: FaultyMount) -> None:
    originals(share, *(f"{number}.ome.tif" for number in range(8)), size=600)
    order(facility, "alice", "run", *(f"{number}.ome.tif" for number in range(8)))
    facility.until(lambda: copied(facility, "0.ome.tif"))
    share.die()
    facility.until(lambda: "place disk" in reason(facility, "run") or facility.retired("alice"))
    share.unmount()
    share.start()
    done = facility.batch("alice", "done")

    assert attempts(done) == 1
    assert len(facility.imported()) == 8


@pytest.mark.long
@with_shares
def test_a_large_file_outlasts_a_share_that_dies(tmp_path: Path) -> None:
    for name in ("backing", "disk"):
        (tmp_path / name).mkdir()
    share = FaultyMount(tmp_path / "backing", tmp_path / "disk")
    share.start()
    try:
        site = Site(tmp_path, mark=MANY)
        original = site.put("run7/a.czi", 9 * MANY)
        site.at = {3 * MANY: share.die}  # six of nine: each byte is copied, and compared later
        with pytest.raises(Unavailable):
            site.fetch()
        left = site.names()
        share.unmount()
        share.start()
        fetched = site.fetch()

        assert left == ["run7/.dropwatch.part"]
        assert 0 < fetched.copied <= 4 * MANY
        assert same(original, site.envelope / ".dropwatch/fetched/files/run7/a.czi")
    finally:
        share.close()


@with_disks
def test_a_disk_that_fills_up_while_it_is_copied_to_keeps_no_half_file(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    disk = SmallDisk(tmp_path / "spool", 4 * MANY)
    try:
        site = Site(tmp_path)
        originals_ = [site.put(f"run7/{name}.czi", MANY) for name in "ab"]
        site.at = {MANY + MANY // 4: disk.fill}
        with pytest.raises(OSError) as full:
            site.fetch()
        left = site.names()
        disk.empty()
        fetched = site.fetch()

        assert full.value.errno == errno.ENOSPC
        assert left == ["run7/a.czi"]
        assert fetched.copied == MANY
        assert same(originals_[1], site.envelope / ".dropwatch/fetched/files/run7/b.czi")
    finally:
        disk.close()


@pytest.mark.long
@with_disks
def test_a_fetch_waits_for_room_and_goes_on_by_itself(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "microscope").mkdir()
    disk = SmallDisk(tmp_path / "spool", 12 * 2**20)
    places = {"disk": {"path": str(tmp_path / "microscope"), "users": ["*"]}}
    facility = Facility(tmp_path, {"places": places, "limits": {"min_free": "1MiB"}})
    try:
        ome_tiff(tmp_path / "microscope" / "a.ome.tif", seed=1, size=1500)
        os.utime(tmp_path / "microscope" / "a.ome.tif", ns=(10**18, 10**18))
        assert (tmp_path / "microscope" / "a.ome.tif").stat().st_size > 2**21
        disk.fill(leave=2 * 2**20)
        facility.start()
        order(facility, "alice", "large", "a.ome.tif")
        facility.until(lambda: "no room in the spool" in reason(facility, "large"))
        submit_from("disk", ["a.ome.tif"], spool=facility.spool, user="bob", name="later")
        disk.empty()
        done = facility.batch("alice", "done")

        assert attempts(done) == 1
        facility.batch("bob", "done")
    finally:
        facility.close()
        disk.close()


# -- people who change their minds ---------------------------------------------------------------------------


@pytest.fixture
def slow(facility: Facility, share: FaultyMount) -> Path:
    """The envelope of a batch that is being fetched, and will be for seconds."""
    originals(share, "run7.ome.tif")
    with (share.backing / "large.bin").open("wb") as file:
        file.truncate(1500 * 2**20)
    order(facility, "alice", "slow", "run7.ome.tif", "large.bin")
    facility.until(lambda: copied(facility, ".dropwatch.part"))
    return facility.envelopes("alice", "processing")[0]


@pytest.mark.long
@with_shares
def test_cancelled_in_mid_fetch_it_ends_at_once_and_keeps_no_copy(facility: Facility, slow: Path) -> None:
    (slow / ".dropwatch" / "cancel").write_text(slow.name[:20])

    failed = facility.batch("alice", "failed")

    assert verdict(failed) == "cancelled"
    assert not (failed / ".dropwatch" / "fetched").exists()
    assert facility.imports() == []


@pytest.mark.long
@with_shares
def test_taken_away_in_mid_fetch_nothing_of_ours_stays(facility: Facility, slow: Path) -> None:
    (slow / "slow").rename(facility.folder / "taken")

    facility.until(lambda: not slow.exists())

    assert [path.name for path in (facility.folder / "taken").iterdir()] == ["batch.json"]
    facility.until(lambda: any("slow" in subject for subject in facility.subjects("alice@example.org")))
    assert facility.imports() == []


@pytest.mark.long
@with_shares
def test_held_in_mid_fetch_it_stops_and_goes_on_when_it_is_released(facility: Facility, slow: Path) -> None:
    hold = facility.folder / "state" / "hold" / "user-alice"
    hold.parent.mkdir(exist_ok=True)

    hold.touch()
    facility.until(lambda: reason(facility, "slow") == "waiting: held by an admin")
    whole = [path.name for path in (slow / ".dropwatch" / "fetched" / "files").iterdir()]
    hold.unlink()
    done = facility.batch("alice", "done")

    assert "large.bin" not in whole
    assert attempts(done) == 1
    assert facility.imported() == ["run7.ome.tif"]


@pytest.mark.long
@with_shares
def test_stopped_in_mid_fetch_the_daemon_goes_on_after_its_start(facility: Facility, slow: Path) -> None:
    facility.stop()
    left = [path.name for path in (slow / ".dropwatch" / "fetched" / "files").iterdir()]

    facility.start()
    facility.until(lambda: "fetching " in reason(facility, "slow") or facility.retired("alice"))
    done = facility.batch("alice", "done")

    assert "large.bin" not in left
    assert attempts(done) == 1
