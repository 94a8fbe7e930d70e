"""Poison in all that others write, put into a site that runs, and then every way out looked at from outside.

The daemon is the real command in a process of its own, with its worker processes; the commands run at a terminal (a
pty) as a person has one. What each escaping function does to any text is in unit/test_escaping.py.
"""

from __future__ import annotations

import email
import email.policy
import json
import os
import re
import select
import shutil
import socketserver
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import poison
import pytest
from poison import LONG, POISONS

from dropwatch.outbox import Letter, letter_id
from dropwatch.outbox.letter import to_json
from dropwatch.sandbox.samples import corrupt_tiff, ome_tiff
from facility import Facility

if sys.platform == "win32":
    pytest.skip("names like these, and terminals of this kind, are of POSIX", allow_module_level=True)

import pty

STAMP = "20261124-140355-"
TRACE = ("Return-Path", "Delivered-To", "Received")  # what the sandbox's mail server puts in front
TOLD = {f"{name}@example.org" for name in ("alice", "bob", "carol", "admin", "pi")}
#: Everything of POISONS that a file name can hold, in names of 200 bytes at most; and bytes that are no text.
NAMES = (
    *(
        POISONS[one]
        for one in ("header", "line", "title", "link", "colours", "direction", "breaks", "attribute")
    ),
    *(POISONS[one] for one in ("script", "markup", "template", "query", "word", "option")),
    "\udc9b31m\udcff\udcc3(",
)


def file_name(text: str) -> str:
    """*text* as a file can be called."""
    text = re.sub("[\0\ud800-\udc7f\udd00-\udfff]", "", text.replace("/", "\u2044"))
    return os.fsdecode(os.fsencode(text)[:200]).strip()


# -- a terminal ----------------------------------------------------------------------------------------------


def at_terminal(site: Facility, *words: str, seconds: float = 60) -> str:
    """What a terminal of 80 columns gets from a command, both its outputs."""
    command = [sys.executable, "-m", "dropwatch", "--config", str(site.folder / "dropwatch.yaml"), *words]
    mine, its = pty.openpty()
    environ = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "50", "LC_ALL": "C.UTF-8"}
    with subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=environ) as process:
        os.close(its)
        data, deadline = b"", time.monotonic() + seconds
        try:
            while time.monotonic() < deadline:
                if select.select([mine], [], [], 0.2)[0]:
                    with suppress(OSError):  # EIO: nobody holds the other end any more
                        if block := os.read(mine, 65536):
                            data += block
                            continue
                    break
        finally:
            process.kill()
            os.close(mine)
    return data.decode("utf-8", "surrogateescape")


def piped(site: Facility, *words: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "dropwatch", "--config", str(site.folder / "dropwatch.yaml"), *words]
    return subprocess.run(command, capture_output=True, timeout=200, check=False)


# -- the poison ----------------------------------------------------------------------------------------------


@dataclass
class Poisoned:
    """A site with poison in it, and what its daemon said."""

    site: Facility
    drops: int = 0
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.site.folder / "daemon.log"
        self.site.config()

    def drop(self, user: str, name: str, manifest: object = None) -> None:
        """A folder called *name*, with an image called so, one that is damaged, and *manifest*."""
        made = self.site.folder / "made" / str(self.drops)
        made.mkdir(parents=True)
        if isinstance(manifest, bytes):
            (made / "batch.yaml").write_bytes(manifest)
        elif manifest is not None:
            (made / "batch.json").write_text(json.dumps(manifest))
        ome_tiff(made / "plain.ome.tif", seed=self.drops, size=16)
        (made / "plain.ome.tif").rename(made / f"{file_name(name)}.ome.tif")
        corrupt_tiff(made / "plain.ome.tif")
        (made / "plain.ome.tif").rename(made / f"{file_name(name)[:60]}, bad.tif")
        made.rename(self.site.spool / user / "inbox" / (file_name(name) or "x"))
        self.drops += 1

    def run(self) -> int:
        command = [sys.executable, "-m", "dropwatch", "--config", str(self.site.folder / "dropwatch.yaml")]
        with self.log.open("ab") as log:
            done = subprocess.run(
                [*command, "run", "--once"], stdout=log, stderr=log, timeout=150, check=False
            )
        return done.returncode


