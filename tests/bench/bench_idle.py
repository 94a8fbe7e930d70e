"""What a daemon costs that has nothing to do, beside 100,000 batches in done/, and beside none.

Four daemons in processes of their own, started as `dropwatch run` is, run side by side for a minute with the settings
of production: with events and polling, each with an empty spool and with a full one. What they used is read from the
kernel (nanoseconds of each thread on a processor). The peer of the full spool is the empty one: done/ is never looked
at, so the ratio is 1. Then the same for what somebody pays who asks for `dropwatch status`.
Run: make bench
"""

from __future__ import annotations

import json
import resource
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


def spool_with(root: Path, batches: int, watch: str) -> Path:
    """A spool whose users have so many batches in done/; returns the configuration."""
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
    settings = {
        "spools": [{"path": str(spool), "watch": watch}],
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


def main() -> int:
    if sys.platform != "linux":
        print("only Linux tells what a thread used so exactly")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        configs = {
            (watch, batches): spool_with(Path(folder) / f"{watch}{batches}", batches, watch)
            for watch in ("events", "poll")
            for batches in (0, BATCHES)
        }
        daemons = {key: started(config) for key, config in configs.items()}
        try:
            time.sleep(5.0)  # the start is not what is measured
            before = {key: used(daemon.pid) for key, daemon in daemons.items()}
            begun = time.monotonic()
            time.sleep(SECONDS)
            hour = 3600 / (time.monotonic() - begun)
            spent = {key: (used(daemon.pid) - before[key]) * hour for key, daemon in daemons.items()}
            sizes = {key: memory(daemon.pid) for key, daemon in daemons.items()}
            asked = {key: status(config) for key, config in configs.items() if key[0] == "events"}
        finally:
            for daemon in daemons.values():
                daemon.send_signal(signal.SIGTERM)
            for daemon in daemons.values():
                daemon.wait(60)
    for watch in ("events", "poll"):
        full, empty = spent[watch, BATCHES], spent[watch, 0]
        print(
            f"{watch:7} {full:6.2f} CPU seconds an hour beside {BATCHES} batches, {empty:6.2f} beside none, "
            f"ratio {full / empty:.2f}; {sizes[watch, BATCHES]} and {sizes[watch, 0]} MiB"
        )
    print(f"status  {asked['events', BATCHES]:6.2f} CPU seconds, {asked['events', 0]:.2f} beside none")
    return 0


if __name__ == "__main__":
    sys.exit(main())
