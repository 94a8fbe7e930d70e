"""Sends the blocks of a file to a raw file store: one is on its way while the caller reads and hashes the next.

Never two at once to one store: a real server answers the second call "Hibernate session is not re-entrant"
(omero-server SessionHandler.java), for a store keeps its own database session.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dropwatch.importers.omero_errors import LOST
from dropwatch.importers.omero_line import Held, Line
from dropwatch.model import Progress

BLOCK = 4 << 20
"""Bytes in a block. With one under way at a time, a link of 5 ms carries 99 MiB/s in blocks of 1 MiB, 180 in these;
on the loopback they are no slower."""

_SLOWEST_HASH = 20_000_000  # bytes a second at which a slow server hashes what it got
_BETWEEN = 0.25  # seconds between two reports of progress


def hashing_limit(call_wait: float, size: int) -> int:
    """Milliseconds that a call may take in which the server hashes *size* bytes."""
    return int((call_wait + size / _SLOWEST_HASH) * 1000)


class Reporter:
    """Passes progress on, a few times a second at most. *clock* in seconds."""

    def __init__(self, progress: Callable[[Progress], None], clock: Callable[[], float]) -> None:
        self._progress = progress
        self._clock = clock
        self._last = float("-inf")

    def due(self) -> bool:
        return self._clock() - self._last >= _BETWEEN

    def tell(self, stage: str, done: int, total: int) -> None:
        if done >= total or self.due():
            self._last = self._clock()
            self._progress(Progress(stage, done, total))


class Sender:
    """Sends to *store* (RawFileStorePrx) through *line*.

    arrived -- asked after the connection was made anew: whether the block between these two offsets is there
    """

    def __init__(self, line: Line, store: Held, arrived: Callable[[int, int], bool]) -> None:
        self._line = line
        self._store = store
        self._arrived = arrived
        self._block, self._offset = b"", 0
        self._call: Any = None  # with the proxy that it was made through and the number of the connection

    def send(self, block: bytes, offset: int) -> None:
        """Wait until the block before has arrived, and send this one. Raises what Line.call raises."""
        self.finish()
        self._block, self._offset = block, offset
        self._begin()

    def finish(self) -> None:
        """Wait until the last block has arrived. Raises what Line.call raises."""
        while self._call is not None:
            (store, number, call), self._call = self._call, None
            try:
                store.end_write(call)
            except LOST as error:
                self._go_on(number, error)
            else:
                self._line.well()

    def _begin(self) -> None:
        while True:
            number = self._line.number
            try:
                store = self._store.now()
                self._call = store, number, store.begin_write(self._block, self._offset, len(self._block))
            except LOST as error:
                self._line.recover(number, error)
            else:
                return

    def _go_on(self, number: int, error: Exception) -> None:
        self._line.recover(number, error)
        if not self._arrived(self._offset, self._offset + len(self._block)):
            self._begin()
