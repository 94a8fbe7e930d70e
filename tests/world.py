"""A small world to tell stories in: a sandbox in a process of its own, a spool with users, what was dropped there.

It drops and looks; it decides nothing and never touches what the daemon owns. lives.py brings the daemon.
"""

from __future__ import annotations

import asyncio
import email
import functools
import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any, TypeVar

import yaml

T = TypeVar("T")

USERS = ("alice", "bob", "carol")
DISK = "microscope"  #: a place; settings that name it may do so relative to the configuration
OLD = 1_600_000_000_123_456_700  #: when the files in it were written (epoch nanoseconds)
PLACES = ("inbox", "processing", "done", "failed")
OURS = (".dropwatch", "REPORT.txt", "REPORT.txt.part")

_LETTER = re.compile(r"<(?P<claim>\d{8}-\d{6}-[a-z0-9]{4})-(?P<kind>.+)-[0-9a-f]{16}@")
_END = 60.0  #: seconds that a sandbox may take to end
#: Seconds that anything may take: only what is broken takes so long, also on a machine that is busy with other things.
PATIENCE = 90.0


def wait_until(condition: Callable[[], Any], seconds: float = PATIENCE, what: str = "") -> Any:
    """The first true value of *condition*; fails the test when there is none within *seconds*."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or condition}"
        time.sleep(0.02)
    return value


def awaited(asking: Coroutine[Any, Any, T], seconds: float = PATIENCE) -> T:
    """What *asking* answers; fails the test when that is not within *seconds*.

    In a thread of its own: where a browser was started before in this process, its loop runs in this one for ever.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, asyncio.wait_for(asking, seconds)).result()


# -- the sandbox -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mail:
    """A mail that the sandbox took. *kind* and *claim* are those of the letter; empty when it is about no batch."""

    to: str
    subject: str
    id: str
    batch: str
    claim: str
    kind: str
    text: str


class SandboxProcess:
    """The sandbox below *folder*, in a process of its own. Its state and ports stay over a restart."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.omero_port = self.smtp_port = 0
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "dropwatch.sandbox", "--dir", str(self.folder)]
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "stderr.log").open("a") as errors:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        assert self._process.stdout is not None
        ready = self._process.stdout.readline()
        found = re.fullmatch(r"ready omero=127.0.0.1:(\d+) smtp=127.0.0.1:(\d+)\n", ready)
        assert found, f"the sandbox said {ready!r}"
        self.omero_port, self.smtp_port = int(found[1]), int(found[2])

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_END)
        finally:
            self._process.kill()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def set_faults(self, **sections: Mapping[str, object]) -> None:
        """Order trouble: ``set_faults(omero={"busy": 1}, smtp={"refuse": True})``; nothing ends all trouble."""
        new = self.folder / "faults.test"
        new.write_text(yaml.safe_dump({name: dict(faults) for name, faults in sections.items()}))
        new.replace(self.folder / "faults.yaml")

    def imports(self) -> list[dict[str, Any]]:
        """The completed imports, by imports.jsonl."""
        path = self.folder / "omero" / "imports.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def mails(self) -> list[Mail]:
        return [_mail(path) for path in sorted((self.folder / "mail").glob("*.eml"))]

    def filesets_without_images(self) -> list[str]:
        """The client paths of filesets that never became images, by the server's own database."""
        return [path for path, images in self.entries() if not images]

    def entries(self) -> list[tuple[str, int]]:
        """Client path and number of images, for each file of each fileset that the server has."""
        query = (
            "select e.client_path, count(i.id) from entry e join fileset f on f.id = e.fileset"
            " left join image i on i.fileset = f.id group by e.id"
        )
        base = sqlite3.connect(self.folder / "omero" / "omero.db", timeout=200)
        try:
            return [(path, images) for path, images in base.execute(query)]
        finally:
            base.close()


@contextmanager
def running_sandbox(folder: Path) -> Iterator[SandboxProcess]:
    """A sandbox below *folder* that runs for the time of the block."""
    made = SandboxProcess(folder)
    made.start()
    try:
        yield made
    finally:
        made.stop()


