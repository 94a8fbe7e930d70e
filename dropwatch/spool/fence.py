"""What a spool asks before it acts: is it still ours, does it answer? Who knows is daemon/tenure.py."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from dropwatch.spool.knock import Knock

_PATIENCE = 5.0  #: seconds that somebody who waits at a terminal or in a browser gives a spool


class Fence(Protocol):
    """Keeps a daemon from acting on a spool that another one serves."""

    def check(self) -> None:
        """Raise a DropwatchError, or OSError, unless the spool is ours to act on now."""

    def answers(self) -> bool:
        """Whether the spool says anything at all, found out within seconds. Where it does not, whoever touches it waits
        until it does."""

    def proof(self) -> Path | None:
        """A file that is there as long as the spool is ours, for who cannot call check(); None: there is none."""


class Open:
    """No fence around the spool *root*: for the programs of people, who may act at any time. May be used by several
    threads at once."""

    def __init__(self, root: Path) -> None:
        self._knock = Knock(root, patience=_PATIENCE)

    def check(self) -> None:
        pass

    def answers(self) -> bool:
        return self._knock.answers()

    def proof(self) -> None:
        pass
