"""The memory of a batch, as a noun. ledger.py keeps it on disk; nothing here does I/O."""

from __future__ import annotations

from dataclasses import dataclass

from dropwatch.model import Attachment, Container, Fileset, Outcome, Problem, Verdict


@dataclass(frozen=True)
class Event:
    """One line of a claim's history: when (epoch seconds), the verb, and what it was about."""

    at: float
    verb: str
    text: str = ""


@dataclass(frozen=True)
class PastClaim:
    """What an earlier claim of the same batch came to. History: nothing is decided by it."""

    claim: str
    claimed_at: float
    verdict: Verdict | None
    attempts: int
    events: tuple[Event, ...] = ()


@dataclass(frozen=True)
class Record:
    """The memory of a batch, kept inside its envelope. It is a cache: who, where to and whom to tell
    come from place, configuration and manifest, so a lost or forged record harms nobody.

    batch      -- id: the first claim stamp
    claim      -- the claim that these facts belong to; of another claim they are history
    name       -- the whole name, as people see it
    folder     -- the name of the directory inside the envelope
    dropped    -- its name before a manifest gave it another, for targets with ``{folder}``
    loose      -- names of loose files that this claim gathers from inbox/ (journal of their moves)
    place      -- from which its manifest wants something fetched
    fetched    -- what its manifest wants from a place was fetched in this claim
    fetching   -- how often that was begun since somebody last saw it end
    attempting -- an attempt is open; found so at start, the daemon died in it
    not_before -- earliest start of the next attempt (epoch seconds)
    told       -- kinds of notices that were written for this claim
    """

    batch: str
    claim: str
    user: str
    name: str
    folder: str
    claimed_at: float
    dropped: str = ""
    loose: tuple[str, ...] = ()
    planned: bool = False
    place: str = ""
    fetched: bool = False
    fetching: int = 0
    attempts: int = 0
    attempting: bool = False
    not_before: float = 0.0
    verdict: Verdict | None = None
    concluded_at: float | None = None
    notified: bool = False
    told: tuple[str, ...] = ()
    container: Container | None = None
    group: str = ""
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    history: tuple[PastClaim, ...] = ()


@dataclass(frozen=True)
class Line:
    """What filesets.jsonl says of one fileset in one claim; the last line of a claim counts.

    more       -- paths of its other files, in the line of its planning only: a plate has thousands
    format     -- as Bio-Formats calls it; empty when it was not asked
    series     -- how many images are in it; 0 when that is not known
    attachment -- it is no image but is attached to the target
    """

    claim: str
    fileset: str
    name: str
    files: int
    bytes: int
    attempt: int = 0
    at: float = 0.0
    outcome: Outcome | None = None
    more: tuple[str, ...] = ()
    format: str = ""
    series: int = 0
    plate: bool = False
    attachment: bool = False


def line_of(claim: str, fileset: Fileset) -> Line:
    """The first line of *fileset* in *claim*: planned, nothing tried."""
    names = tuple(file.path for file in fileset.files[1:])
    return Line(
        claim, fileset.id, fileset.name, len(fileset.files), fileset.bytes, more=names,
        format=fileset.format, series=fileset.series, plate=fileset.plate,
        attachment=isinstance(fileset, Attachment),
    )  # fmt: skip
