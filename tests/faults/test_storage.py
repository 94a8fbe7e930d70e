"""Disks that are full and shares that come and go: nothing is lost or done twice, people are told once, it goes on by
itself. The disks are small ones in memory, the shares a FUSE file system that fails as it is ordered."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("omero")

from dropwatch.ledger import Ledger
from dropwatch.model import FileFact, Fileset
from dropwatch.pipeline import glance
from dropwatch.record import Record
from dropwatch.sandbox.samples import ome_tiff
from dropwatch.spool.reports import write_report
from dropwatch.status import Target, snapshot
from facility import Facility, text_of
from tests.faulty_mount import FaultyMount, SmallDisk, can_fuse, can_mount

with_disks = pytest.mark.skipif(bool(can_mount()), reason=can_mount())
with_shares = pytest.mark.skipif(bool(can_fuse()), reason=can_fuse())

LOCK_FREE = {"import": ["200ms"] * 4, "mail": ["200ms"] * 8, "outage_alert": "1s"}


class Site(Facility):
    """A facility whose spool may be a disk of its own."""

    def bring(self, user: str, path: Path) -> Path:
        """As somebody at another machine does it: copied under a name that is nobody's, then renamed."""
        desk = self.spool / ".desk" / user
        desk.mkdir(parents=True, exist_ok=True)
        shutil.copytree(path, desk / path.name)
        return (desk / path.name).rename(self.spool / user / "inbox" / path.name)

    def targets(self) -> dict[str, Target]:
        """What `status` shows as in trouble."""
        return {one.name: one for one in snapshot(self.config(), time.time(), glance.inbox).targets}

    def attempts(self, envelope: Path) -> int:
        record = json.loads((envelope / ".dropwatch" / "record.json").read_text())
        return int(record["_default"]["1"]["attempts"])

    def is_importing(self) -> bool:
        return bool(self.ask_server("select id from fileset"))


Make = Callable[..., Site]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    made: list[Site] = []

    def make(**settings: Any) -> Site:
        spool = {
            "path": str(tmp_path / "spool"),
            "settle": "200ms",
            "sweep": "1s",
            "watch": "poll",
            "poll": "200ms",
        }
        defaults = {"spools": [spool], "retry": LOCK_FREE, "limits": {"min_free": "1KiB"}}
        made.append(Site(tmp_path, {**defaults, **settings}))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], SmallDisk]]:
    made: list[SmallDisk] = []

    def make(name: str) -> SmallDisk:
        made.append(SmallDisk(tmp_path / name, 4 * 2**20))
        return made[-1]

    yield make
    for one in made:
        one.close()


@contextmanager
def mounted(folder: Path, name: str) -> Iterator[FaultyMount]:
    (folder / f"disk of {name}").mkdir()
    (folder / name).mkdir()
    mount = FaultyMount(folder / f"disk of {name}", folder / name)
    mount.start()
    try:
        yield mount
    finally:
        mount.close()


@pytest.fixture
def share(tmp_path: Path) -> Iterator[FaultyMount]:
    """The spool is one."""
    with mounted(tmp_path, "spool") as mount:
        yield mount


@pytest.fixture
def state_share(tmp_path: Path) -> Iterator[FaultyMount]:
    """The state folder is one."""
    with mounted(tmp_path, "state") as mount:
        yield mount


def assert_all_well(place: Site, *images: str, user: str = "alice") -> None:
    """Imported once, told once, and nothing is in trouble any more."""
    place.until(lambda: place.retired(user))
    place.until(lambda: len(place.subjects(f"{user}@")) == 1)
    place.until(lambda: not place.targets())

    assert place.imported() == list(images)
    assert place.leftovers() == []
    assert len(place.envelopes(user, "done")) == 1
    assert place.subjects(f"{user}@") == [
        one for one in place.subjects(f"{user}@") if "imported" in one.lower()
    ]


# -- full ------------------------------------------------------------------------------------------------


@with_disks
def test_a_spool_that_is_full_in_mid_import_is_told_of_once_and_costs_no_attempt(
    site: Make, disk: Callable[[str], SmallDisk]
) -> None:
    spool = disk("spool")
    place = site()
    place.faults(omero={"hold_upload": True})
    place.drop("alice", "run", "a.ome.tif", "b.ome.tif", "c.ome.tif")
    place.start()
    place.until(place.is_importing)
    spool.fill()
    place.faults()
    place.until(lambda: place.subjects("admin@"))
    place.until(lambda: f"spool:{place.spool}" in place.targets())
    target = place.targets()[f"spool:{place.spool}"]

    assert "full" in target.reason
    assert "Make room" in target.remedy
    assert "full" in text_of(place.mails("admin@")[0])
    spool.empty()
    assert_all_well(place, "a.ome.tif", "b.ome.tif", "c.ome.tif")
    assert place.attempts(place.envelopes("alice", "done")[0]) <= 2, "more than the one in flight"
    assert len(place.subjects("admin@")) == 1


