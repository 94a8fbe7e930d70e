"""Which of somebody's drop folders is meant. Most have one, and need not say."""

from __future__ import annotations

from dropwatch.actions import Refused
from dropwatch.web.api.errors import NotThere
from dropwatch.web.visitor import DropFolder, Visitor


def folder_of(visitor: Visitor, user: str | None, spool: str | None) -> DropFolder:
    """The drop folder of *visitor* that is called *user*, in the tree *spool*; None: they need not say.

    Raises NotThere when it is none of theirs, Refused when they have none, or it is not clear which is meant.
    """
    fitting = [one for one in visitor.folders if user in (None, one.user) and spool in (None, str(one.spool))]
    if len(fitting) == 1:
        return fitting[0]
    if not visitor.folders:
        raise Refused(
            f"{visitor.name} has no drop folder.", remedy="Ask the people who look after dropwatch."
        )
    if not fitting:
        raise NotThere("You have no such drop folder.", remedy="GET /api/me lists yours.")
    mine = ", ".join(f"{one.user} in {one.spool}" for one in fitting)
    raise Refused("It is not clear which drop folder is meant.", remedy=f"Name one, and its tree: {mine}.")
