"""What there is to tell: the frozen nouns that the pipeline fills in. There are no words here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from dropwatch.model import Attached, Container, Failed, Imported, Outcome, Place, Problem, Skipped, Verdict


class Store(StrEnum):
    """Where the images go, as people call it."""

    OMERO = "OMERO"
    ARCHIVE = "the archive"  #: a tree of folders


@dataclass(frozen=True)
class Site:
    """The facility, as its users know it.

    contact  -- whom to ask, usually a mail address
    timezone -- IANA name; all times in texts are in this zone
    web      -- base address of OMERO.web's webclient (``https://omero.example.org/webclient``) or ""
    store    -- where its images go
    """

    name: str
    contact: str
    timezone: str
    web: str = ""
    store: Store = Store.OMERO


@dataclass(frozen=True)
class Entry:
    """One image file (a fileset), or one attachment. *outcome* None: not tried yet, or still under way.

    name    -- relative path of the file that the server opens
    files   -- how many files belong to it, this one included
    bytes   -- of all of them
    attempt -- how many attempts were made
    format  -- as Bio-Formats calls it, or ""
    """

    name: str
    files: int
    bytes: int
    outcome: Outcome | None = None
    attempt: int = 0
    format: str = ""


@dataclass(frozen=True)
class Tally:
    """How many image files came to what. *open*: not tried, or still under way.

    images, plates -- what the imported ones became
    """

    total: int
    imported: int
    skipped: int
    failed: int
    open: int
    images: int = 0
    plates: int = 0

    @property
    def there(self) -> int:
        """In OMERO, by this batch or before it."""
        return self.imported + self.skipped


@dataclass(frozen=True)
class AttachmentTally:
    """How many attachments came to what. *open*: not tried, or still under way."""

    total: int
    attached: int
    failed: int
    open: int


@dataclass(frozen=True)
class Story:
    """All that can be told of one batch at one moment.

    entries      -- the image files; *attachments*: what was dropped to be attached beside them
    user         -- whose images they are
    name         -- what people call the batch
    batch, claim -- the ids, for admins only
    path         -- the batch's folder (envelope) as the daemon sees it; its last part is what users see
    sender       -- the drop-folder user or instrument that dropped it
    waiting_for  -- why nothing moves, a statement: ``OMERO cannot be reached``; "" while it moves
    next_attempt, claimed_at, concluded_at -- epoch seconds, or None
    spool_path   -- root of the spool as the daemon sees it
    """

    user: str
    name: str
    batch: str
    claim: str
    path: str
    sender: str
    group: str
    container: Container | None
    entries: tuple[Entry, ...]
    verdict: Verdict | None
    attachments: tuple[Entry, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    attempts: int = 0
    next_attempt: float | None = None
    waiting_for: str = ""
    claimed_at: float | None = None
    concluded_at: float | None = None
    place: Place = Place.PROCESSING
    spool_path: str = ""

    @property
    def tally(self) -> Tally:
        outcomes = [entry.outcome for entry in self.entries]
        imported = [outcome for outcome in outcomes if isinstance(outcome, Imported)]
        skipped = sum(isinstance(outcome, Skipped) for outcome in outcomes)
        failed = sum(self.given_up(outcome) for outcome in outcomes)
        left = len(outcomes) - len(imported) - skipped - failed
        kinds = [image.kind for outcome in imported for image in outcome.images]
        plates = kinds.count("Plate")
        return Tally(
            len(outcomes), len(imported), skipped, failed, left, images=len(kinds) - plates, plates=plates
        )

    @property
    def attachment_tally(self) -> AttachmentTally:
        outcomes = [entry.outcome for entry in self.attachments]
        attached = sum(isinstance(outcome, Attached) for outcome in outcomes)
        failed = sum(self.given_up(outcome) for outcome in outcomes)
        return AttachmentTally(len(outcomes), attached, failed, len(outcomes) - attached - failed)

    @property
    def folder(self) -> str:
        """The name of the batch's folder, as the user sees it in the drop folder."""
        return self.path.replace("\\", "/").rstrip("/").rpartition("/")[2] or self.name

    @property
    def home(self) -> Place:
        """Where the batch lies, or will lie once the mail is read: letters are written before it retires."""
        return self.verdict.place if self.verdict else self.place

    def given_up(self, outcome: Outcome | None) -> bool:
        """Whether *outcome* is the last word: a passing failure is not, as long as the batch is open."""
        return isinstance(outcome, Failed) and (outcome.lasting or self.verdict is not None)

    def failures(self) -> Iterator[tuple[Entry, Failed]]:
        """Whatever was given up, in the batch's order: image files, then attachments."""
        yield from self.failed(self.entries)
        yield from self.failed(self.attachments)

    def failed(self, entries: Sequence[Entry]) -> Iterator[tuple[Entry, Failed]]:
        """Those of *entries* that were given up."""
        for entry in entries:
            if isinstance(entry.outcome, Failed) and self.given_up(entry.outcome):
                yield entry, entry.outcome


@dataclass(frozen=True)
class Text:
    """A mail's words, ready to send: *subject* is one line, *plain* and *html* say the same."""

    subject: str
    plain: str
    html: str
