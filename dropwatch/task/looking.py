"""Looks at the files of a batch, one after another, and remembers. Survives files that kill it: the next time
it goes on behind them.

The only module that asks the reader of formats. Nothing of what the reader says is believed here.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

from dropwatch.formats import Look, Unreadable
from dropwatch.model import FileFact
from dropwatch.spool.tree import Snapshot
from dropwatch.task.grouping import keys_first
from dropwatch.task.looks import Journal

#: Two deaths that the daemon saw: once is no proof. Of those that it did not see, somebody who ends the daemon, or
#: the machine, is a likelier cause than the file; but twenty of them end it too.
MOST_BLAME = 20

_DEADLY = Unreadable(
    False,
    "Bio-Formats hangs or crashes at this file: it was tried twice, and had to be ended twice.",
    remedy="Open it in the program it comes from and save it anew there, for example as OME-TIFF; or take it out.",
)
_CLOSED = Unreadable(
    False,
    "dropwatch may not read it.",
    remedy="Give the account that dropwatch runs as read permission on the file and its folders.",
)

_BROKEN = Unreadable(
    False,
    "The disk or the share reports an error when it is read.",
    remedy="Copy it again from the microscope. If that does not help, tell the facility: a disk may be failing.",
)


class Looker(Protocol):
    """Who tells what a file is."""

    @property
    def name(self) -> str:
        """Name and version, e.g. ``Bio-Formats 7.3.1``; "" for the list of names that stands in for it.

        What one looker said is not held against another.
        """
        ...

    def look(self, path: Path, folder: Path) -> Look:
        """What *path* (absolute) in *folder* is. Raises OSError when it cannot be read at all, OperatorError."""
        ...


class Looking:
    """The looks of one plan."""

    def __init__(
        self,
        looker: Looker,
        folder: Path,
        journal: Journal,
        most_blame: int = MOST_BLAME,
        deadly: Look = _DEADLY,
    ) -> None:
        """most_blame -- what has to speak against a file until *deadly* is said of it"""
        self._looker, self._folder, self._journal = looker, folder, journal
        self._most_blame, self._deadly = most_blame, deadly

    def order(self, files: Sequence[FileFact]) -> list[FileFact]:
        """The order to look at *files* in. A file at which a planner died comes last: then whatever else is in the
        batch is remembered should it kill this one too, and often a set that has been found by then covers it."""
        return sorted(keys_first(files), key=lambda file: self._journal.blame(file) > 0)

    def look(self, file: FileFact) -> Look:
        """What *file* is. Raises OSError, OperatorError."""
        known = self._journal.seen(file)
        if known is not None:
            return known
        if self._journal.blame(file) >= self._most_blame:
            return self._deadly
        look = None
        self._journal.begin(file)
        try:
            look = self._looker.look(self._folder / file.path, self._folder)
        except PermissionError:
            look = _CLOSED
        except OSError as err:
            look = self._look_again(file, err)
        finally:
            self._journal.end(file, look)
        return look

    def _look_again(self, file: FileFact, error: OSError) -> Look:
        """What cannot be read may be the share's trouble, and no file's. A file that gives an error of the disk again,
        while its folder can be read, is given up alone."""
        if error.errno != errno.EIO:
            raise error
        try:
            return self._looker.look(self._folder / file.path, self._folder)
        except OSError as err:
            if err.errno != errno.EIO or not list(self._folder.iterdir()):
                raise
            return _BROKEN


@contextmanager
def looking(
    looker: Looker, folder: Path, snap: Snapshot, *, memory: Path, claim: str, died: bool
) -> Iterator[Looking]:
    """The looks of a plan at *folder*, with the memory of those before it in the same claim, in the folder *memory*."""
    state = state_of(snap, looker.name)
    with closing(Journal(memory, folder, claim=claim, state=state, died=died)) as journal:
        yield Looking(looker, folder, journal)


def state_of(snap: Snapshot, looker: str) -> str:
    """Digest of all that a look depends on. A file that is added or replaced may change what another one is part of."""
    digest = hashlib.sha256(looker.encode())
    for file in snap.files:
        digest.update(os.fsencode(f"\0{file.path}\0{file.size}\0{file.mtime_ns}\0{file.inode}"))
    for odd in snap.oddities:
        digest.update(os.fsencode(f"\0{odd.path}\0{odd.what}"))
    return digest.hexdigest()


def silent(done: int, total: int) -> None:
    """Tell nobody how far it is."""


Progress = Callable[[int, int], None]
