"""The spool, with real directories: what is seen, what is ours, how things move, and what is refused."""

from __future__ import annotations

import errno
import os
import random
import sys
from pathlib import Path

import pytest

from dropwatch.errors import OperatorError, PermanentError, Unavailable
from dropwatch.litter import is_junk, is_temporary
from dropwatch.model import CLAIM_STAMP, Place
from dropwatch.spool import loose
from dropwatch.spool.folders import (
    InboxEntry,
    Spool,
    Users,
    claim_stamp,
    inner_folder,
    shortened,
)
from dropwatch.spool.locks import is_held, locked
from dropwatch.spool.moves import move
from dropwatch.spool.tree import Oddity, being_written, read_small, snapshot

CLAIM = "20261124-080000-abcd"
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX names, links and devices")


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    root = tmp_path / "spool"
    for place in Place:
        (root / "alice" / place.value).mkdir(parents=True)
    (root / ".dropwatch-spool").write_text("{}")
    return Spool(root)


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# -- what is seen ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [".DS_Store", "._cell.tif", "Thumbs.db", "THUMBS.DB", "desktop.ini", "~$notes.docx", ".smbdelete00123",
     ".nfs000123", "@eaDir", "__MACOSX", "lost+found", ".dropwatch", ".~lock.notes.odt#", ".notes.txt.swp",
     ".Trash-1000", ".directory", ".fseventsd", "ehthumbs.db", "$RECYCLE.BIN", ".fuse_hidden0001", ".stfolder",
     ".dropbox.cache", ".AppleDouble", "Icon\r", "#recycle"],
)  # fmt: skip
def test_litter_of_desktops_and_servers_is_never_part_of_a_batch(tmp_path: Path, name: str) -> None:
    fill(tmp_path, "a.tif", name, f"deep/{name}")

    assert is_junk(name)
    assert [file.path for file in snapshot(tmp_path).files] == ["a.tif"]


@pytest.mark.parametrize("name", ["Thumbs.db.tif", "a.DS_Store", "desktop.ini.czi", "@eaDir2", "xlost+found"])
def test_names_that_only_resemble_litter_are_files(name: str) -> None:
    assert not is_junk(name)


@pytest.mark.parametrize(
    "name",
    [
        ".hidden.tif",
        ".cells.zarr",
        "a.download",
        "a.tmp",
        "a.PART",
        "a.partial",
        "a.crdownload",
        "a.filepart",
        "a.tif~",
        ".a.tif.Xy12Za",
    ],
)
def test_temporary_names_hold_a_batch_back_at_any_depth(tmp_path: Path, name: str) -> None:
    fill(tmp_path, "a.tif", f"deep/er/{name}")

    assert is_temporary(name)
    assert snapshot(tmp_path).temporary == (f"deep/er/{name}",)


def test_hidden_files_that_are_no_half_images_are_seen_apart(tmp_path: Path) -> None:
    fill(tmp_path, "a.tif", ".metadata", "deep/.git/config", ".git/half.part", "cells.zarr/0/.zattrs")

    seen = snapshot(tmp_path)
    assert seen.hidden == (".metadata", "deep/.git/config")
    assert seen.temporary == (".git/half.part",)
    assert [file.path for file in seen.files if file.path not in seen.hidden + seen.temporary] == [
        "a.tif",
        "cells.zarr/0/.zattrs",
    ]


def test_a_folder_that_is_still_copied_under_a_temporary_name_is_held_back(tmp_path: Path) -> None:
    assert snapshot(fill(tmp_path / "run 7.part", "a.tif")).temporary == ("run 7.part",)
    assert snapshot(fill(tmp_path / ".run 7", "a.tif")).temporary == (".run 7",)


@posix
def test_what_is_no_file_is_named_and_never_followed_or_opened(tmp_path: Path) -> None:
    folder = fill(tmp_path / "batch", "a.tif")
    fill(tmp_path / "elsewhere", "secret.tif")
    (folder / "link.tif").symlink_to(tmp_path / "elsewhere" / "secret.tif")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "nowhere").symlink_to("nothing")
    os.mkfifo(folder / "pipe.tif")

    seen = snapshot(folder)

    assert [file.path for file in seen.files] == ["a.tif"]
    assert seen.oddities == (
        Oddity("link.tif", "a link"),
        Oddity("linked", "a link"),
        Oddity("nowhere", "a link"),
        Oddity("pipe.tif", "a pipe"),
    )


@posix
def test_names_are_bytes_to_us(tmp_path: Path) -> None:
    names = [
        b"undecodable \xff\xfe.tif",
        "re\u0301sume\u0301.tif".encode(),
        b"new\nline.tif",
        b"x" * 251 + b".tif",
    ]
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"data")

    assert sorted(os.fsencode(file.path) for file in snapshot(tmp_path).files) == sorted(names)


