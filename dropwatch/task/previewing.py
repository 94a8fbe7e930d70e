"""What would be imported of files that nobody has submitted yet: the looks and the groups of planning, of files where
they lie. Runs in a worker of the page's own; it reads, and writes nothing but what it remembers of looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing

from dropwatch.errors import Interrupted, PermanentError, Unavailable
from dropwatch.formats import Unreadable
from dropwatch.litter import is_hidden, is_unfinished
from dropwatch.model import FileFact, Preview, PreviewJob, Refused
from dropwatch.places import Entry, Source, walk
from dropwatch.places.source import EVERYONE
from dropwatch.spool.knock import Knock
from dropwatch.spool.tree import Snapshot
from dropwatch.task import refusals
from dropwatch.task.belonging import Contents, is_ours
from dropwatch.task.choosing import Chosen
from dropwatch.task.filesets import Found, fileset, find_groups
from dropwatch.task.looking import Looker, Looking, Progress, state_of
from dropwatch.task.looks import Journal

MOST_LISTED = 50_000  #: files and folders; who chooses more is told so, and can submit them all the same

_KNOCK = 5.0  # seconds
_SEEN_ONCE = 10  #: blame of one death that the page saw: unlike the daemon, it tries no file twice
_SLOW = Unreadable(
    False,
    "It could not be looked at beforehand: Bio-Formats took too long for it, or crashed.",
    remedy="Submit it all the same: the import gives it more time, and the mail tells what became of it.",
)


def preview(
    job: PreviewJob,
    looker: Looker,
    progress: Progress,
    stopped: Callable[[], bool],
    clock: Callable[[], float],
) -> Preview:
    """What would be imported of the files that *job* names.

    progress -- is told how many files of how many have been looked at, before each look: a look may be the last
    clock    -- seconds that only ever grow

    Raises PermanentError (not there, ``..``, links, too many files), Unavailable, OperatorError, OSError, and
    Interrupted when *stopped*.
    """
    if not Knock(job.folder, patience=_KNOCK, clock=clock).answers():
        raise no_answer(job.name)
    end = clock() + job.seconds
    # The way to the folder is the admin's, and may lead over links; what lies in it is looked at link by link.
    folder = job.folder.resolve()
    entries = _listed(Source(job.name, folder, (EVERYONE,)), job.paths, stopped)
    snap = Snapshot(tuple(_fact(entry) for entry in entries if not entry.refused))
    chosen = _chosen(snap)

    def told(done: int, total: int) -> None:
        if stopped():
            raise Interrupted("The preview was cancelled.")
        progress(done, total)

    state = state_of(snap, looker.name)
    with closing(Journal(job.memory, folder, claim=job.memory.name, state=state, died=job.died)) as journal:
        looks = Looking(looker, folder, journal, _SEEN_ONCE, _SLOW)
        contents = Contents(folder, snap, folder.parent, picked=True)
        found = find_groups(
            chosen, looks, contents, told, lambda number: number >= job.most or clock() >= end
        )
    return _preview(snap, chosen, found, entries, looker.name)


def _chosen(snap: Snapshot) -> Chosen:
    files = tuple(file for file in snap.files if not is_ours(file.path))
    hidden = tuple(file.path for file in files if is_hidden(file.path))
    return Chosen(tuple(file for file in files if not is_hidden(file.path)), hidden=hidden)


def no_answer(name: str) -> Unavailable:
    """The error for files on a share, known as *name*, that hangs."""
    return Unavailable(
        f"{name} does not answer, so its files cannot be looked at.",
        concerns="place",
        remedy="Try again later. If that does not help, tell the facility.",
        code="no-answer",
    )


def _listed(source: Source, paths: Iterable[str], stopped: Callable[[], bool]) -> list[Entry]:
    """The files at and below *paths*, each once, by path."""
    entries: dict[str, Entry] = {}
    for entry in walk(source, paths):
        entries[entry.path] = entry
        if stopped():
            raise Interrupted("The preview was cancelled.")
        if len(entries) > MOST_LISTED:
            raise PermanentError(
                f"More than {MOST_LISTED:,} files were chosen: too many to look at beforehand.",
                remedy="Submit them all the same, or choose fewer.",
                code="too-many-files",
            )
    return [entries[path] for path in sorted(entries)]


def _fact(entry: Entry) -> FileFact:
    return FileFact(entry.path, entry.size or 0, int((entry.mtime or 0.0) * 1e9))


def _preview(snap: Snapshot, chosen: Chosen, found: Found, entries: Iterable[Entry], by: str) -> Preview:
    files = {file.path: file for file in snap.files}
    grouped = {path for group in found.groups for path in group.members}
    looked = grouped | {file.path for file, _ in found.rest}
    return Preview(
        filesets=tuple(fileset(group, files, {}) for group in found.sound),
        refused=tuple(_refused(found, files, entries)),
        aside=(*(file.path for file, look in found.rest if look.unknown), *chosen.hidden),
        unfinished=tuple(path for path in files if is_unfinished(path)),
        files=len(files),
        bytes=sum(file.size for file in snap.files),
        unlooked=sum(file.path not in looked for file in chosen.files),
        by=by,
    )


def _refused(found: Found, files: dict[str, FileFact], entries: Iterable[Entry]) -> Iterable[Refused]:
    for entry in entries:
        if entry.refused:
            reason = entry.refused[0].upper() + entry.refused[1:]
            yield Refused(entry.path, f"{reason}, and would not be imported.", "Choose the file itself.")
    for group in found.groups:
        if group.trouble:
            yield refusals.troubled(group.asked, group.trouble, [files[path] for path in group.members])
    for file, look in found.rest:
        if not look.unknown:
            yield refusals.unreadable(file, look)
