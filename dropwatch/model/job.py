"""What the line gives to a worker. Values in, values out: jobs cross process boundaries and hold no secret."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dropwatch.model.batch import Batch, Plan, Wanted
from dropwatch.model.files import Fileset
from dropwatch.model.order import Order
from dropwatch.model.outcome import Answers

NOT_READ = "folder-not-read"  #: code of the error that answers a plan whose folder could not be read


@dataclass(frozen=True)
class PlanJob:
    """Find out what a batch consists of. Answered by a Plan.

    died    -- the planner that had it before died at it, and not because the daemon had died
    fetched -- what its manifest wants fetched is there, if it wants that
    """

    batch: Batch
    died: bool = False
    fetched: bool = False


@dataclass(frozen=True)
class FetchJob:
    """Copy what a manifest wants from a place into the envelope. Answered by Fetched.

    proof -- as in ImportJob
    """

    batch: Batch
    order: Order
    wanted: Wanted
    proof: Path | None = None


@dataclass(frozen=True)
class ClearJob:
    """Remove the copies that were fetched for a batch. Answered by None."""

    envelope: Path


@dataclass(frozen=True)
class Fetched:
    """All that was wanted lies in the envelope, verified.

    files, bytes -- how much that is; copied -- bytes that had to be copied for it
    """

    files: int
    bytes: int
    copied: int


@dataclass(frozen=True)
class AskJob:
    """Ask the store what it has of a planned batch. Answered by Answers."""

    envelope: Path
    plan: Plan


@dataclass(frozen=True)
class ImportJob:
    """Import (or attach) one fileset. Answered by Imported or Attached.

    seconds -- that it may take; then it is stopped
    proof   -- a file that is there as long as the spool is served by who gave this job; None: nothing proves it
    """

    envelope: Path
    order: Order
    fileset: Fileset
    answers: Answers
    seconds: float
    proof: Path | None = None


@dataclass(frozen=True)
class LookUpJob:
    """Look up what the store knows of a person. Answered by the person's e-mail address, or None."""

    owner: str


@dataclass(frozen=True)
class TidyJob:
    """Remove what is left in the store of *owner*'s imports that nobody goes on with. Answered by Tidied.

    keep  -- ids of the batches that are in work
    older -- seconds; what is younger is left alone
    """

    owner: str
    keep: frozenset[str]
    older: float


@dataclass(frozen=True)
class PreviewJob:
    """Find out what would be imported of files that nobody has submitted yet. Answered by a Preview.

    name   -- of where they lie, for people: a place, say
    folder -- where they lie; nothing outside of it is read, and no link in it is followed
    paths  -- of the files and folders chosen, below *folder*; ("",) is all of it
    memory -- a folder of ours, to remember looks in
    most   -- files to look at
    seconds -- that looking may take; what is not looked at by then is counted
    died   -- the planner that had it before died at it
    """

    name: str
    folder: Path
    paths: tuple[str, ...]
    memory: Path
    most: int
    seconds: float
    died: bool = False


Job = PlanJob | FetchJob | ClearJob | AskJob | ImportJob | LookUpJob | TidyJob | PreviewJob


@dataclass(frozen=True)
class Progress:
    """How far a worker is: *stage* is "plan" (files of total), "fetch" or "upload" (bytes of total) or "server"
    (the server's own steps).

    before -- how much of *done* was done before it began: what came in an earlier life tells nothing of its pace
    """

    stage: str
    done: int
    total: int
    before: int = 0
