"""What a spool asks before it acts: is it still ours, does it answer? Who knows is daemon/tenure.py."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


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
    """No fence: for the programs of people, who may act at any time."""

    def check(self) -> None:
        pass

    def answers(self) -> bool:
        return True

    def proof(self) -> None:
        pass


OPEN = Open()
