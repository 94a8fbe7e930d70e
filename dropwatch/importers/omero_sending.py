"""Sends the blocks of a file to a raw file store: one is on its way while the caller reads and hashes the next.

Never two at once to one store: a real server answers the second call "Hibernate session is not re-entrant"
(omero-server SessionHandler.java), for a store keeps its own database session.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dropwatch.importers.base import Progress
from dropwatch.importers.omero_errors import WIRE

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
    """Sends to *store* (RawFileStorePrx).

    mend -- called when a block did not get through: with what OMERO or Ice threw, and where the block begins
            and ends; it raises, or answers with the store to go on with and whether the block is there already
    """

    def __init__(self, store: Any, mend: Callable[[Exception, int, int], tuple[Any, bool]]) -> None:
        self._store = store
        self._mend = mend
        self._block, self._offset = b"", 0
        self._call: Any = None

    def send(self, block: bytes, offset: int) -> None:
        """Wait until the block before has arrived, and send this one. Raises what *mend* raises."""
        self.finish()
        self._block, self._offset = block, offset
        self._begin()

    def finish(self) -> None:
        """Wait until the last block has arrived. Raises what *mend* raises."""
        while self._call is not None:
            call, self._call = self._call, None
            try:
                self._store.end_write(call)
            except WIRE as error:
                if not self._arrived(error):
                    self._begin()

    def _begin(self) -> None:
        while self._call is None:
            try:
                self._call = self._store.begin_write(self._block, self._offset, len(self._block))
            except WIRE as error:
                if self._arrived(error):
                    return

    def _arrived(self, error: Exception) -> bool:
        self._store, arrived = self._mend(error, self._offset, self._offset + len(self._block))
        return arrived
