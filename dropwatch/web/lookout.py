"""Looks into places, and works in drop folders, beside the page. It only sends away, and says what takes too long."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from dropwatch.places import Source
from dropwatch.web.errands import Errands

PATIENCE = 20.0  #: seconds until we say that a place does not answer
WORKING = 600.0  #: seconds until we say so of work that may read whole files
_THREADS = 3  #: for each place
_HANDS = 8  #: for each spool, and for what may be in any of them
_ANY = "A drop folder"

Result = TypeVar("Result")


class Lookout:
    """One for the page. A place or spool that does not answer keeps its own few threads busy, and no others: those of
    asyncio are for what is in our own state folder."""

    def __init__(self) -> None:
        self._errands: dict[str, Errands] = {}

    async def look(self, source: Source, work: Callable[[], Result]) -> Result:
        """What *work* returns. Raises what it raises, and Unavailable when that takes too long."""
        return await self._send(source.name, _THREADS, work, PATIENCE)

    async def work(self, spool: Path | None, work: Callable[[], Result], seconds: float = PATIENCE) -> Result:
        """The same for work in *spool*; None: in any of them."""
        return await self._send(str(spool or _ANY), _HANDS, work, seconds)

    async def _send(self, what: str, threads: int, work: Callable[[], Result], seconds: float) -> Result:
        errands = self._errands.setdefault(what, Errands(what, threads))
        return await errands.answer(errands.send(work), seconds)

    def close(self) -> None:
        """Answer whoever waits. Never raises, and waits for no place."""
        for errands in self._errands.values():
            errands.close()
