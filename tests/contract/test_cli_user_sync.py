"""`dropwatch user sync` against an OMERO server: nothing is changed without --yes, and nothing is removed ever."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropwatch import exits
from dropwatch.model import Place
from dropwatch.spool.permissions import add_user
from facility import Facility


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Facility]:
    made = Facility(tmp_path, users=("alice", "mallory", "zoe"))
    made.config()
    yield made
    made.close()


def sync(place: Facility, *words: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "dropwatch",
        "--config",
        str(place.folder / "dropwatch.yaml"),
        "user",
        "sync",
    ]
    return subprocess.run(
        [*command, *words], capture_output=True, text=True, encoding="utf-8", timeout=200, check=False,
        env={**os.environ, "PYTHONUTF8": "1"},
    )  # fmt: skip


def shown(done: subprocess.CompletedProcess[str]) -> list[tuple[str, str]]:
    """What the table says of each folder."""
    lines = [line.split("  ") for line in done.stdout.splitlines()[1:]]
    return [(cells[0], next(cell.strip() for cell in cells[1:] if cell.strip())) for cells in lines]


def folders(place: Facility) -> set[str]:
    return {path.name for path in place.spool.iterdir()} - {".dropwatch-spool"}


def test_it_shows_first_and_makes_with_yes(place: Facility) -> None:
    (place.spool / "zoe" / "inbox" / "a.tif").write_bytes(b"image")

    dry = sync(place)
    before = folders(place)
    done = sync(place, "--yes")
    again = sync(place, "--yes")

    assert (dry.returncode, done.returncode, again.returncode) == (exits.GOOD,) * 3, done.stderr
    assert shown(dry) == [
        ("to make", "bob"),
        ("to make", "carol"),
        ("to make", "dave"),
        ("there", "alice"),
        ("not in OMERO", "mallory"),
        ("not in OMERO", "zoe"),
    ]
    assert "no e-mail address" in dry.stdout and "the account is not active" in dry.stdout
    assert "Nothing was changed" in dry.stderr and before == {"alice", "mallory", "zoe"}
    assert [standing for standing, _ in shown(done)[:3]] == ["made"] * 3
    assert folders(place) == {"alice", "bob", "carol", "dave", "mallory", "zoe"}
    assert "4 there, 2 not in OMERO." in again.stderr
    assert (place.spool / "zoe" / "inbox" / "a.tif").read_bytes() == b"image"


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_its_folders_are_those_of_user_add(place: Facility) -> None:
    sync(place, "--yes", "--group", "lab-b")
    add_user(place.spool, "dave")
    modes = {
        name: [oct((place.spool / name / one).stat().st_mode) for one in (*Place, ".")]
        for name in ("bob", "dave")
    }

    assert folders(place) == {"alice", "bob", "carol", "dave", "mallory", "zoe"}
    assert modes["bob"] == modes["dave"]


def test_a_group_that_omero_does_not_know_changes_nothing(place: Facility) -> None:
    done = sync(place, "--yes", "--group", "lab-z")

    assert (done.returncode, done.stdout) == (exits.FAILED, "")
    assert "OMERO has no group lab-z" in done.stderr
    assert folders(place) == {"alice", "mallory", "zoe"}


def test_a_folder_that_cannot_be_made_is_told_and_the_others_are_made(place: Facility) -> None:
    (place.spool / "carol").write_text("a file")

    done = sync(place, "--yes")

    assert done.returncode == exits.FAILED
    assert ("could not be made", "carol") in shown(done)
    assert {"bob", "dave"} <= folders(place)


def test_a_spool_that_is_not_mounted_is_not_made_anew(place: Facility) -> None:
    """A daemon has served it before; its folder is empty now."""
    state = place.folder / "state"
    state.mkdir()
    (state / "heartbeat.json").write_text(json.dumps({"spools": {str(place.spool): {}}}))
    place.spool.rename(place.folder / "away")
    place.spool.mkdir()

    dry, done = sync(place), sync(place, "--yes")

    assert (dry.returncode, done.returncode) == (exits.GOOD, exits.FAILED)
    assert "is no spool yet, or not mounted" in dry.stderr
    assert list(place.spool.iterdir()) == []


def test_an_archive_of_folders_knows_nobody(place: Facility) -> None:
    place.settings |= {"importer": "folder", "folder": {"path": str(place.folder / "archive")}}
    place.config()

    done = sync(place)

    assert (done.returncode, done.stdout) == (exits.FAILED, "")
    assert "dropwatch user add NAME" in done.stderr
