"""A batch, where it lies, and what is to be done with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dropwatch.model.files import Fileset
from dropwatch.model.order import Order

CLAIM_STAMP = re.compile(r"[0-9]{8}-[0-9]{6}-[a-z0-9]{4}")  #: UTC time and four random letters


class Place(StrEnum):
    """Where a batch lies. The directory is the state."""

    INBOX = "inbox"
    PROCESSING = "processing"
    DONE = "done"
    FAILED = "failed"


class Verdict(StrEnum):
    """How a claim ended."""

    IMPORTED = "imported"  #: every fileset is in OMERO
    PARTIAL = "partial"  #: some are, some were given up
    FAILED = "failed"  #: nothing was imported
    CANCELLED = "cancelled"  #: a person stopped it; what was imported stays

    @property
    def place(self) -> Place:
        """The folder a batch with this verdict retires to."""
        return Place.DONE if self is Verdict.IMPORTED else Place.FAILED


@dataclass(frozen=True)
class Envelope:
    """A claimed batch: the directory that the daemon made, with the user's folder inside.

    path   -- absolute path of the envelope
    folder -- name of the user's folder inside it
    """

    user: str
    place: Place
    path: Path
    claim: str
    folder: str

    @property
    def batch_folder(self) -> Path:
        """The user's own folder: read, never written."""
        return self.path / self.folder


@dataclass(frozen=True)
class Dropped:
    """Something in an inbox that is not claimed yet, as one look saw it.

    path     -- absolute; of loose files the first one
    since    -- when it was changed last, by the file server's clock (epoch seconds)
    lacking  -- what it waits for, in words; empty while it settles
    given_up -- after how many seconds without a change it goes to failed all the same; 0.0: never
    envelope -- when it is a batch that came back to be tried again
    loose    -- names of the files, when they lie in the inbox itself
    """

    user: str
    name: str
    path: Path
    files: int
    bytes: int
    since: float
    lacking: tuple[str, ...] = ()
    given_up: float = 0.0
    envelope: Envelope | None = None
    loose: tuple[str, ...] = ()


@dataclass(frozen=True)
class Batch:
    """What planning needs to know of a claimed batch, beside its folder.

    claimed_at -- epoch seconds; spool -- root of the spool
    """

    envelope: Envelope
    id: str
    name: str
    claimed_at: float
    spool: Path


@dataclass(frozen=True)
class Problem:
    """Why the batch as a whole cannot be imported. *detail* and *error* are for admins."""

    reason: str
    remedy: str = ""
    error: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Refused:
    """Something in the batch that is not imported whatever the attempt, with the reason and the remedy in words.

    name   -- the path of the entry, or of the first file of a fileset
    error, detail -- for admins, as in Failed
    files, bytes  -- how many files it is about, and their size
    """

    name: str
    reason: str
    remedy: str = ""
    error: str = "refused"
    detail: str = ""
    files: int = 1
    bytes: int = 0


@dataclass(frozen=True)
class Wanted:
    """Files and folders of a place that a manifest wants the daemon to fetch; *paths* are '/'-separated."""

    place: str
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What is to be imported, and why it cannot be: with problems nothing is imported.

    name   -- what people call the batch: as the manifest says, else its folder's name
    order  -- None only where the manifest could not be read
    refused -- what is not imported whatever the attempt (links, damaged files, plates without a screen, ...)
    writing -- files that some program still holds open for writing
    notify -- further recipients that the manifest names
    wanted -- what has to be fetched first: then nothing else of the batch was looked at
    """

    name: str
    order: Order | None
    filesets: tuple[Fileset, ...] = ()  #: attachments last
    problems: tuple[Problem, ...] = ()
    refused: tuple[Refused, ...] = ()
    writing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    notify: tuple[str, ...] = ()
    wanted: Wanted | None = None
    in_groups: tuple[str, ...] = ()  #: an instrument may import for members of these groups only
