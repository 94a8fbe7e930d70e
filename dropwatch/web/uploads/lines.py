"""The lines that uploads come over: which are dead, and which have to give way.

A cut is not always seen: a laptop that sleeps says no goodbye. A line that is silent for long counts as cut, and when
the rest of its file comes over another line, that is proof. What it brought so far is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dropwatch.web.uploads.room import Refused

SILENCE = 60.0  #: seconds without a byte
MOST_LINES = 12  #: that one person may send over at a time; each may hold a block in memory

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


@dataclass
class Line:
    """One request that brings bytes, heard through *receive*."""

    receive: Receive
    _over: bool = False
    _patience: asyncio.Timeout | None = None

    async def listen(self) -> Message:
        """The next message; that the client went away, once the line is cut or silent."""
        if not self._over:
            try:
                async with asyncio.timeout(SILENCE) as self._patience:
                    return await self.receive()
            except TimeoutError:
                self._over = True
            finally:
                self._patience = None  # nobody listens while what came is written
        return {"type": "http.disconnect"}

    def give_way(self) -> None:
        """Hear nothing more."""
        self._over = True
        if self._patience is not None and not self._patience.expired():
            self._patience.reschedule(asyncio.get_running_loop().time())


@dataclass
class Lines:
    """All that are open, by file and by person."""

    _by_file: dict[str, Line] = field(default_factory=dict)
    _by_person: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def open(self, line: Line, file: str, person: str) -> Iterator[None]:
        """*line* is the one for *file* from now on. Raises Refused (429)."""
        if self._by_person.get(person, 0) >= MOST_LINES:
            raise Refused(
                429, "Too many files of yours are coming in at once.", remedy="It goes on by itself."
            )
        older, self._by_file[file] = self._by_file.get(file), line
        if older is not None:
            older.give_way()
        self._by_person[person] = self._by_person.get(person, 0) + 1
        try:
            yield
        finally:
            self._by_person[person] -= 1
            if not self._by_person[person]:
                del self._by_person[person]
            if self._by_file.get(file) is line:
                del self._by_file[file]
