"""Everything at one moment: the daemon, what it leaves alone, the outbox, the batches. Only reads.

done/ and failed/ may hold a hundred thousand batches: their names are listed, but only the newest are opened.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dropwatch.config import Config
from dropwatch.errors import Unavailable
from dropwatch.model import CLAIM_STAMP, Dropped, Place
from dropwatch.outbox import Shelf
from dropwatch.outbox.shelves import Shelves
from dropwatch.report import duration
from dropwatch.spool.folders import Spool
from dropwatch.status.picture import Row, Status, Target
from dropwatch.status.presence import SILENT, Presence, presence
from dropwatch.status.rows import Reader, envelope_at

Look = Callable[[Config, Spool, str], Iterable[Dropped]]  #: what lies in the inbox of a user


@dataclass(frozen=True)
class Most:
    """How many retired batches to open, the newest ones: of each user, and of all together; None: all."""

    each: int | None = None
    together: int | None = None


EVERYTHING = Most()
_ROOM = 2**16  #: bytes; with less nothing can be kept in the state folder


@dataclass(frozen=True)
class _Retired:
    """A name in done/ or failed/; its stamp says how old it is."""

    spool: Path
    user: str
    path: Path
    place: Place


def snapshot(
    config: Config,
    now: float,
    look: Look,
    most: Most = EVERYTHING,
    spool_at: Callable[[Path], Spool] = Spool,
) -> Status:
    """Look at everything. *look*: who knows what lies in an inbox (pipeline.glance)."""
    here = presence(config.state, now)
    reader = Reader(config, here, now)
    trouble = list(state_troubles(config.state, here, now))
    retired: list[_Retired] = []
    working: list[Row] = []
    waiting: list[Row] = []
    total = 0
    for spool, user in _users(config, here, trouble, spool_at):
        try:
            waiting += [reader.dropped(spool.root, dropped) for dropped in look(config, spool, user)]
            working += [reader.envelope(spool.root, one) for one in spool.envelopes(user, Place.PROCESSING)]
            theirs = _newest(_retired(spool, user))
        except OSError as err:
            trouble.append(_unreadable(f"user:{user}", err))
            continue
        total += len(theirs)
        retired += theirs if most.each is None else theirs[: most.each]
    chosen = _newest(retired)[: most.together]
    rows = [row for one in reversed(chosen) if (row := _row(reader, one, trouble)) is not None]
    # What moved on while we looked is among the rows of the place it came to.
    rows += [
        row for row in sorted(working, key=_age) + sorted(waiting, key=_age) if os.path.lexists(row.path)
    ]
    targets = all_targets(here, trouble)
    return Status(
        now, here.running, here.pulse, here.holds, targets, outbox(config), tuple(rows), total - len(chosen)
    )


def outbox(config: Config) -> dict[str, int]:
    """How many letters lie on each shelf."""
    shelves = Shelves(config.state / "outbox")
    return {str(shelf): len(shelves.files(shelf)) for shelf in Shelf}


def _users(
    config: Config, here: Presence, trouble: list[Target], spool_at: Callable[[Path], Spool]
) -> Iterator[tuple[Spool, str]]:
    """The users of all spools; what cannot be served is added to *trouble*."""
    for settings in config.spools:
        spool = spool_at(settings.path)
        hanging = here.hanging(spool.root)
        if hanging is not None:
            trouble.append(hanging)
            continue
        try:
            spool.check_present()
            users = spool.users()
        except Unavailable as err:
            trouble.append(Target(f"spool:{spool.root}", err.message, err.remedy))
        except OSError as err:
            trouble.append(_unreadable(f"spool:{spool.root}", err))
        else:
            yield from ((spool, user) for user in users.names)
            reason = "Folders of this name differ by case only: none of them is served."
            remedy = "Rename or merge them, so that each user has one folder."
            trouble.extend(Target(f"user:{name}", reason, remedy, operator=True) for name in users.clashing)


def _unreadable(name: str, err: OSError) -> Target:
    return Target(name, f"{os.fsdecode(err.filename or '')} cannot be read: {err.strerror or err}.")


def _retired(spool: Spool, user: str) -> Iterator[_Retired]:
    for place in (Place.DONE, Place.FAILED):
        folder = spool.folder(user, place)
        if folder.is_dir():
            claimed = (path for path in folder.iterdir() if CLAIM_STAMP.match(path.name))
            yield from (_Retired(spool.root, user, path, place) for path in claimed)


def _newest(retired: Iterable[_Retired]) -> list[_Retired]:
    return sorted(retired, key=lambda one: one.path.name, reverse=True)


def _row(reader: Reader, one: _Retired, trouble: list[Target]) -> Row | None:
    try:
        envelope = envelope_at(one.user, one.place, one.path)
        return reader.envelope(one.spool, envelope) if envelope is not None else None
    except OSError as err:
        trouble.append(_unreadable(f"user:{one.user}", err))
        return None


def state_troubles(state: Path, here: Presence, now: float) -> Iterator[Target]:
    """What the daemon cannot say, because it says everything through the state folder."""
    try:
        free = shutil.disk_usage(state).free
    except FileNotFoundError:
        return  # it has never run here
    except OSError as err:
        yield _unreadable("state", err)
        return
    beat = float(here.pulse.get("beat", 0.0))
    if free < _ROOM:
        remedy = (
            "Make room on its disk: until then mails cannot be kept, and finished batches wait for theirs."
        )
        yield Target("state", f"The state folder {state} is full.", remedy, operator=True)
    elif here.running and now - beat > SILENT:
        silence = duration(now - beat)
        reason = f"The daemon has said nothing for {silence}: it hangs, or cannot write to {state}."
        yield Target("state", reason, "Its log says more; `dropwatch check` tries the folder.", operator=True)


def _age(row: Row) -> tuple[float, str]:
    return (row.since or 0.0, row.name)


def all_targets(here: Presence, trouble: list[Target]) -> tuple[Target, ...]:
    """What the daemon said, and what we saw ourselves where it said nothing."""
    said = {target.name: target for target in here.targets}
    seen = {target.name: target for target in trouble}
    return tuple({**seen, **said}.values())