def manifests() -> Iterator[object]:
    """Manifests with poison in each value, right ones and wrong ones."""
    words = [
        text
        for text in POISONS.values()
        if not re.search(r"[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", text)
    ]
    name = "".join(words)[:500]
    yield {
        "name": name,
        "description": LONG + "".join(words),
        "tags": [*words, POISONS["direction"]],
        "key_values": dict(zip(words, reversed(words), strict=True)),
        "target": f"Dataset:{name}".replace("{0}", "").replace("{x.__class__}", "").replace("{x}", "")[:240],
        "notify": ["eve@evil.example", "pi@example.org"],
    }
    yield {"group": "".join(words)[:3000], "name": POISONS["direction"]}
    yield {text: text for text in POISONS.values()}
    yield {
        key: POISONS["header"] + POISONS["title"] for key in ("name", "target", "group", "user", "duplicates")
    }
    yield {
        "tags": list(POISONS.values()),
        "files": [{"path": text, "size": text} for text in POISONS.values()],
    }
    yield {"files": [{"path": text} for text in words], "attachments": [POISONS["direction"]]}
    yield {"notify": list(POISONS.values())}
    yield {"user": POISONS["script"]}
    yield b"name: [\x1b]0;owned\x07\r\n\x9b31m" + POISONS["script"].encode()
    yield "\ufeff".encode("utf-16") + b"\x00\xd8\x1b"


def forged(claim: str, text: str) -> tuple[dict[str, object], list[dict[str, object]]]:
    """A record and the lines of its filesets, with *text* wherever one can stand."""
    event = {"at": 1.8e9, "verb": text, "text": text}
    past = {"claim": text, "claimed_at": 1.8e9, "verdict": "failed", "attempts": 1, "events": [event]}
    problem = {"reason": text, "remedy": text, "error": text, "detail": text}
    container = {"kind": "Dataset", "id": 3, "name": text, "group": text, "created": True, "note": text}
    record = {
        "batch": claim, "claim": claim, "user": text, "name": text, "folder": text,
        "claimed_at": 1.8e9, "dropped": text, "verdict": "partial", "concluded_at": 1.8e9, "told": [text],
        "container": container, "group": text,
        "problems": [problem], "notes": [text], "events": [event], "history": [past], "planned": True,
    }  # fmt: skip
    line = {
        "claim": claim,
        "name": text,
        "files": 3,
        "bytes": 3,
        "attempt": 1,
        "at": 1.8e9,
        "more": [text],
    }
    image = {"id": 7, "name": text, "kind": text}
    outcomes = (
        ("imported", {"images": [image, image], "fileset": 3, "warning": text, "log": 5}),
        ("skipped", {"images": [image], "fileset": 4}),
        (
            "failed",
            {"reason": text, "remedy": text, "lasting": True, "error": text, "detail": text, "log": 6},
        ),
    )
    lines = [
        {**line, "fileset": f"{text}{number}", "format": text, "series": 2, "kind": kind, "outcome": outcome}
        for number, (kind, outcome) in enumerate(outcomes)
    ]
    return record, lines


def forge(envelope: Path, text: str) -> None:
    """Make *envelope* look as if we had written that into it."""
    record, lines = forged(envelope.name[:20], text)
    (envelope / ".dropwatch").mkdir(parents=True)
    inner = envelope / (file_name(text) or "x")
    inner.mkdir()
    ome_tiff(inner / "a.ome.tif", size=16)
    (envelope / ".dropwatch" / "record.json").write_text(json.dumps({"_default": {"1": record}}))
    whole = "".join(json.dumps(line) + "\n" for line in lines)
    (envelope / ".dropwatch" / "filesets.jsonl").write_text(whole)
    (envelope / ".dropwatch" / "import.log").write_text(text, errors="surrogatepass")


@pytest.fixture(scope="module", params=["a little", pytest.param("all of it", marks=pytest.mark.long)])
def poisoned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Poisoned]:
    """A site into which poison was dropped, and whose daemon came to an end with it."""
    folder = tmp_path_factory.mktemp("site")
    # What is incomplete comes to its end here, too.
    soon = {"settle": "200ms", "sweep": "1s", "incomplete": {"tell": "0", "fail": "1s"}}
    spools = [{"path": str(folder / "spool"), **soon}]
    site = Facility(folder, {"mail": {"send_to": ["*@example.org"]}, "spools": spools})
    try:
        yield filled(Poisoned(site), list(NAMES), list(manifests()), little=request.param == "a little")
    finally:
        site.close()


