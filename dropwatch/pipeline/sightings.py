"""How long each drop has been as it is, on our own clock. Says when one is ready to be claimed.

A restart forgets it all and looks anew: that costs one quiet period, never a batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from dropwatch import manifest
from dropwatch.errors import DropwatchError, ManifestError
from dropwatch.model import FileFact, ListedFile, Place
from dropwatch.pipeline.drops import Drop, LooseFiles, ReturnedEnvelope, drops
from dropwatch.settling import Ready, Rules, Settling, Sight, judge
from dropwatch.spool.folders import InboxEntry, Spool
from dropwatch.spool.tree import Snapshot, read_small, snapshot


@dataclass
class Sighting:
    """One drop under observation. *since*: when the present *snapshot* was first seen (monotonic seconds)."""

    drop: Drop
    snapshot: Snapshot
    since: float
    told: bool = False
    manifest: _Manifest | None = None


@dataclass(frozen=True)
class _Manifest:
    """What a manifest says about completeness, read once for each state of its file."""

    fact: FileFact
    whole: bool
    garbled: str
    listed: tuple[ListedFile, ...] = ()
    new_batch: bool = False
    fetches: bool = False


@dataclass(frozen=True)
class _Listing:
    """Which files a NAME.batch.yaml lists, read once for each state of it."""

    fact: FileFact
    names: tuple[str, ...]


@dataclass(frozen=True)
class Seen:
    """A drop and what settling says of it."""

    drop: Drop
    sighting: Sighting
    state: Ready | Settling

    @property
    def is_proven(self) -> bool:
        """Whether a manifest proves that everything is there."""
        read = self.sighting.manifest
        return read is not None and read.whole and (bool(read.listed) or read.fetches)

    @property
    def wants_new_batch(self) -> bool:
        """Whether the manifest says `duplicates: import`."""
        return self.sighting.manifest is not None and self.sighting.manifest.new_batch


@dataclass
class Sightings:
    """The drops of one spool, by user and key."""

    spool: Spool
    known: dict[tuple[str, str], Sighting] = field(default_factory=dict)
    listed: dict[str, dict[str, _Listing]] = field(default_factory=dict)

    def look(self, user: str, rules: Rules, now: float, *, inodes: bool = True) -> list[Seen]:
        """Look at *user*'s inbox. *now* in monotonic seconds. Raises OSError when it cannot be read.

        inodes -- whether another inode is another file. sshfs, CIFS with noserverino and others make them up: there a
        drop whose files seem to be new at each look would never settle.
        """
        entries = self.spool.inbox(user)
        self.listed[user] = self._read_loose_manifests(user, entries)
        listed = {name: listing.names for name, listing in self.listed[user].items()}
        found = drops(self.spool, user, entries, listed)
        there = {drop.key for drop in found}
        gone = [key for key in self.known if key[0] == user and key[1] not in there]
        for key in gone:
            del self.known[key]
        seen = [self.see(user, drop, rules, now, inodes=inodes) for drop in found]
        return [one for one in seen if one is not None]

    def forget(self, user: str, drop: Drop) -> None:
        self.known.pop((user, drop.key), None)

    def see(self, user: str, drop: Drop, rules: Rules, now: float, *, inodes: bool = True) -> Seen | None:
        """Look at one drop, in the way of look(); None when it is gone."""
        folder, names = self._where(user, drop)
        try:
            snap = snapshot(folder, names)
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            snap = Snapshot(())
        except PermissionError:
            # It cannot be looked at. The attempt to claim it tells user and admins; the others go on.
            return Seen(drop, Sighting(drop, Snapshot(()), now), Ready())
        if not inodes:
            snap = snap.without_inodes()
        sighting = self.known.get((user, drop.key))
        if sighting is None or sighting.snapshot != snap:
            before = sighting.manifest if sighting else None
            sighting = Sighting(drop, snap, now, manifest=before)
            self.known[user, drop.key] = sighting
        sight = self._sight(folder, drop, sighting)
        return Seen(drop, sighting, judge(sight, now - sighting.since, rules))

    def _where(self, user: str, drop: Drop) -> tuple[Path, tuple[str, ...] | None]:
        inbox = self.spool.folder(user, Place.INBOX)
        if isinstance(drop, LooseFiles):
            return inbox, drop.names
        if isinstance(drop, ReturnedEnvelope):
            return drop.envelope.batch_folder, None
        return inbox / drop.name, None

    def _sight(self, folder: Path, drop: Drop, sighting: Sighting) -> Sight:
        snap = sighting.snapshot
        fact = next((file for file in snap.files if _is_manifest(file.path, drop)), None)
        if fact is None:
            return Sight(snap.files + _as_files(snap), snap.temporary, snap.hidden)
        if sighting.manifest is None or sighting.manifest.fact != fact:
            sighting.manifest = _read(folder, fact)
        read = sighting.manifest
        missing = tuple(_missing(read.listed, snap.files, elsewhere=read.fetches))
        fetches = read.fetches and len(snap.files) == 1
        return Sight(
            snap.files,
            snap.temporary,
            snap.hidden,
            manifest=True,
            whole=read.whole,
            garbled=read.garbled,
            listed=read.listed,
            missing=missing,
            fetches=fetches,
        )

    def _read_loose_manifests(self, user: str, entries: list[InboxEntry]) -> dict[str, _Listing]:
        """A NAME.batch.yaml says which loose files belong to it: so it is read before they are sorted."""
        inbox, known = self.spool.folder(user, Place.INBOX), self.listed.get(user, {})
        names = (entry.name for entry in entries if not entry.folder)
        found = {}
        for fact in snapshot(
            inbox, tuple(name for name in names if manifest.loose_stem(name) is not None)
        ).files:
            old = known.get(fact.path)
            found[fact.path] = (
                old if old and old.fact == fact else _Listing(fact, _names_listed(inbox / fact.path))
            )
        return found


def _is_manifest(path: str, drop: Drop) -> bool:
    if isinstance(drop, LooseFiles):
        return path == drop.manifest
    return "/" not in path and manifest.is_manifest_name(path)


def _as_files(snap: Snapshot) -> tuple[FileFact, ...]:
    """A drop of links only is no empty folder: it is claimed, and refused in words."""
    return tuple(FileFact(odd.path, 0, 0) for odd in snap.oddities)


def _names_listed(path: Path) -> tuple[str, ...]:
    try:
        files = manifest.parse(read_small(path, most=manifest.LARGEST), source=path.name).files
    except (DropwatchError, OSError):
        return ()
    return tuple(file.path for file in files)


def _read(folder: Path, fact: FileFact) -> _Manifest:
    try:
        data = read_small(folder / fact.path, most=manifest.LARGEST)
        whole = manifest.whole(data)
    except (PermissionError, DropwatchError):
        return _Manifest(fact, False, "")  # planning refuses it in words
    except OSError as err:
        return _Manifest(fact, False, err.strerror or str(err))
    try:
        parsed = manifest.parse(data, source=fact.path)
    except ManifestError as err:
        # What is garbled may still be arriving; what is whole but wrong is refused at once, by planning.
        garbled = err.problems[0] if err.garbled else ""
        return _Manifest(fact, whole, garbled)
    fetches = parsed.from_ is not None
    return _Manifest(fact, whole, "", parsed.files, parsed.duplicates == "import", fetches)


def _missing(listed: tuple[ListedFile, ...], files: tuple[FileFact, ...], *, elsewhere: bool) -> list[str]:
    """What is not as listed, in words: "b.czi (not there)", "c.czi (has 10 of 20 bytes)".

    elsewhere -- what is not there may be fetched after the claim
    """
    if not listed:
        return []
    sizes = {file.path: file.size for file in files}
    found = manifest.match([file.path for file in listed], sizes).found
    problems = []
    for file in listed:
        present = found.get(file.path)
        if present is None and elsewhere:
            continue
        if present is None:
            problems.append(f"{file.path} (not there)")
        elif file.size is not None and sizes[present] != file.size:
            problems.append(f"{file.path} (has {sizes[present]} of {file.size} bytes)")
    return problems
