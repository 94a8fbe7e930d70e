"""What lies in an inbox, sorted into drops. It only asks spool/ whether a folder is an envelope that came back.

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


def drops(
    spool: Spool, user: str, entries: list[InboxEntry], listed: dict[str, tuple[str, ...]]
) -> list[Drop]:
    """The drops among the *entries* of *user*'s inbox. *listed*: the file names that each ``NAME.batch.yaml`` lists."""
    found: list[Drop] = []
    for entry in entries:
        if entry.folder:
            envelope = spool.returned(user, entry.name)
            found.append(ReturnedEnvelope(envelope) if envelope else FreshFolder(entry.name))
    return found + list(_loose([entry for entry in entries if not entry.folder], listed))


def _loose(entries: Iterable[InboxEntry], listed: dict[str, tuple[str, ...]]) -> list[LooseFiles]:
    """There may be a hundred thousand: nothing in here looks at all of them for each."""
    groups: dict[str, list[str]] = {}
    for entry in sorted(entries, key=lambda entry: entry.name):
        groups.setdefault(stem_of(entry.name), []).append(entry.name)
    left = {name: None for group in groups.values() for name in group}
    found = []
    for name in sorted(left):
        stem = manifest.loose_stem(name)
        if stem is not None and name in left:
            theirs = listed.get(name) or groups.get(stem, [])
            members = {name, *(other for other in theirs if other in left)}
            found.append(LooseFiles(stem, tuple(sorted(members)), name))
            for member in members:
                del left[member]
    for stem, group in groups.items():
        members_left = tuple(name for name in group if name in left)
        if members_left:
            found.append(LooseFiles(stem, members_left))
    return found


def stem_of(name: str) -> str:
    """What loose files that belong together have in common: the name without its ending."""
    stem, dot, _ = name.rpartition(".")
    if not dot or not stem:
        return name
    for ending in _DOUBLE:
        if stem.lower().endswith(ending) and len(stem) > len(ending):
            return stem[: -len(ending)]
    return stem
