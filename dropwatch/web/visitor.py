"""Who asks: a person or a program, and what they may see. Values only.

Nothing that a browser sends says whose batches are meant; every question goes through a Visitor.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dropwatch.config import Config
from dropwatch.errors import Unavailable
from dropwatch.spool.folders import Spool
from dropwatch.status.presence import presence


@dataclass(frozen=True)
class DropFolder:
    """The drop folder of *user* in the spool at *spool*."""

    spool: Path
    user: str


@dataclass(frozen=True)
class Visitor:
    """Somebody who came in.

    name    -- what OMERO calls them
    folders -- their drop folders; usually one, none for somebody who has none yet
    admin   -- may see everybody's batches, and do what an admin does
    """

    name: str
    folders: tuple[DropFolder, ...] = ()
    admin: bool = False

    def may_see(self, spool: Path, user: str) -> bool:
        """Whether batches of *user* in *spool* are theirs to see."""
        return self.admin or self.owns(spool, user)

    def owns(self, spool: Path, user: str) -> bool:
        """Whether the drop folder of *user* in *spool* is their own."""
        return DropFolder(spool, user) in self.folders


def folders_of(config: Config, name: str, now: float) -> tuple[DropFolder, ...]:
    """The drop folders of whom OMERO calls *name*, in all spools at *now* (epoch seconds).

    Raises Unavailable when a spool is away, or keeps whoever looks into it waiting.
    """
    found, here = [], presence(config.state, now)
    for settings in config.spools:
        spool = Spool(settings.path)
        hanging = here.hanging(spool.root)
        if hanging is not None:
            raise Unavailable(f"{spool.root}: {hanging.reason}", remedy=hanging.remedy, concerns="spool")
        spool.check_present()
        found += [
            DropFolder(spool.root, user) for user in spool.users().names if config.omero_name(user) == name
        ]
    return tuple(found)
