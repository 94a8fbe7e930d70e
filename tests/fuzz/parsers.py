"""Every reader of ours that is given bytes by somebody else, each as a function that bytes may be thrown at.

``feed`` returns when the reader gave a value or the error that it promises, and when what is made of the value (rows,
mails, a page) could be made. Anything else comes out: any other exception, and AssertionError for an error text that
nobody should be shown.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console, RenderableType

from dropwatch import config, document, manifest, mounts, report
from dropwatch.cli.mail import _show_list
from dropwatch.cli.show import _parts
from dropwatch.cli.status import picture
from dropwatch.document import Document, Unreadable
from dropwatch.errors import ConfigError, DropwatchError, ManifestError
from dropwatch.formats import damage, tiff
from dropwatch.importers import omero_cli_verdict
from dropwatch.importers.omero_cli_words import Heard
from dropwatch.ledger import Ledger
from dropwatch.litter import is_junk, is_temporary
from dropwatch.model import Envelope, FileFact, Fileset, ListedFile, Place, Verdict
from dropwatch.outbox import Letter, Outbox, Shelf
from dropwatch.outbox.postman import MailServerSettings
from dropwatch.pipeline import glance
from dropwatch.pipeline.addresses import Addresses
from dropwatch.pipeline.adoption import _sound, batch_id, next_record
from dropwatch.pipeline.case import Case
from dropwatch.sandbox import faults, hql
from dropwatch.spool.batch_name import folder_name
from dropwatch.spool.folders import MEMORY, Spool, shortened
from dropwatch.spool.identity import mount_points
from dropwatch.spool.presence import HEARTBEAT
from dropwatch.spool.tree import Snapshot
from dropwatch.status import find, plain_status, plain_whole, snapshot, whole
from dropwatch.status.presence import presence
from dropwatch.task.belonging import Contents
from dropwatch.task.looks import JOURNAL, Journal
from tests.fuzz import seeds
from tests.fuzz.seeds import CLAIM
from tests.still import AT, Facility

ROOT = Path(__file__).parents[2]
MOST_PROBLEM = 700  #: characters; nobody reads a longer line

Feed = Callable[[bytes], None]


@dataclass(frozen=True)
class Parser:
    """feed  -- throws bytes at it
    seeds -- what it is made for: mutants of these come close enough to be read
    words -- what it looks for; generated text is made of these
    """

    feed: Feed
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...] = ()


# -- what people write -------------------------------------------------------------------------------------


def feed_document(data: bytes) -> None:
    try:
        made = document.read(document.decode(data))
    except Unreadable as err:
        assert_readable([err.message])
        assert err.line is None or 1 <= err.line <= lines_of(data)
        return
    assert_plain(made)


def feed_manifest(data: bytes) -> None:
    proven = manifest.whole(data)
    try:
        read = manifest.parse(data, source="batch.yaml")
    except ManifestError as err:
        assert_readable(err.problems)
        assert all(problem.startswith("batch.yaml") or problem == "and more" for problem in err.problems)
        return
    manifest.merge(read, read)
    manifest.match([file.path for file in read.files], ["a.czi", "sub/a.czi"])
    if read.target is not None:
        filled = manifest.fill(read.target, batch="{folder}", folder="HeLa", date="2026-11-24")
        assert manifest.parse_target(manifest.target_text(filled)) == filled
    if proven:
        assert_nothing_shorter_is_proven(data)


def assert_nothing_shorter_is_proven(data: bytes) -> None:
    """A manifest that is still being written never passes for the whole one."""
    text = document.decode(data)
    value = document.read(text).value
    for part in (text[:-1], text[: len(text) // 2]):
        try:
            shorter = document.read(part)
        except Unreadable:
            continue
        assert not shorter.proven or shorter.value == value, part


def feed_config(data: bytes) -> None:
    def read(name: str) -> str:
        if name != str(Path("/etc/base.yaml")):
            raise ConfigError([f"{name[:99]!a}: cannot be read"])
        return (ROOT / "config.example.yaml").read_text("utf-8")

    try:
        made = config.parse(document.decode(data), source="/etc/dropwatch.yaml", read=read)
    except Unreadable:
        return
    except ConfigError as err:
        assert_readable(err.problems)
        return
    for user in ("alice", "", "\udcff"):
        made.user(user), made.omero_name(user), made.instrument(user)
    made.may_send_to("pi@example.org")
    for path in [made.state, *(spool.path for spool in made.spools)]:
        assert b"\0" not in os.fsencode(path)


def feed_words(data: bytes) -> None:
    """What `submit` is given, and names of files and folders."""
    text = os.fsdecode(data)
    keys = {"name": text, "target": text, "tags": [text], "key_values": {text: text}, "notify": [text]}
    for key, value in keys.items():
        try:
            manifest.compose({key: value}, [ListedFile(text, 3, "0" * 64)])
        except ManifestError as err:
            assert_readable(err.problems)
    name = folder_name(text.replace("\0", ""))
    assert "/" not in name and not is_junk(name) and not is_temporary(name)
    assert 0 < len(os.fsencode(name)) <= 255
    assert len(os.fsencode(shortened(name))) <= 60
    manifest.is_manifest_name(text), manifest.lookalike(text), manifest.loose_stem(text)


# -- what programs write -------------------------------------------------------------------------------------


class Envelopes:
    """A facility with one batch that failed, whose memory may be overwritten."""

    def __init__(self, folder: Path) -> None:
        self.facility = Facility(folder)
        self.path = self.facility.claimed("alice", "HeLa", lines=[])
        (self.path / "HeLa" / "a.tif").write_bytes(b"pixels")
        self.config = config.load(self.facility.file)
        self.ledger = Ledger(MEMORY)

    def write(self, name: str, data: bytes) -> None:
        (self.path / MEMORY / name).write_bytes(data)

    def read_all(self) -> None:
        """Everything that is ever made of a batch's memory, if there is anything in it."""
        if self.ledger.read(self.path) is None and not self.ledger.history(self.path):
            return
        seen = snapshot(self.config, AT, glance.inbox)
        json.dumps(plain_status(seen))
        show(picture(self.config, seen))
        found = find(self.config, "HeLa", glance.inbox)
        assert len(found) == 1
        all_of_it = whole(self.config, AT, found[0])
        json.dumps(plain_whole(all_of_it))
        for part in _parts(all_of_it, AT, details=True):
            show(part)
        self._tell(found[0].envelope)

    def _tell(self, envelope: Envelope | None) -> None:
        """What the daemon would do with it, were it in processing/ or back in the inbox."""
        assert envelope is not None
        old = self.ledger.read(self.path)
        sound = _sound(old, replace(envelope, place=Place.PROCESSING), AT, 60.0)
        lines = self.ledger.lines(self.path, sound.claim)
        case = Case(Spool(self.facility.spool), envelope, sound)
        case.outcomes = {line.fileset: line for line in lines}
        case.last_failure(), case.facts(None)
        site = report.site_of(self.config)
        for verdict in (None, *Verdict):
            record = replace(sound, verdict=verdict, concluded_at=None if verdict is None else AT)
            story = report.tell(envelope, record, lines, self.facility.spool, "alice")
            page = report.report_txt(story, site)
            page.encode("utf-8")
            if verdict is not None:
                report.outcome(story, site), report.outcome_for_admins(story, site)
        report.delay(story, site), report.withdrawn(story, site)
        back = next_record(old, batch_id(old, envelope) or CLAIM, envelope, CLAIM, AT)
        assert os.sep not in shortened(back.name) and "\0" not in shortened(back.name)


