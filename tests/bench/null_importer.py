"""An importer that does nothing, at once: what is left to measure is dropwatch itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from dropwatch.importers.base import Account, Finding
from dropwatch.model import Answers, Attached, Container, Fileset, Image, Imported, Kind, Order, Progress


class NullImporter:
    """Says at once that everything was imported. *started*: when each import began (monotonic), by source name."""

    def __init__(self) -> None:
        self.started: dict[str, float] = {}
        self.count = 0

    def ask(self, order: Order, filesets: Sequence[Fileset]) -> Answers:
        return Answers(Container(Kind.DATASET, 1, "bench", "lab"), f"{order.owner}@example.org", "lab")

    def import_(
        self,
        order: Order,
        fileset: Fileset,
        answers: Answers,
        *,
        progress: Callable[[Progress], None],
        stopped: Callable[[], bool],
    ) -> Imported:
        self.started.setdefault(order.source, time.monotonic())
        self.count += 1
        return Imported((Image(self.count),), self.count)

    def account(self, owner: str) -> Account:
        return Account(owner, f"{owner}@example.org", True, ("lab",), "lab")

    def attach(self, *_: object, **__: object) -> Attached:
        return Attached(1, 1)

    def accounts(self) -> list[Account]:
        return []

    def diagnose(self, owner: str | None) -> list[Finding]:
        return []

    def discard(self, order: Order, fileset: Fileset, imported: Imported) -> None:
        return None

    def close(self) -> None:
        return None
