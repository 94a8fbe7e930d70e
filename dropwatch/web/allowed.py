"""Which places a visitor may use. The daemon asks again before it fetches; here it is about what may be looked at."""

from __future__ import annotations

from dropwatch import places
from dropwatch.config import Config
from dropwatch.errors import DropwatchError
from dropwatch.places import Source
from dropwatch.web.images import Images
from dropwatch.web.visitor import Visitor


def needs_omero(config: Config, visitor: Visitor) -> bool:
    """Whether places_for() has to ask OMERO, which may take a while."""
    names = _names(visitor)
    return any(source.groups for source in places.sources(config) if not source.may_use(*names))


async def places_for(config: Config, images: Images, visitor: Visitor) -> list[Source]:
    """The places of *visitor*, in the order of the configuration.

    OMERO is asked for the groups of a person only where a place is for a group. If it cannot be asked, that
    place is left out.
    """
    names, known = _names(visitor), places.sources(config)
    by_name = [source for source in known if source.may_use(*names)]
    if not needs_omero(config, visitor):
        return by_name
    try:
        groups = (await images.account(visitor.name)).groups
    except DropwatchError:
        return by_name
    return [source for source in known if source.may_use(*names, groups=groups)]


def _names(visitor: Visitor) -> tuple[str, ...]:
    return (visitor.name, *(folder.user for folder in visitor.folders))