@functools.cache
def _mail(path: Path) -> Mail:
    mail = email.message_from_bytes(path.read_bytes())
    name = str(mail["Message-ID"])
    found = _LETTER.match(name)
    plain = next(part for part in mail.walk() if part.get_content_type() == "text/plain")
    text = bytes(plain.get_payload(decode=True)).decode("utf-8", "replace")
    subject = str(make_header(decode_header(mail["Subject"])))
    return Mail(
        str(mail["To"]),
        subject,
        name,
        str(mail.get("X-Dropwatch-Batch", "")),
        found["claim"] if found else "",
        found["kind"] if found else "",
        text,
    )


# -- what is dropped -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class File:
    """A file as it was dropped. *good*: it is an image that OMERO can read, and is to be imported."""

    path: str
    size: int
    sha1: str
    sha256: str
    inode: int
    good: bool


@dataclass(frozen=True)
class Drop:
    """A folder, or loose files, as *user* dropped them. File names are unique in the world.

    originals -- files of a place (a folder beside the spool) that are to be fetched for it
    """

    user: str
    name: str
    files: tuple[File, ...]
    loose: bool = False
    originals: tuple[File, ...] = ()


@dataclass
class World:
    """Everything below *root*. *settings* is merged into the configuration, key by key.

    Several worlds may share one sandbox, one after the other or at the same time.

    disk -- where spool and state lie, and what is to be dropped, when that is to be a file system of its own
    """

    root: Path
    sandbox: SandboxProcess
    settings: Mapping[str, Any] = field(default_factory=dict)
    users: tuple[str, ...] = USERS
    drops: list[Drop] = field(default_factory=list)
    disk: Path | None = None

    def __post_init__(self) -> None:
        for user in self.users:
            for place in PLACES:
                (self.spool / user / place).mkdir(parents=True)
        (self.spool / ".dropwatch-spool").write_text("{}")
        (self.root / "password").write_text("dropwatch\n")
        # JSON is YAML too.
        settings = merged(self._defaults(), self.settings)
        self.config.write_text(json.dumps({**settings, "spools": [settings["spools"]]}, indent=1))

    @property
    def spool(self) -> Path:
        return (self.disk or self.root) / "spool"

    @property
    def state(self) -> Path:
        return (self.disk or self.root) / "state"

    @property
    def desk(self) -> Path:
        """Where people make what they drop: a move away from the inboxes."""
        return (self.disk or self.root) / "desk"

    @property
    def config(self) -> Path:
        return self.root / "dropwatch.yaml"

    @property
    def log(self) -> Path:
        """What the daemons say that lives.py starts."""
        return self.root / "daemon.log"

    def _defaults(self) -> dict[str, Any]:
        return {
            "site": {"name": "Test", "contact": "help@example.org", "timezone": "Europe/Paris"},
            "spools": {"path": str(self.spool), "settle": "300ms", "sweep": "1s"},  # becomes a list of one
            "state": str(self.state),
            "omero": {
                "host": "127.0.0.1",
                "port": self.sandbox.omero_port,
                "secure": False,
                "user": "dropwatch",
                "password_file": str(self.root / "password"),
                "web": "http://localhost/webclient",
            },
            "mail": {
                "host": "127.0.0.1",
                "port": self.sandbox.smtp_port,
                "security": "none",
                "from": "dropwatch@example.org",
                "admins": ["admin@example.org"],
            },
            "retry": {"import": ["200ms"] * 8, "mail": ["200ms"] * 8},
            "limits": {"min_free": "1MiB"},
        }

    # -- dropping ----------------------------------------------------------------------------------------

    def drop(
        self,
        user: str,
        name: str,
        files: Mapping[str, bytes],
        *,
        bad: tuple[str, ...] = (),
        move: bool = True,
    ) -> Drop:
        """Drop a folder. *bad*: the files that are not to be imported (manifests are never). Without *move* the
        folder grows in the inbox, file by file, in the order of *files*."""
        inbox = self.spool / user / "inbox" / name
        folder = self.desk / name if move else inbox
        written = []
        for path, data in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            written.append(_write(folder, path, data, path not in bad))
        drop = Drop(user, name, tuple(written))
        if move:
            folder.rename(inbox)
        self.drops.append(drop)
        return drop

    def drop_from(self, user: str, name: str, files: Mapping[str, bytes], *paths: str) -> Drop:
        """Put *files* into the place, and drop a folder whose manifest wants *paths* of it fetched."""
        manifest = {"from": {"place": DISK, "paths": paths}}
        for path, data in files.items():
            original = self.root / DISK / path
            original.parent.mkdir(parents=True, exist_ok=True)
            original.write_bytes(data)
            os.utime(original, ns=(OLD, OLD))
        originals = tuple(file_of(self.root / DISK, path, good=True) for path in files)
        drop = self.drop(user, name, {"batch.json": json.dumps(manifest).encode()})
        self.drops[-1] = replace(drop, originals=originals)
        return self.drops[-1]

    def drop_loose(self, user: str, stem: str, files: Mapping[str, bytes]) -> Drop:
        """Drop files at the top of the inbox; they share *stem*."""
        desk, inbox = self.desk, self.spool / user / "inbox"
        desk.mkdir(exist_ok=True)
        drop = Drop(user, stem, tuple(_write(desk, *item, True) for item in files.items()), loose=True)
        for path in files:
            (desk / path).rename(inbox / path)
        self.drops.append(drop)
        return drop

    # -- looking -----------------------------------------------------------------------------------------

    def whereabouts(self, drop: Drop) -> list[tuple[str, Path]]:
        """Each place where (a part of) *drop* lies, with the path of its folder, or of each loose file."""
        home, found = self.spool / drop.user, []
        for place in PLACES:
            for name in [file.path for file in drop.files] if drop.loose else [drop.name]:
                deep = ("*/*/" if drop.loose else "*/") + _literal(name)
                found += [(place, path) for path in (home / place).glob(deep)]
                if place == "inbox" and os.path.lexists(home / place / name):
                    found.append((place, home / place / name))
        return found

    def assert_whole(self, drop: Drop, *, twins: bool = False) -> None:
        """It lies in exactly one place (each loose file does), moved and not copied, and no byte was changed.

        twins -- a loose file may still have its old name beside the new one: one file, to be tidied up
        """
        found = self.whereabouts(drop)
        if twins and drop.loose:
            found = list({path.stat().st_ino: (place, path) for place, path in found}.values())
        expected = len(drop.files) if drop.loose else 1

        assert len(found) == expected, f"{drop.user}/{drop.name} lies in {found}"
        assert len({path.name for _, path in found}) == expected
        for file in drop.files:
            path = self._path(drop, file, found)
            data = path.read_bytes()
            assert hashlib.sha256(data).hexdigest() == file.sha256, path
            assert path.stat().st_ino == file.inode, f"{path} is a copy"

        for file in drop.originals:
            path = self.root / DISK / file.path
            assert file_of(self.root / DISK, file.path, good=True) == file, f"{path} is not as it was"
            assert path.stat().st_mtime_ns == OLD
        self._assert_no_half_copies(drop)

    def _assert_no_half_copies(self, drop: Drop) -> None:
        """Whatever bears the name of an original in the envelope is a whole copy of it."""
        whole = {file.path: (file.sha256, OLD) for file in drop.originals}
        for folder in (self.spool / drop.user).glob(f"*/*{_literal(drop.name)}/.dropwatch/fetched/files"):
            for path in folder.rglob("*"):
                if (name := str(path.relative_to(folder))) in whole:
                    found = hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns
                    assert found == whole[name], f"{path} is no whole copy"

    @staticmethod
    def _path(drop: Drop, file: File, found: list[tuple[str, Path]]) -> Path:
        if drop.loose:
            return next(path for _, path in found if path.name == file.path)
        return found[0][1] / file.path

    def place(self, drop: Drop) -> str:
        """Where it lies; "inbox+processing" when it is loose and under way."""
        return "+".join(dict.fromkeys(place for place, _ in self.whereabouts(drop)))

    def envelope(self, drop: Drop) -> Path:
        """Its envelope; it is claimed or retired."""
        path = next(path for place, path in self.whereabouts(drop) if place != "inbox")
        return path.parent.parent if drop.loose else path.parent

    def record(self, envelope: Path) -> dict[str, Any]:
        """The record in *envelope*; empty when there is none yet."""
        path = envelope / ".dropwatch" / "record.json"
        return json.loads(path.read_text())["_default"].get("1", {}) if path.exists() else {}

    def claims(self) -> list[str]:
        """The stamps of all claims that the daemons made, by their log."""
        return re.findall(r" claim batch=(\S+)", self.log.read_text("utf-8", "replace"))

    def envelopes(self, place: str) -> list[Path]:
        return [path for user in self.users for path in sorted((self.spool / user / place).iterdir())]

    def letters(self, shelf: str) -> list[dict[str, Any]]:
        found = []
        for path in (self.state / "outbox" / shelf).glob("*.json"):
            with suppress(FileNotFoundError):  # moved on since
                found.append(json.loads(path.read_text()))
        return found

    def is_quiet(self) -> bool:
        """Whether everything that was dropped is retired, and every letter sent."""
        waiting = any(
            place in ("inbox", "processing") for drop in self.drops for place, _ in self.whereabouts(drop)
        )
        return not waiting and not self.envelopes("processing") and not self.letters("queued")

    def clear(self) -> None:
        shutil.rmtree(self.root)


