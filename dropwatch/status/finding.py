"""From what people call a batch to where it lies: an id, a claim stamp, a folder's name, ``user/name``. Only reads."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dropwatch.config import Config
from dropwatch.ledger import Ledger
from dropwatch.model import CLAIM_STAMP, Dropped, Envelope, Place
from dropwatch.spool.folders import MEMORY, Spool
from dropwatch.status.snapshot import Look


@dataclass(frozen=True)
class Found:
    """A batch that was found. One in an inbox is *dropped*; one that was claimed at some time has an *envelope*."""

    spool: Spool
    user: str
    place: Place
    path: Path
    envelope: Envelope | None
    dropped: Dropped | None = None

    @property
    def name(self) -> str:
        """What its folder is called."""
        folder = self.envelope.folder if self.envelope else ""
        return folder or (self.dropped.name if self.dropped else self.path.name)


def find(
    config: Config,
    wanted: str,
    look: Look,
    spool: Path | None = None,
    spool_at: Callable[[Path], Spool] = Spool,
) -> list[Found]:
    """Every batch that is called *wanted*, oldest first; more than one: the caller asks which.

    A folder's name is found without opening anything. Only when no folder is called so, the records are read:
    for the names that manifests gave, and for the ids of batches that came back.
    spool -- look in this spool only
    Raises Unavailable when a spool is not there.
    """
    user, slash, name = wanted.rstrip("/").partition("/")
    if not slash:
        user, name = "", user
    everywhere = list(_everywhere(config, user, look, spool, spool_at))
    found = [one for one in everywhere if _is_called(one, name)]
    if not found:
        found = [one for one in everywhere if _remembers(one, name)]
    return sorted(found, key=lambda one: (one.place is Place.INBOX, one.path.name))


def _everywhere(
    config: Config, user: str, look: Look, only: Path | None, spool_at: Callable[[Path], Spool]
) -> Iterator[Found]:
    for settings in config.spools:
        if only is not None and settings.path != only:
            continue
        spool = spool_at(settings.path)
        spool.check_present()
        for name in spool.users().names:
            if not user or _same(user)(name):
                # Somebody may ask for a batch of theirs who may not read the folders of others.
                with suppress(PermissionError):
                    yield from _of_user(config, spool, name, look)


def _of_user(config: Config, spool: Spool, user: str, look: Look) -> Iterator[Found]:
    for place in (Place.DONE, Place.FAILED, Place.PROCESSING):
        for envelope in spool.envelopes(user, place):
            yield Found(spool, user, place, envelope.path, envelope)
    for dropped in look(config, spool, user):
        yield Found(spool, user, Place.INBOX, dropped.path, dropped.envelope, dropped)


def _is_called(found: Found, name: str) -> bool:
    """By the names of its folders alone."""
    same, envelope = _same(name), found.envelope
    if same(found.path.name) or same(found.name):
        return True
    return envelope is not None and (
        envelope.claim == name or same(found.path.name.removeprefix(f"{envelope.claim}_"))
    )


def _remembers(found: Found, name: str) -> bool:
    """By its record."""
    envelope = found.envelope
    # No claim is older than the id of its batch: with that, most records need not be opened.
    if envelope is None or (CLAIM_STAMP.fullmatch(name) and envelope.claim < name):
        return False
    record = Ledger(MEMORY).read(found.path)
    if record is None:
        return False
    stamps = {record.batch, record.claim, *(past.claim for past in record.history)}
    return name in stamps or _same(name)(record.name) or _same(name)(record.dropped)


def _same(name: str) -> Callable[[str], bool]:
    wanted = unicodedata.normalize("NFC", name)
    return lambda other: unicodedata.normalize("NFC", other) == wanted
