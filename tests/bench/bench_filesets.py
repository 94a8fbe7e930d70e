"""A batch of 10,000 filesets: what each costs must not grow with how many there are.

Ours: the time between imports in the first and in the last thousand of one batch (null importer, each outcome made
durable). The limit: one appended line with its fsync, measured in the same run on the same disk.
Run: make bench
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from null_importer import NullImporter
from setting import daemon_for, waited

FILESETS = 10_000
LINE = b"x" * 300 + b"\n"


class Timed(NullImporter):
    """Notes when each import came."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def import_(self, *args: object, **more: object) -> object:  # type: ignore[override]
        self.times.append(time.monotonic())
        return super().import_(*args, **more)  # type: ignore[arg-type]


def appended(path: Path, count: int) -> float:
    """Seconds for one appended and synced line, the median of *count*."""
    taken = []
    with path.open("ab") as file:
        for _ in range(count):
            begun = time.monotonic()
            file.write(LINE)
            file.flush()
            os.fsync(file.fileno())
            taken.append(time.monotonic() - begun)
    return statistics.median(taken)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        importer = Timed()
        daemon, inbox = daemon_for(root, importer, workers={"imports": 1})
        made = root / "many"
        made.mkdir()
        for number in range(FILESETS):
            (made / f"{number:05}.tif").write_bytes(b"x")
        made.rename(inbox / "many")
        thread = threading.Thread(target=daemon.run)
        thread.start()
        waited(lambda: daemon.line.desk.concluded.get("imported"), 600)
        daemon.stop()
        thread.join()
        line = appended(root / "lines", 500)
    steps = [after - before for before, after in zip(importer.times, importer.times[1:], strict=False)]
    first, last = statistics.median(steps[:1000]), statistics.median(steps[-1000:])
    print(f"one synced line         {line * 1000:7.2f} ms")
    print(f"a fileset, first 1,000  {first * 1000:7.2f} ms")
    print(f"a fileset, last 1,000   {last * 1000:7.2f} ms")
    print(f"last to first           {last / first:7.2f}")
    print(f"last to a synced line   {last / line:7.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
