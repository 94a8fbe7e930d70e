"""What an admin looks at: the daemon, outages, queue, workers, users, disks, letters. It only reads."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dropwatch.config import Config
from dropwatch.errors import Unavailable
from dropwatch.model import CLAIM_STAMP, Place
from dropwatch.outbox import Letter, Outbox, Shelf
from dropwatch.outbox.letter import NotALetter
from dropwatch.outbox.shelves import Shelves
from dropwatch.pipeline import glance
from dropwatch.pipeline.addresses import Addresses
from dropwatch.pipeline.claims import STATE_LEAST
from dropwatch.spool.folders import HANGING, Spool
from dropwatch.status import InHand, Most, Row, Status, Target, snapshot
from dropwatch.status.presence import EVERYBODY, SILENT, Presence, presence
from dropwatch.web.shares import Shares

TOLD = ("bug", "failure", "stuck", "operator", "outage", "fault", "permission", "space", "dead-letter")
_TOLD_MOST = 20  #: letters to the admins
_QUEUED_MOST = 20
_LOOKED_AT = 300  #: letters that are opened on one shelf


class Life(StrEnum):
    """How the daemon is."""

    RUNS = "runs"
    HANGS = "hangs"
    STOPPED = "was stopped"
    DIED = "died"
    NEVER = "never ran"


@dataclass(frozen=True)
class Daemon:
    """*started*: epoch seconds; *beat*: of its last heartbeat; 0 when it never ran. *died*: workers it lost."""

    life: Life
    version: str = ""
    started: float = 0.0
    beat: float = 0.0
    died: int = 0


@dataclass(frozen=True)
class Person:
    """A drop folder and whose it is.

    owner   -- what OMERO calls them; "" for an instrument, which drops for several
    address -- where their mail goes; "" when none is known (yet)
    importing -- batches in processing; attention -- in failed
    last    -- when their newest batch was claimed or dropped, epoch seconds
    """

    user: str
    owner: str
    address: str
    waiting: int
    importing: int
    attention: int
    done: int
    last: float | None
    held: bool


@dataclass(frozen=True)
class Disk:
    """*least*: bytes below which nothing more is taken up; *problem*: why nothing can be said of it, or ""."""

    what: str
    path: Path
    free: int = 0
    total: int = 0
    least: int = 0
    problem: str = ""

    @property
    def low(self) -> bool:
        return not self.problem and self.free < self.least


@dataclass(frozen=True)
class Hand:
    """What one worker has in hand, and of which batch."""

    row: Row
    at: InHand


@dataclass(frozen=True)
class Watched:
    """How the drops of a spool are noticed. *kind*: events or poll, "" not known; *lost*: how often events were."""

    path: Path
    kind: str
    why: str
    lost: int


@dataclass(frozen=True)
class Overview:
    """A facility at one moment.

    queue   -- what is not through yet, the oldest first
    seats   -- how many imports may run at the same time
    letters -- how many there are by shelf; queued -- the newest of those that wait
    told    -- what the admins were mailed about, newest first, as far as the outbox still has it
    """

    at: float
    daemon: Daemon
    holds: tuple[str, ...]
    targets: tuple[Target, ...]
    queue: tuple[Row, ...]
    hands: tuple[Hand, ...]
    seats: int
    people: tuple[Person, ...]
    disks: tuple[Disk, ...]
    watched: tuple[Watched, ...]
    letters: Mapping[str, int]
    queued: tuple[Letter, ...]
    dead: tuple[Letter, ...]
    told: tuple[Letter, ...]

    @property
    def all_held(self) -> bool:
        return EVERYBODY in self.holds


def overview(config: Config, shares: Shares, outbox: Outbox | None, now: float) -> Overview:
    """Look at everything. *outbox*: None when nobody gets mail. *now*: epoch seconds."""
    # Of what is through only the newest of each user is opened: the others are counted by their names.
    seen, here = _seen(config, shares, now), presence(config.state, now)
    queue = [row for row in seen.rows if row.place in (Place.INBOX, Place.PROCESSING)]
    letters = [*_newest(config, Shelf.SENT), *_newest(config, Shelf.QUEUED)]
    return Overview(
        at=now,
        daemon=_daemon(seen),
        holds=seen.holds,
        targets=seen.targets,
        queue=tuple(sorted(queue, key=lambda row: (row.since or 0.0, row.name))),
        hands=tuple(Hand(row, one) for row in queue if row.progress for one in row.progress.files),
        seats=config.workers.imports,
        people=tuple(_people(config, shares, here, seen)),
        disks=tuple(_disks(config, shares, here)),
        watched=tuple(_watched(seen.pulse.get("spools", {}))) if seen.running else (),
        letters=seen.outbox,
        queued=tuple(_newest(config, Shelf.QUEUED)[:_QUEUED_MOST]),
        dead=tuple(outbox.dead()) if outbox else (),
        told=tuple(_told(config, letters)),
    )


def _seen(config: Config, shares: Shares, now: float) -> Status:
    return snapshot(config, now, glance.inbox, Most(each=1), shares.spool)


def _daemon(seen: Status) -> Daemon:
    pulse = seen.pulse
    started, beat = float(pulse.get("started", 0.0)), float(pulse.get("beat", 0.0))
    died = int((pulse.get("workers") or {}).get("died", 0))
    if not beat and not seen.running:
        life = Life.NEVER
    elif not seen.running:
        life = Life.STOPPED if pulse.get("stopped") else Life.DIED
    else:
        life = Life.HANGS if seen.at - beat > SILENT else Life.RUNS
    return Daemon(life, str(pulse.get("version", "")), started, beat, died)


# -- people ----------------------------------------------------------------------------------------------


def _people(config: Config, shares: Shares, here: Presence, seen: Status) -> Iterator[Person]:
    """Everybody with a drop folder in a spool that is there, in the order of the alphabet."""
    addresses = Addresses(config.state / "addresses.json")
    for spool, user in sorted(_drop_folders(config, shares, here), key=lambda one: one[1].casefold()):
        rows = [row for row in seen.rows if row.user == user and row.path.is_relative_to(spool.root)]
        places = Counter(row.place for row in rows)
        owner = "" if config.instrument(user) is not None else config.omero_name(user)
        yield Person(
            user=user,
            owner=owner,
            address=config.user(user).email or (addresses.get(owner) if owner else None) or "",
            waiting=places[Place.INBOX],
            importing=places[Place.PROCESSING],
            attention=_retired(spool, user, Place.FAILED),
            done=_retired(spool, user, Place.DONE),
            last=max((row.since for row in rows if row.since), default=None),
            held=here.held(user),
        )


def _drop_folders(config: Config, shares: Shares, here: Presence) -> Iterator[tuple[Spool, str]]:
    for settings in config.spools:
        spool = shares.spool(settings.path)
        if here.hanging(spool.root) is not None:
            continue  # who looked into it would wait as well; the snapshot has told of it
        try:
            spool.check_present()
            users = spool.users().names
        except (Unavailable, OSError):
            continue
        yield from ((spool, user) for user in users)


def _retired(spool: Spool, user: str, place: Place) -> int:
    try:
        with os.scandir(spool.folder(user, place)) as entries:
            return sum(CLAIM_STAMP.match(entry.name) is not None for entry in entries)
    except OSError:
        return 0


# -- machine ---------------------------------------------------------------------------------------------


def _disks(config: Config, shares: Shares, here: Presence) -> Iterator[Disk]:
    for spool in config.spools:
        try:
            if here.hanging(spool.path) is None:
                shares.spool(spool.path).check_present()
                yield _disk("Drop folders", spool.path, config, None)
                continue
            problem = "It does not answer."
        except Unavailable as err:
            problem = "It does not answer." if err.code == HANGING else "It is not there."
        yield Disk("Drop folders", spool.path, problem=problem)
    yield _disk("State folder", config.state, config, STATE_LEAST)


def _disk(what: str, path: Path, config: Config, most: int | None) -> Disk:
    """*most*: the least that has to be free is no more than this."""
    try:
        usage = shutil.disk_usage(path)
    except OSError as err:
        return Disk(what, path, problem=f"It cannot be looked at: {err.strerror or err}.")
    least = int(config.limits.min_free.of(usage.total))
    return Disk(what, path, usage.free, usage.total, least if most is None else min(least, most))


def _watched(told: Mapping[str, Mapping[str, object]]) -> Iterator[Watched]:
    for path, said in told.items():
        lost = said.get("overflows", 0)
        yield Watched(
            Path(path),
            str(said.get("watch", "")),
            str(said.get("why", "")),
            lost if isinstance(lost, int) else 0,
        )


# -- letters ---------------------------------------------------------------------------------------------


def _newest(config: Config, shelf: Shelf) -> list[Letter]:
    """The letters that were written or tried last, newest first; not all, as there may be very many."""
    shelves = Shelves(config.state / "outbox")
    dated = []
    for path in shelves.files(shelf):
        with suppress(OSError):  # moved on since the folder was listed
            dated.append((path.stat().st_mtime, path))
    letters = []
    for _, path in sorted(dated, reverse=True)[:_LOOKED_AT]:
        with suppress(NotALetter, FileNotFoundError):
            letters.append(shelves.read(path))
    return letters


def _told(config: Config, letters: list[Letter]) -> list[Letter]:
    """The newest letters to the admins about trouble, each once however many admins there are."""
    admins = {address.casefold() for address in config.mail.admins} if config.mail else set()
    theirs = {
        (letter.kind, letter.batch, letter.claim): letter
        for letter in letters
        if letter.kind in TOLD and letter.to.casefold() in admins
    }
    return sorted(theirs.values(), key=lambda letter: letter.created, reverse=True)[:_TOLD_MOST]
