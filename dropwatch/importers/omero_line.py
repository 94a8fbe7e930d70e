"""The connection of one session while something is sent through it: made anew when it breaks, then one goes on.

What a real server does when a connection is lost, and so what can be reached afterwards:

- Glacier2 destroys its own session with the connection (ice 3.6 ``SessionRouterI.cpp``). OMERO's session only
  loses one of its references (omero-blitz ``cmd/SessionI.java``, destroy) and lives until it is idle, for one
  that was made by createSessionWithTimeouts keeps the reference that it began with (``SessionManagerImpl.java``).
- Its import process and raw file stores stay: only stateless services of that client are removed (cleanServants).
- Whoever joins the session again may call them, for their category is the session's key (``SessionManagerI.java``).
- A process opens further files only for the client that it was made for (``RegisterServantMessage.java``): so one
  joins under the same client id, which the server refuses until it has noticed that the old connection is gone.
- What a store was sent stays in its file; the process tells how far it came (``ManagedImportProcessI.java``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from itertools import chain, repeat
from threading import Lock
from typing import Any, TypeVar

import Ice

from dropwatch.errors import Interrupted
from dropwatch.importers.omero_errors import LOST, WIRE, explain, is_lost, refuses
from dropwatch.importers.omero_session import Session, through

_log = logging.getLogger(__name__)

_DELAYS = (0.0, 0.2, 0.5, 1.0, 2.0)  # seconds between two tries; the last one from then on
_LETTING_GO = 5000  # milliseconds; the server may be hashing gigabytes that nobody wants
_LOOK = 0.2  # seconds between two looks whether we are to stop

T = TypeVar("T")


class Line:
    """The way to the server for *session*. May be used by several threads at once.

    stopped  -- looked at while waiting for the server to come back
    patience -- seconds that a connection may be lost without anything getting through in between
    clock    -- seconds that only ever grow
    """

    def __init__(
        self,
        session: Session,
        stopped: Callable[[], bool],
        patience: float,
        clock: Callable[[], float],
    ) -> None:
        self.session = session
        self.number = 0  #: how often the connection was made anew
        self._stopped = stopped
        self._patience = patience
        self._clock = clock
        self._lock = Lock()
        self._lost: float | None = None  # since when nothing got through

    def call(self, act: Callable[[], T]) -> T:
        """What *act* answers, once it gets through. It may be called again, so it must do no harm then.

        Raises whatever OMERO throws, a lost connection only when it does not come back; Interrupted.
        """
        while True:
            number = self.number
            try:
                answer = act()
            except LOST as error:
                self.recover(number, error)
            else:
                self.well()
                return answer

    def well(self) -> None:
        """Something got through."""
        self._lost = None

    def recover(self, number: int, error: Exception) -> None:
        """Return when a new connection is there after the one with *number* broke with *error*.

        Raises *error* itself when it is about something else, or no connection comes; Interrupted.
        """
        if not is_lost(error):
            raise error
        with self._lock:
            if number != self.number:
                return  # another thread was quicker
            if isinstance(error, Ice.ObjectNotExistException) and self._answers():
                raise error  # not the connection, but what was called is gone
            # Kept here too: an answer from before may still come in and say that all is well.
            since = self._lost = self._clock() if self._lost is None else self._lost
            self.session.cut()  # the server takes us again when it knows that the old one is gone
            for delay in chain(_DELAYS, repeat(_DELAYS[-1])):
                self._wait(delay, since, error)
                if self._joined(error):
                    break
            self.number += 1
        _log.info("rejoin omero user=%s after=%s", self.session.owner, explain(error))

    def let_go(self, held: Held) -> None:
        """Close *held* after something went wrong, without waiting for long. Never raises what OMERO throws."""
        if not self.session.hung_up:
            with suppress(*WIRE):
                held.now().ice_invocationTimeout(_LETTING_GO).close()

    def close(self) -> None:
        """Nobody calls through the line any more."""
        self.session.forget_left()

    def held(self, proxy: Any) -> Held:
        """*proxy*, to be reached through whatever the connection is by then."""
        return Held(self, proxy)

    def _answers(self) -> bool:
        # On a new connection without a session, which Ice opens by itself, Glacier2 knows of no object at all.
        try:
            self.session.factory.keepAlive(None)
        except WIRE:
            return False
        return True

    def _wait(self, delay: float, since: float, error: Exception) -> None:
        now, end = self._clock(), self._clock() + delay
        if end - since >= self._patience:
            raise error
        while not self._stopped():
            if self.session.closing.wait(min(max(0.0, end - now), _LOOK)):
                raise error
            now = self._clock()
            if now >= end:
                return
        raise Interrupted("Stopped while OMERO could not be reached.")

    def _joined(self, error: Exception) -> bool:
        try:
            self.session.rejoin()
        except WIRE as refused:
            if refuses(refused):
                raise error from None
            return False
        return True


class Held:
    """A proxy that outlives connections."""

    def __init__(self, line: Line, proxy: Any) -> None:
        self._line = line
        self._number = line.number
        self._proxy = proxy

    def now(self) -> Any:
        """The proxy, to be called through the present connection."""
        number = self._line.number
        if number != self._number:
            self._proxy = through(self._line.session.client, self._proxy)
            self._number = number
        return self._proxy
