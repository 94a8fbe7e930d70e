"""The nouns of a snapshot. Frozen, no I/O; all times are epoch seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropwatch.model import Place, Verdict
from dropwatch.report import AttachmentTally, Tally


@dataclass(frozen=True)
class InHand:
    """What a worker has in hand now: one image file or attachment, or (stages "plan" and "fetch") the whole batch.

    stage -- "plan" (files), "fetch" or "upload" (bytes) or "server" (its own steps); "" not begun
    rate, left -- per second, and seconds; None: not known
    fileset -- its id, "" while planning or fetching
    """

    file: str
    stage: str = ""
    done: int = 0
    total: int = 0
    rate: float | None = None
    left: float | None = None
    fileset: str = ""


@dataclass(frozen=True)
class Progress:
    """How far the import of a batch is, in bytes of all its filesets, and what the workers have in hand.

    total -- what can still come; what was given up does not count
    stage -- of InHand; "upload" as long as anything is uploaded
    rate, left -- bytes per second, and seconds until all is uploaded; None: not known
    """

    done: int
    total: int
    files: tuple[InHand, ...]
    stage: str = ""
    rate: float | None = None
    left: float | None = None


@dataclass(frozen=True)
class Row:
    """One batch.

    id, claim -- None for a drop that was not claimed yet
    path      -- where it lies: the envelope, or what was dropped
    since     -- claimed, concluded, or (inbox) changed last
    tally     -- of its image files; nothing in it before they are listed
    attachments -- the same of what is to be attached
    running   -- image files that workers are importing now
    progress  -- None while no worker has anything of it
    reason    -- one line that says why it is where it is
    """

    id: str | None
    claim: str | None
    user: str
    name: str
    place: Place
    path: Path
    since: float | None
    files: int
    bytes: int
    tally: Tally
    attachments: AttachmentTally
    running: int
    attempts: int
    next_attempt: float | None
    verdict: Verdict | None
    reason: str
    progress: Progress | None = None


@dataclass(frozen=True)
class Target:
    """What is left alone for a while, and why: "omero", "mail", "spool:PATH", "user:NAME".

    until    -- when it is tried again; None: when somebody has mended it
    operator -- an admin has to act
    """

    name: str
    reason: str
    remedy: str = ""
    since: float | None = None
    until: float | None = None
    times: int = 0
    operator: bool = False


@dataclass(frozen=True)
class Status:
    """Everything at one moment.

    at      -- that moment
    running -- whether a daemon serves the spools now
    pulse   -- what the daemon said of itself last; empty when it never did
    holds   -- users on hold; ``*`` means all
    outbox  -- number of letters by shelf
    rows    -- retired ones first, oldest first; then processing, then inbox
    left_out -- how many retired batches are not among the rows
    """

    at: float
    running: bool
    pulse: Mapping[str, Any]
    holds: tuple[str, ...]
    targets: tuple[Target, ...]
    outbox: Mapping[str, int]
    rows: tuple[Row, ...]
    left_out: int = 0
