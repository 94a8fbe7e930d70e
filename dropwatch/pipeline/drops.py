"""What lies in an inbox, sorted into drops. Pure but for the look that spool/ takes.

A folder is a drop; loose files with one stem are one; a moved-back envelope is one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dropwatch import manifest
from dropwatch.model import Envelope
from dropwatch.spool.folders import InboxEntry, Spool

#: Endings that stand before the last one and belong with it: a.ome.tif, a.companion.ome.
_DOUBLE = (".ome", ".companion")


@dataclass(frozen=True)
class FreshFolder:
    """A folder as the user made it."""

    name: str

    @property
    def key(self) -> str:
        return self.name


@dataclass(frozen=True)
class LooseFiles:
    """Files at the top of the inbox that belong together. *manifest* is the ``NAME.batch.yaml`` among them."""

    name: str
    names: tuple[str, ...]
    manifest: str | None = None

    @property
    def key(self) -> str:
        return f"{self.name}\0loose"


@dataclass(frozen=True)
class ReturnedEnvelope:
    """An envelope that a person moved back, to be tried again."""

    envelope: Envelope

    @property
    def name(self) -> str:
        return self.envelope.path.name

    @property
    def key(self) -> str:
        return self.envelope.path.name


Drop = FreshFolder | LooseFiles | ReturnedEnvelope


def drops(spool: Spool, user: str, listed: dict[str, tuple[str, ...]]) -> list[Drop]:
    """The drops in *user*'s inbox. *listed*: the file names that each ``NAME.batch.yaml`` there lists."""
    entries = spool.inbox(user)
    found: list[Drop] = []
    for entry in entries:
        if entry.folder:
            envelope = spool.returned(user, entry.name)
            found.append(ReturnedEnvelope(envelope) if envelope else FreshFolder(entry.name))
    return found + list(_loose([entry for entry in entries if not entry.folder], listed))


def _loose(entries: Iterable[InboxEntry], listed: dict[str, tuple[str, ...]]) -> list[LooseFiles]:
    names = {entry.name for entry in entries}
    found = []
    for name in sorted(names):
        stem = manifest.loose_stem(name)
        if stem is not None:
            theirs = listed.get(name) or tuple(other for other in names if stem_of(other) == stem)
            members = {name, *(other for other in theirs if other in names)}
            found.append(LooseFiles(stem, tuple(sorted(members)), name))
            names = names - members
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(stem_of(name), []).append(name)
    return found + [LooseFiles(stem, tuple(members)) for stem, members in groups.items()]


def stem_of(name: str) -> str:
    """What loose files that belong together have in common: the name without its ending."""
    stem, dot, _ = name.rpartition(".")
    if not dot or not stem:
        return name
    for ending in _DOUBLE:
        if stem.lower().endswith(ending) and len(stem) > len(ending):
            return stem[: -len(ending)]
    return stem
