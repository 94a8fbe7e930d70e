"""Keeps people's sessions: one for each thread, owner and group, reused, kept alive, closed when unused.

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
_UNUSED = 900.0  # seconds after which an unused session is closed

Key = tuple[int, str, str | None]


@dataclass
class _Kept:
    session: Session
    used: float  # clock of its last successful use
    busy: bool = True


class Keeper:
    """Hands out sessions. *clock* gives seconds that only ever grow."""

    def __init__(self, login: Login, clock: Callable[[], float]) -> None:
        self._login = login
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[Key, _Kept] = {}
        self._thread: threading.Thread | None = None

    @contextmanager
    def session(self, owner: str, group: str | None, doing: str) -> Iterator[Session]:
        """This thread's session of *owner* in *group*; whatever OMERO throws inside comes out sorted.

        *doing* completes "while ..." in error texts. Raises what Login.open raises, and TemporaryError,
        PermanentError, OperatorError from the calls inside. After a broken connection it is forgotten.
        """
        key = (threading.get_ident(), owner, group)
        kept = self._take(key)
        try:
            with talking(doing):
                try:
                    yield kept.session
                except DEAD:
                    self._forget(key, kept)
                    raise
        finally:
            kept.used, kept.busy = self._clock(), False

    def close(self) -> None:
        """End all sessions and the keeping. Never raises."""
        self._login.closing.set()
        with self._lock:
            thread, self._thread = self._thread, None
            kept, self._kept = list(self._kept.values()), {}
        if thread is not None:
            thread.join(_PING_WAIT)
        for one in kept:
            one.session.end()
        self._login.close()

    def _take(self, key: Key) -> _Kept:
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                kept.busy = True
        if kept is not None and self._works(kept):
            return kept
        if kept is not None:
            self._forget(key, kept)
        new = _Kept(self._login.open(key[1], key[2]), self._clock())
        with self._lock:
            self._kept[key] = new
            self._start()
        return new

    def _works(self, kept: _Kept) -> bool:
        if self._clock() - kept.used < _FRESH:
            return True
        return _Ping(kept.session).answered()

    def _forget(self, key: Key, kept: _Kept) -> None:
        with self._lock:
            if self._kept.get(key) is kept:
                del self._kept[key]
        kept.session.hang_up()

    # -- the keeping thread -------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._thread is None and not self._login.closing.is_set():
            self._thread = threading.Thread(target=self._keep, name="omero-keep-alive", daemon=True)
            self._thread.start()

    def _keep(self) -> None:
        while not self._login.closing.wait(self._login.server.idle / 4):
            with self._lock:
                kept = list(self._kept.items())
            pings = [
                (key, one, _Ping(one.session)) for key, one in kept
            ]  # all at once: none waits for another
            for key, one, ping in pings:
                if not ping.answered():
                    self._drop_unless_busy(key, one, Session.hang_up)
                elif self._clock() - one.used > _UNUSED:
                    self._drop_unless_busy(key, one, Session.end)
            self._login.keep_alive(_PING_WAIT)

    def _drop_unless_busy(self, key: Key, one: _Kept, part: Callable[[Session], None]) -> None:
        with self._lock:
            if one.busy or self._kept.get(key) is not one:
                return  # its own thread will find out
            del self._kept[key]
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
