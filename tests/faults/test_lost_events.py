"""Events get lost: the daemon stands still while thousands of files come, or they come faster than it reads.

fs.inotify.max_queued_events is 16,384 by default; a small file is two events (made, closed).
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue

import pytest

from dropwatch import config
from dropwatch.daemon import Daemon
from dropwatch.pipeline.sightings import Sightings
from dropwatch.settling import Rules
from dropwatch.spool.folders import Spool
from dropwatch.task.eyes import ByName
from dropwatch.watch import Doorbell
from tests.quiet import Quiet
from tests.threads import thread_staff
from tests.world import wait_until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's"),
]

QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")


def room() -> int:
    """How many events the kernel keeps for a reader that does not come."""
    return int(QUEUE.read_text()) if QUEUE.exists() else 16384


def stand_still(pid: int) -> None:
    """Stop the process, all of it: a thread that was reading goes on for a moment after the signal."""
    os.kill(pid, signal.SIGSTOP)
    tasks = Path(f"/proc/{pid}/task")
    wait_until(lambda: all(") T " in (task / "stat").read_text() for task in tasks.iterdir()))


def ring(inbox: Path, times: int) -> None:
    """Raise so many events in *inbox*, and leave nothing behind."""
    file = inbox / ".bell.tmp"
    for _ in range(times // 4 + 1):
        file.touch()  # made, closed
        file.rename(inbox / ".rung.tmp")  # moved away, moved here
    (inbox / ".rung.tmp").unlink()


def drop_listed(inbox: Path, name: str) -> None:
    """A batch that is complete at once."""
    folder = inbox.parent / "made" / name
    folder.mkdir(parents=True)
    (folder / "a.tif").write_bytes(b"pixels")
    (folder / "batch.yaml").write_text(json.dumps({"files": [{"path": "a.tif", "size": 6}]}))
    folder.rename(inbox / name)


def test_one_users_burst_hides_nobody_elses_batch(tmp_path: Path) -> None:
    """The queue is full of alice's events when bob's only one comes. The next sweep is an hour away."""
    quiet = Quiet(tmp_path, {"spools": {"settle": "1h"}}, ("alice", "bob", "carol"))
    with quiet.daemon() as life:
        for number in (1, 2):  # the first may be found by the first look, the second by its event alone
            drop_listed(quiet.inbox("carol"), f"before {number}")
            wait_until(lambda: len(quiet.claimed("carol")) == number)  # noqa: B023
        stand_still(life.pid)
        ring(quiet.inbox("alice"), room() + 100)
        drop_listed(quiet.inbox("bob"), "run")

        os.kill(life.pid, signal.SIGCONT)
        wait_until(lambda: quiet.claimed("bob"), what=f"see {quiet.log}")
        wait_until(lambda: quiet.overflows() >= 1)

        assert quiet.said(" overflow ")
        status = subprocess.run(
            [sys.executable, "-m", "dropwatch", "--config", quiet.config, "status"],
            capture_output=True, text=True, timeout=200, check=True,
        ).stdout  # fmt: skip
        assert "Events were lost once since then" in status
        assert life.stop() == 0


def test_an_inbox_that_was_removed_and_made_anew_is_watched_again(tmp_path: Path) -> None:
    """A watch stays with the folder that it was set on."""
    rung: SimpleQueue[str] = SimpleQueue()
    bell = Doorbell(rung.put, lambda: None)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    try:
        assert bell.watch({"alice": inbox}) == []
        inbox.rename(tmp_path / "old")
        inbox.mkdir()

        assert bell.watch({"alice": inbox}) == []  # as each sweep does
        (inbox / "a.tif").touch()
        assert rung.get(timeout=200) == "alice"
    finally:
        bell.close()


def test_an_inbox_that_cannot_be_watched_leaves_the_others_watched(tmp_path: Path) -> None:
    rung: SimpleQueue[str] = SimpleQueue()
    bell = Doorbell(rung.put, lambda: None)
    (tmp_path / "bob").mkdir()
    try:
        failures = bell.watch({"alice": tmp_path / "alice", "bob": tmp_path / "bob"})

        assert len(failures) == 1
        assert str(tmp_path / "alice") in failures[0]
        (tmp_path / "bob" / "a.tif").touch()
        assert rung.get(timeout=200) == "bob"
        (tmp_path / "alice").mkdir()
        assert bell.watch({"alice": tmp_path / "alice", "bob": tmp_path / "bob"}) == []
    finally:
        bell.close()


# -- many drops at once ----------------------------------------------------------------------------------


def test_a_user_with_hundreds_of_drops_does_not_keep_another_from_being_claimed(tmp_path: Path) -> None:
    quiet = Quiet(tmp_path, {"spools": {"settle": "0s"}})
    folders(quiet.inbox("alice"), 300, 1)
    folders(quiet.inbox("bob"), 1, 1)
    with quiet.daemon():
        wait_until(lambda: bobs_claim(quiet))

        assert bobs_claim(quiet) <= 101


def test_what_waits_in_a_spool_that_is_given_up_does_not_keep_the_daemon_busy(tmp_path: Path) -> None:
    quiet = Quiet(tmp_path, {"spools": {"settle": "0s"}})
    folders(quiet.inbox("alice"), 60, 1)
    settings = config.load(quiet.config)
    daemon = Daemon(settings, thread_staff(settings, look=ByName), {})
    line = daemon.line
    spool = line.arrivals.spools[quiet.spool]
    with closing(daemon.tenure):
        daemon.tenure.take(spool.root)
        line.sweep(spool)
        line.tick()
        waited = line.arrivals.next_look() <= time.time()

        line.arrivals.leave(spool)

        assert waited, "there are more drops than one turn claims"
        assert line.arrivals.next_look() > time.time() + 1.0
        assert not line.arrivals.settling()
        line.stop()


def bobs_claim(quiet: Quiet) -> int:
    """Which of all claims bob's is; 0: none yet."""
    claims = [line for line in quiet.log.read_text().splitlines() if " claim " in line]
    return next((number for number, line in enumerate(claims, 1) if "user=bob" in line), 0)


