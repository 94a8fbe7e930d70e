"""From the drop to the start of its import, against a bare watchdog script that only hears of it.

The peer: a watchdog Observer on another folder of the same file system, one folder renamed in, the time until its
handler is called. Ours: a batch with a manifest that proves itself whole, renamed in, until the importer is called.
In between we list, read the manifest, claim (two renames' worth of fsync), plan, ask, and count the attempt.
Run: make bench
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from null_importer import NullImporter
from setting import daemon_for, waited
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

ROUNDS = 40


class Heard(FileSystemEventHandler):
    def __init__(self) -> None:
        self.at = 0.0
        self.bell = threading.Event()

    def on_any_event(self, event: FileSystemEvent) -> None:
        self.at = time.monotonic()
        self.bell.set()


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        importer = NullImporter()
        daemon, inbox = daemon_for(root, importer, settle="10s")
        thread = threading.Thread(target=daemon.run)
        thread.start()
        waited(lambda: daemon.line.arrivals.due)
        theirs, ours = [], []
        for number in range(ROUNDS):
            theirs.append(bare(root, number))
            ours.append(drop(root, inbox, importer, number))
        daemon.stop()
        thread.join()
    report(theirs, ours)
    return 0


def bare(root: Path, number: int) -> float:
    """Seconds until a bare watchdog handler hears of a folder renamed in."""
    watched = root / f"watched{number}"
    watched.mkdir()
    (root / f"made{number}").mkdir()
    heard, observer = Heard(), Observer()
    observer.schedule(heard, str(watched))
    observer.start()
    begun = time.monotonic()
    (root / f"made{number}").rename(watched / "run")
    heard.bell.wait(5)
    observer.stop()
    observer.join()
    return heard.at - begun


def drop(root: Path, inbox: Path, importer: NullImporter, number: int) -> float:
    """Seconds until the import of a whole batch begins."""
    made = root / f"run {number}"
    made.mkdir()
    (made / "a.tif").write_bytes(b"x" * 100)
    listed = {"dropwatch": 1, "files": [{"path": "a.tif", "size": 100}]}
    (made / "batch.json").write_text(json.dumps(listed))
    begun = time.monotonic()
    made.rename(inbox / made.name)
    waited(lambda: made.name in importer.started)
    return importer.started[made.name] - begun


def report(theirs: list[float], ours: list[float]) -> None:
    bare_ms, our_ms = statistics.median(theirs) * 1000, statistics.median(ours) * 1000
    ratio = statistics.median([mine / other for mine, other in zip(ours, theirs, strict=True)])
    print(f"bare watchdog handler   {bare_ms:7.2f} ms median of {len(theirs)}")
    print(f"drop to import start    {our_ms:7.2f} ms median, {max(ours) * 1000:.2f} ms at most")
    print(f"ratio, pair by pair     {ratio:7.1f}")


if __name__ == "__main__":
    sys.exit(main())