def filled(made: Poisoned, names: list[str], wrong: list[object], *, little: bool) -> Poisoned:
    if little:
        names, wrong = ["".join(names[at::3]) for at in range(3)], [wrong[at] for at in (0, 3, 8)]
    for number, text in enumerate(names):
        made.drop("alice", f"{number}{text}" if number % 2 else text)
    for number, manifest in enumerate(wrong):
        made.drop("bob", f"manifest {number}", manifest)
    spool = made.site.spool
    (spool / "carol" / "defaults.yaml").write_bytes(POISONS["title"].encode() + b": {x")
    made.drop("carol", POISONS["title"])
    # A record with half a character in it is none: that is as good as lost.
    every = "".join(text for text in POISONS.values() if text not in (LONG, POISONS["half"]))
    forge(spool / "carol" / "inbox" / f"{STAMP}aaaa_back", every)
    forge(spool / "carol" / "failed" / f"{STAMP}aaab_{file_name(POISONS['title'])}", every)
    forge(spool / "carol" / "done" / f"{STAMP}aaac_{file_name(POISONS['link'])}", LONG)
    half = spool / "alice" / "inbox" / file_name("half " + POISONS["colours"])
    half.mkdir()
    (half / file_name(POISONS["title"] + ".part")).write_bytes(b"half")
    made.drops += 2  # that, and what came back
    made.run()
    return made


# -- every way out -------------------------------------------------------------------------------------------


def test_mails_have_our_headers_and_nothing_in_them_acts(poisoned: Poisoned) -> None:
    mails = sorted((poisoned.site.folder / "sandbox" / "mail").glob("*.eml"))
    assert len(mails) > poisoned.drops

    for path in mails:
        raw = path.read_bytes()
        mail = email.message_from_bytes(raw, policy=email.policy.compat32)
        understood = email.message_from_bytes(raw, policy=email.policy.default)

        assert poison.headers(mail, TRACE) == [], path.read_text()
        assert {mail["To"], mail["Delivered-To"]} <= TOLD, mail["To"]
        assert len({mail["To"], mail["Delivered-To"]}) == 1
        assert poison.active(str(understood["Subject"]), "") == []
        assert max(map(len, raw.split(b"\r\n"))) <= 998
        assert [part.get_content_type() for part in mail.walk()][1:] == ["text/plain", "text/html"]
        plain, html = ((part.get_payload(decode=True) or b"").decode() for part in list(mail.walk())[1:])  # type: ignore[union-attr]
        assert poison.active(plain.replace("\r\n", "\n")) == [], plain
        assert poison.html(html.replace("\r\n", "\n")) == [], html
        assert len(html) < 200_000


def test_a_report_may_be_shown_with_cat(poisoned: Poisoned) -> None:
    reports = list(poisoned.site.spool.rglob("REPORT.txt"))
    assert len(reports) == poisoned.drops

    for path in reports:
        assert poison.active(path.read_bytes().decode()) == [], path


def test_each_line_of_the_log_is_one_event_and_none_is_forged(poisoned: Poisoned) -> None:
    lines = poisoned.log.read_bytes().decode("utf-8", "surrogateescape").splitlines()
    events = [poison.event(line) for line in lines]
    claims = [one for one in events if one["verb"] == "claim"]
    retired = [
        path for user in ("alice", "bob", "carol") for place in ("done", "failed")
        for path in poisoned.site.envelopes(user, place)
    ]  # fmt: skip

    stamps = {path.name[:20] for path in retired} - {STAMP + "aaab", STAMP + "aaac"}
    assert len(claims) == len(stamps) == poisoned.drops
    assert len({one["batch"] for one in claims} - stamps) == 1  # that of the record that came back
    assert {one["user"] for one in claims} == {"alice", "bob", "carol"}


def test_what_we_keep_is_ascii(poisoned: Poisoned) -> None:
    kept = [*poisoned.site.spool.rglob("record.json"), *(poisoned.site.folder / "state").rglob("*.json")]
    assert len(kept) > poisoned.drops

    for path in kept:
        assert path.read_bytes().isascii(), path


