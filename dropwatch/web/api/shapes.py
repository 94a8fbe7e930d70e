"""What the API says of a batch: the shapes of its answers, the same that `status --json` and `show --json` have.

Times are ISO 8601, in UTC. Nothing here reads or decides anything.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Shape(BaseModel):
    """An answer. What is in no shape is not told: a new key in `show --json` has to be wanted here too."""

    model_config = ConfigDict(extra="ignore")


PlaceName = Literal["inbox", "processing", "done", "failed"]
VerdictName = Literal["imported", "partial", "failed", "cancelled"]


class Counts(Shape):
    """How many files that form one import each (filesets)."""

    total: int
    imported: int
    skipped: int = Field(description="Already there.")
    failed: int
    running: int


class AttachmentCounts(Shape):
    total: int
    attached: int
    failed: int


class InHand(Shape):
    """One image file that is being imported."""

    file: str
    stage: str | None = Field(description="plan, upload or server.")
    done: int
    total: int
    rate: float | None = Field(description="Per second.")
    left: float | None = Field(description="Seconds.")


class Progress(Shape):
    """How far an import is, in bytes."""

    stage: str | None
    done: int
    total: int
    rate: float | None = None
    left: float | None = None
    files: list[InHand]


class Batch(Shape):
    """One batch."""

    key: str = Field(description="GET /api/batches/KEY is this one, also after the next step.")
    id: str | None = Field(description="Its id for ever; none before dropwatch took it up.")
    claim: str | None = Field(description="The stamp of this try.")
    user: str = Field(description="The drop folder that it lies in.")
    name: str
    place: PlaceName
    path: str = Field(description="Where it lies on the file server.")
    since: str | None
    files: int
    bytes: int
    filesets: Counts
    attachments: AttachmentCounts
    attempts: int
    next_attempt: str | None
    verdict: VerdictName | None
    reason: str = Field(description="Why it is where it is, in one sentence.")
    progress: Progress | None


class Batches(Shape):
    """A page of a list."""

    total: int = Field(description="How many there are in all that fit.")
    batches: list[Batch]


class Image(Shape):
    id: int
    name: str
    kind: str
    link: str | None = None


class Tried(Shape):
    """What became of an image file or an attachment."""

    id: str
    name: str
    attempt: int
    at: str | None
    outcome: Literal["imported", "skipped", "attached", "failed"] | None
    reason: str = ""
    remedy: str = ""
    error: str = ""
    detail: str = ""
    lasting: bool | None = None
    warning: str | None = None
    fileset: int | None = Field(default=None, description="OMERO's id of it.")
    images: list[Image] = []
    annotation: int | None = None
    file: int | None = None
    log: int | None = Field(default=None, description="OMERO's id of the import log.")
    log_link: str | None = None


class Each(Tried):
    """One of them, with the names of its files."""

    files: list[str] = []
    file_count: int = 0
    bytes: int = 0
    format: str = ""
    series: int = 0
    plate: bool = False


class AllCounts(Counts):
    each: list[Each]


class AllAttachmentCounts(AttachmentCounts):
    each: list[Each]


class Container(Shape):
    """Where the images are in OMERO."""

    kind: str
    id: int
    name: str
    group: str
    created: bool
    note: str
    link: str | None


class BatchProblem(Shape):
    reason: str
    remedy: str
    error: str = ""
    detail: str = ""


class Event(Shape):
    at: str | None
    verb: str
    text: str


class Claim(Shape):
    """One time that dropwatch took the batch up."""

    claim: str
    claimed_at: str | None
    verdict: VerdictName | None
    attempts: int
    events: list[Event]
    tries: list[Tried]


class Letter(Shape):
    """A mail."""

    id: str
    shelf: Literal["queued", "sent", "dead"]
    kind: str
    batch: str | None
    claim: str | None
    user: str | None
    to: str
    subject: str
    created: str | None
    attempts: int
    tried: str | None
    next_attempt: str | None
    error: str | None


class WholeBatch(Batch):
    """All there is of a batch."""

    filesets: AllCounts
    attachments: AllAttachmentCounts
    container: Container | None
    group: str
    problems: list[BatchProblem]
    notes: list[str]
    claimed_at: str | None
    concluded_at: str | None
    claims: list[Claim]
    letters: list[Letter]