def test_a_look_lists_an_inbox_once_however_many_files_lie_loose_in_it(tmp_path: Path) -> None:
    quiet = Quiet(tmp_path)
    for number in range(200):
        (quiet.inbox("alice") / f"cell {number}.tif").touch()
        (quiet.inbox("alice") / f"cell {number}.batch.yaml").write_text(f"files: [cell {number}.tif]")
    listed: list[str] = []
    listening = [True]
    sys.addaudithook(lambda event, args: _note(event, args, listed) if listening else None)
    sightings = Sightings(Spool(quiet.spool))
    first = sightings.look("alice", Rules(60, 3600, 86400), 0.0)
    opened = listed.count("open")
    second = sightings.look("alice", Rules(60, 3600, 86400), 1.0)
    listening.clear()

    assert len(first) == len(second) == 200
    assert listed.count("os.scandir") == 2
    assert opened > 0
    assert listed.count("open") == opened, "a manifest that did not change is read once"


def _note(event: str, args: tuple[object, ...], listed: list[str]) -> None:
    if event == "os.scandir" or (event == "open" and str(args[0]).endswith(".yaml")):
        listed.append(event)


# -- every single file -----------------------------------------------------------------------------------

BURST = """
import sys
from pathlib import Path
inbox, stems, each = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
for number in range(each):
    for stem in range(stems):
        (inbox / f"run {stem:03}.{number:05}").write_bytes(b"%d/%d" % (stem, number))
"""


def burst(inbox: Path, stems: int, each: int) -> subprocess.Popen[bytes]:
    """A writer process that makes *each* loose files of each of *stems* batches, as fast as it can."""
    return subprocess.Popen([sys.executable, "-c", BURST, inbox, str(stems), str(each)])


def folders(inbox: Path, count: int, each: int) -> None:
    for number in range(count):
        (inbox / f"plate {number:03}").mkdir()
        for file in range(each):
            (inbox / f"plate {number:03}" / f"{file:03}.raw").write_bytes(b"plate %d/%d" % (number, file))


def contents(*folders: Path) -> Counter[str]:
    """How many files of which content lie below *folders*; what is ours aside."""
    found: Counter[str] = Counter()
    for folder in folders:
        for path, below, files in os.walk(folder):
            below[:] = [name for name in below if name != ".dropwatch"]
            for name in files:
                if name != "REPORT.txt":
                    found[hashlib.sha1(Path(path, name).read_bytes()).hexdigest()] += 1
    return found


def expected(stems: int, each: int) -> Counter[str]:
    texts = (b"%d/%d" % (stem, number) for stem in range(stems) for number in range(each))
    return Counter(hashlib.sha1(text).hexdigest() for text in texts)


def peak(pid: int) -> int:
    """The most memory that the process ever had, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


#: Each file of a claim of loose files is one durable move; no server is there, so that nothing is imported.
CLAIM_ONLY = {"importer": "omero", "omero": {"host": "127.0.0.1", "port": 1, "user": "x"}}


@pytest.mark.long  # up to five minutes
@pytest.mark.timeout(900)
def test_of_20000_files_that_come_while_the_daemon_stands_still_none_is_missed(tmp_path: Path) -> None:
    quiet = Quiet(tmp_path, {**CLAIM_ONLY, "spools": {"settle": "2s"}})
    with quiet.daemon(longest=900) as life:
        stand_still(life.pid)
        assert burst(quiet.inbox("alice"), 10, 2000).wait(120) == 0
        folders(quiet.inbox("alice"), 200, 100)
        folders(quiet.inbox("bob"), 1, 10)
        wanted = contents(quiet.inbox("alice"), quiet.inbox("bob"))
        os.kill(life.pid, signal.SIGCONT)
        wait_until(quiet.is_quiet, 800, f"see {quiet.log}")
        wait_until(lambda: quiet.overflows() >= 1)

        assert sum(wanted.values()) == 40010
        assert contents(*quiet.claimed("alice"), *quiet.claimed("bob")) == wanted
        assert len(quiet.claimed("alice")) == 210
        print(f"overflows {quiet.overflows()}, at most {peak(life.pid)} MiB")


@pytest.mark.long  # up to ten minutes
@pytest.mark.timeout(1500)
def test_of_a_burst_of_50000_files_none_is_missed(tmp_path: Path) -> None:
    """Each look lists and stats all of them: it must not keep the line from anything else."""
    quiet = Quiet(tmp_path, {**CLAIM_ONLY, "spools": {"settle": "2s"}})
    with quiet.daemon(longest=1500) as life:
        writer, begun = burst(quiet.inbox("alice"), 50, 1000), time.monotonic()
        time.sleep(1.0)
        drop_listed(quiet.inbox("bob"), "meanwhile")
        wait_until(lambda: quiet.claimed("bob"), what="bob waits for alice")
        bob = time.monotonic() - begun
        assert writer.wait(300) == 0
        alices = [quiet.inbox("alice"), quiet.place("alice", "processing")]
        wait_until(lambda: not any(any(place.iterdir()) for place in alices), 1200, f"see {quiet.log}")
        took = time.monotonic() - begun

        assert contents(*quiet.claimed("alice")) == expected(50, 1000)
        print(f"{took:.0f} s, bob after {bob:.1f} s, overflows {quiet.overflows()}, {peak(life.pid)} MiB")