@with_disks
@pytest.mark.long
def test_a_full_state_folder_holds_the_letter_and_so_the_batch_and_the_admin_hears_of_it_meanwhile(
    site: Make, disk: Callable[[str], SmallDisk]
) -> None:
    state = disk("state")
    place = site()
    place.faults(omero={"slow_upload": "1s"})
    place.drop("alice", "run", "a.ome.tif")
    place.start()
    place.until(place.is_importing)
    state.fill()
    place.drop("bob", "later", "b.ome.tif")
    place.until(lambda: place.subjects("admin@"))
    place.until(place.imported)
    place.until(lambda: "state" in place.targets())

    assert "state folder" in text_of(place.mails("admin@")[0])
    assert "full" in place.targets()["state"].reason
    assert len(place.envelopes("alice", "processing")) == 1, "retired before its letter was safe"
    assert place.subjects("alice@") == []
    assert place.envelopes("bob", "processing") == [], "claimed, and nobody can be told of it"
    state.empty()
    place.until(lambda: place.retired("bob"))
    assert_all_well(place, "a.ome.tif", "b.ome.tif")
    place.until(lambda: list((state.mountpoint / "outbox" / "sent").glob("*fault*")))
    assert len(place.subjects("admin@")) == 1, "what was sent from memory was sent again from the disk"


@with_disks
@pytest.mark.long
@pytest.mark.parametrize("what", ["folder", "loose", "returned"])
def test_nothing_is_claimed_while_the_spool_is_nearly_full(
    site: Make, disk: Callable[[str], SmallDisk], what: str
) -> None:
    spool = disk("spool")
    place = site(limits={"min_free": "2MiB"})
    if what == "loose":
        place.drop("alice", "run", "a.ome.tif")
        (place.spool / "alice" / "inbox" / "run" / "a.ome.tif").rename(
            place.spool / "alice" / "inbox" / "a.ome.tif"
        )
        (place.spool / "alice" / "inbox" / "run").rmdir()
    elif what == "returned":
        dropped = place.drop("alice", "run", "a.ome.tif")
        envelope = place.spool / "alice" / "inbox" / "20261124-140355-k3f9_run"
        envelope.mkdir()
        dropped.rename(envelope / "run")
    else:
        place.drop("alice", "run", "a.ome.tif")
    spool.fill(2**20)
    place.start()
    place.until(lambda: place.subjects("admin@"))
    place.until(lambda: f"space:{place.spool}" in place.targets())
    time.sleep(2)

    assert place.envelopes("alice", "processing") == []
    assert place.imports() == []
    spool.empty()
    assert_all_well(place, "a.ome.tif")
    assert len(place.subjects("admin@")) == 1


@with_shares
@pytest.mark.long
def test_an_attempt_that_cannot_be_written_down_is_not_made_and_does_not_count(
    site: Make, share: FaultyMount
) -> None:
    place = site()
    place.faults(omero={"refuse": True})
    place.drop("alice", "run", "a.ome.tif")
    place.start()
    place.until(lambda: "omero" in place.targets())
    share.fail("write", "ENOSPC", "*/record.json.part", count=4)
    place.faults()
    place.until(lambda: len(share.met()) == 4)

    assert_all_well(place, "a.ome.tif")
    assert place.attempts(place.envelopes("alice", "done")[0]) == 1


@with_shares
@pytest.mark.long
def test_an_attempt_whose_end_cannot_be_written_down_is_asked_about_before_the_next(
    site: Make, share: FaultyMount
) -> None:
    place = site()
    place.faults(omero={"lose_reply": 1})
    place.drop("alice", "run", "a.ome.tif")
    share.fail("write", "ENOSPC", "*/record.json.part", skip=3, count=1)
    place.start()
    place.until(share.met)

    assert_all_well(place, "a.ome.tif")


# -- gone and back ---------------------------------------------------------------------------------------


PHASES: dict[str, Callable[[Site], object]] = {
    "idle": lambda place: (place.folder / "state" / "heartbeat.json").exists(),
    "settling": lambda place: True,
    "claimed": lambda place: place.envelopes("alice", "processing"),
    "importing": Site.is_importing,
    "imported": Site.imported,
}