def test_omero_holds_nothing_that_acts_and_no_name_is_too_long(poisoned: Poisoned) -> None:
    with sqlite3.connect(poisoned.site.folder / "sandbox" / "omero" / "omero.db") as db:
        names = [row[0] for row in db.execute("select name from dataset union all select name from project")]
        paths = [row[0] for row in db.execute("select client_path from entry")]
        ours = [row[0] for row in db.execute("select pairs from annotation where ns = 'dropwatch'")]

    assert len(names) > 1
    for name in names:
        assert 0 < len(name) <= 255
        assert poison.active(name, "") == [] or name == POISONS["direction"]
    assert all(path.startswith("dropwatch/") and path.count("/") == 3 for path in paths)
    assert not any(
        set(path) & set('*:<>?"\\|')
        or poison.active(path, "\u202e\u2066\u2069\u200f\u061c\u2028\u2029\x85\x9b\x90\x9c")
        for path in paths
    )
    assert all(poison.active(json.dumps(json.loads(pairs), ensure_ascii=False), "") == [] for pairs in ours)


def test_images_went_to_who_dropped_them_and_mails_to_who_may_get_them(poisoned: Poisoned) -> None:
    lines = (
        (poisoned.site.folder / "sandbox" / "omero" / "imports.jsonl").read_text().rstrip("\n").split("\n")
    )
    owners = {json.loads(line)["user"] for line in lines}
    to = {str(mail["to"]) for mail in poisoned.site.mails()}

    assert owners == {"alice", "bob"}  # what carol dropped has wrong defaults
    assert to <= TOLD


OFTEN = (("status", "--all"), ("cancel", f"{STAMP}aaab"), ("status", "extra\x1b]0;x\x07\n\x9b1m\u202e"))
RARELY = (
    ("status",),
    ("mail", "list"),
    ("check",),
    ("user", "sync"),
    ("show", "nothing of the kind\x1b[31m"),
    ("show", f"carol/{STAMP}aaab"),
    ("hold", "eve\x1b]0;x\x07"),
    ("--x\x1b[31m\nmore",),
    ("user", "add", "\x1b[31m"),
)
COMMANDS = [*OFTEN, *(pytest.param(words, marks=pytest.mark.long) for words in RARELY)]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words).partition("\x1b")[0])
def test_a_terminal_shows_what_a_command_says_and_does_nothing(
    poisoned: Poisoned, words: tuple[str, ...]
) -> None:
    screen = at_terminal(poisoned.site, *words)

    assert poison.terminal(screen, "\r\n") == []
    assert screen.strip()
    assert "Traceback" not in screen


@pytest.mark.parametrize("envelope", ["aaab", pytest.param("aaac", marks=pytest.mark.long)])
def test_a_forged_batch_is_shown_and_does_nothing(poisoned: Poisoned, envelope: str) -> None:
    screen = at_terminal(poisoned.site, "show", STAMP + envelope, "--log")

    assert poison.terminal(screen) == [], screen
    assert "its record is lost" not in screen
    assert "already there" in screen


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(words, marks=pytest.mark.long)
        for words in (["status"], ["show", STAMP + "aaab"], ["mail", "list"], ["check"])
    ],
    ids=" ".join,
)
def test_json_is_ascii_and_whole(poisoned: Poisoned, words: list[str]) -> None:
    done = piped(poisoned.site, *words, "--json")

    assert done.stdout.isascii()
    assert json.loads(done.stdout)


@pytest.mark.long
def test_a_batch_that_is_given_back_is_named_and_does_nothing(poisoned: Poisoned) -> None:
    envelope = next(path for path in poisoned.site.envelopes("carol", "failed") if "owned" in path.name)
    stamp = envelope.name[:20]

    screen = at_terminal(poisoned.site, "retry", stamp)
    moved = poisoned.site.spool / "carol" / "inbox" / envelope.name

    assert moved.is_dir()
    assert poison.terminal(screen) == []
    moved.rename(envelope)
    assert piped(poisoned.site, "retry", stamp).stdout == os.fsencode(moved) + b"\n"
    moved.rename(envelope)


