"""The nouns. Frozen, no I/O: whatever a room tells another is one of these."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

CLAIM_STAMP = re.compile(r"\d{8}-\d{6}-[a-z0-9]{4}")  #: UTC time and four random letters


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
class FileFact:
    """One regular file of a batch, as the file system described it. Nothing was opened.

    path     -- relative to the batch's folder, '/'-separated, undecodable bytes as surrogates (str)
    size     -- bytes
    mtime_ns -- last modification by the file server's clock, nanoseconds
    inode    -- 0 where the file system has none
    """

    path: str
    size: int
    mtime_ns: int
    inode: int = 0


@dataclass(frozen=True)
class ListedFile:
    """A file as a manifest lists it; size in bytes and sha256 in lower-case hex where given."""

    path: str
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Fileset:
    """Files that form one import, OMERO's own word. ``files[0]`` is the one the server opens.

    id     -- digest of relative paths, sizes, mtimes and listed checksums: a replaced file is another fileset
    listed -- sha256 by relative path, for the files whose checksum the manifest lists
    """

    id: str
    files: tuple[FileFact, ...]
    listed: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """What people call it: the path of the file that the server opens."""
        return self.files[0].path

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)


class Kind(StrEnum):
    """What may hold images."""

    PROJECT = "Project"
    DATASET = "Dataset"
    SCREEN = "Screen"


@dataclass(frozen=True)
class Target:
    """Where in OMERO the images go, as asked for: by *id*, or by *name* below an optional *project*."""

    kind: Kind
    name: str | None = None
    id: int | None = None
    project: str | None = None

    def __str__(self) -> str:
        leaf = f"{self.kind}:{self.id if self.id is not None else self.name}"
        return f"Project:{self.project}/{leaf}" if self.project else leaf


@dataclass(frozen=True)
class Container:
    """The place in OMERO a Target was resolved to. *note* is a remark for the user ("several match, ...")."""

    kind: Kind
    id: int
    name: str
    group: str
    created: bool = False
    note: str = ""


@dataclass(frozen=True)
class Order:
    """All that an importer needs to know of a batch. Made anew from place, configuration and manifest each
    time: nothing in it comes from the record but *batch* and the dates, which carry no authority.

    batch       -- the batch id, part of every key in OMERO
    claim       -- stamp of the present claim
    owner       -- OMERO user name the import belongs to
    user        -- the drop-folder user that owner is (the sender, unless that is an instrument)
    group       -- OMERO group name, or None for the user's default group
    folder      -- absolute path of the batch's own folder (never written to)
    target      -- where to; None is never used: the default has been filled in
    sender      -- the drop-folder user (or instrument) that dropped it
    source      -- name of the folder as dropped, for the annotation
    tags, key_values, description -- as the manifest says
    duplicates  -- "skip" or "import"
    """

    batch: str
    claim: str
    owner: str
    user: str
    group: str | None
    folder: str
    target: Target
    sender: str
    source: str
    description: str = ""
    tags: tuple[str, ...] = ()
    key_values: tuple[tuple[str, str], ...] = ()
    duplicates: str = "skip"


@dataclass(frozen=True)
class Image:
    """An image (or plate) in OMERO."""

    id: int
    name: str = ""
    kind: str = "Image"  #: "Image" or "Plate"


@dataclass(frozen=True)
class Imported:
    """In OMERO, with images. *warning* is a later step's error; *log* the id of the server's import log."""

    images: tuple[Image, ...]
    fileset: int
    warning: str = ""
    log: int | None = None


@dataclass(frozen=True)
class Skipped:
    """The same user already had this file in this target before: nothing was uploaded."""

    images: tuple[Image, ...]
    fileset: int


@dataclass(frozen=True)
class Failed:
    """Not imported by this attempt. *lasting* means that another attempt would not help.

    reason -- what happened, in words a biologist understands
    remedy -- what to do about it
    error  -- class and code for admins, e.g. ``PermanentError import-unknown-format``
    detail -- excerpt of the server's import log or trace, for admins
    log    -- OriginalFile id of the server's import log
    """

    reason: str
    remedy: str = ""
    lasting: bool = False
    error: str = ""
    detail: str = ""
    log: int | None = None


Outcome = Imported | Skipped | Failed


@dataclass(frozen=True)
class Running:
    """The upload is finished and the server is still importing: wait."""

    fileset: int


@dataclass(frozen=True)
class Answers:
    """One answer to Ask, for the whole batch.

    container -- where the images go; it exists by now
    email     -- the owner's address as OMERO knows it, or None
    group     -- the group that was used (matters when none was asked for)
    found     -- by fileset id: Imported, Skipped or Running. A fileset that is missing here is to be imported
    """

    container: Container
    email: str | None
    group: str
    found: dict[str, Imported | Skipped | Running] = field(default_factory=dict)


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
    envelope -- when it is a batch that came back to be tried again
    """

    user: str
    name: str
    path: Path
    files: int
    bytes: int
    since: float
    lacking: tuple[str, ...] = ()
    envelope: Envelope | None = None


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
    """An entry of the batch that we may not read, with the reason and the remedy in words."""

    name: str
    reason: str
    remedy: str = ""


@dataclass(frozen=True)
class Plan:
    """What is to be imported, and why it cannot be: with problems nothing is imported.

    name   -- what people call the batch: as the manifest says, else its folder's name

    order  -- None only where the manifest could not be read
    refused -- entries that are not imported whatever the attempt (links, pipes, ...)
    writing -- files that some program still holds open for writing
    notify -- further recipients that the manifest names
    """

    name: str
    order: Order | None
    filesets: tuple[Fileset, ...] = ()
    problems: tuple[Problem, ...] = ()
    refused: tuple[Refused, ...] = ()
    writing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    notify: tuple[str, ...] = ()
    in_groups: tuple[str, ...] = ()  #: an instrument may import for members of these groups only
