"""Who may read and change what: what the daemon writes, what `user add` makes, and what `check` says of each place."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dropwatch.doctor import Finding, State
from dropwatch.doctor.privacy import look_at_root, look_at_strangers, look_at_trust
from dropwatch.durable import write_durably
from dropwatch.model import Place
from dropwatch.outbox import Letter, MailServerSettings, Outbox
from dropwatch.pipeline.addresses import Addresses
from dropwatch.spool.accounts import Account, Owner
from dropwatch.spool.folders import IDENTITY, Spool
from dropwatch.spool.permissions import add_user, find_setfacl
from dropwatch.spool.presence import write_heartbeat

if sys.platform == "win32":
    pytest.skip("modes are of POSIX", allow_module_level=True)

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
DAEMON, ALICE = Owner(64000, 64000), Account("alice", 64001, 64001)
LETTER = Letter("id", "outcome", "", "", "alice", "alice@example.org", "s", "t", "h", 1.0)


@pytest.fixture(params=[0o000, 0o002, 0o022], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def outbox_in(state: Path) -> Outbox:
    server = MailServerSettings("127.0.0.1", 1, "none", None, "dropwatch@example.org")
    return Outbox(state / "outbox", server, lambda: None, (), lambda: 1.0)


# -- what the daemon writes ----------------------------------------------------------------------------------


def test_what_the_daemon_keeps_is_open_to_its_account_alone(tmp_path: Path, umask: int) -> None:
    outbox_in(tmp_path).post(LETTER)
    Addresses(tmp_path / "addresses.json").learn("alice", "alice@example.org")
    write_heartbeat(tmp_path, {"pid": 1})

    for path in tmp_path.rglob("*"):
        assert oct(mode(path)) == ("0o700" if path.is_dir() else "0o600"), path


@ROOT
def test_what_root_writes_there_belongs_to_the_daemon(tmp_path: Path) -> None:
    """`dropwatch mail retry` and `dropwatch hold` are called by root, too."""
    outbox_in(tmp_path).post(LETTER)
    queued = tmp_path / "outbox" / "queued"
    os.chown(queued, DAEMON.uid, DAEMON.gid)

    assert outbox_in(tmp_path).retry() == 1

    info = (queued / "id.json").stat()
    assert (info.st_uid, info.st_gid, oct(stat.S_IMODE(info.st_mode))) == (64000, 64000, "0o600")


def test_a_link_in_place_of_a_temporary_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("mine")
    (tmp_path / "state.json.part").symlink_to(tmp_path / "other")

    with pytest.raises(OSError, match=r"state\.json\.part"):
        write_durably(tmp_path / "state.json", b"{}")

    assert (tmp_path / "other").read_text() == "mine"


# -- a spool -------------------------------------------------------------------------------------------------


def test_only_the_owner_of_a_new_spool_makes_drop_folders(tmp_path: Path, umask: int) -> None:
    add_user(tmp_path / "spool", "alice")

    assert oct(mode(tmp_path / "spool")) == "0o755"
    assert oct(mode(tmp_path / "spool" / IDENTITY)) == "0o640"
    assert list(look_at_root("spool", Spool(tmp_path / "spool"))) == []


@pytest.mark.parametrize("opened", [0o777, 0o775, 0o757])
def test_a_spool_that_others_may_write_is_found_and_closed(tmp_path: Path, opened: int) -> None:
    root = tmp_path / "spool"
    add_user(root, "alice")
    root.chmod(opened)

    (found,) = look_at_root("spool", Spool(root))
    made = add_user(root, "alice")

    assert found.state is State.NOT_OK
    assert f"import in anybody's name: {root} has mode {opened:04o}" in found.text
    assert found.remedy == f"chmod go-w {root}"
    assert oct(mode(root)) == "0o755"
    assert any("could have imported in anybody's name" in note for note in made.notes)


def test_an_identity_that_everybody_may_lock_is_found(tmp_path: Path) -> None:
    add_user(tmp_path, "alice")
    (tmp_path / IDENTITY).chmod(0o644)

    assert "could hold the lock" in next(look_at_root("spool", Spool(tmp_path))).text


# -- a drop folder -------------------------------------------------------------------------------------------


def strangers(root: Path) -> list[Finding]:
    return list(look_at_strangers(Spool(root), "alice", {(root / IDENTITY).stat().st_uid, ALICE.uid}))


OPENED: dict[str, tuple[Callable[[Path], object], str]] = {
    "top": (lambda home: home.chmod(0o3775), "open to every account of this machine (mode 3775)"),
    **{
        place.value: (
            lambda home, place=place: (home / place).chmod(0o2771),
            f"{place.value} is open to every account of this machine (mode 2771)",
        )
        for place in Place
    },
    "not sticky": (lambda home: home.chmod(0o2770), "may rename its four places"),
}


@pytest.mark.parametrize("name", OPENED)
def test_a_drop_folder_that_is_open_to_others_is_found_and_closed(tmp_path: Path, name: str) -> None:
    opens, told = OPENED[name]
    add_user(tmp_path, "alice")
    assert strangers(tmp_path) == []
    opens(tmp_path / "alice")

    found = strangers(tmp_path)

    assert [one.state for one in found] == [State.NOT_OK]
    assert told in found[0].text
    assert "dropwatch user add alice (as root)" in found[0].remedy
    add_user(tmp_path, "alice")
    assert strangers(tmp_path) == []


@ROOT
def test_a_place_of_somebody_else_is_found_and_taken_back(tmp_path: Path) -> None:
    add_user(tmp_path, "alice", owner=DAEMON, person=ALICE)
    os.chown(tmp_path / "alice" / "failed", 64002, 64002)

    found = strangers(tmp_path)
    add_user(tmp_path, "alice", owner=DAEMON, person=ALICE)

    assert [one.text for one in found] == [
        f"{tmp_path}/alice/failed belongs to 64002, not to 64000 as the spool"
    ]
    assert strangers(tmp_path) == []


@ROOT
@pytest.mark.skipif(find_setfacl() is None, reason="needs setfacl")
def test_who_else_may_act_in_the_name_of_a_user_is_told(tmp_path: Path) -> None:
    add_user(tmp_path, "alice", owner=DAEMON, person=ALICE, setfacl=find_setfacl())
    inbox = tmp_path / "alice" / "inbox"
    assert strangers(tmp_path) == []
    os.system(f"setfacl -m u:64009:rwx,g:64010:rx '{inbox}'")

    found = strangers(tmp_path)

    assert [(one.state, one.text) for one in found] == [
        (State.UNKNOWN, f"{inbox} is open to {who} too, who may so act in the name of this user")
        for who in ("64009", "the group 64010")
    ]
    for one in found:
        assert os.system(one.remedy.partition(": ")[2]) == 0
    assert strangers(tmp_path) == []


# -- configuration, passwords, programs, state ---------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A configuration with all it can name; returns its folder."""
    for name in ("omero.password", "mail.password", "bioformats_package.jar"):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(0o640)
    (tmp_path / "omero").write_text("#!/bin/sh\n")
    (tmp_path / "omero").chmod(0o755)
    (tmp_path / "state").mkdir(mode=0o700)
    outbox_in(tmp_path / "state").post(LETTER)
    Addresses(tmp_path / "state" / "addresses.json").learn("alice", "alice@example.org")
    settings = {
        "spools": [{"path": str(tmp_path / "spool")}],
        "state": str(tmp_path / "state"),
        "importer": "omero-cli",
        "omero-cli": {"command": str(tmp_path / "omero")},
        "omero": {"host": "localhost", "user": "dropwatch", "password_file": "omero.password"},
        "bioformats": {"jar": "bioformats_package.jar"},
        "mail": {
            "host": "localhost",
            "user": "x",
            "password_file": "mail.password",
            "from": "dropwatch@example.org",
            "admins": ["it@example.org"],
        },
    }
    (tmp_path / "dropwatch.yaml").write_text(json.dumps(settings))
    (tmp_path / "dropwatch.yaml").chmod(0o640)
    return tmp_path


