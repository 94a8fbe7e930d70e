"""Looks into places beside the page. It only sends the looks away, and says when one takes too long."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from dropwatch.places import Source
from dropwatch.web.errands import Errands

PATIENCE = 20.0  #: seconds until we say that a place does not answer
_THREADS = 3  #: for each place

Result = TypeVar("Result")


class Lookout:
    """One for the page. A place that does not answer keeps its own few threads busy, and no others."""

    def __init__(self) -> None:
        self._errands: dict[str, Errands] = {}

    async def look(self, source: Source, work: Callable[[], Result]) -> Result:
        """What *work* returns. Raises what it raises, and Unavailable when that takes too long."""
        errands = self._errands.setdefault(source.name, Errands(source.name, _THREADS))
        return await errands.answer(errands.send(work), PATIENCE)

    def close(self) -> None:
        """Answer whoever waits. Never raises, and waits for no place."""
        for errands in self._errands.values():
            errands.close()
