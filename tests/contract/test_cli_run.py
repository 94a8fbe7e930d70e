"""The real command in processes of its own, against a real OMERO and mail server on the loopback."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dropwatch import exits
from dropwatch.formats import JAR
from dropwatch.sandbox.samples import corrupt_tiff, ome_tiff
from facility import Facility

MANY = 60  #: image files of a second each: those who look at the first and cancel the last may be slow


@pytest.fixture
def facility(tmp_path: Path) -> Iterator[Callable[..., Facility]]:
    """Makes a facility without a daemon of its own: the command is to be one."""
    made: list[Facility] = []

    def make(**settings: Any) -> Facility:
        settings = {"workers": {"imports": 1}, **settings}  # each worker starts Ice, and beside it Java
        made.append(Facility(tmp_path, settings, users=("alice", "bob")))
        made[-1].config()
        return made[-1]

    yield make
    for one in made:
        one.close()


def command(place: Facility, *words: str) -> list[str]:
    return [sys.executable, "-m", "dropwatch", "--config", str(place.folder / "dropwatch.yaml"), *words]


def environ(java: bool) -> dict[str, str]:
    """Without *java* a daemon knows the files by their names, and starts in a third of the time."""
    return {**os.environ} if java else {**os.environ, JAR: "nowhere"}


def dropwatch(place: Facility, *words: str, java: bool = False) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        command(place, *words), env=environ(java), capture_output=True, text=True, timeout=200, check=False
    )


@contextlib.contextmanager
def running(place: Facility) -> Iterator[subprocess.Popen[str]]:
    """A daemon in a process of its own, which has begun; gone at the end whatever happened."""
    with (place.folder / "log").open("w") as log:
        daemon = subprocess.Popen(command(place, "run"), env=environ(java=False), stderr=log, text=True)
    try:
        place.until(lambda: " start version=" in (place.folder / "log").read_text())
        yield daemon
    finally:
        daemon.kill()
        daemon.wait(60)


def status(place: Facility) -> dict[str, Any]:
    done = dropwatch(place, "status", "--json")
    assert done.returncode == exits.GOOD, done.stderr
    return json.loads(done.stdout)


def places(seen: dict[str, Any]) -> dict[str, str]:
    return {batch["name"]: batch["place"] for batch in seen["batches"]}


def test_a_run_tells_by_its_exit_code_that_a_batch_failed_and_a_retry_imports_only_what_is_missing(
    facility: Callable[..., Facility],
) -> None:
    place = facility()
    place.drop("alice", "HeLa day 3", "a.ome.tif", "b.ome.tif")
    bad = place.drop("bob", "broken", "good.ome.tif")
    corrupt_tiff(bad / "bad.ome.tif")

    before = status(place)
    first = dropwatch(place, "run", "--once", java=True)
    after = status(place)
    story = json.loads(dropwatch(place, "show", "bob/broken", "--json").stdout)
    failed = Path(story["path"])
    ome_tiff(failed / "broken" / "bad.ome.tif", seed=7)
    retried = dropwatch(place, "retry", "broken")
    second = dropwatch(place, "run", "--once", java=True)
    told = json.loads(dropwatch(place, "show", story["id"], "--json").stdout)

    assert before["daemon"] == {"running": False, "holds": []}
    assert [(b["id"], b["claim"], b["place"], b["files"]) for b in before["batches"]] == [
        (None, None, "inbox", 2),
        (None, None, "inbox", 2),
    ]
    assert first.returncode == exits.FAILED, first.stderr
    assert first.stdout == ""
    assert places(after) == {"HeLa day 3": "done", "broken": "failed"}
    assert after["daemon"]["running"] is False
    assert after["outbox"] == {"queued": 0, "sent": 3, "dead": 0}
    assert story["verdict"] == "partial"
    outcomes = {one["name"]: one for one in story["filesets"]["each"]}
    assert outcomes["good.ome.tif"]["images"][0]["link"].startswith("http://localhost/webclient/?show=image-")
    assert outcomes["bad.ome.tif"]["error"] == "unreadable"
    assert "FormatException" in outcomes["bad.ome.tif"]["detail"]
    assert [event["verb"] for event in story["claims"][0]["events"]] == [
        "claim", "plan", "import", "conclude", "notify",
    ]  # fmt: skip
    assert {(one["kind"], one["to"], one["shelf"]) for one in story["letters"]} == {
        ("outcome", "bob@example.org", "sent"),
        ("failure", "admin@example.org", "sent"),
    }
    assert retried.returncode == exits.GOOD, retried.stderr
    assert retried.stdout.strip() == str(place.spool / "bob" / "inbox" / failed.name)
    assert second.returncode == exits.GOOD, second.stderr
    assert (told["id"], told["verdict"], told["place"]) == (story["id"], "imported", "done")
    assert [claim["verdict"] for claim in told["claims"]] == ["partial", "imported"]
    assert place.imported() == ["a.ome.tif", "b.ome.tif", "bad.ome.tif", "good.ome.tif"]


def test_a_run_ends_only_when_the_outcome_is_mailed_also_where_omero_was_needed_for_the_address_alone(
    facility: Callable[..., Facility],
) -> None:
    place = facility()
    place.drop("alice", "typo", "a.ome.tif", manifest="taget: Dataset:x\n")

    done = dropwatch(place, "run", "--once")

    assert done.returncode == exits.FAILED, done.stderr
    assert len(place.envelopes("alice", "failed")) == 1
    assert sorted(str(mail["to"]) for mail in place.mails()) == ["admin@example.org", "alice@example.org"]


def test_what_is_held_waits_and_a_run_says_so(facility: Callable[..., Facility]) -> None:
    place = facility()
    place.drop("alice", "mine", "a.ome.tif")
    place.drop("bob", "his", "b.ome.tif")

    held = dropwatch(place, "hold", "bob")
    first = dropwatch(place, "run", "--once")
    between = status(place)
    released = dropwatch(place, "release", "bob")
    second = dropwatch(place, "run", "--once")

    assert "On hold: bob." in held.stderr
    assert first.returncode == exits.WAITING, first.stderr
    assert places(between) == {"mine": "done", "his": "inbox"}
    assert between["daemon"]["holds"] == ["bob"]
    assert "Nobody is on hold." in released.stderr
    assert second.returncode == exits.GOOD, second.stderr
    assert places(status(place)) == {"mine": "done", "his": "done"}


def test_a_server_that_is_down_leaves_the_batch_waiting_and_status_says_why(
    facility: Callable[..., Facility],
) -> None:
    place = facility()
    place.drop("alice", "patient", "a.ome.tif")
    place.faults(omero={"refuse": True}, smtp={"refuse": True})

    done = dropwatch(place, "run", "--once")
    seen = status(place)

    assert done.returncode == exits.WAITING, done.stderr
    assert places(seen) == {"patient": "processing"}
    assert "cannot be reached" in seen["targets"]["omero"]["reason"]
    assert seen["targets"]["omero"]["operator"] is False


def test_a_cancelled_batch_stops_and_one_signal_ends_the_daemon_in_good_order(
    facility: Callable[..., Facility],
) -> None:
    place = facility()
    place.drop("alice", "long", *(f"{number}.ome.tif" for number in range(MANY)))
    place.faults(omero={"slow_upload": "1s"})

    with running(place) as daemon:
        place.until(lambda: len(place.imports()) > 0)
        place.faults(omero={"hold_upload": True})
        during = status(place)
        refused = dropwatch(place, "retry", "long")
        second = dropwatch(place, "run", "--once")
        cancelled = dropwatch(place, "cancel", "long")
        place.faults(omero={"slow_upload": "1s"})
        place.until(lambda: place.envelopes("alice", "failed") != [])
        daemon.terminate()
        code = daemon.wait(60)
    after = status(place)
    log = (place.folder / "log").read_text().splitlines()

    assert during["daemon"]["running"] is True
    assert during["batches"][0]["reason"].startswith("importing, ")
    assert during["batches"][0]["next_attempt"] is None
    assert refused.returncode == exits.USAGE
    assert "in processing and goes on by itself" in refused.stderr
    assert second.returncode == exits.USAGE
    assert "Another dropwatch daemon runs here" in second.stderr
    assert cancelled.returncode == exits.GOOD, cancelled.stderr
    assert code == exits.GOOD
    assert after["batches"][0]["verdict"] == "cancelled"
    assert 0 < after["batches"][0]["filesets"]["imported"] < MANY
    assert after["daemon"]["running"] is False
    assert all(line[:20].endswith("Z") and line[20] == " " for line in log), log


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
def test_a_second_signal_ends_a_daemon_whose_worker_hangs(facility: Callable[..., Facility]) -> None:
    place = facility()
    place.drop("alice", "hanging", "a.ome.tif")
    place.faults(omero={"hold_upload": True})
    uploads = place.folder / "sandbox" / "omero" / "ManagedRepository"

    with running(place) as daemon:
        place.until(lambda: any(path.stat().st_size for path in uploads.rglob("a.ome.tif")))
        daemon.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            daemon.wait(1)
        code = None
        for _ in range(60):  # one that comes before the first was looked at is no second one
            daemon.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = daemon.wait(1)
                break
    seen = status(place)

    assert code == exits.FAILED
    assert seen["daemon"]["running"] is False
    assert places(seen) == {"hanging": "processing"}


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_watching_ends_well_on_ctrl_c(facility: Callable[..., Facility]) -> None:
    import pty

    place = facility()
    place.drop("alice", "seen", "a.ome.tif")
    ours, theirs = pty.openpty()

    with contextlib.ExitStack() as stack:
        watching = stack.enter_context(
            subprocess.Popen(command(place, "status", "--watch"), stdout=theirs, stderr=theirs)
        )
        stack.callback(watching.kill)
        os.close(theirs)
        shown = b""
        while b"seen" not in shown:
            shown += os.read(ours, 4096)
        watching.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # Linux: the other end has gone
            while os.read(ours, 4096):
                pass
        code = watching.wait(60)
    os.close(ours)

    assert code == exits.GOOD