def show(part: RenderableType) -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=False)
    console.print(part)


def memory(envelopes: Envelopes, name: str) -> Feed:
    def feed(data: bytes) -> None:
        envelopes.write(name, data)
        envelopes.read_all()

    return feed


def looks(folder: Path) -> Feed:
    images = folder / "images"
    (images / "sub").mkdir(parents=True)
    (images / "a.tif").write_bytes(b"pixels")
    facts = (FileFact("a.tif", 6, 1), FileFact("b.tif", 6, 1))
    contents = Contents(images, Snapshot(facts), folder)

    def feed(data: bytes) -> None:
        (folder / JOURNAL).write_bytes(data)
        journal = Journal(folder, images, claim=CLAIM, state="now", died=True)
        try:
            for fact in facts:
                journal.blame(fact)
                look = journal.seen(fact)
                for used in look.used if look else ():
                    contents.find(used)
        finally:
            journal.close()

    return feed


def heartbeat(folder: Path) -> Feed:
    facility = Facility(folder)
    facility.claimed("alice", "HeLa", Place.PROCESSING)
    read = config.load(facility.file)
    facility.state.mkdir()

    def feed(data: bytes) -> None:
        (facility.state / HEARTBEAT).write_bytes(data)
        seen = snapshot(read, AT, glance.inbox)
        json.dumps(plain_status(seen))
        show(picture(read, seen))
        replace(presence(facility.state, AT), running=True).in_hand(CLAIM)
        with facility_running(facility):
            running = snapshot(read, AT, glance.inbox)
            json.dumps(plain_status(running))
            show(picture(read, running))

    return feed