def trust(site: Path) -> list[Finding]:
    from dropwatch import config

    file = site / "dropwatch.yaml"
    return list(look_at_trust(config.load(file), file, None))


def test_a_site_that_only_admins_may_change_is_well(site: Path) -> None:
    assert [(one.state, one.subject) for one in trust(site)] == [(State.OK, "trust")]


CHANGEABLE = {
    "dropwatch.yaml": "configuration",
    "omero.password": "OMERO password",
    "mail.password": "mail password",
    "bioformats_package.jar": "Bio-Formats",
    "omero": "omero import",
    "state": "state folder",
}


@pytest.mark.parametrize("name", CHANGEABLE)
def test_what_others_may_change_is_found_with_its_remedy(site: Path, name: str) -> None:
    path = site / name
    path.chmod(mode(path) | 0o002)

    found = trust(site)

    assert [(one.state, one.subject) for one in found] == [(State.NOT_OK, CHANGEABLE[name])]
    assert f"{path} can be changed by others" in found[0].text
    assert os.system(found[0].remedy) == 0
    assert [one.state for one in trust(site)] == [State.OK]


@ROOT
@pytest.mark.parametrize("name", CHANGEABLE)
def test_what_belongs_to_somebody_else_is_asked_about(site: Path, name: str) -> None:
    os.chown(site / name, 64002, 64002)

    found = trust(site)

    assert [(one.state, one.subject) for one in found] == [(State.UNKNOWN, CHANGEABLE[name])]
    assert "belongs to 64002" in found[0].text


def test_a_folder_above_is_as_good_as_the_file(site: Path) -> None:
    site.chmod(0o777)

    assert {one.subject for one in trust(site)} == set(CHANGEABLE.values())
    site.chmod(0o1777)  # as /tmp is
    assert [one.state for one in trust(site)] == [State.OK]


@pytest.mark.parametrize("name", ["outbox", "outbox/queued", "addresses.json"])
def test_letters_that_others_may_read_are_found(site: Path, name: str) -> None:
    path = site / "state" / name
    path.chmod(mode(path) | 0o040)

    found = trust(site)

    assert [(one.state, one.subject) for one in found] == [(State.NOT_OK, "state folder")]
    assert os.system(found[0].remedy) == 0
    assert [one.state for one in trust(site)] == [State.OK]