def test_a_change_of_size_time_or_identity_is_a_change(tmp_path: Path) -> None:
    file = fill(tmp_path / "batch", "a.tif") / "a.tif"
    os.utime(file, ns=(1, 1_000_000_000))
    first = snapshot(tmp_path / "batch")

    assert snapshot(tmp_path / "batch") == first
    file.write_text("a.tiff")
    os.utime(file, ns=(1, 1_000_000_000))
    longer = snapshot(tmp_path / "batch")
    assert longer != first
    os.utime(file, ns=(1, 2_000_000_000))
    assert snapshot(tmp_path / "batch") != longer


def test_folders_of_folders_without_end_are_refused_by_name(tmp_path: Path) -> None:
    fill(tmp_path, "/".join(["d"] * 70) + "/a.tif")

    assert [odd.what for odd in snapshot(tmp_path).oddities] == ["more than 64 folders deep"]


def test_only_a_small_regular_file_is_read(tmp_path: Path) -> None:
    fill(tmp_path, "batch.yaml")

    assert read_small(tmp_path / "batch.yaml", most=10) == b"batch.yaml"
    with pytest.raises(PermanentError, match="too large"):
        read_small(tmp_path / "batch.yaml", most=9)
    if sys.platform != "win32":
        (tmp_path / "link.yaml").symlink_to("batch.yaml")
        os.mkfifo(tmp_path / "pipe.yaml")
        with pytest.raises(PermanentError, match="is a link"):
            read_small(tmp_path / "link.yaml", most=10)
        with pytest.raises(PermanentError, match="is a pipe"):
            read_small(tmp_path / "pipe.yaml", most=10)


@pytest.mark.skipif(sys.platform != "linux", reason="read leases are Linux's")
def test_a_file_that_somebody_has_open_for_writing_is_known_as_such(tmp_path: Path) -> None:
    path = fill(tmp_path, "a.tif") / "a.tif"

    with path.open("ab"):
        assert being_written(path)
    with path.open("rb"):
        assert not being_written(path)
    assert not being_written(tmp_path / "not there")


# -- users and places ------------------------------------------------------------------------------------


def test_a_user_is_a_folder_with_an_inbox(spool: Spool) -> None:
    (spool.root / "bob" / "inbox").mkdir(parents=True)
    (spool.root / "no inbox").mkdir()
    (spool.root / ".hidden" / "inbox").mkdir(parents=True)
    (spool.root / "lost+found" / "inbox").mkdir(parents=True)
    (spool.root / "file").write_text("")

    assert spool.users() == Users(("alice", "bob"))


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the file system does not tell case apart")
def test_users_that_differ_by_case_only_are_refused_both_and_the_others_go_on(spool: Spool) -> None:
    for name in ("Alice", "bob"):
        (spool.root / name / "inbox").mkdir(parents=True)

    assert spool.users() == Users(("bob",), clashing=("Alice", "alice"))


@posix
def test_an_inbox_that_is_a_link_makes_no_user(spool: Spool) -> None:
    (spool.root / "bob").mkdir()
    (spool.root / "bob" / "inbox").symlink_to(spool.root / "alice" / "inbox")

    assert spool.users() == Users(("alice",))


def test_a_spool_without_its_identity_is_not_mounted_rather_than_empty(spool: Spool) -> None:
    spool.check_present()
    spool.identity.unlink()

    with pytest.raises(Unavailable, match="identity file"):
        spool.check_present()


@posix
def test_missing_places_are_made_and_a_place_elsewhere_is_refused(spool: Spool, tmp_path: Path) -> None:
    (spool.root / "alice" / "done").rmdir()
    spool.ensure_places("alice")
    assert (spool.root / "alice" / "done").is_dir()

    (spool.root / "alice" / "failed").rmdir()
    (spool.root / "alice" / "failed").symlink_to(tmp_path)
    with pytest.raises(OperatorError, match="not a plain folder"):
        spool.ensure_places("alice")


@posix
def test_the_inbox_is_told_apart_into_folders_and_loose_things(spool: Spool) -> None:
    inbox = fill(spool.folder("alice", Place.INBOX), "run/a.tif", "loose.tif", ".DS_Store")
    (inbox / "link").symlink_to(inbox / "run")

    assert spool.inbox("alice") == [
        InboxEntry("link", False),
        InboxEntry("loose.tif", False),
        InboxEntry("run", True),
    ]


# -- claims and envelopes --------------------------------------------------------------------------------


