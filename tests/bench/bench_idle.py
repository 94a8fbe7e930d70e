"""What a daemon costs that has nothing to do, beside 100,000 batches in done/, and beside none.

Two daemons in processes of their own, started as `dropwatch run` is, run side by side for a minute with the settings of
production: one with an empty spool and one with a full one; then two that poll. What they used is read from the kernel
(nanoseconds of each thread on a processor). The peer of the full spool is the empty one: done/ is never looked at, so
the ratio is 1. Then what somebody pays who asks for `dropwatch status`. Making the full spool takes a few minutes.
Run: make bench
"""

from __future__ import annotations

import json
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BATCHES = 100_000
USERS = 10
SECONDS = 60.0
RECORD = (
    '{"_default": {"1": {"batch": "%s", "claim": "%s", "user": "%s", "name": "run", "verdict": "imported"}}}'
)


def spool_with(root: Path, batches: int) -> Path:
    """Make a spool whose users have so many batches in done/."""
    spool = root / "spool"
    for user in range(USERS):
        for place in ("inbox", "processing", "done", "failed"):
            (spool / f"user{user}" / place).mkdir(parents=True)
    (spool / ".dropwatch-spool").write_text("{}")
    for number in range(batches):
        user, claim = f"user{number % USERS}", f"2026{number // 9000 + 1:02}24-140355-{number % 9000:04}"
        ours = spool / user / "done" / f"{claim}_run" / ".dropwatch"
        ours.mkdir(parents=True)
        (ours / "record.json").write_text(RECORD % (claim, claim, user))
    return root


def configured(root: Path, watch: str) -> Path:
    """The configuration of a daemon for that spool, and no trace of an earlier one."""
    shutil.rmtree(root / "state", ignore_errors=True)
    settings = {
        "spools": [{"path": str(root / "spool"), "watch": watch}],
        "state": str(root / "state"),
        "omero": {"host": "127.0.0.1", "user": "dropwatch"},
        "mail": {"host": "127.0.0.1", "from": "a@example.org", "admins": ["a@example.org"]},
    }
    config = root / "dropwatch.yaml"
    config.write_text(json.dumps(settings))
    return config


def used(pid: int) -> float:
    """Seconds that all threads of the process spent on a processor."""
    spent = (task.read_text().split()[0] for task in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return sum(map(int, spent)) / 1e9


def memory(pid: int) -> int:
    """MiB of it that are in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 2**20


def started(config: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "dropwatch", "--config", str(config), "run"]
    daemon = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    beat = config.parent / "state" / "heartbeat.json"
    deadline = time.monotonic() + 60
    while not beat.exists():
        if time.monotonic() > deadline or daemon.poll() is not None:
            raise TimeoutError("the daemon did not start")
        time.sleep(0.1)
    return daemon


def status(config: Path) -> float:
    """Seconds of processor time of one `dropwatch status`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "dropwatch", "--config", str(config), "status"]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measured(roots: list[Path], watch: str) -> list[tuple[float, int]]:
    """CPU seconds an hour and MiB of a daemon for each of the spools, side by side."""
    daemons = [started(configured(root, watch)) for root in roots]
    try:
        time.sleep(5.0)  # the start is not what is measured
        before, begun = [used(daemon.pid) for daemon in daemons], time.monotonic()
        time.sleep(SECONDS)
        hour = 3600 / (time.monotonic() - begun)
        spent = [used(daemon.pid) - old for daemon, old in zip(daemons, before, strict=True)]
        return [(cpu * hour, memory(daemon.pid)) for cpu, daemon in zip(spent, daemons, strict=True)]
    finally:
        for daemon in daemons:
            daemon.send_signal(signal.SIGTERM)
        for daemon in daemons:
            daemon.wait(60)


def main() -> int:
    if sys.platform != "linux":
        print("only Linux tells what a thread used so exactly")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        roots = [spool_with(Path(folder) / str(batches), batches) for batches in (BATCHES, 0)]
        for watch in ("events", "poll"):
            (full, mine), (empty, theirs) = measured(roots, watch)
            print(
                f"{watch:7} {full:6.2f} CPU seconds an hour beside {BATCHES} batches, {empty:6.2f} beside none, "
                f"ratio {full / empty:.2f}; {mine} and {theirs} MiB"
            )
        full, empty = (status(configured(root, "events")) for root in roots)
        print(f"status  {full:6.2f} CPU seconds, {empty:.2f} beside none, ratio {full / empty:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
