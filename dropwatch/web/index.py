"""What lies where, for the pages and the API. Only reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dropwatch.config import Config
from dropwatch.pipeline import glance
from dropwatch.status import Found, Row, Status, Whole, find, snapshot, whole
from dropwatch.web.visitor import Visitor


@dataclass
class Index:
    """All batches, as *config* knows them. *clock*: epoch seconds."""

    config: Config
    clock: Callable[[], float]

    def status(self) -> Status:
        """Everything at this moment."""
        return snapshot(self.config, self.clock(), glance.inbox)

    def rows(self, visitor: Visitor) -> list[Row]:
        """The batches that *visitor* may see, newest first."""
        return [row for row in reversed(self.status().rows) if visitor.may_see(*_whose(self.config, row))]

    def find(self, visitor: Visitor, wanted: str) -> list[Found]:
        """The batches of *visitor* that are called *wanted*. What is not theirs is not there."""
        found = find(self.config, wanted, glance.inbox)
        return [one for one in found if visitor.may_see(one.spool.root, one.user)]

    def whole(self, found: Found) -> Whole:
        """All there is of one batch."""
        return whole(self.config, self.clock(), found)


def _whose(config: Config, row: Row) -> tuple[Path, str]:
    spool = config.spool_for(row.path)
    assert spool is not None, "a row lies in a spool"
    return spool.path, row.user
