"""Lives of a daemon: real processes, forked from a server that has everything imported, so that one costs little.

A Trap kills such a process at a chosen point: before any call that changes the spool or the state folder,
and around every step that changes the OMERO or the mail server.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import yagmail  # noqa: F401  # the daemon imports it when it first mails; here it is imported once for all

from dropwatch import config
from dropwatch.daemon import Daemon, on_signals
from dropwatch.durable import fsync_directory
from dropwatch.importers.base import Importer
from dropwatch.importers.omero import OmeroImporter  # noqa: F401  # likewise
from dropwatch.model import Answers, Fileset, Imported, Order, Progress
from dropwatch.pipeline.desk import Staff
from dropwatch.spool.lease import LEASE, PACE, Pace
from dropwatch.task import make_importer, staff
from dropwatch.task.eyes import ByName
from dropwatch.workers import Perform
from tests.threads import thread_staff

LONGEST = 1200  #: seconds; a forgotten daemon ends itself, and the stories of a whole module may share one

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["__main__", "tests.lives"])

_CHANGES = {
    *("os.rename", "os.link", "os.symlink", "os.remove", "os.truncate"),
    *("os.mkdir", "os.rmdir", "os.chmod", "os.utime", "os.setxattr"),
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass
class Trap:
    """Kills the process at the *at*-th point it passes (from 1), or at the first whose label begins with *before*.

    below -- the folders whose changes are points
    notes -- a file that gets the label of each point, the deadly one last
    syncs -- whether the opening of a folder to sync it is a point too: a process that dies there loses nothing,
             but power that fails there may
    """

    below: Sequence[str]
    notes: Path
    at: int = 0
    before: str = ""
    syncs: bool = False
    passed: int = 0
    _file: int = -1
    _lock: Any = field(default=None, repr=False)

    def set(self) -> None:
        """Set it in this process, for good."""
        self._lock = threading.RLock()
        self._file = os.open(self.notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        sys.addaudithook(self._audit)

    def point(self, label: str) -> None:
        with self._lock:
            self.passed += 1
            os.write(self._file, f"{label}\n".encode("utf-8", "backslashreplace"))
            if self.passed == self.at or (self.before and label.startswith(self.before)):
                os.kill(os.getpid(), signal.SIGKILL)

    def _counts(self, flags: int) -> bool:
        """Whether a file is opened to be written, or a folder to be synced (dropwatch/durable.py)."""
        to_sync = (
            self.syncs and flags & os.O_DIRECTORY and sys._getframe(2).f_code is fsync_directory.__code__
        )
        return bool(flags & _WRITING or to_sync)

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "smtplib.send":
            # The other commands change nothing at the server.
            if args[1].endswith(b"\r\n.\r\n"):
                self.point("mail the text")
            elif args[1].lower().startswith(b"mail"):
                self.point("mail from")
        elif event in _CHANGES or (event == "open" and args[2] and self._counts(args[2])):
            path = os.fsdecode(args[0]) if isinstance(args[0], (str, bytes, os.PathLike)) else ""
            # A bare name is a file of ours in an envelope, opened in its folder (dropwatch/durable_memory.py).
            ours = not os.path.isabs(path) or path.startswith(tuple(self.below))  # noqa: PTH117
            # A file that is open already changes no more, and the heartbeat's folder is synced at each beat.
            idle = event == "open" and (not path or path in self.below)
            if ours and not idle and not _harmless(path):
                self.point(f"{event} {path}")


def _harmless(path: str) -> bool:
    """Heart and lease beat on a clock of their own; a lock that is there is opened, not changed."""
    name = os.path.basename(path)  # noqa: PTH119  # of bytes that came from an audit event
    is_there = path == name or os.path.exists(path)  # noqa: PTH110
    beats = name.startswith("heartbeat.json") or (f"/{LEASE}/" in path and is_there)
    return beats or (name == "lock" and is_there)


@dataclass
class Trapped:
    """An importer whose every step that may change the server is a point of *trap*."""

    importer: Importer
    trap: Trap

    def ask(self, order: Order, filesets: Sequence[Fileset]) -> Answers:
        self.trap.point("ask")
        answers = self.importer.ask(order, filesets)
        self.trap.point("asked")
        return answers

    def import_(
        self,
        order: Order,
        fileset: Fileset,
        answers: Answers,
        *,
        progress: Callable[[Progress], None],
        stopped: Callable[[], bool],
    ) -> Imported:
        steps = iter(("begin", "first block", "verify", "follow"))

        def looked() -> bool:
            # The importer looks at this flag between its steps: just there a crash is worth trying.
            if (step := next(steps, "")) != "":
                self.trap.point(f"import {step} {fileset.name}")
            return stopped()

        imported = self.importer.import_(order, fileset, answers, progress=progress, stopped=looked)
        self.trap.point(f"import done {fileset.name}")
        return imported

    def __getattr__(self, name: str) -> Any:
        return getattr(self.importer, name)


class Life:
    """One life of the daemon of the configuration file *path*, what it says appended to *log*. Always end it.

    make -- makes the worker in each of its worker processes; without it the work is done in threads
    java -- in threads: look into files with Bio-Formats, which takes seconds to start, and not at names only
    pace -- of its leases
    longest -- seconds after which it ends itself

    May be used by several threads, each with lives of its own.
    """

    #: multiprocessing looks after all its children at each start, and two lookers would both take one's exit code
    _looking = threading.Lock()

    def __init__(
        self,
        path: Path,
        log: Path,
        *,
        once: bool = False,
        trap: Trap | None = None,
        make: Perform | None = None,
        java: bool = False,
        pace: Pace = PACE,
        longest: int = LONGEST,
    ) -> None:
        self._log = log
        self._process = _forks.Process(target=_live, args=(path, log, once, trap, make, java, pace, longest))
        with self._looking:
            self._process.start()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    def has_started(self) -> bool:
        """Whether it said so."""
        return self._log.exists() and f" {self.pid} start " in self._log.read_text("utf-8", "replace")

    def ends_within(self, seconds: float) -> bool:
        """Wait so long, or until it ends."""
        wait([self._process.sentinel], seconds)
        with self._looking:
            return not self._process.is_alive()

    def end(self, seconds: float = 90.0) -> int:
        """Wait for its end; its exit code, negative for a signal. Killed when it takes longer than *seconds*."""
        if not self.ends_within(seconds):
            self.kill()
            raise AssertionError(f"the daemon did not end within {seconds} s, see {self._log}")
        return self._process.exitcode if self._process.exitcode is not None else 1

    def stop(self) -> int:
        """SIGTERM, as systemd would."""
        self._process.terminate()
        return self.end()

    def kill(self, *, group: bool = False) -> None:
        """SIGKILL to it alone, or to its process group."""
        with suppress(ProcessLookupError):
            if group and os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, signal.SIGKILL)
        self._process.kill()
        self.ends_within(60)


def _live(
    path: Path,
    log: Path,
    once: bool,
    trap: Trap | None,
    make: Perform | None,
    java: bool,
    pace: Pace,
    longest: int,
) -> None:
    os.setpgid(0, 0)
    signal.alarm(longest)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format=f"%(asctime)s {os.getpid()} %(message)s", force=True
    )
    settings = config.load(path)
    if make is not None:
        workers: Staff = staff(settings, make)
    else:
        importer = make_importer(settings, os.environ)
        if trap is not None:
            trap.set()
            importer = Trapped(importer, trap)
        workers = thread_staff(settings, importer, None if java else ByName)
    daemon = Daemon(settings, workers, os.environ, pace=pace)
    on_signals(daemon.stop)
    daemon.run(once=once)


# -- a death inside a write ------------------------------------------------------------------------------


def dies_writing(work: Callable[[], None], size: int) -> bool:
    """Do *work* in a process that the kernel kills inside write(2), as soon as a file grows beyond *size* bytes.

    Says whether it did. *work* must be something that pickle can carry.
    """
    child = _forks.Process(target=_write, args=(work, size))
    child.start()
    child.join(60)
    return child.exitcode == -signal.SIGXFSZ


def _write(work: Callable[[], None], size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    work()


def dies_at(work: Callable[[], None], trap: Trap) -> bool:
    """Do *work* in a process with *trap*; whether it died of it. *work* must be something that pickle can carry."""
    child = _forks.Process(target=_trapped, args=(work, trap))
    child.start()
    child.join(30)
    assert child.exitcode in (0, -signal.SIGKILL), child.exitcode
    return child.exitcode == -signal.SIGKILL


def _trapped(work: Callable[[], None], trap: Trap) -> None:
    trap.set()
    work()