def facility_running(facility: Facility) -> object:
    from dropwatch.spool.locks import locked

    return locked(facility.state / "lock", shared=False)


def addresses(folder: Path) -> Feed:
    def feed(data: bytes) -> None:
        (folder / "addresses.json").write_bytes(data)
        known = Addresses(folder / "addresses.json")
        address = known.get("alice")
        assert address is None or isinstance(address, str)
        known.learn("alice", "alice@example.org")
        assert Addresses(folder / "addresses.json").get("alice") == "alice@example.org"

    return feed


def letters(folder: Path) -> Feed:
    queued = folder / Shelf.QUEUED
    queued.mkdir(parents=True)
    # Nobody listens at this port: each letter is looked at, none is sent.
    server = MailServerSettings("127.0.0.1", 1, "none", None, "d@example.org")
    outbox = Outbox(folder, server, lambda: None, (1.0,), lambda: AT)

    def feed(data: bytes) -> None:
        (queued / "letter-0123456789abcdef.json").write_bytes(data)
        found = outbox.queued()
        assert all(isinstance(letter, Letter) for letter in found)
        outbox.next_due()
        delivered = outbox.deliver(AT, lambda: True)
        for dead in delivered.died:
            assert_readable([dead.error])
        _ = [letter.due_at(AT) for letter in found]
        show_letters(outbox)
        for path in folder.glob("*/*"):
            path.unlink()

    return feed


def show_letters(outbox: Outbox) -> None:
    from contextlib import redirect_stderr, redirect_stdout

    shelves = {Shelf.QUEUED: outbox.queued(), Shelf.DEAD: outbox.dead()}
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        _show_list(shelves, "Europe/Paris")


def order_trouble(folder: Path) -> Feed:
    def feed(data: bytes) -> None:
        path = folder / "faults.yaml"
        path.write_bytes(data)
        ordered = faults.Faults(path)
        ordered.get("omero")
        ordered.use("omero", "busy")
        ordered.spend("omero", "drop_after_bytes", 1000)
        for value in ordered.get("omero").values():
            assert 0 <= faults.seconds(value) <= threading.TIMEOUT_MAX

    return feed


def image(folder: Path) -> Feed:
    def feed(data: bytes) -> None:
        for name in ("a.tif", "a.jpg", "a.png", "a.bmp"):
            (folder / name).write_bytes(data)
            damage.cut_file((str(folder / name),))
        tiff.named_files(folder / "a.tif")
        damage.empty_member(folder / "a.tif")

    return feed


def feed_verdict(data: bytes) -> None:
    """Exit code in the first byte, then what the program said."""
    heard = Heard()
    for line in data[1:].decode("utf-8", "replace").splitlines():
        heard.hear(line)
    ended = omero_cli_verdict.Ended(data[0] if data else 0, heard, data[-200:].decode("utf-8", "replace"))
    fileset = Fileset("f", (FileFact("a.czi", 3, 0),))
    error = omero_cli_verdict.sort(ended, fileset, "omero.example.org", lambda: True)
    assert isinstance(error, DropwatchError)
    omero_cli_verdict.doubts(ended, 7)
    heard.may_go_on(1)