@with_shares
@pytest.mark.parametrize(
    ("phase", "how"),
    [
        pytest.param(
            phase, how, marks=[] if (phase, how) == ("importing", "unmounted") else [pytest.mark.long]
        )
        for phase in PHASES
        for how in ("unmounted", "dead", "stale")
    ],
)
def test_a_share_that_is_lost_and_comes_back_costs_nothing_but_time(
    site: Make, share: FaultyMount, phase: str, how: str
) -> None:
    place = site()
    place.faults(omero={"hold_upload": True} if phase == "importing" else {"slow_upload": "1s"})
    if phase != "idle":
        place.drop("alice", "run", "a.ome.tif", "b.ome.tif")
    place.start()
    place.until(lambda: PHASES[phase](place))
    lose(share, how)
    if phase == "importing":
        place.faults()
    place.until(lambda: f"spool:{share.mountpoint}" in place.targets())
    place.until(lambda: place.subjects("admin@"))
    if how == "unmounted":
        assert list(share.mountpoint.iterdir()) == [], "something was made where the share should be"
    assert place.subjects("alice@") == []
    bring_back(share, how)
    place.faults()
    if phase == "idle":
        place.until(lambda: not place.targets())
        place.drop("alice", "run", "a.ome.tif", "b.ome.tif")

    assert_all_well(place, "a.ome.tif", "b.ome.tif")
    assert place.attempts(place.envelopes("alice", "done")[0]) <= 2
    place.until(lambda: len(place.subjects("admin@")) == 2)
    assert "reach" in place.subjects("admin@")[1].lower()


def lose(share: FaultyMount, how: str) -> None:
    if how == "unmounted":
        share.unmount()
    elif how == "dead":
        share.die()
    else:
        share.fail("*", "ESTALE", apart=True)


def bring_back(share: FaultyMount, how: str) -> None:
    if how == "stale":
        share.heal()
        return
    subprocess.run(["umount", "-l", str(share.mountpoint)], check=False, capture_output=True)
    share.start()


@with_shares
@pytest.mark.long
def test_what_a_share_does_not_show_for_a_moment_is_not_withdrawn(site: Make, share: FaultyMount) -> None:
    spool = {"path": str(share.mountpoint), "settle": "200ms", "sweep": "1s", "watch": "poll", "poll": "1s"}
    place = site(spools=[spool])
    place.faults(omero={"slow_upload": "4s"})
    place.drop("alice", "run", "a.ome.tif", "b.ome.tif")
    place.start()
    place.until(place.is_importing)
    hidden = place.batch("alice", "processing") / "run"
    share.fail("getattr", "ENOENT", f"*/{hidden.parent.name}/run", count=-1)
    time.sleep(4)  # long enough for a look, and too short for a second one that would prove it
    share.heal()
    place.faults()

    assert_all_well(place, "a.ome.tif", "b.ome.tif")


@with_shares
def test_a_rename_that_failed_and_happens_later_costs_no_file(site: Make, share: FaultyMount) -> None:
    place = site()
    share.fail("rename", "EIO", "*/processing/*/run", count=1, late=True)
    place.drop("alice", "run", "a.ome.tif", "b.ome.tif")
    place.start()

    assert_all_well(place, "a.ome.tif", "b.ome.tif")


@with_shares
@pytest.mark.long
def test_a_file_that_cannot_be_read_fails_alone_and_not_the_share(site: Make, share: FaultyMount) -> None:
    place = site()
    place.drop("alice", "run", "a.ome.tif", "b.ome.tif")
    place.drop("bob", "other", "c.ome.tif")
    share.fail("read", "EIO", "*/a.ome.tif")
    place.start()
    place.until(lambda: place.retired("alice") and place.retired("bob"))

    assert place.imported() == ["b.ome.tif", "c.ome.tif"]
    assert len(place.envelopes("alice", "failed")) == 1
    assert not [name for name in place.targets() if name.startswith("spool:")]


