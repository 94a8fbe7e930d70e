"""A place: a folder that the admin named, from which the daemon fetches files; and who may use it. Opens nothing."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dropwatch.config import Config
from dropwatch.errors import PermanentError

EVERYONE = "*"
GROUP = "group:"


@dataclass(frozen=True)
class Source:
    """A place as the configuration names it.

    users -- who may use it: names of drop folders or OMERO users, ``group:NAME`` of OMERO groups, ``*`` for everyone
    """

    name: str
    path: Path
    users: tuple[str, ...]

    @property
    def concerns(self) -> str:
        """Its name among the targets, for errors and pauses."""
        return f"place:{self.name}"

    @property
    def groups(self) -> tuple[str, ...]:
        """The OMERO groups whose members may use it."""
        return tuple(who.removeprefix(GROUP) for who in self.users if who.startswith(GROUP))

    def may_use(self, *names: str, groups: Iterable[str] = ()) -> bool:
        """Whether somebody may use it who is called any of *names* and is in the OMERO groups *groups*."""
        if EVERYONE in self.users or set(self.groups) & set(groups):
            return True
        known = {_folded(who) for who in self.users if not who.startswith(GROUP)}
        return any(_folded(name) in known for name in names)

    def check_use(self, *names: str, groups: Iterable[str] = ()) -> None:
        """Raise PermanentError where may_use() says no."""
        if not self.may_use(*names, groups=groups):
            raise PermanentError(
                f"{names[0]} may not fetch files from {self.name}.",
                remedy=f"Ask the facility to list {names[0]} under places.{self.name}.users.",
                code="place-forbidden",
            )


def sources(config: Config) -> tuple[Source, ...]:
    """All places, in the order of the configuration."""
    return tuple(Source(name, place.path, place.users) for name, place in config.places.items())


def called(config: Config, name: str) -> str:
    """*name* as the configuration spells it; as it is where there is no such place."""
    return next((known for known in config.places if _folded(known) == _folded(name)), name)


def find(config: Config, name: str) -> Source:
    """The place *name*, whatever the case. Raises PermanentError when there is none."""
    known = sources(config)
    found = next((source for source in known if source.name == called(config, name)), None)
    if found is None:
        remedy = "This facility has no places to fetch from; copy the files into the folder instead."
        if known:
            remedy = f"The places are: {', '.join(source.name for source in known)}."
        raise PermanentError(f"There is no place {name} to fetch from.", remedy=remedy, code="no-such-place")
    return found


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