def test_a_claim_stamp_is_utc_time_and_four_letters() -> None:
    stamp = claim_stamp(1795507435.0, random.Random(1))

    assert CLAIM_STAMP.fullmatch(stamp)
    assert stamp.startswith("20261124-")
    assert claim_stamp(1795507436.0, random.Random(1)) > stamp


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("HeLa day 3", "HeLa day 3"),
        ("x" * 200, "x" * 60),
        ("é" * 40, "é" * 30),  # two bytes each, and no half letter
        ("a" + "é" * 40, "a" + "é" * 29),
        ("name. .", "name"),  # Windows would cut these anyway
        (". .", "batch"),
    ],
)
def test_the_name_in_an_envelope_is_cut_at_a_letter(name: str, short: str) -> None:
    assert shortened(name) == short


def test_a_batch_goes_its_way_as_it_is(spool: Spool) -> None:
    inbox = fill(spool.folder("alice", Place.INBOX), "run/deep/a.tif")
    before = (inbox / "run").stat().st_ino

    envelope = spool.make_envelope("alice", CLAIM, "run", "run")
    assert [one.folder for one in spool.envelopes("alice", Place.PROCESSING)] == [""]  # not claimed yet
    spool.take("run", envelope)
    assert list(spool.envelopes("alice", Place.PROCESSING)) == [envelope]
    done = spool.retire(envelope, Place.DONE)

    assert list(spool.envelopes("alice", Place.DONE)) == [done]
    assert done.path.name == f"{CLAIM}_run"
    assert (done.batch_folder / "deep" / "a.tif").read_text() == "run/deep/a.tif"
    assert done.batch_folder.stat().st_ino == before
    assert not (inbox / "run").exists()


def test_folders_of_others_in_processing_are_none_of_ours(spool: Spool) -> None:
    processing = spool.folder("alice", Place.PROCESSING)
    fill(processing, "my own folder/a.tif", f"{CLAIM}/a.tif", f"{CLAIM}-x/a.tif", f"{CLAIM}_file")

    assert list(spool.envelopes("alice", Place.PROCESSING)) == []


def test_an_envelope_moved_back_is_known_by_its_memory_or_its_stamp(spool: Spool) -> None:
    inbox = spool.folder("alice", Place.INBOX)
    fill(inbox, f"{CLAIM}_run/run/a.tif", "renamed/run/a.tif", "renamed/.dropwatch/record.json")

    by_stamp, by_memory = spool.returned("alice", f"{CLAIM}_run"), spool.returned("alice", "renamed")

    assert by_stamp is not None
    assert (by_stamp.claim, by_stamp.folder) == (CLAIM, "run")
    assert by_memory is not None
    assert (by_memory.claim, by_memory.folder) == ("", "run")


def test_what_only_looks_like_an_envelope_is_a_fresh_folder(spool: Spool) -> None:
    inbox = spool.folder("alice", Place.INBOX)
    fill(inbox, "run/a.tif", f"{CLAIM}_mine/a.tif", f"{CLAIM}_two/one/a.tif", f"{CLAIM}_two/two/a.tif")

    for name in ("run", f"{CLAIM}_mine", f"{CLAIM}_two"):
        assert spool.returned("alice", name) is None, name


def test_a_claim_that_did_not_happen_leaves_nothing(spool: Spool) -> None:
    envelope = spool.make_envelope("alice", CLAIM, "run", "run")
    fill(
        envelope.path,
        ".dropwatch/record.json",
        ".dropwatch/deep/x",
        "REPORT.txt",
        "REPORT.txt.part",
        ".DS_Store",
    )

    spool.undo(envelope)

    assert list(spool.folder("alice", Place.PROCESSING).iterdir()) == []


@pytest.mark.parametrize(
    "names", [("run/a.tif",), ("one/a.tif", "two/a.tif"), ("a.tif",), ("empty folder/",)]
)
def test_an_envelope_with_anything_of_a_user_is_never_removed(spool: Spool, names: tuple[str, ...]) -> None:
    envelope = spool.make_envelope("alice", CLAIM, "run", "gone")
    for name in names:
        (envelope.path / name).mkdir(parents=True) if name.endswith("/") else fill(envelope.path, name)
    fill(envelope.path, ".dropwatch/record.json")

    with pytest.raises(OperatorError, match="not ours"):
        spool.undo(envelope)
    assert all((envelope.path / name).exists() for name in (*names, ".dropwatch/record.json"))


def test_loose_files_are_gathered_again_from_where_it_stopped(spool: Spool) -> None:
    inbox = fill(spool.folder("alice", Place.INBOX), "s.tif", "s.xml", "other.tif")
    envelope = spool.make_envelope("alice", CLAIM, "s", "s, 24 Nov 2026 09.00")
    names = ("s.tif", "s.xml")
    loose.gather(spool, envelope, names[:1])
    assert loose.ungathered(spool, envelope, names)

    loose.gather(spool, envelope, names)

    assert not loose.ungathered(spool, envelope, names)
    assert names_in(envelope.batch_folder) == ["s.tif", "s.xml"]
    assert names_in(inbox) == ["other.tif"]


