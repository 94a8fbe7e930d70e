"""The three directories of the outbox, one JSON file for each letter. The only module that writes there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from threading import get_ident

from dropwatch.durable import fsync_directory, replace, said_of, write_durably
from dropwatch.outbox.letter import Letter, NotALetter, from_json, to_json

_UNREADABLE = ".unreadable"


class Shelf(StrEnum):
    """Where a letter lies is how it stands."""

    QUEUED = "queued"  #: to be sent
    SENT = "sent"  #: accepted by the mail server
    DEAD = "dead"  #: given up; a person has to look


@dataclass(frozen=True)
class Stranger:
    """A file in the outbox that is no letter, and why."""

    path: Path
    reason: str


class Shelves:
    """queued/, sent/ and dead/ below *folder*. Reading makes nothing; missing directories are empty."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, shelf: Shelf, name: str) -> Path:
        return self._folder / shelf / f"{name}.json"

    def files(self, shelf: Shelf) -> list[Path]:
        """Whatever lies there, foreign files too, our own temporary ones (a dot in front) apart."""
        try:
            found = list((self._folder / shelf).iterdir())
        except FileNotFoundError:
            return []
        return sorted(path for path in found if not path.name.startswith("."))

    def read(self, path: Path) -> Letter:
        """The letter in *path*. Raises NotALetter with the reason, FileNotFoundError."""
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                raise NotALetter("it is not a regular file")
            with said_of(path):
                letter = from_json(path.read_text(encoding="utf-8"))
        except PermissionError as err:
            raise NotALetter(f"it cannot be opened: {err.strerror}") from err
        except UnicodeDecodeError as err:
            raise NotALetter(f"it is not text: {err.reason}") from err
        # A copy under another name must not be sent as a second letter.
        if path.name != f"{letter.id}.json":
            raise NotALetter(f"it is a copy of the letter {letter.id}")
        return letter

    def scan(self, shelf: Shelf) -> Iterator[Letter | Stranger]:
        """Whatever lies on a shelf, read one at a time: a queue may be long and its letters big."""
        for path in self.files(shelf):
            try:
                yield self.read(path)
            except NotALetter as err:
                yield Stranger(path, str(err))
            except FileNotFoundError:
                continue  # moved on since the directory was listed

    def write(self, shelf: Shelf, letter: Letter) -> None:
        """Write *letter*, in place of its earlier state. Durable when it returns."""
        path = self.path(shelf, letter.id)
        self._make(path.parent)
        temporary = path.with_name(f".{letter.id}.{os.getpid()}-{get_ident()}.tmp")
        write_durably(path, to_json(letter).encode("ascii"), part=temporary)

    def move(self, name: str, source: Shelf, target: Shelf) -> None:
        """Move the letter *name* to another shelf, durably. Raises FileNotFoundError.

        What it may replace there is an earlier state of itself: one id is one letter.
        """
        before, after = self.path(source, name), self.path(target, name)
        self._make(after.parent)
        replace(before, after)
        fsync_directory(after.parent)
        fsync_directory(before.parent)

    def set_aside(self, stranger: Stranger) -> None:
        """Move it from the queue to dead/, under a name that is free and no letter's."""
        source = stranger.path
        target = self._folder / Shelf.DEAD / f"{source.name}{_UNREADABLE}"
        number = 1
        while os.path.lexists(target):
            number += 1
            target = target.with_name(f"{source.name}.{number}{_UNREADABLE}")
        self._make(target.parent)
        replace(source, target)
        fsync_directory(target.parent)
        fsync_directory(source.parent)

    def clear_temporary(self, before: float) -> None:
        """Remove what writers that died left behind before *before*, epoch seconds by the file system."""
        for shelf in Shelf:
            for path in (self._folder / shelf).glob(".*.tmp"):
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime < before:
                        path.unlink()

    def sync(self, shelf: Shelf) -> None:
        fsync_directory(self._folder / shelf)

    def remove(self, shelf: Shelf, name: str) -> None:
        self.path(shelf, name).unlink(missing_ok=True)
        self.sync(shelf)

    def _make(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._make(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        fsync_directory(folder.parent)
