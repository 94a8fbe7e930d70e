"""Which spools this daemon serves: the lock and the lease of each, taken when it is there, looked at before each act.

One daemon serves a spool. The lock on its identity file keeps others of this machine away, the lease others of other
machines. A spool that comes back after an outage may be another mount with another file: it is taken anew.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from dropwatch import journal
from dropwatch.errors import OperatorError, Unavailable
from dropwatch.spool.fence import Fence
from dropwatch.spool.folders import IDENTITY, Spool
from dropwatch.spool.knock import Knock
from dropwatch.spool.lease import Lease, Pace
from dropwatch.spool.locks import locked

log = logging.getLogger("dropwatch")

_TRIES, _BETWEEN = 20, 0.1  #: who only looks whether a lock is held (`check`) has it for a moment


@dataclass
class Post:
    """One spool.

    knock    -- asks whether a share answers; the disk of this machine is not asked
    lock     -- held on the identity file that is *identity* (device, inode); None: not held
    leaseless -- on a disk of this machine where no lease can be made, the lock is enough
    """

    root: Path
    lease: Lease
    knock: Knock
    local: bool = False
    lock: ExitStack = field(default_factory=ExitStack)
    identity: tuple[int, int] | None = None
    leaseless: bool = False

    def check(self) -> None:
        """Raise OperatorError, Unavailable or OSError unless the spool is ours now. Cheap while it is."""
        if self.identity is None:
            told = f"The spool {self.root} is not served by this daemon now."
            raise Unavailable(told, concerns="spool", code="not-served")
        if not self.leaseless:
            self.lease.check()

    def answers(self) -> bool:
        """Whether it says anything at all, see Fence."""
        return self.local or self.knock.answers()

    def proof(self) -> Path | None:
        """A file that is there as long as the spool is ours; None where the lock alone keeps others away."""
        return None if self.leaseless else self.lease.proof()


class Tenure:
    """The spools *roots* of one daemon.

    remote -- whether the disk of a spool is another machine's
    lost   -- called, from a thread of ours, with a spool that another daemon has taken over
    pace   -- of the leases
    """

    def __init__(
        self,
        roots: Iterable[Path],
        remote: Callable[[Path], bool],
        lost: Callable[[Path], None],
        pace: Pace,
    ) -> None:
        self._posts = {root: Post(root, Lease(root, pace=pace), Knock(root)) for root in roots}
        self._remote = remote
        self._beat_every = pace.beat
        self._lost = lost
        self._stopping = threading.Event()

    def take(self, root: Path) -> bool:
        """Make sure that *root* is ours to serve. Call it again until it returns, and now and then.

        Returns whether it was taken anew: then others may have served it meanwhile. Raises OperatorError
        (another daemon serves it), Unavailable (it is not there, or that is not known yet), and OSError.
        """
        post = self._posts[root]
        Spool(root, post).check_present()
        # Found out anew each time: a share may be mounted here that was not when we started.
        post.local = not self._remote(root)
        locked_anew = self._lock(post)
        try:
            leased_anew = post.lease.take(local=post.local)
        except PermissionError as err:
            self._do_without_lease(post, err)
            leased_anew = False
        return locked_anew or leased_anew

    def fence(self, root: Path) -> Fence:
        """What keeps us from acting on *root* while it is not ours."""
        return self._posts[root]

    def beat(self, root: Path) -> None:
        """Keep the lease of *root* alive until close(): for a thread of its own, since a share may hang for hours."""
        post = self._posts[root]
        while not self._stopping.wait(self._beat_every):
            if post.identity is not None and not post.leaseless:
                self._beat_one(post)

    def waiting_for(self) -> dict[Path, float]:
        """For how many seconds each spool that does not answer has been asked."""
        return {root: waits for root, post in self._posts.items() if (waits := post.knock.waits())}

    def _beat_one(self, post: Post) -> None:
        try:
            post.lease.beat()
        except OperatorError:
            self._lost(post.root)
        except (Unavailable, OSError) as err:
            # Whoever acts next meets the same trouble, and has somebody to tell it to.
            log.info(journal.line("lease", spool=post.root, error=f"{type(err).__name__}: {err}"))

    def close(self) -> None:
        """Let the spools go, leases first."""
        self._stopping.set()
        for post in self._posts.values():
            if not post.answers():  # its lease runs out by itself
                continue
            with suppress(OSError):
                post.lease.give_back()
            post.lock.close()
            post.identity = None

    # -- the lock ----------------------------------------------------------------------------------------

    def _lock(self, post: Post) -> bool:
        """Hold the lock on the identity file that is there now; it is never made here. Returns whether it was
        taken anew."""
        path = post.root / IDENTITY
        info = path.stat()
        if post.identity == (info.st_dev, info.st_ino):
            return False
        post.lock.close()
        post.identity = None
        for _ in range(_TRIES):
            attempt: AbstractContextManager[bool] = locked(path, shared=False, make=False)
            with ExitStack() as stack:
                if stack.enter_context(attempt):
                    post.lock = stack.pop_all()
                    post.identity = (info.st_dev, info.st_ino)
                    return True
            self._stopping.wait(_BETWEEN)
        raise _another(post.root)

    def _do_without_lease(self, post: Post, err: PermissionError) -> None:
        """On a disk of this machine the lock is enough; elsewhere nothing else keeps two daemons apart."""
        if post.local and not post.leaseless:
            post.leaseless = True
            log.info(journal.line("lease", spool=post.root, error=f"{type(err).__name__}: {err}"))
        if post.leaseless:
            return
        raise OperatorError(
            f"dropwatch may not make its lease in {post.root}, which keeps other daemons away.",
            concerns="spool",
            remedy=f"Give the account that runs dropwatch write permission on {post.root}.",
            detail=str(err),
            code="permission",
        ) from err


def _another(root: Path) -> OperatorError:
    return OperatorError(
        f"Another dropwatch daemon runs here: it holds {root / IDENTITY}.",
        concerns="spool",
        remedy="Stop it first; one daemon serves a spool.",
        code="another-daemon",
    )