def feed_mounts(data: bytes) -> None:
    assert isinstance(mounts.kind_of_mount(data, b"pos: 0\nmnt_id:\t25\n"), str)
    table = data.decode("utf-8", "surrogateescape")
    assert isinstance(mounts.mac_kind(table, "/srv/drop watch/spool"), str)
    for point in mount_points(table):
        Path("/srv/spool").is_relative_to(point)
        os.path.ismount(point)


def feed_hql(data: bytes) -> None:
    with contextlib.suppress(hql.Unknown):
        hql.parse(data.decode("utf-8", "replace"))


# -- what must hold of every answer --------------------------------------------------------------------------


def assert_readable(problems: Sequence[str]) -> None:
    assert problems
    for problem in problems:
        assert problem.strip(), "an error without words"
        assert len(problem) <= MOST_PROBLEM, f"{len(problem)} characters"
        assert not any(
            ord(char) < 32 or 127 <= ord(char) < 160 or char in "\u2028\u2029" for char in problem
        ), repr(problem)
        assert not any(0xD800 <= ord(char) < 0xE000 for char in problem), repr(problem)


def assert_plain(made: Document) -> None:
    waiting: list[object] = [made.value]
    while waiting:
        value = waiting.pop()
        assert value is None or isinstance(value, str | list | dict)
        if isinstance(value, dict):
            assert all(isinstance(key, str) for key in value)
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def lines_of(data: bytes) -> int:
    """More than any reader counts: YAML has five kinds of line ends."""
    text = document.decode(data) if not _undecodable(data) else data.decode("latin-1")
    return 2 + sum(text.count(end) for end in ("\n", "\r", "\x85", "\u2028", "\u2029"))


def _undecodable(data: bytes) -> bool:
    try:
        document.decode(data)
    except Unreadable:
        return True
    return False


# -- all of them -----------------------------------------------------------------------------------------------


def parsers(folder: Path) -> dict[str, Parser]:
    """All readers by name; what they need on disk is made below *folder*."""
    envelopes = Envelopes(_made(folder / "memory"))
    record = (envelopes.path / MEMORY / "record.json").read_bytes()
    return {
        "document": Parser(feed_document, seeds.MANIFESTS + seeds.CONFIGS, seeds.YAML),
        "manifest": Parser(feed_manifest, seeds.MANIFESTS, seeds.KEYS + seeds.YAML),
        "config": Parser(feed_config, seeds.CONFIGS, seeds.SETTINGS + seeds.YAML),
        "words": Parser(feed_words, seeds.NAMES, seeds.NAMES),
        "record": Parser(memory(envelopes, "record.json"), (record, seeds.RECORD), seeds.JSON),
        "filesets": Parser(memory(envelopes, "filesets.jsonl"), (seeds.FILESETS,), seeds.JSON),
        "looks": Parser(looks(_made(folder / "looks")), (seeds.LOOKS,), seeds.JSON),
        "heartbeat": Parser(heartbeat(_made(folder / "heartbeat")), (seeds.HEARTBEAT,), seeds.JSON),
        "addresses": Parser(addresses(_made(folder / "addresses")), (seeds.ADDRESSES,), seeds.JSON),
        "letter": Parser(letters(_made(folder / "outbox")), (seeds.LETTER,), seeds.JSON),
        "faults": Parser(order_trouble(_made(folder / "faults")), seeds.FAULTS, seeds.YAML),
        "image": Parser(image(_made(folder / "images")), seeds.images(_made(folder / "seeds"))),
        "verdict": Parser(feed_verdict, seeds.VERDICTS, seeds.SAID),
        "mounts": Parser(feed_mounts, seeds.MOUNTS, seeds.MOUNT_WORDS),
        "hql": Parser(feed_hql, seeds.QUESTIONS, seeds.HQL),
    }


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
