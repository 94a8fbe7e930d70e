"""A long day at a facility, in short: batches without end, and trouble of every kind, at random.

    python -m tests.crash.soak --minutes 30

One daemon with real worker processes lives through all of it. Its memory, threads and open files are measured, and
in the end every batch must have come to where it belongs, once. As root all of it lies on a small disk of its own, so
that the disk can be full.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from dropwatch import config
from dropwatch.task import open_workshop
from tests.crash.test_exactly_once import Cargo, expected
from tests.lives import Life
from tests.world import (
    Drop,
    SandboxProcess,
    World,
    assert_imported_once,
    assert_told,
    leftovers,
    wait_until,
)

MANY = ["300ms"] * 400  #: no batch is ever given up for its number of attempts
MEASURE_EVERY = 5.0  #: seconds
AT_ONCE = 12  #: batches that wait or are under way
_DISK = "1500m"

OMERO = (
    {"busy": 2},
    {"refuse": True},
    {"drop_after_bytes": 50_000},
    {"lose_reply": 1},
    {"slow_upload": "1s"},
    {"slow_after_verify": "2s"},
    {"checksum": 1},
    {"expire": 1},
    {"internal": 1},
)
SMTP = ({"refuse": True}, {"code": 451, "count": 3})


@dataclass(frozen=True)
class Sample:
    """The daemon at one moment: seconds since the start, resident KiB, threads, open files, child processes."""

    at: float
    memory: int
    threads: int
    files: int
    children: int


def sample(pid: int, at: float) -> Sample:
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
    )
    children = sum(len(path.read_text().split()) for path in Path(f"/proc/{pid}/task").glob("*/children"))
    memory, threads = int(status["VmRSS"].split()[0]), int(status["Threads"])
    return Sample(at, memory, threads, len(list(Path(f"/proc/{pid}/fd").iterdir())), children)


class LightCargo(Cargo):
    """Small images only: all that was ever dropped stays on the disk to the end."""

    def image(self, *, largest: int = 300) -> bytes:
        while len(data := super().image(largest=largest)) > 2**19:
            pass
        return data


@dataclass
class Soak:
    """minutes -- of trouble; what comes after it until all is quiet is not counted"""

    folder: Path
    minutes: float
    seed: int
    samples: list[Sample] = field(default_factory=list)
    troubles: Counter[str] = field(default_factory=Counter)
    taken: list[Drop] = field(default_factory=list)
    cancelled: list[Drop] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.sandbox = SandboxProcess(self.folder / "sandbox")
        self.sandbox.start()
        disk = self.folder / "disk"
        disk.mkdir(exist_ok=True)
        settings = {
            "spools": {"settle": "300ms", "sweep": "5s"},
            "retry": {"import": MANY, "mail": MANY, "outage_alert": "5s"},
            "workers": {"imports": 2, "per_user": 2, "grace": "0"},
        }
        self.world = World(disk, self.sandbox, settings)
        self.cargo = LightCargo(self.world, self.folder, self.rng)
        self.life = Life(
            self.world.config,
            self.world.log,
            make=partial(open_workshop, config.load(self.world.config)),
            longest=int(self.minutes * 60) + 900,
        )

    # -- the day -------------------------------------------------------------------------------------

    def run(self) -> None:
        """Live through it, and let it come to rest."""
        wait_until(self.life.has_started)
        began, measured, nap = time.monotonic(), -MEASURE_EVERY, threading.Event()
        while (now := time.monotonic() - began) < self.minutes * 60:
            assert not self.life.ends_within(0), f"the daemon ended, see {self.world.log}"
            if now - measured >= MEASURE_EVERY:
                measured = now
                self.samples.append(sample(self.life.pid, now))
            if len(self._waiting()) < AT_ONCE:
                self.cargo.drop(len(self.world.drops))
            if self.rng.random() < 0.3:
                self._trouble()
            nap.wait(self.rng.uniform(0.05, 0.5))
        self._rest()

    def _rest(self) -> None:
        self.sandbox.set_faults()
        try:
            wait_until(self.world.is_quiet, 300)
        except AssertionError as err:
            err.add_note(f"still there: {self._waiting()}, {self.world.letters('queued')}")
            raise
        self.samples.append(sample(self.life.pid, self.minutes * 60))
        assert self.life.stop() == 0

    def close(self) -> None:
        self.life.kill(group=True)
        self.sandbox.stop()

    def _waiting(self) -> list[Path]:
        inboxes = [
            path for user in self.world.users for path in (self.world.spool / user / "inbox").iterdir()
        ]
        return self.world.envelopes("processing") + inboxes

    # -- trouble -------------------------------------------------------------------------------------

    def _trouble(self) -> None:
        kinds: list[tuple[int, Callable[[], object]]] = [
            (30, self.server_is_ill),
            (30, self.all_is_well),
            (8, self.mail_host_is_ill),
            (6, self.worker_dies),
            (4, self.worker_hangs),
            (3, self.daemon_is_stopped),
            (2, self.server_is_restarted),
            (3, self.disk_is_full),
            (4, self.batch_comes_back),
            (2, self.batch_is_taken_away),
            (2, self.batch_is_cancelled),
            (2, self.users_are_held),
        ]
        [(_, kind)] = self.rng.choices(kinds, [weight for weight, _ in kinds])
        if kind() is not None:
            self.troubles[kind.__name__] += 1

    def server_is_ill(self) -> bool:
        self.sandbox.set_faults(omero=self.rng.choice(OMERO))
        return True

    def mail_host_is_ill(self) -> bool:
        self.sandbox.set_faults(smtp=self.rng.choice(SMTP))
        return True

    def all_is_well(self) -> None:
        self.sandbox.set_faults()

    def _workers(self) -> list[int]:
        files = Path(f"/proc/{self.life.pid}/task").glob("*/children")
        found = [int(pid) for path in files for pid in path.read_text().split()]
        return [pid for pid in found if "spawn_main" in _command_line(pid)]

    def worker_dies(self) -> bool | None:
        workers = self._workers()
        if not workers:
            return None
        with suppress(ProcessLookupError):
            os.kill(self.rng.choice(workers), signal.SIGKILL)
        return True

    def worker_hangs(self) -> bool | None:
        """For a moment, as on a share that hangs."""
        workers = self._workers()
        if not workers:
            return None
        pid = self.rng.choice(workers)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            threading.Event().wait(1)
            os.kill(pid, signal.SIGCONT)
        return True

    def daemon_is_stopped(self) -> bool:
        os.kill(self.life.pid, signal.SIGSTOP)
        threading.Event().wait(1)
        os.kill(self.life.pid, signal.SIGCONT)
        return True

    def server_is_restarted(self) -> bool:
        self.sandbox.stop()
        threading.Event().wait(1)
        self.sandbox.start()
        return True

    def disk_is_full(self) -> bool | None:
        """For a moment, where there is a disk of our own."""
        if not os.path.ismount(self.world.root):
            return None
        filler = self.world.root / "filler"
        with suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(bytes(2**20))
        threading.Event().wait(1.5)
        filler.unlink(missing_ok=True)
        return True

    def batch_comes_back(self) -> bool | None:
        """Somebody moves a failed one back, to try again."""
        failed = self.world.envelopes("failed")
        if not failed:
            return None
        path = self.rng.choice(failed)
        path.rename(path.parents[1] / "inbox" / path.name)
        return True

    def _in_work(self) -> Drop | None:
        left = [
            drop
            for drop in self.world.drops[-AT_ONCE:]
            if not drop.loose and self.world.place(drop) == "processing"
        ]
        return self.rng.choice(left) if left else None

    def batch_is_taken_away(self) -> bool | None:
        drop = self._in_work()
        if drop is None:
            return None
        with suppress(OSError):
            [(place, path)] = self.world.whereabouts(drop)
            if place == "processing":
                path.rename(self.folder / f"taken {len(self.taken)}")
                self.taken.append(drop)
                self.world.drops.remove(drop)
        return True

    def batch_is_cancelled(self) -> bool | None:
        drop = self._in_work()
        if drop is None:
            return None
        self._command("cancel", f"{drop.user}/{drop.name}")
        self.cancelled.append(drop)
        return True

    def users_are_held(self) -> bool:
        user = self.rng.choice(self.world.users)
        self._command("hold", user)
        self._command("release", user)
        return True

    def _command(self, *words: str) -> None:
        command = [sys.executable, "-m", "dropwatch", "--config", str(self.world.config), *words]
        subprocess.run(command, capture_output=True, timeout=200, check=False)

    # -- what must be true in the end ----------------------------------------------------------------

    def assert_all_is_well(self) -> None:
        mails = self.sandbox.mails()
        kept = [drop for drop in self.world.drops if drop not in self.cancelled]
        for drop in kept:
            self.world.assert_whole(drop)
            assert self.world.place(drop) == expected(drop), drop.name
            assert_imported_once(self.world, drop)
            assert_told(self.world, drop, mails, most=3)
        for drop in self.cancelled:
            self.world.assert_whole(drop)
        assert list(leftovers(self.world, kept)) == []
        assert list(self.world.spool.rglob("*.part")) == []

    def assert_flat(self) -> None:
        """The last third against the second: by then everything was used once."""
        third = len(self.samples) // 3
        middle, last = self.samples[third : 2 * third], self.samples[2 * third :]
        for name, grows in (("memory", 1.10), ("threads", 1.05), ("files", 1.05)):
            before, after = _median(middle, name), _median(last, name)
            assert after <= before * grows + 2, f"{name} grew from {before:g} to {after:g}"

    def told(self) -> str:
        lines = [f"{len(self.world.drops)} batches, seed {self.seed}; troubles: {dict(self.troubles)}"]
        third = max(1, len(self.samples) // 3)
        for name in ("memory", "threads", "files", "children"):
            parts = [_median(self.samples[n * third : (n + 1) * third], name) for n in range(3)]
            most = max(getattr(one, name) for one in self.samples)
            lines.append(
                f"{name}: medians of the thirds {parts[0]:g}, {parts[1]:g}, {parts[2]:g}; most {most:g}"
            )
        return "\n".join(lines)


def _median(samples: list[Sample], name: str) -> float:
    return statistics.median([getattr(one, name) for one in samples] or [0])


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


@contextmanager
def soak(folder: Path, minutes: float, seed: int) -> Iterator[Soak]:
    """A day in *folder*, on a disk of its own where it can have one."""
    disk = folder / "disk"
    disk.mkdir()
    own = os.geteuid() == 0 and shutil.which("mount") is not None
    if own:
        command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", str(disk)]
        own = subprocess.run(command, capture_output=True, check=False).returncode == 0
    day = None
    try:
        day = Soak(folder, minutes, seed)
        yield day
    finally:
        if day is not None:
            day.close()
        if own:
            subprocess.run(["umount", "--lazy", str(disk)], check=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="dropwatch-soak-") as folder,
        soak(Path(folder), asked.minutes, asked.seed) as day,
    ):
        try:
            day.run()
            day.assert_all_is_well()
        except BaseException:
            shutil.copy(day.world.log, Path(tempfile.gettempdir()) / f"dropwatch-soak-{asked.seed}.log")
            raise
        finally:
            print(day.told())
        day.assert_flat()


if __name__ == "__main__":
    main()
