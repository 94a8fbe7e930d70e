"""What the line gives to a worker. Values in, values out: jobs cross process boundaries and hold no secret."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dropwatch.model.batch import Batch, Plan
from dropwatch.model.files import Fileset
from dropwatch.model.order import Order
from dropwatch.model.outcome import Answers

NOT_READ = "folder-not-read"  #: code of the error that answers a plan whose folder could not be read


@dataclass(frozen=True)
class PlanJob:
    """Find out what a batch consists of. Answered by a Plan.

    died -- the planner that had it before died at it, and not because the daemon had died
    """

    batch: Batch
    died: bool = False


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


Job = PlanJob | AskJob | ImportJob | LookUpJob


@dataclass(frozen=True)
class Progress:
    """How far a worker is: *stage* is "plan" (files of total), "upload" (bytes of total) or "server" (the
    server's own steps)."""

    stage: str
    done: int
    total: int
