"""One look at an inbox, for who only wants to know: what lies there and what it waits for. Remembers nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator

from dropwatch.config import Config
from dropwatch.model import Dropped, Place
from dropwatch.pipeline.drops import LooseFiles, ReturnedEnvelope
from dropwatch.pipeline.sightings import Seen, Sightings
from dropwatch.settling import Rules, Settling
from dropwatch.spool.folders import Spool


def inbox(config: Config, spool: Spool, user: str) -> Iterator[Dropped]:
    """The drops in *user*'s inbox, by name. Raises OSError when it cannot be read."""
    settings = next(one for one in config.spools if one.path == spool.root)
    manifest_only = config.user(user).start == "manifest"
    rules = Rules(settings.settle, settings.incomplete.tell, settings.incomplete.fail, manifest_only)
    for seen in Sightings(spool).look(user, rules, 0.0):
        yield _dropped(spool, user, seen, settings.incomplete.fail)


def _dropped(spool: Spool, user: str, seen: Seen, fail: float) -> Dropped:
    drop, files = seen.drop, seen.sighting.snapshot.files
    names = drop.names if isinstance(drop, LooseFiles) else (drop.name,)
    paths = [spool.folder(user, Place.INBOX) / name for name in names]
    return Dropped(
        user=user,
        name=drop.name,
        path=paths[0],
        files=len(files),
        bytes=sum(file.size for file in files),
        # Not st_mtime: a copy keeps the time of its original, and may be years old when it arrives.
        since=max((os.lstat(path).st_ctime for path in paths if os.path.lexists(path)), default=0.0),
        lacking=seen.state.lacking if isinstance(seen.state, Settling) else (),
        given_up=fail if isinstance(seen.state, Settling) and seen.state.bounded else 0.0,
        envelope=drop.envelope if isinstance(drop, ReturnedEnvelope) else None,
        loose=drop.names if isinstance(drop, LooseFiles) else (),
    )
