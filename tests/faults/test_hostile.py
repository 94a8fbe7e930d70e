"""Hostile names and things in a drop: each a clear word, the good images beside it imported, nothing else read.

The tables are the promise. All of it is dropped at once, so that one daemon has to live through everything together.
"""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import re
import socket
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import pytest

from dropwatch import report
from dropwatch.daemon import Daemon
from dropwatch.errors import PermanentError, TemporaryError
from dropwatch.importers import reading
from dropwatch.model import FileFact, Verdict
from dropwatch.report.words import named
from dropwatch.sandbox.samples import ome_tiff
from dropwatch.spool.tree import read_small, snapshot
from dropwatch.task.eyes import ByName
from facility import Facility, text_of
from tests.tales import ARCHIVE, DAMAGED, entry, good, tale
from threads import thread_staff

if sys.platform != "linux" or os.geteuid() != 0:
    pytest.skip("makes devices and files of other accounts: needs root on Linux", allow_module_level=True)

ALICE, BOB = 64001, 64002
MARK = b"SECRET of somebody else"

Make = Callable[[Path], object]


@dataclass(frozen=True)
class Thing:
    """make -- puts it into a batch folder that has ``good.ome.tif`` in it

    words    -- what mail and REPORT.txt must say
    imported -- how many image files are in OMERO afterwards
    """

    make: Make
    words: tuple[str, ...] = ()
    imported: int = 1


def image(path: Path, seed: int = 1) -> Path:
    made = path.parent / "new.ome.tif"  # under a plain name first: a TIFF tells its own name
    ome_tiff(made, seed=seed)
    return made.rename(path)


def secret(folder: Path) -> Path:
    """An image of bob's, for his eyes only, beside the spool."""
    path = folder.parent.parent / f"secret {len(list(folder.parent.parent.glob('secret*')))}.ome.tif"
    image(path, seed=999)
    with path.open("ab") as file:
        file.write(MARK)
    os.chown(path, BOB, BOB)
    path.chmod(0o600)
    return path


def bobs(name: str) -> Make:
    """A second name of bob's file."""

    def make(folder: Path) -> None:
        os.link(secret(folder), folder / name)

    return make


def says(manifest: str, name: str, make: Callable[[Path], object]) -> Make:
    def both(folder: Path) -> None:
        make(folder / name)
        (folder / "batch.yaml").write_text(manifest)

    return both