def test_a_file_of_the_same_name_that_came_later_is_not_taken_for_the_gathered_one(spool: Spool) -> None:
    inbox = fill(spool.folder("alice", Place.INBOX), "s.tif")
    envelope = spool.make_envelope("alice", CLAIM, "s", "s")
    loose.gather(spool, envelope, ("s.tif",))
    (inbox / "s.tif").write_text("another one")

    loose.gather(spool, envelope, ("s.tif",))

    assert not loose.ungathered(spool, envelope, ("s.tif",))
    assert (envelope.batch_folder / "s.tif").read_text() == "s.tif"
    assert (inbox / "s.tif").read_text() == "another one"


@posix
def test_the_folder_in_an_envelope_is_the_only_one_that_is_not_ours(tmp_path: Path) -> None:
    fill(tmp_path / "one", ".dropwatch/record.json", "REPORT.txt", "run/a.tif")
    fill(tmp_path / "two", "a/a.tif", "b/a.tif")
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "run").symlink_to(tmp_path)

    found = [inner_folder(tmp_path / name) for name in ("one", "two", "link", "not there")]

    assert found == ["run", "", "run", ""]


# -- moving ----------------------------------------------------------------------------------------------


def test_a_move_never_lands_on_something(tmp_path: Path) -> None:
    fill(tmp_path, "a", "b")
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder").mkdir()

    for source, target in (("a", "b"), ("folder", "empty")):  # rename(2) would replace both
        with pytest.raises(FileExistsError):
            move(tmp_path / source, tmp_path / target)
    assert (tmp_path / "b").read_text() == "b"


@posix
def test_a_move_never_lands_on_a_dangling_link(tmp_path: Path) -> None:
    fill(tmp_path, "a")
    (tmp_path / "link").symlink_to("nowhere")

    with pytest.raises(FileExistsError):
        move(tmp_path / "a", tmp_path / "link")


def test_what_is_gone_cannot_be_moved(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        move(tmp_path / "gone", tmp_path / "target")


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="needs a second file system")
def test_a_move_to_another_file_system_is_refused_and_nothing_is_copied(tmp_path: Path) -> None:
    folder = fill(tmp_path / "run", "a.tif")
    target = Path("/dev/shm") / f"dropwatch-test-{os.getpid()}"
    if tmp_path.stat().st_dev == target.parent.stat().st_dev:
        pytest.skip("it is the same one")

    with pytest.raises(OperatorError, match="different file systems") as caught:
        move(folder, target)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.EXDEV
    assert "never copied" in caught.value.remedy
    assert (folder / "a.tif").exists()
    assert not target.exists()


# -- locks -----------------------------------------------------------------------------------------------


def test_workers_share_a_lock_and_the_daemon_sees_that_it_is_held(tmp_path: Path) -> None:
    lock = tmp_path / "lock"

    with locked(lock, shared=True) as first, locked(lock, shared=True) as second:
        assert (first, second, is_held(lock)) == (True, True, True)
    assert not is_held(lock)


def test_an_exclusive_lock_is_had_by_one_only(tmp_path: Path) -> None:
    lock = tmp_path / "lock"

    with locked(lock, shared=False) as first, locked(lock, shared=False) as second:
        assert (first, second) == (True, False)


def test_a_loose_file_that_a_power_cut_left_under_both_its_names_is_one_file(spool: Spool) -> None:
    """btrfs does that between the syncs of the two folders (tests/crash/test_power_cuts.py)."""
    inbox = spool.folder("alice", Place.INBOX)
    (inbox / "a.tif").write_bytes(b"a")
    (inbox / "b.tif").write_bytes(b"b")
    envelope = spool.make_envelope("alice", "20261124-140355-k3f9", "a", "a")
    envelope.batch_folder.mkdir()
    (envelope.batch_folder / "a.tif").hardlink_to(inbox / "a.tif")
    (envelope.batch_folder / "b.tif").write_bytes(b"another b")
    waits = loose.ungathered(spool, envelope, ("a.tif",))
    loose.gather(spool, envelope, ("a.tif", "b.tif"))

    assert waits
    assert [path.name for path in inbox.iterdir()] == ["b.tif"], "another file was taken for it"
    assert (envelope.batch_folder / "a.tif").read_bytes() == b"a"
    assert not loose.ungathered(spool, envelope, ("a.tif", "b.tif"))