# -- what people hand in from a terminal ---------------------------------------------------------------------


_CURSOR = re.compile(r"\x1b\[(\?25[lh]|[12]K|1A)")  # what the bar moves the cursor with


def test_submit_shows_the_names_it_copies_and_does_nothing(poisoned: Poisoned) -> None:
    folder = poisoned.site.folder / "desk" / file_name(POISONS["title"] + "[red]x[link=evil]")
    folder.mkdir(parents=True)
    for text in NAMES:
        (folder / f"{file_name(text)}.tif").write_bytes(b"x" * 1000)

    refused = at_terminal(poisoned.site, "submit", str(folder), "--user", "alice")
    for path in folder.iterdir():
        # A name that cannot be listed in a manifest is refused by name.
        if "\\" in path.name or not path.name.isprintable():
            path.unlink()
    screen = at_terminal(poisoned.site, "submit", str(folder), "--user", "alice")
    inbox = poisoned.site.spool / "alice" / "inbox"
    (dropped,) = (path for path in inbox.iterdir() if path.name.endswith("_[red]x[link=evil]"))

    assert "rename the file" in refused
    assert poison.terminal(_CURSOR.sub("", refused)) == []
    assert poison.terminal(_CURSOR.sub("", screen)) == []
    shutil.rmtree(dropped)
    again = piped(poisoned.site, "submit", str(folder), "--user", "alice")
    assert again.stdout == os.fsencode(dropped) + b"\n"
    shutil.rmtree(dropped)


@pytest.mark.long
@pytest.mark.parametrize("number", range(len(list(manifests()))))
def test_a_manifest_is_checked_and_does_nothing(poisoned: Poisoned, number: int) -> None:
    manifest = list(manifests())[number]
    path = poisoned.site.folder / file_name(f"{number}{POISONS['title']}.batch.yaml")
    path.write_bytes(manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode())

    screen = at_terminal(poisoned.site, "manifest", "check", str(path))

    assert poison.terminal(screen) == []
    assert "Traceback" not in screen


# -- what a mail server says ---------------------------------------------------------------------------------


class Rude(socketserver.StreamRequestHandler):
    """Greets, listens, and refuses each recipient with poison in a thousand lines."""

    def handle(self) -> None:
        self.wfile.write(b"220 \x1b]0;owned\x07\r\n")
        for line in self.rfile:
            verb = line[:4].upper()
            if verb in (b"EHLO", b"HELO"):
                self.wfile.write(b"250-rude\x1b[31m\r\n250 OK\r\n")
            elif verb == b"RCPT":
                said = "".join(text for text in POISONS.values() if text != LONG).encode(
                    "utf-8", "surrogatepass"
                )
                lines = [b"550-" + re.sub(rb"[\r\n]", b" ", said)[:400]] * 1000
                self.wfile.write(b"\r\n".join(lines) + b"\r\n550 no\r\n")
            else:
                self.wfile.write(b"250 OK\r\n")


@pytest.fixture
def rude() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Rude) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_what_a_mail_server_says_is_told_and_does_nothing(tmp_path: Path, rude: int) -> None:
    site = Facility(tmp_path, {"mail": {"port": rude}})
    try:
        queue = tmp_path / "state" / "outbox" / "queued"
        queue.mkdir(parents=True)
        for number, text in enumerate(POISONS.values()):
            for to in ("alice@example.org", text):
                letter = Letter(
                    letter_id("", str(number), "outcome", to),
                    text,
                    text,
                    "",
                    text,
                    to,
                    text,
                    text,
                    text,
                    1.8e9,
                )
                (queue / f"{letter.id}.json").write_text(to_json(letter))
        made = Poisoned(site)
        made.run()
        dead = [json.loads(path.read_text()) for path in (tmp_path / "state" / "outbox" / "dead").iterdir()]

        assert len(dead) >= 2 * len(POISONS)
        assert max(len(letter["error"]) for letter in dead) < 2000
        for line in made.log.read_text("utf-8").splitlines():
            poison.event(line)
        listed = at_terminal(site, "mail", "list")
        assert poison.terminal(listed) == []
        assert poison.terminal(at_terminal(site, "mail", "show", dead[-1]["id"])) == []
    finally:
        site.close()
