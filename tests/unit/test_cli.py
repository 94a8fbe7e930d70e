"""The command line without a server: configuration, names, refusals, markers, letters. Real folders, no daemon."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from still import AT, Facility
from typer.main import get_command
from typer.testing import CliRunner

from dropwatch import exits
from dropwatch.cli import app
from dropwatch.config import Config, load
from dropwatch.journal import OneLine
from dropwatch.ledger import Ledger
from dropwatch.model import Container, Dropped, Failed, Image, Imported, Kind, Place, Verdict
from dropwatch.outbox import Shelf
from dropwatch.pipeline import glance
from dropwatch.record import Event, PastClaim, Record
from dropwatch.spool.folders import MEMORY, Spool
from dropwatch.status import Most, snapshot


@pytest.fixture
def facility(tmp_path: Path) -> Facility:
    return Facility(tmp_path)


def everything(folder: Path) -> list[tuple[str, int, bytes]]:
    """All there is below *folder*, to see that nothing changed."""
    return [
        (str(path), path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    ]


def _record(envelope: Path) -> Record:
    record = Ledger(MEMORY).read(envelope)
    assert record is not None
    return record


# -- configuration ---------------------------------------------------------------------------------------


def test_a_broken_configuration_is_told_with_all_its_problems_and_their_lines(facility: Facility) -> None:
    facility.file.write_text("spools: []\nstate: /nowhere\nmail: null\nomero: {host: x, prt: 1}\nsit: {}\n")

    done = facility("status")

    assert done.exit_code == exits.USAGE
    assert done.stdout == ""
    problems = done.stderr.splitlines()
    assert [problem.split("dropwatch.yaml")[1].split(":")[1] for problem in problems] == ["1", "4", "4", "5"]
    assert "omero.prt: unknown setting" in done.stderr
    assert "omero.user: missing" in done.stderr


def test_a_configuration_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["--config", str(tmp_path / "none.yaml"), "status"])

    assert done.exit_code == exits.USAGE
    assert "none.yaml: cannot be read: No such file or directory" in done.stderr


def test_the_environment_names_the_configuration_too(facility: Facility) -> None:
    done = CliRunner().invoke(app, ["status"], env={"DROPWATCH_CONFIG": str(facility.file)})

    assert done.exit_code == exits.GOOD
    assert "No batches yet." in done.stdout


def test_every_command_and_option_says_what_it_does() -> None:
    def silent(group: Any, name: str) -> Iterable[str]:
        for word, command in getattr(group, "commands", {}).items():
            yield from silent(command, f"{name} {word}")
        if not (group.help or "").strip():
            yield name
        yield from (f"{name} {one.name}" for one in group.params if not getattr(one, "help", None))

    assert list(silent(get_command(app), "dropwatch")) == []


@pytest.mark.parametrize("words", [("status",), ("mail", "list"), ("manifest", "schema")])
def test_commands_that_only_look_need_no_omero(facility: Facility, words: tuple[str, ...]) -> None:
    script = (
        "import sys; from dropwatch.cli import app\n"
        "try: app(sys.argv[1:])\n"
        "except SystemExit as end: print(end.code, *set(sys.modules) & {'omero', 'Ice'}, file=sys.stderr)"
    )
    asked = [sys.executable, "-c", script, "--config", str(facility.file), *words]

    done = subprocess.run(asked, capture_output=True, text=True, timeout=200, check=False)

    assert done.stderr.splitlines()[-1] == "0"


# -- status ----------------------------------------------------------------------------------------------


def test_status_reads_and_makes_nothing(facility: Facility) -> None:
    facility.drop("alice", "new", "a.czi")
    facility.claimed("bob", "old")
    (facility.spool / "bob" / "done").rmdir()
    before = everything(facility.folder)

    facility("status")
    facility.json("status")
    facility.json("show", "new")

    assert everything(facility.folder) == before


def test_status_has_the_promised_shape(facility: Facility) -> None:
    facility.drop("alice", "new", "a.czi", "b.czi")
    facility.claimed(
        "bob",
        "old",
        Place.PROCESSING,
        attempts=2,
        not_before=AT + 3600,
        lines=[
            facility.line(0, "a.czi", Imported((Image(1),), 2)),
            facility.line(0, "b.czi", Failed("It is damaged.", lasting=True)),
            facility.line(0, "c.czi", Failed("The connection was lost.")),
        ],
    )
    facility.letter(Shelf.DEAD, "x@example.org")

    seen = facility.json("status")

    assert list(seen) == ["daemon", "targets", "outbox", "batches"]
    assert seen["outbox"] == {"queued": 0, "sent": 0, "dead": 1}
    assert list(seen["batches"][0]) == [
        "id", "claim", "user", "name", "place", "path", "since", "files", "bytes", "filesets", "attachments",
        "attempts", "next_attempt", "verdict", "reason", "progress",
    ]  # fmt: skip
    old, new = seen["batches"]
    assert old["filesets"] == {"total": 3, "imported": 1, "skipped": 0, "failed": 1, "running": 0}
    assert (old["since"], old["next_attempt"]) == ("2026-11-24T13:03:55.000Z", "2026-11-24T14:03:55.000Z")
    assert old["reason"].startswith("1 of 3 left, waiting: dropwatch is not running, next attempt ")
    assert (new["id"], new["claim"], new["place"], new["files"], new["bytes"]) == (None, None, "inbox", 2, 12)


def test_a_drop_that_lacks_something_says_what(facility: Facility) -> None:
    folder = facility.drop("alice", "run 7", "a.czi", "b.czi.part")
    (folder / "batch.yaml").write_text("files: [{path: a.czi}, {path: c.czi}]\n")

    seen = facility.json("status")["batches"]

    assert [batch["reason"] for batch in seen] == [
        "waiting: it lacks b.czi.part (still being written) and 1 more; given up after 1 day without a change"
    ]


def test_what_the_daemon_says_of_itself_is_passed_on(facility: Facility) -> None:
    path = facility.claimed("alice", "long", Place.PROCESSING, lines=[facility.line(0, "a.czi", None)])
    work = {
        "batch": path.name[:20],
        "file": "a.czi",
        "progress": {"stage": "upload", "done": 250, "total": 1000},
    }
    target = {
        "since": AT,
        "until": AT + 60,
        "times": 3,
        "reason": "OMERO is away.",
        "remedy": "",
        "operator": False,
    }
    with facility.running(work, targets={"omero": target}):
        seen = facility.json("status")
        table = facility("status").stdout
    gone = facility("status").stdout

    assert (seen["daemon"]["running"], seen["daemon"]["pid"]) == (True, 7)
    assert seen["daemon"]["started"] == "2026-11-24T13:03:55.000Z"
    assert seen["targets"]["omero"]["until"] == "2026-11-24T13:04:55.000Z"
    assert seen["batches"][0]["filesets"]["running"] == 1
    assert seen["batches"][0]["progress"]["done"] == 250
    assert "waiting: OMERO is away; 0.2 of 1.0 kB" in table
    assert "omero is left alone until" in table
    assert "dropwatch 9 is not running: it died" in gone


def test_a_spool_that_is_not_mounted_is_told_and_the_others_are_shown(facility: Facility) -> None:
    facility.claimed("alice", "here")
    away = facility.folder / "away"
    facility.configure(spools=[{"path": str(away)}, {"path": str(facility.spool)}])

    seen = facility.json("status")

    assert "its identity file" in seen["targets"][f"spool:{away}"]["reason"]
    assert [batch["name"] for batch in seen["batches"]] == ["here"]


def test_of_many_retired_batches_only_the_newest_are_opened(facility: Facility) -> None:
    for number in range(25):
        facility.claimed("alice", f"day {number}", Place.DONE, number=number)
    (facility.spool / "alice" / "done" / "holiday pictures").mkdir()

    table, whole = facility("status").stdout, facility("status", "--all").stdout
    each = snapshot(load(facility.file), AT, glance.inbox, Most(each=7))

    assert "5 older batches are not shown" in table
    assert "day 4 " not in table
    assert table.index("day 5 ") < table.index("day 24 ")
    assert "day 0 " in whole
    assert [row.name for row in each.rows] == [f"day {number}" for number in range(18, 25)]


def test_a_batch_that_moves_on_while_we_look_is_shown_once(facility: Facility) -> None:
    path = facility.claimed("alice", "moving", Place.PROCESSING)
    drop = facility.drop("alice", "taken", "a.czi")

    def look(config: Config, spool: Spool, user: str) -> list[Dropped]:
        """The daemon claims one batch and retires another just after this look."""
        seen = list(glance.inbox(config, spool, user))
        if seen:
            path.rename(spool.folder(user, Place.DONE) / path.name)
            drop.rename(drop.parents[2] / "gone")
        return seen

    rows = snapshot(load(facility.file), AT, look).rows

    assert [(row.name, row.place) for row in rows] == [("moving", Place.DONE)]


def test_a_lost_or_forged_record_harms_nobody(facility: Facility) -> None:
    lost, forged = facility.claimed("alice", "lost"), facility.claimed("bob", "forged")
    copied = facility.claimed("bob", "of another claim", number=1)
    Ledger(MEMORY).write(copied, replace(_record(copied), claim="20260101-000000-wxyz"))
    (lost / MEMORY / "record.json").unlink()
    (forged / MEMORY / "record.json").write_text('{"_default": {"1": {"batch": 7, "claim": [[]]}}}')

    seen = facility.json("status")["batches"]

    assert [(batch["name"], batch["reason"]) for batch in seen] == [
        ("forged", "its record is lost; OMERO knows what was imported"),
        ("lost", "its record is lost; OMERO knows what was imported"),
        ("of another claim", "its record is lost; OMERO knows what was imported"),
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_from_hell_are_shown_harmlessly_and_come_through_as_json(facility: Facility) -> None:
    name = os.fsdecode(b"\xffevil\x1b[2J\n[red]")
    facility.drop("alice", name, os.fsdecode(b"\xfe.tif"))
    facility.claimed("bob", name, lines=[facility.line(0, name, Failed(f"{name} is damaged."))])

    asked = [sys.executable, "-m", "dropwatch", "--config", str(facility.file)]
    table = subprocess.run([*asked, "status"], capture_output=True, timeout=200, check=False)
    shown = subprocess.run([*asked, "show", f"bob/{name}"], capture_output=True, timeout=200, check=False)
    seen = facility.json("status")

    assert (table.returncode, shown.returncode) == (exits.GOOD, exits.GOOD), shown.stderr
    assert shown.stdout.splitlines()[0] == b"\\xffevil\\x1b[2J\\n[red]  failed"
    assert b"\x1b" not in table.stdout + shown.stdout
    assert {batch["name"] for batch in seen["batches"]} == {name}


# -- one batch -------------------------------------------------------------------------------------------


def test_a_batch_is_found_by_id_claim_folder_name_and_user(facility: Facility) -> None:
    old = PastClaim("20261101-101010-wxyz", AT - 9, Verdict.FAILED, 1, (Event(AT - 9, "claim"),))
    path = facility.claimed("bob", "cafe\u0301", batch=old.claim, history=(old,), title="The night run")

    for name in (
        old.claim,
        path.name[:20],
        path.name,
        "caf\u00e9",
        "bob/cafe\u0301",
        "The night run",
        "bob/The night run",
    ):
        assert facility.json("show", name)["path"] == str(path), name
    assert facility("show", "alice/The night run").exit_code == exits.USAGE


def test_an_ambiguous_name_is_refused_with_the_candidates(facility: Facility) -> None:
    first, second = facility.claimed("alice", "test"), facility.claimed("bob", "test", Place.DONE, number=1)
    third = facility.drop("alice", "test", "a.czi")

    done = facility("show", "test")
    narrowed = facility.json("show", "bob/test")

    assert done.exit_code == exits.USAGE
    assert done.stdout == ""
    assert [str(path) in done.stderr for path in (first, second, third)] == [True, True, True]
    assert narrowed["path"] == str(second)


def test_with_several_spools_one_can_be_named(facility: Facility) -> None:
    facility.claimed("alice", "test")
    other = Facility(facility.folder / "other")
    wanted = other.claimed("alice", "test")
    facility.configure(spools=[{"path": str(facility.spool)}, {"path": str(other.spool)}])

    assert facility("show", "test").exit_code == exits.USAGE
    assert facility.json("show", "test", "--spool", str(other.spool))["path"] == str(wanted)
    assert str(other.spool) in facility("show", "test", "--spool", str(facility.folder)).stderr


def test_show_tells_the_whole_story(facility: Facility) -> None:
    failed = Failed("It is damaged.", "Copy it again.", True, "PermanentError corrupt", "a stack\ntrace", 9)
    path = facility.claimed(
        "alice",
        "HeLa",
        attempts=1,
        verdict=Verdict.PARTIAL,
        concluded_at=AT + 5,
        container=Container(Kind.DATASET, 12, "HeLa", "lab-a"),
        events=(Event(AT, "claim", "HeLa"), Event(AT + 5, "conclude", "partial")),
        lines=[facility.line(0, "a.czi", Imported((Image(5, "a"),), 6)), facility.line(0, "b.czi", failed)],
    )
    Ledger(MEMORY).log(path, "attempt 1 b.czi: failed")
    facility.letter(Shelf.SENT, "alice@example.org")

    told, story = facility("show", "HeLa", "--log").stdout, facility.json("show", "HeLa")

    for words in (
        "1 of 2 in OMERO", "https://omero.example.org/web/?show=dataset-12", "image 5", "It is damaged.",
        "Copy it again.", "PermanentError corrupt", "trace", "download_original_file/9/", "14:03:55  claim",
        "14:04:00  conclude", "attempt 1 b.czi: failed", "concluded  24 Nov 2026 14:04, partial after 1 attempt",
    ):  # fmt: skip
        assert words in told, words
    assert "trace" not in facility("show", "HeLa").stdout
    assert story["container"]["link"] == "https://omero.example.org/web/?show=dataset-12"
    assert [one["outcome"] for one in story["filesets"]["each"]] == ["imported", "failed"]
    tried, each = story["claims"][0]["tries"], story["filesets"]["each"]
    assert [one.items() <= other.items() for one, other in zip(tried, each, strict=True)] == [True, True]
    assert story["claims"][0]["events"][1] == {
        "at": "2026-11-24T13:04:00.000Z",
        "verb": "conclude",
        "text": "partial",
    }


def test_retry_moves_the_envelope_to_the_inbox_as_a_person_would(facility: Facility) -> None:
    path = facility.claimed("alice", "again")

    done = facility("retry", "again")
    twice = facility("retry", "again")

    back = facility.spool / "alice" / "inbox" / path.name
    assert done.exit_code == exits.GOOD, done.output
    assert done.stdout == f"{back}\n"
    assert back.is_dir()
    assert not path.exists()
    assert twice.exit_code == exits.USAGE
    assert "lies in the inbox already" in twice.stderr


def test_cancel_takes_what_waits_to_be_tried_again_back_to_where_it_was(facility: Facility) -> None:
    path = facility.claimed("alice", "again", Place.DONE, verdict=Verdict.IMPORTED)
    facility("retry", "again")

    done = facility("cancel", "again")

    assert done.exit_code == exits.GOOD, done.output
    assert "is not tried again: it lies in done as before" in done.stderr
    assert path.is_dir()
    assert not list((facility.spool / "alice" / "inbox").iterdir())


def test_an_envelope_without_its_folder_is_not_retried(facility: Facility) -> None:
    path = facility.claimed("alice", "emptied")
    (path / "emptied").rmdir()

    done = facility("retry", path.name[:20])

    assert done.exit_code == exits.USAGE
    assert "nothing could be imported" in done.stderr
    assert path.exists()


def test_cancel_leaves_a_marker_for_this_claim_and_refuses_all_else_in_words(facility: Facility) -> None:
    open_ = facility.claimed("alice", "open", Place.PROCESSING)
    facility.claimed("alice", "ended", Place.PROCESSING, number=1, verdict=Verdict.FAILED)
    facility.claimed("bob", "gone", Place.DONE)

    done = facility("cancel", "open")
    refused = {name: facility("cancel", name) for name in ("ended", "gone")}

    assert done.exit_code == exits.GOOD
    assert (open_ / MEMORY / "cancel").read_text() == open_.name[:20]
    assert {one.exit_code for one in refused.values()} == {exits.USAGE}
    assert "came to its end already (failed)" in refused["ended"].stderr
    assert "came to its end already (imported)" in refused["gone"].stderr


def test_hold_and_release_say_what_is_on_hold_now(facility: Facility) -> None:
    one, all_ = facility("hold", "ALICE"), facility("hold")
    markers = sorted(path.name for path in (facility.state / "hold").iterdir())
    seen = facility.json("status")["daemon"]["holds"]
    still, none = facility("release"), facility("release", "alice")
    unknown = facility("hold", "carol")

    assert "On hold: alice." in one.stderr
    assert "On hold: everybody." in all_.stderr
    assert markers == ["all", "user-alice"]
    assert seen == ["*", "alice"]
    assert still.stderr.startswith("On hold: alice.")
    assert none.stderr.startswith("Nobody is on hold.")
    assert unknown.exit_code == exits.USAGE
    assert "There are: alice, bob." in unknown.stderr


# -- letters and manifests -------------------------------------------------------------------------------


def test_letters_are_listed_read_and_sent_again(facility: Facility) -> None:
    nothing = facility("mail", "list")
    dead = facility.letter(Shelf.DEAD, "x@example.org", attempts=8, error="550 no such user\x1b[2J")
    waiting = facility.letter(Shelf.QUEUED, "y@example.org", attempts=1, not_before=time.time() + 3600)

    table, listed = facility("mail", "list").stdout, facility.json("mail", "list")
    text = facility("mail", "show", dead.id).stdout
    one, unknown = facility("mail", "retry", dead.id), facility("mail", "retry", "nobody")
    after = facility.json("mail", "list")
    all_ = facility("mail", "retry")

    assert (nothing.exit_code, nothing.stdout) == (exits.GOOD, "")
    assert "given up" in table
    assert "550 no such user\\x1b[2J" in table
    assert [letter["id"] for letter in listed["dead"]] == [dead.id]
    assert listed["queued"][0]["next_attempt"] > "2026"
    assert text.splitlines()[:2] == ["To: x@example.org", "Subject: News"]
    assert text.endswith("All is well.\n\n")
    assert one.exit_code == exits.GOOD
    assert unknown.exit_code == exits.USAGE
    assert {letter["id"]: letter["attempts"] for letter in after["queued"]} == {dead.id: 0, waiting.id: 1}
    assert after["dead"] == []
    assert all_.stderr.startswith("2 letters will be tried")


def test_a_manifest_is_checked_without_any_configuration(tmp_path: Path) -> None:
    good, bad = tmp_path / "batch.yaml", tmp_path / "bad.yaml"
    good.write_text('{name: night run, target: "Dataset:x", files: [{path: a.czi, size: 7}]}\n')
    bad.write_text("nmae: x\ntags: 7\n")

    right, wrong = (CliRunner().invoke(app, ["manifest", "check", str(path)]) for path in (good, bad))
    schema = json.loads(CliRunner().invoke(app, ["manifest", "schema"]).stdout)

    assert right.exit_code == exits.GOOD
    assert "taken up as soon as all are there" in right.stderr
    assert wrong.exit_code == exits.FAILED
    assert [line.split(":")[0] for line in wrong.stderr.splitlines()] == [
        "bad.yaml line 1",
        "bad.yaml line 2",
    ]
    assert "target" in schema["properties"]


# -- the log ---------------------------------------------------------------------------------------------


def test_whatever_is_logged_is_one_line() -> None:
    def line(name: str, text: str, error: Exception | None = None) -> str:
        trouble = (type(error), error, None) if error else None
        return OneLine().format(logging.LogRecord(name, logging.WARNING, "", 0, text, (), trouble))  # type: ignore[arg-type]

    ours = line("dropwatch", "claim batch=x")
    theirs = line("omero.client", "two\nlines", ValueError("and\nmore"))

    assert ours[19:] == "Z claim batch=x"
    assert theirs[19:] == 'Z warning logger=omero.client text="two\\nlines" trace="ValueError: and\\nmore"'
