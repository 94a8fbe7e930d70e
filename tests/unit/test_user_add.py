"""`user add`: makes folders, never makes a spool by accident, and mends what it made before."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dropwatch.errors import OperatorError, PermanentError
from dropwatch.model import Place
from dropwatch.spool.folders import Spool
from dropwatch.spool.permissions import add_user

POSIX = pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# -- a spool, and none by accident -------------------------------------------------------------------------


def test_an_empty_folder_becomes_a_spool_with_an_identity(tmp_path: Path) -> None:
    made = add_user(tmp_path, "alice", clock=lambda: 1_800_000_000.0)

    assert (made.new_spool, made.new_user, made.folder) == (True, True, tmp_path / "alice")
    identity = json.loads((tmp_path / ".dropwatch-spool").read_text())
    assert (len(identity["spool"]), identity["made"]) == (16, "2027-01-15T08:00:00Z")
    assert Spool(tmp_path).users().names == ("alice",)
    assert sorted(path.name for path in (tmp_path / "alice").iterdir()) == sorted(Place)


def test_a_spool_keeps_its_identity_and_its_users(tmp_path: Path) -> None:
    add_user(tmp_path, "alice")
    identity = (tmp_path / ".dropwatch-spool").read_bytes()
    (tmp_path / "alice" / "inbox" / "a.tif").write_bytes(b"image")

    bob, alice = add_user(tmp_path, "bob"), add_user(tmp_path, "alice")

    assert [(made.new_spool, made.new_user) for made in (bob, alice)] == [(False, True), (False, False)]
    assert (tmp_path / ".dropwatch-spool").read_bytes() == identity
    assert (tmp_path / "alice" / "inbox" / "a.tif").read_bytes() == b"image"


def test_folders_that_look_like_a_spool_become_one(tmp_path: Path) -> None:
    for name in ("alice/inbox", "bob/inbox", "lost+found", ".snapshot"):
        (tmp_path / name).mkdir(parents=True)

    assert add_user(tmp_path, "carol").new_spool


def test_a_folder_with_other_things_is_no_spool(tmp_path: Path) -> None:
    (tmp_path / "alice" / "inbox").mkdir(parents=True)
    (tmp_path / "photos").mkdir()

    with pytest.raises(OperatorError, match=r"holds other things than drop folders: photos"):
        add_user(tmp_path, "alice")

    assert not (tmp_path / ".dropwatch-spool").exists()


@pytest.mark.parametrize("root", ["share", "share/spool"])
def test_a_share_that_is_not_mounted_never_becomes_a_spool(tmp_path: Path, root: str) -> None:
    """The folder on which a share is mounted lies there, empty, when it is not."""
    (tmp_path / "share").mkdir()

    with pytest.raises(OperatorError, match=f"{tmp_path}/share should be mounted and is not") as refused:
        add_user(tmp_path / root, "alice", mounts=[tmp_path / "elsewhere", tmp_path / "share"])

    assert "Mount it" in refused.value.remedy
    assert list((tmp_path / "share").iterdir()) == []


def test_where_a_spool_was_served_before_an_empty_folder_is_no_new_one(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"was served at .* before") as refused:
        add_user(tmp_path, "alice", served=True)

    assert list(tmp_path.iterdir()) == []
    assert f"make the file {tmp_path / '.dropwatch-spool'} yourself" in refused.value.remedy
    (tmp_path / ".dropwatch-spool").touch()
    assert add_user(tmp_path, "alice", served=True).new_user


def test_a_spool_is_made_in_a_folder_that_is_there(tmp_path: Path) -> None:
    assert add_user(tmp_path / "spool", "alice").new_spool
    with pytest.raises(OperatorError, match=f"There is no folder {tmp_path}/nowhere"):
        add_user(tmp_path / "nowhere" / "spool", "alice")


# -- names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "a\\b", "../x", ".x", " a", "a\n", "a:b", "x.part", "lost+found", "Thumbs.db"],
)
def test_a_name_that_no_drop_folder_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(PermanentError, match="cannot be the name of a drop folder"):
        add_user(tmp_path, name)

    assert list(tmp_path.iterdir()) == []


def test_a_name_in_another_case_is_refused(tmp_path: Path) -> None:
    add_user(tmp_path, "Zoë")

    for name in ("zoë", "ZOË", "Zoe\u0308"):
        with pytest.raises(PermanentError, match="There is Zoë already"):
            add_user(tmp_path, name)


@POSIX
def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "elsewhere").mkdir()
    add_user(tmp_path / "spool", "bob")
    (tmp_path / "spool" / "alice").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(PermanentError, match="is no plain folder"):
        add_user(tmp_path / "spool", "alice")
    (tmp_path / "spool" / "bob" / "done").rmdir()
    (tmp_path / "spool" / "bob" / "done").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OperatorError, match="is not a plain folder"):
        add_user(tmp_path / "spool", "bob")

    assert list((tmp_path / "elsewhere").iterdir()) == []


# -- permissions -------------------------------------------------------------------------------------------


@POSIX
def test_running_it_again_mends_modes_and_missing_folders(tmp_path: Path) -> None:
    add_user(tmp_path, "alice")
    (tmp_path / "alice" / "failed").rmdir()
    (tmp_path / "alice" / "inbox").chmod(0o700)

    add_user(tmp_path, "alice")

    assert {place.value: oct(mode(tmp_path / "alice" / place)) for place in Place} == dict.fromkeys(
        Place, "0o2770"
    )
    assert oct(mode(tmp_path / "alice")) == "0o3770"
    assert oct(mode(tmp_path / ".dropwatch-spool")) == "0o640"


@POSIX
def test_what_could_not_be_had_is_said(tmp_path: Path) -> None:
    without = add_user(tmp_path, "alice", setfacl=None)
    failing = add_user(tmp_path, "alice", setfacl="/bin/false")

    assert "There is no setfacl on this machine" in without.notes[0]
    assert "/bin/false failed" in failing.notes[0]
    assert "knows no account alice" in without.notes[1]


def test_the_command_makes_spool_and_user_and_says_what_samba_needs(tmp_path: Path) -> None:
    config = tmp_path / "dropwatch.yaml"
    settings = {
        "spools": [{"path": str(tmp_path / "spool")}],
        "state": str(tmp_path / "state"),
        "omero": {"host": "localhost", "user": "dropwatch"},
        "mail": None,
    }
    config.write_text(yaml.safe_dump(settings))

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        dropwatch = [sys.executable, "-m", "dropwatch", "--config", str(config)]
        return subprocess.run([*dropwatch, *words], capture_output=True, text=True, timeout=200, check=False)

    done, clash = command("user", "add", "alice"), command("user", "add", "ALICE")

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == str(tmp_path / "spool" / "alice")
    assert f"{tmp_path / 'spool'} is a spool now" in done.stderr
    assert "inherit acls = yes" in done.stderr
    assert (clash.returncode, clash.stdout) == (1, "")
    assert "There is alice already" in clash.stderr
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "heartbeat.json").write_text(json.dumps({"spools": {str(tmp_path / "spool"): {}}}))
    (tmp_path / "spool" / ".dropwatch-spool").unlink()
    assert "was served at" in command("user", "add", "bob").stderr
