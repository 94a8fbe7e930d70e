"""Places are looked at and never left: no link, no ``..``, no name leads out, and a huge folder stays usable."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from dropwatch.errors import OperatorError, PermanentError, Unavailable
from dropwatch.places import Sort, Source, listing, measure, opened, search, walk
from dropwatch.spool.accounts import Account, acting_as

posix = pytest.mark.skipif(sys.platform == "win32", reason="names of bytes, links for everyone")


def place(top: Path, *files: str, users: tuple[str, ...] = ("*",)) -> Source:
    """A place at *top*/disk with *files* in it, each of one byte a letter of its name."""
    disk = top / "disk"
    disk.mkdir()
    for file in files:
        disk.joinpath(file).parent.mkdir(parents=True, exist_ok=True)
        disk.joinpath(file).write_bytes(b"x" * len(file))
    return Source("confocal1-disk", disk, users)


def names(entries: object) -> list[str]:
    return [entry.path for entry in entries]  # type: ignore[attr-defined]


# -- who may use it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("users", "groups", "allowed"),
    [
        (("*",), (), True),
        (("ALICE",), (), True),
        (("bob",), (), False),
        (("group:imaging",), ("imaging",), True),
        (("group:imaging",), (), False),
        (("group:alice",), (), False),
        (("imaging",), ("imaging",), False),
        ((), ("imaging",), False),
    ],
)
def test_only_who_is_listed_may_use_a_place(
    users: tuple[str, ...], groups: tuple[str, ...], allowed: bool
) -> None:
    source = Source("disk", Path("/data"), users)

    assert source.may_use("alice", "a.liddell", groups=groups) is allowed


# -- what lies there -----------------------------------------------------------------------------------------


def test_a_page_shows_folders_first_and_no_litter(tmp_path: Path) -> None:
    source = place(tmp_path, "b.czi", "A.czi", "run7/x.czi", ".DS_Store", "half.czi.part")

    page = listing(source)

    assert names(page.entries) == ["run7", "A.czi", "b.czi", "half.czi.part"]
    assert [entry.size for entry in page.entries] == [None, 5, 5, 13]
    assert [entry.unfinished for entry in page.entries] == [False, False, False, True]
    assert not page.more


def test_pages_follow_one_another_and_the_newest_may_come_first(tmp_path: Path) -> None:
    source = place(tmp_path, "a", "b", "c")
    for number, name in enumerate("bca"):
        os.utime(source.path / name, (1000 + number, 1000 + number))

    first, second = listing(source, most=2), listing(source, start=2, most=2)
    newest = listing(source, most=2, sort=Sort.NEWEST)

    assert (names(first.entries), first.more, first.total) == (["a", "b"], True, 3)
    assert (names(second.entries), second.more) == (["c"], False)
    assert (names(newest.entries), newest.entries[0].mtime) == (["a", "c"], 1002.0)


@posix
def test_names_that_are_no_text_survive_and_can_be_read_by_people(tmp_path: Path) -> None:
    source = place(tmp_path, "e\u0301.czi")  # macOS writes é so
    for raw in (b"\xff\xfe.czi", b"two\nlines\x1b[2J.czi"):
        Path(os.fsdecode(os.fsencode(source.path) + b"/" + raw)).write_bytes(b"x")

    entries = {entry.label: entry for entry in listing(source).entries}

    assert set(entries) == {"\\xff\\xfe.czi", "two\\nlines\\x1b[2J.czi", "é.czi"}
    assert entries["\\xff\\xfe.czi"].path == "\udcff\udcfe.czi"
    for entry in entries.values():
        with opened(source, entry.path) as descriptor:
            assert os.read(descriptor, 1) == b"x"
    with opened(source, "é.czi") as descriptor:
        assert os.read(descriptor, 1) == b"x"


@posix
def test_what_is_no_file_is_shown_with_the_reason_and_never_opened(tmp_path: Path) -> None:
    source = place(tmp_path, "a.czi", "back\\slash.czi")
    (tmp_path / "secret").write_text("secret")
    (source.path / "link").symlink_to(tmp_path / "secret")
    (source.path / "up").symlink_to(tmp_path)
    os.mkfifo(source.path / "pipe")

    entries = {entry.path: entry.refused for entry in listing(source).entries}

    assert entries["a.czi"] == ""
    assert (entries["link"], entries["up"], entries["pipe"]) == (
        "it is a link",
        "it is a link",
        "it is a pipe",
    )
    assert "a name that no manifest can hold" in entries["back\\slash.czi"]
    for path in ("link", "pipe", "up/secret"):
        with pytest.raises(PermanentError), opened(source, path):
            pass


# -- nobody is led out ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["..", "run7/../..", "/etc", "\\\\server\\share", "C:\\x", "a\0b", "x/" * 70]
)
def test_no_name_leads_out(tmp_path: Path, path: str) -> None:
    source = place(tmp_path, "run7/x.czi")

    for look in (
        listing,
        lambda *args: measure(args[0], [args[1]]),
        lambda *args: search(args[0], "x", args[1]),
    ):
        with pytest.raises(PermanentError):
            look(source, path)  # type: ignore[operator]


@posix
def test_a_link_that_comes_in_place_of_a_folder_leads_nowhere(tmp_path: Path) -> None:
    """Somebody swaps a folder and a link to outside as fast as they can while we look."""
    source = place(tmp_path, "run7/mine.czi", "other.czi")
    outside, aside, over = tmp_path / "outside", tmp_path / "aside", threading.Event()
    outside.mkdir()
    (outside / "secret.czi").write_text("secret")

    def swap() -> None:
        run7 = source.path / "run7"
        while not over.is_set():
            run7.rename(aside)
            run7.symlink_to(outside)
            run7.unlink()
            aside.rename(run7)

    seen: set[str] = set()
    thread = threading.Thread(target=swap)
    thread.start()
    try:
        enough, end = time.monotonic() + 0.5, time.monotonic() + 90
        while time.monotonic() < enough or ("run7/mine.czi" not in seen and time.monotonic() < end):
            for look in (lambda: listing(source, "run7").entries, lambda: walk(source, [""])):
                try:
                    seen |= set(names(look()))
                except PermanentError:
                    continue
    finally:
        over.set()
        thread.join()

    assert "run7/mine.czi" in seen
    assert seen <= {"run7/mine.czi", "run7", "other.czi"}


def test_the_place_itself_may_lie_behind_a_link_of_the_admin(tmp_path: Path) -> None:
    source = place(tmp_path, "a.czi")
    (tmp_path / "data").symlink_to(source.path)

    assert names(listing(Source("disk", tmp_path / "data", ("*",))).entries) == ["a.czi"]


# -- what is not there ---------------------------------------------------------------------------------------


def test_a_place_that_is_gone_or_empty_is_an_outage_and_a_missing_file_is_not(tmp_path: Path) -> None:
    source = place(tmp_path, "a.czi")

    with pytest.raises(PermanentError, match="run7 is not there in confocal1-disk"):
        listing(source, "run7")
    (source.path / "a.czi").unlink()
    with pytest.raises(Unavailable, match="not there, or empty") as empty:
        measure(source, ["a.czi"])
    shutil.rmtree(source.path)
    with pytest.raises(Unavailable) as gone:
        listing(source)

    assert {empty.value.concerns, gone.value.concerns} == {"place:confocal1-disk"}


@posix
def test_a_closed_folder_is_told_by_name_and_a_closed_place_needs_the_admin() -> None:
    who = None if os.geteuid() else Account("nobody", 64001, 64001)  # root may read everything
    with tempfile.TemporaryDirectory() as top:
        Path(top).chmod(0o755)
        source = place(Path(top), "a.czi", "shut/b.czi")
        (source.path / "shut").chmod(0)
        with acting_as(who, umask=0o022):
            selection = measure(source, [""])
            with pytest.raises(PermanentError, match="may not read shut"):
                listing(source, "shut")
        source.path.chmod(0)
        with acting_as(who, umask=0o022), pytest.raises(OperatorError) as closed:
            listing(source)
        source.path.chmod(0o700)
        (source.path / "shut").chmod(0o700)

    refused = [(entry.path, entry.refused) for entry in selection.refused]
    assert refused == [("shut", "it is a folder that cannot be read")]
    assert closed.value.concerns == "place:confocal1-disk"


# -- searching and measuring ---------------------------------------------------------------------------------


def test_a_search_finds_files_and_folders_below_within_bounds(tmp_path: Path) -> None:
    source = place(tmp_path, "HeLa.czi", "day1/hela 2.czi", "day1/deep/HELA/x.czi", "other.czi")

    everything = search(source, "hela")
    some = search(source, "hela", most=1)
    little = search(source, "hela", looked=2)

    assert names(everything.entries) == ["HeLa.czi", "day1/hela 2.czi", "day1/deep/HELA"]
    assert everything.complete
    assert (names(some.entries), some.complete) == (["HeLa.czi"], False)
    assert (names(little.entries), little.complete) == (["HeLa.czi"], False)
    assert not search(source, "hela", "day1", stopped=lambda: True).complete


@posix
def test_a_selection_is_measured_once_and_says_what_cannot_be_fetched(tmp_path: Path) -> None:
    source = place(tmp_path, "run7/a.czi", "run7/deep/b.czi", "c.czi", "run7/d.czi.part")
    (source.path / "run7" / "link").symlink_to("a.czi")

    selection = measure(source, ["run7", "run7/deep", "c.czi"])
    bounded = measure(source, ["run7"], most=1)

    assert (selection.files, selection.bytes) == (4, 10 + 15 + 5 + 15)
    assert [entry.path for entry in selection.refused] == ["run7/link"]
    assert selection.unfinished == ("run7/d.czi.part",)
    assert selection.complete
    assert not bounded.complete


@pytest.mark.long
def test_a_folder_of_100000_files_stays_usable(tmp_path: Path) -> None:
    source = place(tmp_path, "first")
    for number in range(100_000):
        os.close(os.open(source.path / f"tile {number:06}.tif", os.O_CREAT | os.O_WRONLY))

    began = time.monotonic()
    page = listing(source, start=99_900, most=50)
    took = time.monotonic() - began
    found = search(source, "tile 0999")

    assert (page.total, len(page.entries), page.more) == (100_001, 50, True)
    assert took < 3.0
    assert len(found.entries) == 100
