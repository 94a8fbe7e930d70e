"""A lease on a spool: who serves it, where several machines can see it. Asks no clock but its own.

Locks end at the machine that holds them (flock on NFS, SMB, sshfs), but of two who rename a directory to one name
only one succeeds, everywhere. The lease is a directory in the spool with one file in it. The name of that file is a
nonce of its holder, who writes a number that grows into it; the file is never made again, so a holder whose directory
was taken away sees it at the next beat. Who waits takes the directory away when that number has stood still for
Pace.stale by his own clock. A holder acts only while its last beat is younger than Pace.valid, which is less, so that
two never act at the same time.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dropwatch.durable import fsync_directory
from dropwatch.errors import OperatorError, Unavailable
from dropwatch.spool.folders import IDENTITY
from dropwatch.spool.lives import is_over, sleepless_clock, this_life

LEASE = ".dropwatch-lease"
#: Codes of errors that say: this spool is another daemon's, or may be.
ANOTHERS = frozenset(("another-daemon", "lease-lost", "lease-held"))
_LARGEST = 4096  #: bytes; what somebody else wrote must not fill our memory


@dataclass(frozen=True)
class Pace:
    """All in seconds.

    beat  -- between two beats
    valid -- after a beat its holder may act for so long
    stale -- without a beat for so long, a lease is free; NFS opens a file anew at each look, so no cache counts here
    """

    beat: float = 5.0
    valid: float = 20.0
    stale: float = 45.0


PACE = Pace()


@dataclass(frozen=True)
class Holder:
    """What a lease says of who holds it.

    nonce -- the name of its file; "" while there is none
    beats -- how often it beat
    host, pid -- for people
    life  -- names one process of one machine for all time, where that is possible
    local -- it sits on the machine whose disk the spool is
    """

    nonce: str = ""
    beats: int = 0
    host: str = ""
    pid: int = 0
    life: str = ""
    local: bool = False

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" if self.host else "one that did not say who it is"


class Lease:
    """The lease of the spool *root*, held or wanted by this process. May be used by its threads at once.

    clock -- seconds by a clock that also counts the sleep of the machine
    """

    def __init__(self, root: Path, clock: Callable[[], float] = sleepless_clock, pace: Pace = PACE) -> None:
        self._folder = root / LEASE
        self._pace = pace
        self._local = False
        self._clock = clock
        self._turn = threading.Lock()
        self._mine: Holder | None = None
        self._beaten = 0.0
        self._seen: Holder | None = None
        self._seen_since = 0.0
        self._alive = False

    # -- taking and giving back ------------------------------------------------------------------------

    def take(self, *, local: bool) -> bool:
        """Take the lease, or look once whether it is free. Call it again until it returns: whether it was taken
        anew.

        local -- the spool is on a disk of this machine, whose lock the caller holds already

        Raises Unavailable while it is not known whether its holder lives, OperatorError once that one beat,
        and OSError.
        """
        with self._turn:
            self._local = local
            if self._mine is not None and self._beats():
                return False
            self._mine = None
            if self._make():
                return True
            holder = _read(self._folder)
            if not self._is_free(holder):
                self._refuse(holder)
            if not self._clear(holder) or not self._make():
                self._refuse(_read(self._folder))
            return True

    def beat(self) -> None:
        """Say that we live, if the lease is ours. Raises OperatorError, once, when somebody took it away, and
        OSError."""
        with self._turn:
            if self._mine is not None:
                self._check_mine()

    def check(self) -> None:
        """Raise unless we may act now: to be called before each act that others could contradict."""
        with self._turn:
            if self._mine is None or self._clock() - self._beaten >= self._pace.beat:
                self._check_mine()

    def proof(self) -> Path | None:
        """The file of ours that is there as long as the lease is; None while we have none."""
        return self._folder / self._mine.nonce if self._mine is not None else None

    def give_back(self) -> None:
        """Free the lease if it is ours."""
        with self._turn:
            if self._mine is not None and self._beats():
                (self._folder / self._mine.nonce).unlink(missing_ok=True)
                self._folder.rmdir()
            self._mine = None

    # -- ours ------------------------------------------------------------------------------------------

    def _make(self) -> bool:
        """Make it whole under another name: one that says nothing yet has to be waited out as if its holder lived, and
        a holder that dies, a power cut or a full disk would leave just that."""
        if _read(self._folder).nonce:
            return False
        now = self._clock()
        mine = Holder(secrets.token_hex(8), 0, socket.gethostname(), os.getpid(), this_life(), self._local)
        made = self._folder.with_name(f"{LEASE}.{mine.nonce}")
        try:
            made.mkdir()
            _write(made / mine.nonce, mine, os.O_CREAT | os.O_EXCL, durably=True)
            fsync_directory(made)
            if not self._put(made, mine.nonce):
                return False
        finally:
            shutil.rmtree(made, ignore_errors=True)
        self._mine, self._beaten, self._seen, self._alive = mine, now, None, False
        return True

    def _put(self, made: Path, nonce: str) -> bool:
        """Rename *made* to the lease: refused where there is one that says anything (rename(2), ENOTEMPTY)."""
        try:
            made.rename(self._folder)
        except OSError:
            if not os.path.lexists(self._folder):
                raise
        # On a share a failed rename is no proof of failure.
        return os.path.lexists(self._folder / nonce)

    def _check_mine(self) -> None:
        if self._mine is None or not self._beats():
            if not (self._folder.parent / IDENTITY).is_file():
                # The share went away, lease and all. If nobody takes that meanwhile, it is still ours afterwards.
                raise Unavailable(
                    f"The spool {self._folder.parent} is not there.", concerns="spool", code="spool-missing"
                )
            self._mine = None
            raise OperatorError(
                f"Another daemon has taken over the spool {self._folder.parent}; this one no longer serves it.",
                concerns="spool",
                remedy="Let one daemon serve a spool, and see why this one was silent: a machine that slept, "
                "a share that was away.",
                code="lease-lost",
            )

    def _beats(self) -> bool:
        """Write the next number into our file; False when it is not there any more."""
        assert self._mine is not None
        now = self._clock()
        mine = Holder(**{**vars(self._mine), "beats": self._mine.beats + 1})
        try:
            _write(self._folder / mine.nonce, mine, 0)
            # Taken away between opening and writing, it would have been written where nobody looks any more.
            (self._folder / mine.nonce).lstat()
        except OSError as err:
            if err.errno in (errno.ENOENT, errno.ENOTDIR):
                return False
            if now - self._beaten < self._pace.valid:
                return True  # a hiccup of the share; the next beat may succeed
            raise
        self._mine, self._beaten = mine, now
        return True

    # -- another's -------------------------------------------------------------------------------------

    def _is_free(self, holder: Holder) -> bool:
        """Whether who holds the lease is certainly dead, or was silent for long enough."""
        now = self._clock()
        if holder != self._seen:
            self._alive = self._seen is not None and holder.nonce == self._seen.nonce
            self._seen, self._seen_since = holder, now
        # Two daemons on the machine of the disk are kept apart by its locks, one of which we hold.
        if (holder.local and self._local) or is_over(holder.life):
            return True
        return now - self._seen_since >= self._pace.stale

    def _refuse(self, holder: Holder) -> None:
        where = self._folder.parent
        if self._alive:
            raise OperatorError(
                f"Another dropwatch daemon serves the spool {where}: {holder}.",
                concerns="spool",
                remedy="Stop one of them; one daemon serves a spool.",
                code="another-daemon",
            )
        raise Unavailable(
            f"The spool {where} was served by another daemon ({holder}) until lately.",
            remedy=f"It is taken over when that one stays silent for {self._pace.stale:g} seconds; wait, or stop it.",
            concerns="spool",
            code="lease-held",
        )

    def _clear(self, holder: Holder) -> bool:
        """Take the directory of a dead holder away. One rename decides which of several waiters does it."""
        gone = self._folder.with_name(f"{LEASE}.{secrets.token_hex(8)}")
        try:
            self._folder.rename(gone)
        except FileNotFoundError:
            return True
        if _read(gone) != holder:
            # It lives, or another waiter was faster and this is the lease that he has just made.
            gone.rename(self._folder)
            return False
        shutil.rmtree(gone, ignore_errors=True)
        return True


def _write(path: Path, holder: Holder, flags: int, *, durably: bool = False) -> None:
    """Write *holder* over what *path* holds.

    durably -- for the first time. A beat that a power cut swallows was one of the dead.
    """
    flags |= os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    # Always the same length, so that a reader never sees half of it.
    data = json.dumps(vars(holder)).encode("ascii").ljust(512)
    handle = os.open(path, flags, 0o640)
    try:
        os.write(handle, data)
        if durably:
            os.fsync(handle)
    finally:
        os.close(handle)


def _read(folder: Path) -> Holder:
    """Who holds the lease *folder*, as far as it says."""
    try:
        name = min(os.listdir(folder), default="")  # noqa: PTH208  # names, not paths
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        handle = os.open(folder / name, flags | getattr(os, "O_BINARY", 0)) if name else None
    except (FileNotFoundError, NotADirectoryError):
        return Holder()
    if handle is None:
        return Holder()
    with os.fdopen(handle, "rb") as file:
        said = _json(file.read(_LARGEST))
    return Holder(
        name,
        _whole(said.get("beats")),
        str(said.get("host", ""))[:100],
        _whole(said.get("pid")),
        str(said.get("life", "")),
        said.get("local") is True,
    )


def _json(data: bytes) -> dict[str, object]:
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
