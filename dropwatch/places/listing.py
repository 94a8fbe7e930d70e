"""What lies in a folder of a place, page by page; what bears a name; how much a selection is. It only looks.

Each folder is opened step by step from the place on, so that a link that comes in its place meanwhile leads nowhere.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from dropwatch.errors import DropwatchError, OperatorError, PermanentError, Unavailable
from dropwatch.litter import is_junk, is_unfinished
from dropwatch.manifest.listing import clean_path
from dropwatch.places.entering import DEEPEST, Folder, folder, relative, sorted_errors
from dropwatch.places.source import Source
from dropwatch.report.words import clean

MOST = 200_000  #: entries of one folder that are looked at; what comes after them is told to be left out
PAGE = 500  #: entries of one answer

_KINDS = ((stat.S_ISLNK, "a link"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
_GONE = "it is gone"
UNSPEAKABLE = "a name that no manifest can hold, with \\ in it, say"


class Sort(StrEnum):
    """The order of a listing; folders come first in either."""

    NAME = "name"
    NEWEST = "newest"


@dataclass(frozen=True)
class Entry:
    """Something in a place.

    path     -- below the place, '/'-separated, as a manifest's `from: paths:` names it; undecodable bytes are
                surrogates (U+DC80 to U+DCFF), so that it has to go to and fro as it is
    label    -- its name for people to read: NFC, nothing in it that a terminal or a page could act on
    size     -- bytes; of a folder None
    mtime_ns -- when it was changed last, epoch nanoseconds; None where that cannot be known
    refused  -- why it cannot be fetched, a clause ("it is a link"); "" when it can
    unfinished -- its name says that it is still being written
    """

    path: str
    label: str
    is_folder: bool
    size: int | None = None
    mtime_ns: int | None = None
    refused: str = ""
    unfinished: bool = False

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def mtime(self) -> float | None:
        """When it was changed last, epoch seconds."""
        return None if self.mtime_ns is None else self.mtime_ns / 1e9


@dataclass(frozen=True)
class Listing:
    """A page of a folder.

    path  -- the folder, as it is spelled in the place; "" the place itself
    start -- how many entries come before these
    total -- how many there are in all
    cut   -- the folder has more than MOST entries: some are in no page
    """

    path: str
    entries: tuple[Entry, ...]
    start: int
    total: int
    cut: bool = False

    @property
    def more(self) -> bool:
        """Whether there is another page."""
        return self.start + len(self.entries) < self.total


@dataclass(frozen=True)
class Found:
    """What a search found. *complete*: everything was looked at."""

    entries: tuple[Entry, ...]
    complete: bool


@dataclass(frozen=True)
class Selection:
    """How much some paths of a place are, folders with all that is in them.

    refused  -- what cannot be fetched (links, pipes, closed folders), with why; it fails by name, the rest goes on
    unfinished -- paths whose names say that they are still being written
    complete -- everything was looked at; else files and bytes are at least so many
    """

    files: int
    bytes: int
    refused: tuple[Entry, ...] = ()
    unfinished: tuple[str, ...] = ()
    complete: bool = True


def listing(
    source: Source, path: str = "", *, start: int = 0, most: int = PAGE, sort: Sort = Sort.NAME
) -> Listing:
    """The entries of the folder *path* of the place, litter of desktops aside, from the *start*-th on.

    Raises PermanentError (not there, no folder, a link, ``..``, no permission), Unavailable (the place is not
    mounted, does not answer), OperatorError (the place itself may not be read).
    """
    with folder(source, path) as here, sorted_errors(source, path):
        names, cut = _names(here)
        if sort is Sort.NEWEST:
            entries = [_entry(here, name) for name in names]
            entries.sort(
                key=lambda entry: (not entry.is_folder, -(entry.mtime_ns or 0), entry.label.casefold())
            )
            page = entries[start : start + most]
        else:
            page = [_entry(here, name) for name in names[start : start + most]]
        return Listing(here.path, tuple(page), start, len(names), cut)


def _names(here: Folder) -> tuple[list[str], bool]:
    """The names in a folder, folders first, and whether there are too many. None is looked at but by its name and
    kind: on a share each further look takes its time."""
    found: list[tuple[bool, str, str]] = []
    for entry in here.scan():
        if is_junk(entry.name):
            continue
        if len(found) == MOST:
            return [name for _, _, name in sorted(found)], True
        found.append((not entry.is_dir(follow_symlinks=False), label(entry.name).casefold(), entry.name))
    return [name for _, _, name in sorted(found)], False


def label(name: str) -> str:
    """*name* for people to read."""
    return clean(unicodedata.normalize("NFC", name))


def _entry(here: Folder, name: str) -> Entry:
    path = here.below(name)
    try:
        info = here.look(name)
    except OSError:
        return Entry(path, label(name), False, refused=_GONE)
    is_folder = stat.S_ISDIR(info.st_mode)
    size = info.st_size if stat.S_ISREG(info.st_mode) else None
    return Entry(
        path, label(name), is_folder, size, info.st_mtime_ns, _why_not(path, info), is_unfinished(name)
    )


def _why_not(path: str, info: os.stat_result) -> str:
    if not stat.S_ISREG(info.st_mode) and not stat.S_ISDIR(info.st_mode):
        what = next((word for is_it, word in _KINDS if is_it(info.st_mode)), "a device")
        return f"it is {what}"
    if path.count("/") >= DEEPEST:
        return f"it is more than {DEEPEST} folders deep"
    try:
        usable = clean_path(path) == path
    except ValueError:
        usable = False
    return "" if usable else f"it is {UNSPEAKABLE}"


# -- below a folder ------------------------------------------------------------------------------------------


def walk(source: Source, paths: Iterable[str]) -> Iterator[Entry]:
    """What lies below each of *paths* and at it, but for folders that could be looked into; near ones come first.

    Raises as listing() for one of *paths*; what is wrong further down is an entry that is refused.
    """
    for path in paths:
        top = relative(path)
        above, _, name = top.rpartition("/")
        if not top:
            yield from _below(source, "")
            continue
        with folder(source, above) as here, sorted_errors(source, top):
            name = here.spelled(name)
            here.look(name)
            entry = _entry(here, name)
        yield from _below(source, entry.path) if entry.is_folder and not entry.refused else (entry,)


def _below(source: Source, top: str) -> Iterator[Entry]:
    waiting = deque([top])
    while waiting:
        path = waiting.popleft()
        try:
            with folder(source, path) as here, sorted_errors(source, path):
                entries = [_entry(here, entry.name) for entry in here.scan() if not is_junk(entry.name)]
        except (Unavailable, OperatorError):
            raise
        except DropwatchError as err:
            if path == top:
                raise
            if err.code != "not-there":
                yield Entry(path, label(path.rpartition("/")[2]), True, refused=_closed(err))
            continue
        for entry in sorted(entries, key=lambda entry: entry.path):
            if entry.is_folder and not entry.refused:
                waiting.append(entry.path)
            elif entry.refused != _GONE:
                yield entry


def _closed(error: DropwatchError) -> str:
    return "it is a link" if error.code == "link" else "it is a folder that cannot be read"


def search(
    source: Source,
    text: str,
    path: str = "",
    *,
    most: int = 200,
    looked: int = MOST,
    stopped: Callable[[], bool] = lambda: False,
) -> Found:
    """Files and folders below *path* that have *text* in their names, whatever the case; near ones first.

    most    -- how many to find
    looked  -- how many entries to look at
    stopped -- asked after each folder: a search on a slow share ends when its reader's patience does

    Raises as listing().
    """
    wanted, found, left = _folded(text), list[Entry](), looked
    waiting = deque([relative(path)])
    while waiting:
        here = waiting.popleft()
        try:
            with folder(source, here) as open_folder, sorted_errors(source, here):
                names, cut = _names(open_folder)
                hits = [_entry(open_folder, name) for name in names[:left] if wanted in _folded(name)]
                waiting.extend(_folders(open_folder, names[:left]))
        except PermanentError:
            if not found and left == looked:
                raise
            continue
        found += hits
        left -= len(names)
        if len(found) > most or left <= 0 or cut or stopped():
            complete = len(found) <= most and left >= 0 and not cut and not waiting
            return Found(tuple(found[:most]), complete)
    return Found(tuple(found), True)


def _folders(here: Folder, names: Sequence[str]) -> list[str]:
    if here.path.count("/") + 1 >= DEEPEST:
        return []
    known = set(names)
    return sorted(
        here.below(entry.name)
        for entry in here.scan()
        if entry.name in known and entry.is_dir(follow_symlinks=False)
    )


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def measure(
    source: Source, paths: Sequence[str], *, most: int = MOST, stopped: Callable[[], bool] = lambda: False
) -> Selection:
    """How much *paths* of the place are together; what two of them both contain counts once.

    most    -- how many entries to look at
    stopped -- asked after each entry

    Raises as listing(), for one of *paths*.
    """
    seen: set[str] = set()
    refused, unfinished, size = list[Entry](), list[str](), 0
    for entry in walk(source, paths):
        if len(seen) >= most or stopped():
            return Selection(
                len(seen) - len(refused), size, tuple(refused), tuple(unfinished), complete=False
            )
        if entry.path in seen:
            continue
        seen.add(entry.path)
        if entry.refused:
            refused.append(entry)
            continue
        size += entry.size or 0
        if is_unfinished(entry.path):
            unfinished.append(entry.path)
    return Selection(len(seen) - len(refused), size, tuple(refused), tuple(unfinished))
