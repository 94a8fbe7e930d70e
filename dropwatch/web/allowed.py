"""Which places a visitor may use. The daemon asks again before it fetches; here it is about what may be looked at."""

from __future__ import annotations

from dropwatch import places
from dropwatch.config import Config
from dropwatch.errors import DropwatchError
from dropwatch.places import Source
from dropwatch.web.images import Images
from dropwatch.web.visitor import Visitor


async def places_for(config: Config, images: Images, visitor: Visitor) -> list[Source]:
    """The places of *visitor*, in the order of the configuration.

    OMERO is asked for the groups of a person only where a place is for a group. If it cannot be asked, that
    place is left out.
    """
    names = (visitor.name, *(folder.user for folder in visitor.folders))
    known = places.sources(config)
    by_name = [source for source in known if source.may_use(*names)]
    if not any(source.groups for source in known if source not in by_name):
        return by_name
    try:
        groups = (await images.account(visitor.name)).groups
    except DropwatchError:
        return by_name
    return [source for source in known if source.may_use(*names, groups=groups)]
