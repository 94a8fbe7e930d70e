"""Looks at one spool, again and again: its live batches each time, retired ones once. Only reads.

Retired envelopes are never touched again, so what was read of one is kept for as long as its name is there. Only
the newest are kept: a page that lists more helps nobody, and memory is bounded.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from dropwatch.config import Config
from dropwatch.errors import Unavailable
from dropwatch.model import CLAIM_STAMP, Dropped, Envelope, Place
from dropwatch.pipeline import glance
from dropwatch.record import Record
from dropwatch.report import Site, site_of
from dropwatch.report.links import container_link
from dropwatch.spool.folders import Spool
from dropwatch.status import Found, Row, Target
from dropwatch.status.presence import Presence
from dropwatch.status.rows import Reader, envelope_at
from dropwatch.web.listed import Listed, drop_key, stage_of
from dropwatch.web.remembered import Remembered

KEPT = 20_000  #: retired batches of a spool, the newest
SPELL = 0.3  #: seconds of reading retired batches in one look, so that the live ones are not kept waiting
_TEXT = 4000  #: characters of file names that a search looks through
_COARSE = 3_000_000_000  #: nanoseconds; some file systems tell the time of a folder's change so roughly
_AGAIN = 60.0  #: seconds after which a folder is listed again though it seems unchanged: shares may tell late

Name = tuple[str, Place, Path]  #: of a retired envelope: whose, where


@dataclass(frozen=True)
class Glimpse:
    """What one look saw.

    batches -- newest first
    troubles -- what could not be looked at
    unread  -- retired batches that are still to be read
    left_out -- retired batches that are too many
    """

    batches: tuple[Listed, ...] = ()
    users: tuple[str, ...] = ()
    troubles: tuple[Target, ...] = ()
    unread: int = 0
    left_out: int = 0


@dataclass
class _Folder:
    """done/ or failed/ of a user, as it was listed last."""

    changed: int
    listed: float
    sure: bool
    names: tuple[Name, ...]


@dataclass
class Eye:
    """For one spool; used by one thread."""

    config: Config
    spool: Spool
    kept: int = KEPT
    ledger: Remembered = field(default_factory=Remembered)
    _site: Site = field(init=False)
    _folders: dict[Path, _Folder] = field(default_factory=dict)
    _retired: dict[Path, Listed | None] = field(default_factory=dict)
    _names: list[Name] = field(default_factory=list)
    _troubles: dict[str, Target] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._site = site_of(self.config)

    def look(self, here: Presence, now: float) -> Glimpse:
        """Look once. *now* in epoch seconds. Raises Unavailable, OSError (the spool as a whole)."""
        hanging = here.hanging(self.spool.root)
        if hanging is not None:
            raise Unavailable(hanging.reason, remedy=hanging.remedy)
        self.spool.check_present()
        users = self.spool.users().names
        self._troubles = {}
        reader = Reader(self.config, here, now, self.ledger)
        live = [one for user in users for one in self._guarded(user, reader)]
        self.ledger.keep({one.row.path for one in live})
        unread = self._read_retired(reader, users)
        live = [one for one in live if os.path.lexists(one.row.path)]  # what moved on meanwhile is seen there
        retired = [one for *_, path in self._names if (one := self._retired.get(path)) is not None]
        self.spool.check_present()  # a share that went away meanwhile looks as if all batches had
        batches = sorted([*live, *retired], key=newest, reverse=True)
        left_out = sum(len(folder.names) for folder in self._folders.values()) - len(self._names)
        return Glimpse(tuple(batches), users, tuple(self._troubles.values()), unread, left_out)

    def named(self, claim: str) -> list[Name]:
        """Retired envelopes with this stamp, read or not. May be called by any thread."""
        return [name for name in self._names if name[2].name.startswith(f"{claim}_")]

    def listed(self, found: Found, here: Presence, now: float) -> Listed | None:
        """One batch as look() lists it. Raises OSError."""
        reader = Reader(self.config, here, now, self.ledger)
        if found.dropped is not None:
            return self._dropped(reader, found.dropped)
        return self._claimed(reader, found.envelope) if found.envelope else None

    # -- live ------------------------------------------------------------------------------------------

    def _guarded(self, user: str, reader: Reader) -> Iterator[Listed]:
        """The live batches of *user*; one folder that cannot be read hides nothing else."""
        try:
            for dropped in glance.inbox(self.config, self.spool, user):
                yield self._dropped(reader, dropped)
            for envelope in self.spool.envelopes(user, Place.PROCESSING):
                yield self._claimed(reader, envelope)
        except OSError as err:
            self._trouble(user, err)

    def _dropped(self, reader: Reader, dropped: Dropped) -> Listed:
        root, row = self.spool.root, reader.dropped(self.spool.root, dropped)
        stage = stage_of(row, lacking=bool(dropped.lacking))
        if dropped.envelope is not None and dropped.envelope.claim:
            before = self._told(reader, row, dropped.envelope)
            return replace(before, begun=dropped.since, stage=stage)
        key = drop_key(root, dropped.user, dropped.name)
        return Listed(root, row, key, (), dropped.since, stage, f"{row.name}\n{row.user}".casefold())

    def _claimed(self, reader: Reader, envelope: Envelope) -> Listed:
        return self._told(reader, reader.envelope(self.spool.root, envelope), envelope)

    def _told(self, reader: Reader, row: Row, envelope: Envelope) -> Listed:
        record = reader.record(envelope)
        lines = self.ledger.lines(envelope.path, record.claim)
        where = record.container.name if record.container else ""
        names = "\n".join(line.name for line in lines[: _TEXT // 4])[:_TEXT]
        return Listed(
            spool=self.spool.root,
            row=row,
            key=envelope.claim,
            stamps=tuple(_stamps(self.spool.root, envelope, record)),
            begun=record.claimed_at,
            stage=stage_of(row, waits=bool(reader.waits(self.spool.root, row.user, record))),
            text=f"{row.name}\n{record.dropped}\n{row.user}\n{where}\n{names}".casefold(),
            where=where,
            link=container_link(self._site, record.container),
        )

    # -- retired ---------------------------------------------------------------------------------------

    def _read_retired(self, reader: Reader, users: Iterable[str]) -> int:
        """Read retired batches that are new, newest first, for a spell. Returns how many are left."""
        if self._list_retired(users):
            self._names = sorted(
                (name for folder in self._folders.values() for name in folder.names),
                key=lambda name: name[2].name,
                reverse=True,
            )[: self.kept]
            there = {path for *_, path in self._names}
            self._retired = {path: one for path, one in self._retired.items() if path in there}
        end = time.monotonic() + SPELL
        todo = [name for name in self._names if name[2] not in self._retired]
        for done, (user, place, path) in enumerate(todo):
            if time.monotonic() > end:
                return len(todo) - done
            self._read_one(reader, user, place, path)
        return 0

    def _read_one(self, reader: Reader, user: str, place: Place, path: Path) -> None:
        try:
            envelope = envelope_at(user, place, path)
            self._retired[path] = None if envelope is None else self._claimed(reader, envelope)
        except OSError as err:
            self._trouble(user, err)
        self.ledger.forget(path)

    def _list_retired(self, users: Iterable[str]) -> bool:
        """List the folders of retired batches that changed. Says whether any did."""
        there = {
            self.spool.folder(user, place): (user, place)
            for user in users
            for place in (Place.DONE, Place.FAILED)
        }
        gone = [path for path in self._folders if path not in there]
        for path in gone:
            del self._folders[path]
        changed = [self._list(path, *whose) for path, whose in there.items()]
        return bool(gone) or any(changed)

    def _list(self, path: Path, user: str, place: Place) -> bool:
        try:
            changed, known = path.stat().st_mtime_ns, self._folders.get(path)
            now = time.monotonic()
            if known and known.changed == changed and known.sure and now - known.listed < _AGAIN:
                return False
            # A second change within one tick of its clock leaves no trace on the folder.
            sure = time.time_ns() - changed > _COARSE
            found = sorted(entry.name for entry in os.scandir(path) if CLAIM_STAMP.match(entry.name))
        except FileNotFoundError:
            return self._folders.pop(path, None) is not None
        except OSError as err:
            self._trouble(user, err)
            return False
        names = tuple((user, place, path / name) for name in found)
        self._folders[path] = _Folder(changed, now, sure, names)
        return known is None or known.names != names

    def _trouble(self, user: str, err: OSError) -> None:
        reason = f"{os.fsdecode(err.filename or '')} cannot be read: {err.strerror or err}."
        self._troubles[user] = Target(f"user:{user}", reason)


def newest(one: Listed) -> tuple[float, str]:
    """What the list is sorted by, descending."""
    return (one.begun, one.key)


def _stamps(spool: Path, envelope: Envelope, record: Record) -> Iterator[str]:
    """What the page of a batch was called before. Loose files get a time behind their name when they are claimed."""
    yield record.batch
    yield from (past.claim for past in record.history)
    name = record.dropped or record.name
    yield drop_key(spool, envelope.user, name.rpartition(", ")[0] if record.loose else name)
