"""500 small batches through the whole life, against a bare loop with the same renames and fsyncs.

The peer does for each batch what our guarantees cost and nothing else: the directories of an envelope, the writes of
a record and of its lines, the letter, the two renames, each with its fsync, counted from a run of ours by strace-like
hooks on os.fsync and os.rename. What the ratio shows is therefore the price of thinking, not of safety.
Run: make bench
"""

from __future__ import annotations

import os
import stat
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from null_importer import NullImporter
from setting import daemon_for, waited

BATCHES = 500
RUNS = 3
MAIL = {
    "host": "127.0.0.1",
    "port": 1,
    "from": "a@example.org",
    "admins": ["a@example.org"],
    "security": "none",
}


def make_batches(root: Path, count: int) -> list[Path]:
    made = []
    for number in range(count):
        folder = root / "made" / f"run {number:03}"
        folder.mkdir(parents=True)
        (folder / "a.tif").write_bytes(os.urandom(4096))
        made.append(folder)
    return made


def ours(root: Path) -> float:
    """Seconds for all batches, from the first drop to the last one in done/. Their letters lie in the outbox."""
    importer = NullImporter()
    daemon, inbox = daemon_for(root, importer, mail=MAIL, workers={"imports": 2, "per_user": 2})
    for folder in make_batches(root, BATCHES):
        folder.rename(inbox / folder.name)
    thread = threading.Thread(target=daemon.run)
    begun = time.monotonic()
    thread.start()
    waited(
        lambda: daemon.line.desk.concluded.get("imported", 0) == BATCHES and not daemon.line.desk.cases, 600
    )
    took = time.monotonic() - begun
    daemon.stop()
    thread.join()
    return took


def counted(root: Path) -> Counter[str]:
    """How many fsyncs of files and of directories, renames and new directories one of our batches costs."""
    seen: Counter[str] = Counter()
    fsync = os.fsync

    def hook(event: str, args: tuple[object, ...]) -> None:
        if event in ("os.rename", "os.mkdir"):
            seen[event] += 1

    def counting(handle: int) -> None:
        seen["dir" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"] += 1
        fsync(handle)

    global BATCHES
    BATCHES, all_of_them = 20, BATCHES
    sys.addaudithook(hook)
    os.fsync = counting
    try:
        ours(root)
    finally:
        os.fsync, BATCHES = fsync, all_of_them
    return Counter({name: round(number / 20) for name, number in seen.items()})


def bare(root: Path, cost: Counter[str]) -> float:
    """Seconds for the same number of batches, doing only what *cost* says."""
    done = root / "done"
    done.mkdir(parents=True)
    made = make_batches(root, BATCHES)
    begun = time.monotonic()
    for folder in made:
        one_batch(folder, done, cost)
    return time.monotonic() - begun


def one_batch(folder: Path, done: Path, cost: Counter[str]) -> None:
    envelope = done / f"{folder.name} envelope"
    envelope.mkdir()
    for number in range(max(0, cost["os.mkdir"] - 1)):
        (envelope / f"d{number}").mkdir()
    for number in range(cost["file"]):
        part = envelope / "record.part"
        with part.open("wb") as file:
            file.write(b"x" * 1000)
            file.flush()
            os.fsync(file.fileno())
        if number < cost["os.rename"] - 1:
            part.rename(envelope / "record")
    handle = os.open(envelope, os.O_RDONLY)
    for _ in range(cost["dir"]):
        os.fsync(handle)
    os.close(handle)
    folder.rename(envelope / folder.name)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        cost = counted(root / "count")
        pairs = [(ours(root / f"ours{n}"), bare(root / f"bare{n}", cost)) for n in range(RUNS)]
    mine, other = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(f"one batch costs         {dict(cost)}")
    print(f"bare loop               {other:7.2f} s for {BATCHES} batches, {BATCHES / other:.0f} a second")
    print(f"dropwatch               {mine:7.2f} s, {BATCHES / mine:.0f} a second")
    print(f"ratio, pair by pair     {statistics.median(a / b for a, b in pairs):7.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
