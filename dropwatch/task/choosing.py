"""Which files of a batch are to be looked at, and which are attached: by its manifest and its listing alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dropwatch import manifest
from dropwatch.manifest import Manifest
from dropwatch.model import FileFact, Problem
from dropwatch.spool.tree import Snapshot
from dropwatch.task.belonging import is_ours
from dropwatch.task.refusals import Hopeless, some


@dataclass(frozen=True)
class Chosen:
    """files     -- to be looked at, in the order of the list or else of their names
    attachments -- in the order of the manifest; they are never looked at
    listed      -- the manifest lists the files: each of them has to become something
    aside       -- files that it does not list
    hidden      -- files that are hidden, or lie in a hidden folder, and that nothing names
    sums        -- sha256 that the manifest lists, by path
    """

    files: tuple[FileFact, ...]
    attachments: tuple[FileFact, ...] = ()
    listed: bool = False
    aside: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    sums: Mapping[str, str] | None = None


def choose(read: Manifest, snap: Snapshot) -> Chosen:
    """Raises Hopeless when something that the manifest names is not there, with all that is missing."""
    if snap.temporary:
        raise Hopeless(
            Problem(
                f"Still being written when the time was up: {some(snap.temporary)}.",
                "Finish copying, take away what is half copied, then move the folder back to inbox.",
            )
        )
    present = {file.path: file for file in snap.files}
    images = {path: file for path, file in present.items() if not is_ours(path)}
    listing = manifest.match([file.path for file in read.files], images)
    attaching = manifest.match(read.attachments, present)
    _check(read, snap, images, listing, attaching)
    # What is named in both places is attached: a list names all files that arrive, images or not.
    attached = dict.fromkeys(attaching.found.values())
    hidden = frozenset(snap.hidden)
    found = dict.fromkeys(
        listing.found.values() if read.files else (path for path in images if path not in hidden)
    )
    left = [path for path in images if path not in found and path not in attached]
    return Chosen(
        files=tuple(images[path] for path in found if path not in attached),
        attachments=tuple(present[path] for path in attached),
        listed=bool(read.files),
        aside=tuple(path for path in left if path not in hidden),
        hidden=tuple(path for path in left if path in hidden),
        sums={listing.found[file.path]: file.sha256 for file in read.files if file.sha256},
    )


def _check(
    read: Manifest,
    snap: Snapshot,
    images: Mapping[str, FileFact],
    listing: manifest.Match,
    attaching: manifest.Match,
) -> None:
    problems = []
    if listing.missing:
        remedy = "Add the files, or take them out of the list; then move the folder back to inbox."
        named = some(_hinted(listing, snap))
        problems.append(Problem(f"Listed in the manifest but not there: {named}.", remedy))
    wrong = [
        f"{file.path} has {images[path].size} bytes, the manifest says {file.size}"
        for file in read.files
        if (path := listing.found.get(file.path)) and file.size not in (None, images[path].size)
    ]
    if wrong:
        remedy = "Copy the files again, or correct the list; then move the folder back to inbox."
        problems.append(Problem(f"Of another size than listed: {some(wrong, '; ')}.", remedy))
    if attaching.missing:
        remedy = "Add the files, or take them out of `attachments:`; then move the folder back to inbox."
        named = some(_hinted(attaching, snap))
        problems.append(Problem(f"To be attached but not there: {named}.", remedy))
    if problems:
        raise Hopeless(*problems)


def _hinted(match: manifest.Match, snap: Snapshot) -> Sequence[str]:
    """The missing names, each with what is there in its place."""
    odd = manifest.match(match.missing, [oddity.path for oddity in snap.oddities]).found
    what = {oddity.path: oddity.what for oddity in snap.oddities}
    hints = {path: f"{path} (it is {what[there]})" for path, there in odd.items()}
    hints |= {path: f"{path} (there is {there})" for path, there in match.hints.items()}
    return [hints.get(path, path) for path in match.missing]
