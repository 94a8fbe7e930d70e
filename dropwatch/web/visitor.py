"""Who asks: a person or a program, and what they may see. Values only.

Nothing that a browser sends says whose batches are meant; every question goes through a Visitor.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dropwatch.config import Config
from dropwatch.errors import Unavailable
from dropwatch.status.presence import Presence, presence
from dropwatch.web.shares import Shares


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
    away    -- a spool is away: they may have more drop folders than these
    """

    name: str
    folders: tuple[DropFolder, ...] = ()
    admin: bool = False
    away: bool = False

    def may_see(self, spool: Path, user: str) -> bool:
        """Whether batches of *user* in *spool* are theirs to see."""
        return self.admin or self.owns(spool, user)

    def owns(self, spool: Path, user: str) -> bool:
        """Whether the drop folder of *user* in *spool* is their own."""
        return DropFolder(spool, user) in self.folders


@dataclass(frozen=True)
class Folders:
    """The drop folders of somebody; *away*: why some spools could not be looked at."""

    folders: tuple[DropFolder, ...]
    away: tuple[Unavailable, ...]


def folders_of(config: Config, shares: Shares, name: str, now: float) -> Folders:
    """The drop folders of whom OMERO calls *name*, in all spools at *now* (epoch seconds)."""
    found: list[DropFolder] = []
    away: list[Unavailable] = []
    here = presence(config.state, now)
    for settings in config.spools:
        try:
            users = _users(here, shares, settings.path)
        except Unavailable as err:  # who has a drop folder elsewhere goes on there
            away.append(err)
        else:
            found += [DropFolder(settings.path, user) for user in users if config.omero_name(user) == name]
    return Folders(tuple(found), tuple(away))


def _users(here: Presence, shares: Shares, root: Path) -> tuple[str, ...]:
    """Raises Unavailable when the spool is away, or keeps whoever looks into it waiting."""
    hanging = here.hanging(root)
    if hanging is not None:
        raise Unavailable(f"{root}: {hanging.reason}", remedy=hanging.remedy, concerns="spool")
    return shares.users(root)
