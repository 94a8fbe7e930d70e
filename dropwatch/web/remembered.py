"""A ledger that reads a file again only when it has changed: batches at work are looked at every second."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dropwatch.ledger import Ledger
from dropwatch.record import Line, Record
from dropwatch.spool.folders import MEMORY

_FILES = ("record.json", "filesets.jsonl")
Signature = tuple[tuple[int, int, int], ...]


@dataclass
class _Read:
    signature: Signature
    record: Record | None
    every: list[Line] | None = None
    lines: dict[str | None, list[Line]] = field(default_factory=dict)


class Remembered(Ledger):
    """Only for reading."""

    def __init__(self) -> None:
        super().__init__(MEMORY)
        self._known: dict[Path, _Read] = {}

    def read(self, envelope: Path) -> Record | None:
        return self._read(envelope).record

    def lines(self, envelope: Path, claim: str | None = None) -> list[Line]:
        known = self._read(envelope)
        if claim not in known.lines:
            known.lines[claim] = super().lines(envelope, claim)
        return known.lines[claim]

    def _read_lines(self, envelope: Path) -> Iterator[Line]:
        known = self._read(envelope)
        if known.every is None:
            known.every = list(super()._read_lines(envelope))
        return iter(known.every)

    def keep(self, envelopes: Collection[Path]) -> None:
        """Forget all but *envelopes*."""
        for path in [path for path in self._known if path not in envelopes]:
            del self._known[path]

    def forget(self, envelope: Path) -> None:
        """Forget *envelope*: it does not change any more."""
        self._known.pop(envelope, None)

    def _read(self, envelope: Path) -> _Read:
        # Taken before the reading: what is written in between is read again the next time.
        signature = tuple(_signature(envelope / MEMORY / name) for name in _FILES)
        known = self._known.get(envelope)
        if known is None or known.signature != signature:
            known = self._known[envelope] = _Read(signature, super().read(envelope))
        return known


def _signature(path: Path) -> tuple[int, int, int]:
    try:
        seen = path.lstat()
    except OSError:
        return (0, 0, 0)
    return (seen.st_mtime_ns, seen.st_size, seen.st_ino)
