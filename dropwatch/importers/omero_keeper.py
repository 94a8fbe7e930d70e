"""Keeps people's sessions: handed to one thread at a time, reused, kept alive, closed when long unused.

One thread does all the keeping. It never waits for an import, and one dead session never stops it
(omero.client.enableKeepAlive gives a session up after the first failed ping).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dropwatch.importers.omero_errors import DEAD, WIRE, talking
from dropwatch.importers.omero_login import Login
from dropwatch.importers.omero_session import Session

_FRESH = 5.0  # seconds in which a session that just worked is trusted to work again
_PING_WAIT = 10.0  # seconds
_UNUSED = 600.0  # seconds after which an unused session is closed


@dataclass(eq=False)
class _Kept:
    owner: str
    group: str | None  # as asked for: None is the default group
    session: Session
    used: float  # clock of its last use
    busy: bool = True


class Keeper:
    """Hands out sessions. *clock* gives seconds that only ever grow."""

    def __init__(self, login: Login, clock: Callable[[], float]) -> None:
        self._login = login
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: list[_Kept] = []
        self._thread: threading.Thread | None = None

    @contextmanager
    def session(self, owner: str, group: str | None, doing: str) -> Iterator[Session]:
        """A session of *owner* in *group*, for this thread alone; what OMERO throws inside comes out sorted.

        *doing* completes "while ..." in error texts. Raises what Login.open raises, and TemporaryError,
        PermanentError, OperatorError from the calls inside. After a broken connection it is forgotten.
        """
        kept = self._take(owner, group)
        try:
            with talking(doing):
                try:
                    yield kept.session
                except DEAD:
                    self._forget(kept)
                    raise
        finally:
            if kept.session.hung_up:
                self._forget(kept)
            kept.used, kept.busy = self._clock(), False

    def close(self) -> None:
        """End all sessions and the keeping. Never raises."""
        self._login.closing.set()
        with self._lock:
            thread, self._thread = self._thread, None
            kept, self._kept = self._kept, []
        if thread is not None:
            thread.join(_PING_WAIT)
        for one in kept:
            one.session.end()
        self._login.close()

    def _take(self, owner: str, group: str | None) -> _Kept:
        while (kept := self._idle(owner, group)) is not None:
            if self._clock() - kept.used < _FRESH or _Ping(kept.session).answered():
                return kept
            self._forget(kept)
        new = _Kept(owner, group, self._login.open(owner, group), self._clock())
        with self._lock:
            self._kept.append(new)
            self._start()
        return new

    def _idle(self, owner: str, group: str | None) -> _Kept | None:
        """Of those that are not in use the one used last: it knows the import processes of a moment ago."""
        with self._lock:
            fit = [one for one in self._kept if (one.owner, one.group) == (owner, group) and not one.busy]
            found = max(fit, key=lambda one: one.used, default=None)
            if found is not None:
                found.busy = True
            return found

    def _forget(self, kept: _Kept) -> None:
        with self._lock:
            if kept in self._kept:
                self._kept.remove(kept)
        kept.session.hang_up()

    # -- the keeping thread -------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._thread is None and not self._login.closing.is_set():
            self._thread = threading.Thread(target=self._keep, name="omero-keep-alive", daemon=True)
            self._thread.start()

    def _keep(self) -> None:
        while not self._login.closing.wait(self._login.server.idle / 4):
            with self._lock:
                kept = list(self._kept)
            pings = [(one, _Ping(one.session)) for one in kept]  # all at once: none waits for another
            for one, ping in pings:
                if not ping.answered():
                    self._drop_unless_busy(one, Session.hang_up)
                elif self._clock() - one.used > _UNUSED:
                    self._drop_unless_busy(one, Session.end)
            self._login.keep_alive(_PING_WAIT)

    def _drop_unless_busy(self, one: _Kept, part: Callable[[Session], None]) -> None:
        with self._lock:
            if one.busy or one not in self._kept:
                return  # its own thread will find out
            self._kept.remove(one)
        part(one.session)


class _Ping:
    """One keepAlive under way."""

    def __init__(self, session: Session) -> None:
        self._proxy = session.factory.ice_invocationTimeout(int(_PING_WAIT * 1000))
        try:
            self._call = self._proxy.begin_keepAlive(None)
        except WIRE:
            self._call = None

    def answered(self) -> bool:
        if self._call is None:
            return False
        try:
            self._proxy.end_keepAlive(self._call)
        except WIRE:
            return False
        return True
