"""What became of a fileset, and what an image store answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from dropwatch.model.order import Container


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
class Attached:
    """A file annotation of the target: *annotation* is its id, *file* that of its OriginalFile."""

    annotation: int
    file: int


@dataclass(frozen=True)
class Tidied:
    """How many half imports and half attachments were *removed*; *left*: the store's ids of such as old that it may
    still work on."""

    removed: int
    left: tuple[int, ...] = ()


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


Outcome = Imported | Skipped | Attached | Failed


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
    found     -- by fileset id: Imported, Skipped, Attached or Running. A fileset that is missing here is to be imported
    """

    container: Container
    email: str | None
    group: str
    found: dict[str, Imported | Skipped | Attached | Running] = field(default_factory=dict)