@with_shares
@pytest.mark.long
def test_what_a_share_shows_late_is_not_claimed_early(site: Make, share: FaultyMount) -> None:
    """Another machine writes; what this one sees of it is up to three seconds old."""
    place = site()
    images = place.folder / "images"
    images.mkdir()
    for number in (1, 2):
        ome_tiff(images / f"{number}.ome.tif", seed=number)
    listed = [{"path": path.name, "size": path.stat().st_size} for path in sorted(images.iterdir())]
    share.stale(3.0)
    place.start()
    place.until((place.folder / "state" / "heartbeat.json").exists)
    inbox = share.backing / "alice" / "inbox" / "run"
    inbox.mkdir()
    (inbox / "batch.json").write_text(json.dumps({"files": listed}))
    shutil.copy(images / "1.ome.tif", inbox)
    whole = (images / "2.ome.tif").read_bytes()
    with (inbox / "2.ome.tif").open("wb", buffering=0) as file:
        for start in range(0, len(whole), 1 + len(whole) // 4):
            file.write(whole[start : start + 1 + len(whole) // 4])
            time.sleep(1)
    written = time.time()

    assert_all_well(place, "1.ome.tif", "2.ome.tif")
    stamp = place.envelopes("alice", "done")[0].name[:15]
    assert stamp >= time.strftime("%Y%m%d-%H%M%S", time.gmtime(written - 1)), "claimed before it was written"


@with_shares
@pytest.mark.long
def test_a_letter_that_was_sent_and_cannot_be_put_away_is_not_sent_again(
    site: Make, state_share: FaultyMount
) -> None:
    place = site()
    state_share.fail("rename", "EIO", "*/outbox/sent/*", count=1)
    place.drop("alice", "run", "a.ome.tif")
    place.start()
    place.until(lambda: list((place.folder / "state" / "outbox" / "sent").glob("*outcome*")))

    assert_all_well(place, "a.ome.tif")
    assert len(state_share.met()) == 1


# -- the memory of a batch -------------------------------------------------------------------------------


@pytest.fixture
def envelope(tmp_path: Path) -> Path:
    return tmp_path / "spool" / "alice" / "processing" / "20261124-140355-k3f9_run"


RECORD = Record("20261124-140355-k3f9", "20261124-140355-k3f9", "alice", "run", "run", 1_795_525_435.0)


def filesets(count: int) -> list[Fileset]:
    return [Fileset(f"{number:032}", (FileFact(f"{number}.ome.tif", 1, 1),)) for number in range(count)]


@with_shares
def test_a_record_that_cannot_be_read_now_is_not_lost(share: FaultyMount, envelope: Path) -> None:
    envelope.mkdir(parents=True)
    ledger = Ledger(".dropwatch")
    ledger.write(envelope, RECORD)
    ledger.plan(envelope, RECORD.claim, filesets(1))
    for op in ("read", "open"):
        share.fail(op, "EIO", "*/.dropwatch/*")

        with pytest.raises(OSError, match="Input/output"):
            ledger.read(envelope)
        with pytest.raises(OSError, match="Input/output"):
            ledger.lines(envelope)
        share.heal()
    assert ledger.read(envelope) == RECORD
    assert len(ledger.lines(envelope)) == 1


@with_disks
def test_a_line_that_a_full_disk_tore_takes_no_other_with_it(
    disk: Callable[[str], SmallDisk], envelope: Path
) -> None:
    spool = disk("spool")
    envelope.mkdir(parents=True)
    ledger = Ledger(".dropwatch")
    ledger.plan(envelope, "before", filesets(1))
    spool.fill()
    with pytest.raises(OSError, match="No space") as caught:
        ledger.plan(envelope, "torn", filesets(200))
    spool.empty()
    ledger.plan(envelope, "after", filesets(1))
    torn = (envelope / ".dropwatch" / "filesets.jsonl").read_text().splitlines()[-2]

    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        json.loads(torn)
    assert len(ledger.lines(envelope, "before")) == len(ledger.lines(envelope, "after")) == 1
    assert str(caught.value.filename).startswith(str(envelope))


@with_disks
def test_what_a_full_disk_cuts_short_leaves_nothing_that_holds_anybody_back(
    disk: Callable[[str], SmallDisk], envelope: Path
) -> None:
    spool = disk("spool")
    envelope.mkdir(parents=True)
    ledger = Ledger(".dropwatch")
    ledger.write(envelope, RECORD)
    write_report(envelope, "begun", durably=True)
    spool.fill(4096)
    with pytest.raises(OSError, match="No space"):
        ledger.write(envelope, replace(RECORD, name="x" * 20_000))
    with pytest.raises(OSError, match="No space"):
        write_report(envelope, "x" * 20_000, durably=True)

    assert ledger.read(envelope) == RECORD
    assert (envelope / "REPORT.txt").read_text() == "begun"
    assert not list(envelope.rglob("*.part"))
