"""What is wrong with an inbox or a drop in it, in words for its user and the admins. Only tells; decides nothing."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from pathlib import Path

from dropwatch.errors import OperatorError
from dropwatch.pipeline.desk import Desk

Inbox = tuple[Path, str]  #: spool and user


@dataclass
class Complaints:
    """said -- the last of each drop: what cannot be claimed is tried every few seconds"""

    desk: Desk
    said: dict[tuple[Inbox, str], str] = field(default_factory=dict)

    def unmovable(self, inbox: Inbox, name: str, err: OperatorError) -> None:
        """A drop cannot be claimed before somebody mends its permissions."""
        root, user = inbox
        path = str(root / user / "inbox" / name)
        if self.said.get((inbox, name)) != err.message:
            self.said[inbox, name] = err.message
            self.desk.say("claim", user=user, name=name, error=err.message, detail=err.detail)
        self.desk.letters.permission(user, path, err)

    def unreadable(self, inbox: Inbox, err: PermissionError) -> None:
        """The inbox cannot be looked at."""
        root, user = inbox
        path = err.filename or str(root / user / "inbox")
        error = OperatorError(
            f"dropwatch may not read {path}.",
            concerns="user",
            remedy=f"Give the account that runs dropwatch read and write permission on {path}.",
            detail=str(err),
        )
        self.unmovable(inbox, "", error)

    def bug(self, inbox: Inbox, name: str, err: Exception) -> None:
        """A drop made us fail in a way that nobody thought of."""
        trace = "".join(traceback.format_exception(err))
        self.desk.say("bug", user=inbox[1], name=name, error=f"{type(err).__name__}: {err}", trace=trace)
        error = OperatorError(
            f"dropwatch met an error of its own with {name} in {inbox[1]}'s inbox.",
            concerns=f"spool:{inbox[0]}",
            remedy="The drop stays where it is and is tried again. Please report this to the makers of dropwatch.",
            detail=trace[-4000:],
        )
        self.desk.letters.fault(error, [inbox[1]])

    def clash(self, root: Path, names: tuple[str, ...]) -> None:
        """Users whose names differ by case only."""
        error = OperatorError(
            f"Folders of {root} differ by case only: {', '.join(names)}. None of them is served.",
            concerns=f"spool:{root}",
            remedy="Rename or merge them, so that each user has one folder.",
        )
        self.desk.say("watch", spool=root, error=error.message)
        self.desk.letters.fault(error, list(names))