def _write(folder: Path, path: str, data: bytes, good: bool) -> File:
    """Make *path* in *folder*. Nothing is looked at afterwards: the last file of a batch may be claimed at once."""
    with (folder / path).open("wb") as file:
        inode = os.fstat(file.fileno()).st_ino
        file.write(data)
    return _file(path, data, inode, good)


def file_of(folder: Path, path: str, good: bool) -> File:
    """*path* below *folder*, as it is now."""
    return _file(path, (folder / path).read_bytes(), (folder / path).stat().st_ino, good)


def _file(path: str, data: bytes, inode: int, good: bool) -> File:
    good = good and not path.endswith((".yaml", ".json"))
    return File(
        path, len(data), hashlib.sha1(data).hexdigest(), hashlib.sha256(data).hexdigest(), inode, good
    )


def _literal(name: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", name)


def merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """*base* with the keys of *more*, at any depth."""
    result = dict(base)
    for key, value in more.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return result


# -- what must be true in the end ------------------------------------------------------------------------


def assert_imported_once(world: World, drop: Drop) -> None:
    """Each good file of *drop* is in OMERO once, as its user's and all in one place, and no other file of it is."""
    lines = [
        (line["user"], line["target"], file) for line in world.sandbox.imports() for file in line["files"]
    ]
    targets = set()
    for file in (*drop.files, *drop.originals):
        found = [one for one in lines if (one[2]["sha1"], one[2]["size"]) == (file.sha1, file.size)]
        targets |= {target for _, target, _ in found}

        assert [user for user, _, _ in found] == [drop.user] * file.good, f"{drop.name}/{file.path}: {found}"
    assert len(targets) <= 1, f"{drop.name} was scattered"


def assert_told(
    world: World, drop: Drop, mails: list[Mail], *, to: str = "", kind: str = "outcome", most: int = 2
) -> None:
    """The outcome of the present claim was mailed to *to* (its user) once, or twice where a crash came between."""
    envelope, to = world.envelope(drop), to or f"{drop.user}@example.org"
    wanted = (world.record(envelope)["batch"], envelope.name[:20], kind, to)
    told = [mail for mail in mails if (mail.batch, mail.claim, mail.kind, mail.to) == wanted]

    assert 1 <= len(told) <= most, f"{to} was told {len(told)} times of {drop.name}"


def assert_each_letter_at_most(mails: list[Mail], most: int = 2) -> None:
    ids = [mail.id for mail in mails]

    assert not [name for name in set(ids) if ids.count(name) > most]


def leftovers(world: World, drops: list[Drop]) -> Iterator[str]:
    """Filesets without images of *drops*, those of unreadable files aside."""
    claims = {world.record(world.envelope(drop))["batch"]: drop for drop in drops}
    for path in world.sandbox.filesets_without_images():
        batch, _, rest = path.removeprefix("dropwatch/").partition("/")
        relative = rest.partition("/")[2]
        if batch in claims and not any(f.path == relative and not f.good for f in claims[batch].files):
            yield path