def door(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        here = Path.cwd()
        os.chdir(path.parent)  # the path of a socket is short
        made.bind(path.name)
        os.chdir(here)


def deep(folder: Path, name: str, depth: int) -> None:
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("deep.ome.tif", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


def with_all_bits(folder: Path) -> None:
    for number, mode in enumerate((0o4755, 0o2755, 0o1644, 0o6777, 0o444, 0o400)):
        image(folder / f"{mode:o}.ome.tif", seed=number + 2).chmod(mode)


def oddly_named(folder: Path) -> None:
    for number, name in enumerate(NAMES):
        image(folder / f"{name}.ome.tif", seed=number + 2)
    image(folder / ("n" * 247 + ".ome.tif"), seed=100)


#: What is odd, and yet a name. Each is used for a file, for a folder, and for a loose file.
NAMES = (
    "a\nb", "\x1b[31mred", unicodedata.normalize("NFC", "caf\xe9"), unicodedata.normalize("NFD", "caf\xe9"), "A", "a",
    "CON", "blank ", "a:b", "a\\..\\..\\b", "-rf", "a\u202egnp\u200b", "%s%n{0}", "'\"`$(id)*?[x]<b>&amp;",
)  # fmt: skip

LINK = ("It is a link, and dropwatch neither follows nor opens such things.", "Copy the file itself")
HARD = ("It is a second name (hard link) of a file of another account",)

THINGS = {
    "link": Thing(lambda folder: (folder / "b.ome.tif").symlink_to(secret(folder)), ("b.ome.tif", *LINK)),
    "link to a folder": Thing(lambda folder: (folder / "b").symlink_to("/etc"), LINK),
    "link to itself": Thing(lambda folder: (folder / "loop.tif").symlink_to("loop.tif"), LINK),
    "folder in itself": Thing(lambda folder: (folder / "loop").symlink_to("."), LINK),
    "link to nothing": Thing(lambda folder: (folder / "b.tif").symlink_to("nothing"), LINK),
    "link of a long path": Thing(lambda folder: (folder / "b.tif").symlink_to("../" * 1000), LINK),
    "hard link": Thing(bobs("b.ome.tif"), ("b.ome.tif", *HARD)),
    "hard link of ones own": Thing(lambda folder: os.link(folder / "good.ome.tif", folder / "b.ome.tif"), (), 2),
    "pipe": Thing(lambda folder: os.mkfifo(folder / "p.ome.tif"), ("p.ome.tif", "It is a pipe")),
    "socket": Thing(lambda folder: door(folder / "s.ome.tif"), ("It is a socket",)),
    "device": Thing(lambda folder: os.mknod(folder / "d.tif", 0o020666, os.makedev(1, 5)), ("It is a device",)),
    "disk": Thing(lambda folder: os.mknod(folder / "d.tif", 0o060666, os.makedev(7, 0)), ("It is a device",)),
    "terabyte": Thing(lambda folder: sparse(folder / "huge.tif"), ("huge.tif", "damaged")),
    "500 deep": Thing(lambda folder: deep(folder, "d", 500), ("more than 64 folders deep", "higher up")),
    "long path": Thing(lambda folder: deep(folder, "n" * 250, 40), ("a path that is too long", "shorter names")),
    "all bits": Thing(with_all_bits, (), 7),
    "odd names": Thing(oddly_named, (), 2 + len(NAMES)),
    "undecodable": Thing(
        lambda folder: image(Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.ome.tif")), 2),
        ("caf\\xe9.ome.tif", "a character that is not valid", "Rename it"),
    ),
    "dots in front": Thing(lambda folder: image(folder / "..b.ome.tif"), ("Still being written", "..b.ome.tif"), 0),
    "attached link": Thing(
        says("attachments: [n.txt]", "n.txt", lambda path: path.symlink_to("/etc/passwd")),
        ("To be attached but not there: n.txt (it is a link)",), 0,
    ),
    "attached hard link": Thing(
        says("attachments: [n.txt]", "n.txt", lambda path: os.link(secret(path.parent), path)),
        ("To be attached but not there: n.txt (it is a second name (hard link) of a file of another account)",), 0,
    ),
    "attached through a link": Thing(
        says("attachments: [n/passwd]", "n", lambda path: path.symlink_to("/etc")),
        ("To be attached but not there: n/passwd",), 0,
    ),
    "listed pipe": Thing(says("files: [{path: p.tif}]", "p.tif", os.mkfifo), ("not there: p.tif (it is a pipe)",), 0),
    "listed dots": Thing(says("files: [{path: 'a\\..\\..\\b'}]", "b", Path.touch), ("leads out of the folder",), 0),
    "manifest is a link": Thing(
        lambda folder: (folder / "batch.yaml").symlink_to("/etc/passwd"),
        ("The manifest batch.yaml is a link, and is not read", "Copy the file itself"), 0,
    ),
    "manifest is a hard link": Thing(bobs("batch.yaml"), ("The manifest batch.yaml is a second name (hard link)",), 0),
    "manifest is a folder": Thing(lambda folder: (folder / "batch.yaml").mkdir(), (), 1),
}  # fmt: skip

#: At the top of an inbox, and no file: name, what makes it, what mail and report say.
LOOSE_THINGS = {
    "link": (lambda path: path.symlink_to("/etc/passwd"), "It is a link"),
    "linkdir": (lambda path: path.symlink_to("/etc"), "It is a link"),
    "pipe": (os.mkfifo, "It is a pipe"),
    "socket": (door, "It is a socket"),
    "hard": (lambda path: os.link(secret(path), path), HARD[0]),
}


@dataclass
class Ended:
    """What became of everything."""

    place: Facility
    mails: dict[str, list[EmailMessage]]  #: by user

    def subjects(self, user: str) -> list[str]:
        return [str(mail["subject"]) for mail in self.mails[user]]

    def report(self, user: str, name: str) -> str:
        """REPORT.txt of the batch whose envelope ends with *name*, as one line of words."""
        (path,) = [
            one
            for where in ("done", "failed")
            for one in self.place.envelopes(user, where)
            if one.name[21:] == name
        ]
        return " ".join((path / "REPORT.txt").read_text().split())

    def mail(self, user: str, name: str) -> str:
        told = re.compile(rf"(^|: ){re.escape(name)}( \u2014 |, \d|$)")
        found = [mail for mail in self.mails[user] if told.search(str(mail["subject"]))]
        assert len(found) == 1, (name, [str(mail["subject"]) for mail in found])
        return f"{found[0]['subject']} {text_of(found[0])}"


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ended]:
    place = Facility(tmp_path_factory.mktemp("hostile"))
    rules = {"settle": "200ms", "sweep": "1s", "incomplete": {"tell": "2s", "fail": "2s"}}
    place.settings["spools"] = [{"path": str(place.spool), **rules}]
    made = place.folder / "made"
    made.mkdir()
    inbox = {user: place.spool / user / "inbox" for user in place.users}
    for name, thing in THINGS.items():
        folder = made / name
        folder.mkdir()
        image(folder / "good.ome.tif")
        thing.make(folder)
        for path in (
            folder,
            *(one for one in folder.iterdir() if not one.is_symlink() and one.lstat().st_uid == 0),
        ):
            os.chown(path, ALICE, ALICE)
        place.bring("alice", folder)
    for number, name in enumerate((*NAMES, "n" * 255, "REPORT.txt", "report.TXT")):
        (inbox["bob"] / name).mkdir()
        image(inbox["bob"] / name / "good.ome.tif", seed=number + 50)
    for number, name in enumerate((*NAMES, "n" * 247)):
        image(made / "x.ome.tif", seed=number + 100).rename(inbox["carol"] / f"{name}.ome.tif")
    for name, (make, _) in LOOSE_THINGS.items():
        make(inbox["carol"] / name)
    (inbox["bob"] / ".dropwatch").mkdir()
    (inbox["bob"] / ".dropwatch" / "record.json").write_text("{}")
    place.start()
    try:
        place.until(lambda: all(_is_over(place, user) for user in place.users), 200)
        place.until(lambda: not list((place.folder / "state" / "outbox" / "queued").glob("*.json")))
        yield Ended(place, {user: place.mails(f"{user}@") for user in place.users})
    finally:
        place.close()


def _is_over(place: Facility, user: str) -> bool:
    waiting = [path for there in ("inbox", "processing") for path in (place.spool / user / there).iterdir()]
    return all(path.name == ".dropwatch" for path in waiting)


@pytest.mark.parametrize("name", THINGS)
def test_a_thing_in_a_batch_is_told_and_the_rest_imported(ended: Ended, name: str) -> None:
    thing = THINGS[name]
    mail, report = ended.mail("alice", name), ended.report("alice", name)
    folder = next(
        path / name for where in ("done", "failed") for path in ended.place.envelopes("alice", where)
        if path.name[21:] == name
    )  # fmt: skip

    for words in thing.words:
        assert words in mail
        assert words in report
    lines = folder.parent / ".dropwatch" / "filesets.jsonl"
    outcomes = [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else []
    assert len({line["fileset"] for line in outcomes if line.get("kind") == "imported"}) == thing.imported
    assert folder.parent.parent.name == ("failed" if thing.words else "done")


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_is_a_name_of_folders_and_of_loose_files(ended: Ended, name: str) -> None:
    told = f"1 image file imported: {named(name, 44)}".strip()  # a mail's subject ends without blanks

    folders = [subject for subject in ended.subjects("bob") if subject == told]
    loose = [subject for subject in ended.subjects("carol") if subject.startswith(f"{told}, ")]

    assert len(folders) == 1
    assert len(loose) == 1 or name.endswith((" ", "."))


@pytest.mark.parametrize("name", LOOSE_THINGS)
def test_a_loose_thing_is_told(ended: Ended, name: str) -> None:
    words = LOOSE_THINGS[name][1]

    assert words in ended.mail("carol", name)
    assert words in ended.report("carol", name)


def test_all_of_it_came_from_the_batches_and_was_imported_as_its_owner(ended: Ended) -> None:
    place = ended.place
    counts = {user: sum(one["user"] == user for one in place.imports()) for user in place.users}

    assert counts == {
        "alice": sum(thing.imported for thing in THINGS.values()),
        "bob": len(NAMES) + 3,
        "carol": len(NAMES) + 1,
    }
    assert place.leftovers() == []
    for name in ("REPORT.txt", "report.TXT"):
        assert f"1 image file imported: {name}" in ended.subjects("bob")


def test_nothing_of_a_secret_leaves_its_file(ended: Ended) -> None:
    """Not into OMERO, not into a mail, not into a report, not into the daemon's memory on disk."""
    place = ended.place
    ours = (path for top in ("sandbox", "state") for path in (place.folder / top).rglob("*"))
    beside = (
        path for pattern in (".dropwatch/*", "REPORT.txt") for path in place.spool.glob(f"*/*/*/{pattern}")
    )

    for path in (*ours, *beside):
        if path.is_file():
            data = path.read_bytes()
            assert MARK not in data, path
            assert b"root:x:0" not in data, path


def test_the_daemon_lives_and_met_no_error_of_its_own(ended: Ended) -> None:
    assert ended.place.thread is not None
    assert ended.place.thread.is_alive()
    assert [subject for subject in ended.place.subjects("admin@") if "error of its own" in subject] == []


# -- who holds a lock for ever -----------------------------------------------------------------------------


def held_by_somebody(tmp_path: Path, kind: int) -> tuple[Facility, int]:
    """A batch moved back to the inbox with its lock held, and the descriptor that holds it."""
    place = Facility(tmp_path, {"workers": {"timeout": "1s"}})
    envelope = place.folder / "20261124-140355-k3f9_run"
    (envelope / ".dropwatch").mkdir(parents=True)
    (envelope / "run").mkdir()
    image(envelope / "run" / "a.ome.tif")
    holder = os.open(envelope / ".dropwatch" / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(holder, kind)
    place.bring("alice", envelope)
    start(place)
    return place, holder


def start(place: Facility) -> None:
    """Start its daemon, which tells images by their names: what matters here is not in them."""
    config = place.config()
    place.daemon = Daemon(config, thread_staff(config, None, ByName), {})
    place.run_in_thread()


def test_a_lock_that_somebody_holds_is_told_to_the_admins(tmp_path: Path) -> None:
    place, holder = held_by_somebody(tmp_path, fcntl.LOCK_SH)
    try:
        place.until(lambda: any(subject.startswith("Waiting for") for subject in place.subjects("admin@")))
        told = text_of(
            next(mail for mail in place.mails("admin@") if str(mail["subject"]).startswith("Waiting"))
        )
        os.close(holder)
        place.until(lambda: place.retired("alice"))

        assert "another process holds the lock of this batch" in told
        assert place.imported() == ["a.ome.tif"]
    finally:
        place.close()


def test_a_lock_that_somebody_holds_alone_uses_up_the_attempts(tmp_path: Path) -> None:
    place, holder = held_by_somebody(tmp_path, fcntl.LOCK_EX)
    try:
        place.until(lambda: place.retired("alice"))
        report = " ".join((place.batch("alice", "failed") / "REPORT.txt").read_text().split())

        assert "Somebody else is working on this batch" in report
    finally:
        os.close(holder)
        place.close()


# -- forged envelopes --------------------------------------------------------------------------------------

STAMP = "20200101-000000-abcd"
FINISHED = {"batch": STAMP, "claim": STAMP, "user": "bob", "name": "theirs", "folder": "../../../bob/inbox/theirs",
            "claimed_at": 1.0, "planned": True, "verdict": "imported", "notified": True, "attempts": 10**9,
            "not_before": 1e300, "loose": ["../../bob/inbox/theirs", "/etc/passwd"]}  # fmt: skip
OURS = (
    "record.json",
    "filesets.jsonl",
    "import.log",
    "looks.jsonl",
    "cancel",
    "lock",
    "cli",
    "record.json.part",
)


def record(text: str) -> Make:
    return lambda memory: (memory / "record.json").write_text(text)


def everywhere(make: Callable[[Path], object]) -> Make:
    def all_of(memory: Path) -> None:
        for name in OURS:
            make(memory / name)
        make(memory.parent / "REPORT.txt")
        make(memory.parent / "REPORT.txt.part")

    return all_of


def huge(memory: Path) -> None:
    for name in ("record.json", "filesets.jsonl", "looks.jsonl", "import.log", "cancel"):
        sparse(memory / name)


def blaming(memory: Path) -> None:
    """Says that a.ome.tif killed planners, and is no image anyway."""
    lines = (
        {"claim": STAMP, "state": "x"},
        {"look": "a.ome.tif", "size": 1, "mtime": 1},
        {"blamed": "a.ome.tif", "times": 99},
    )
    (memory / "looks.jsonl").write_text("\n".join(map(json.dumps, lines)))


FORGERIES: dict[str, Make] = {
    "somebody elses": record(json.dumps({"_default": {"1": FINISHED}})),
    "deep": record("[" * 200_000),
    "deep inside": record('{"_default": {"1": {"events": ' + "[" * 200_000),
    "huge": huge,
    "links": everywhere(lambda path: path.symlink_to("/etc/passwd")),
    "links to nothing": everywhere(lambda path: path.symlink_to(path.parents[4] / "made by a link")),
    "pipes": everywhere(os.mkfifo),
    "sockets": everywhere(door),
    "blaming": blaming,
}  # fmt: skip


def test_forged_envelopes_gain_nothing_and_hold_nobody_up(tmp_path: Path) -> None:
    place = Facility(tmp_path)
    for number, (name, make) in enumerate(FORGERIES.items()):
        envelope = place.folder / f"20200101-00000{number}-abcd_{name}"
        (envelope / ".dropwatch").mkdir(parents=True)
        (envelope / name).mkdir()
        image(envelope / name / f"{name}.ome.tif", seed=number)
        make(envelope / ".dropwatch")
        place.bring("alice", envelope)
    place.drop("bob", "theirs", "theirs.ome.tif")
    before = Path("/etc/passwd").read_bytes()
    start(place)
    try:
        place.until(lambda: place.retired("bob") and place.retired("alice", len(FORGERIES)))

        assert place.imported() == sorted([*(f"{name}.ome.tif" for name in FORGERIES), "theirs.ome.tif"])
        assert {one["user"] for one in place.imports() if "theirs" not in str(one["files"])} == {"alice"}
        assert Path("/etc/passwd").read_bytes() == before
        assert list(place.folder.glob("**/made by a link")) == []
        assert [subject for subject in place.subjects("admin@") if "error of its own" in subject] == []
    finally:
        place.close()


# -- what takes for ever -----------------------------------------------------------------------------------


def test_a_terabyte_that_is_being_sent_can_be_cancelled(tmp_path: Path) -> None:
    place = Facility(tmp_path)
    folder = place.folder / "run"
    folder.mkdir()
    image(folder / "a.ome.tif")
    sparse(folder / "notes.bin")
    (folder / "batch.yaml").write_text("attachments: [notes.bin]\n")
    place.bring("alice", folder)
    start(place)
    try:
        place.until(lambda: place.ask_server("select id from originalfile where size > 1000000000000"))
        envelope = place.batch("alice", "processing")
        (envelope / ".dropwatch" / "cancel").write_text(envelope.name[:20])
        place.until(lambda: place.retired("alice"))

        report = (place.batch("alice", "failed") / "REPORT.txt").read_text()
        assert place.imported() == ["a.ome.tif"]
        assert "notes.bin" in report
        assert place.ask_server("select id from originalfile where size > 1000000000000") == []
    finally:
        place.close()


# -- swapped in while it is read ---------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["folder below", "folder of the batch", "envelope", "file"])
def test_a_link_that_is_swapped_in_again_and_again_leads_to_no_secret(tmp_path: Path, what: str) -> None:
    """The secret has the same names, sizes and times as the batch: only the way to it is another one."""
    envelope = tmp_path / "processing" / f"{STAMP}_run"
    for top, data in ((envelope, b"mine..."), (tmp_path / "secret", b"SECRET.")):
        path = top / "run" / "sub" / "a.tif"
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        os.utime(path, ns=(1, 1))
    os.chown(tmp_path / "secret" / "run" / "sub" / "a.tif", BOB, BOB)
    victim = {
        "folder below": "run/sub",
        "folder of the batch": "run",
        "envelope": "",
        "file": "run/sub/a.tif",
    }[what]
    fact = FileFact("sub/a.tif", 7, 1, (envelope / "run/sub/a.tif").stat().st_ino)
    mine, secret, aside = envelope / victim, tmp_path / "secret" / victim, tmp_path / "aside"
    swapper = multiprocessing.get_context("fork").Process(
        target=swap_for_ever, args=(mine, secret, aside), daemon=True
    )
    swapper.start()
    read, refused = 0, 0
    deadline = time.monotonic() + 90
    try:
        while (read < 100 or refused < 100) and time.monotonic() < deadline:
            try:
                with reading.opened(str(envelope / "run"), fact) as descriptor:
                    assert b"".join(reading.blocks(descriptor, fact)) == b"mine..."
                read += 1
            except (PermanentError, TemporaryError):
                refused += 1
            with suppress(OSError):
                listed = [file.path for file in snapshot(envelope / "run").files]
                assert listed in ([], ["sub/a.tif"])
            with suppress(OSError, PermanentError):
                small = read_small(envelope / "run" / "sub" / "a.tif", most=100, inode=fact.inode)
                assert small == b"mine..."
    finally:
        swapper.kill()
        swapper.join()

    assert read >= 20
    assert refused >= 20


def swap_for_ever(mine: Path, secret: Path, aside: Path) -> None:
    while True:
        mine.rename(aside)
        mine.symlink_to(secret)
        mine.unlink()
        if secret.is_file():
            os.link(secret, mine)  # of the same size and time
            mine.unlink()
        aside.rename(mine)


def test_a_mail_about_20000_image_files_is_short_and_the_report_names_them_all() -> None:
    imported = tale(*(entry(f"cell {number:06}.czi", good(number)) for number in range(10_000)), verdict=None)
    failed = tale(
        *(entry(f"cell {number:06}.czi", DAMAGED) for number in range(20_000)), verdict=Verdict.FAILED
    )

    for mail in (
        report.outcome(failed, ARCHIVE),
        report.outcome_for_admins(failed, ARCHIVE),
        report.delay(imported, ARCHIVE),
    ):
        assert len(mail.plain) < 4000
        assert len(mail.html) < 60_000
    assert report.report_txt(failed, ARCHIVE).count(".czi") >= 20_000
