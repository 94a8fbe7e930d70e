"""What happens next to a batch. Pure: the only place that decides it.

A fresh batch, a retry and a restart after a crash all go through next_step(); there is no recovery code.
README's state table is rendered from STATES, and a test walks every row of it through next_step().
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dropwatch.model import Attached, Failed, Imported, Outcome, Place, Skipped, Verdict


@dataclass(frozen=True)
class Facts:
    """All that decides the next step of one batch, facts of the present claim only.

    ready       -- inbox: settled and complete, or beyond its bound
    look_again  -- inbox: when waiting may be over (epoch seconds)
    busy        -- a worker has it, or an orphaned worker still holds its lock
    gathered    -- all loose files of this claim have been moved in
    fetched     -- nothing that its manifest wants from a place is known to be missing
    planned     -- the files were listed for the coming attempt
    hopeless    -- the batch as a whole cannot be imported
    left        -- filesets neither imported nor given up, running ones included
    running     -- filesets that the server is still importing
    reached     -- the server was asked in this claim: something of it may be there, also after a stop of ours
    asked       -- the server was asked since the last attempt
    blocked     -- target or user paused, held, or not its turn: until when (epoch seconds), else None
    ask_again   -- when to ask about running filesets again (epoch seconds)
    """

    place: Place
    ready: bool = False
    look_again: float | None = None
    busy: bool = False
    gathered: bool = True
    fetched: bool = True
    planned: bool = False
    hopeless: bool = False
    cancelled: bool = False
    left: int = 0
    running: int = 0
    reached: bool = False
    asked: bool = False
    attempts: int = 0
    not_before: float = 0.0
    blocked: float | None = None
    ask_again: float = 0.0
    verdict: Verdict | None = None
    notified: bool = False


@dataclass(frozen=True)
class Limits:
    """attempts -- how often a batch may be tried: the retry intervals and one."""

    attempts: int


@dataclass(frozen=True)
class Wait:
    """Nothing to do before *until* (epoch seconds), or before the next change when None."""

    until: float | None = None


@dataclass(frozen=True)
class Claim:
    """Move the batch from inbox/ into its envelope in processing/."""


@dataclass(frozen=True)
class Gather:
    """Go on moving loose files into an envelope whose record lists them."""


@dataclass(frozen=True)
class Fetch:
    """Copy what the manifest wants from a place into the envelope."""


@dataclass(frozen=True)
class Plan:
    """Read the manifest and list the filesets, anew before each attempt: files may have been replaced. Where the
    manifest wants something fetched that is not there, only that is found out."""


@dataclass(frozen=True)
class Ask:
    """Ask the server what it already has of this batch, and clear what was left half done."""


@dataclass(frozen=True)
class Import:
    """Count the attempt, then import what is left."""


@dataclass(frozen=True)
class Conclude:
    """Write the verdict."""


@dataclass(frozen=True)
class Notify:
    """Write the outcome letters to the outbox, then `notified` into the record."""


@dataclass(frozen=True)
class Retire:
    """Move the envelope to done/ or failed/."""


Step = Wait | Claim | Gather | Fetch | Plan | Ask | Import | Conclude | Notify | Retire


def next_step(facts: Facts, limits: Limits, now: float) -> Step | None:
    """The next step of a batch, or None when it needs nothing more. *now* in epoch seconds."""
    if facts.place in (Place.DONE, Place.FAILED):
        return None
    if facts.place is Place.INBOX:
        return Claim() if facts.ready else Wait(facts.look_again)
    if facts.busy:
        return Wait()
    if facts.verdict is not None:
        return Retire() if facts.notified else Notify()
    if not facts.gathered:
        return Gather()
    return _import_step(facts, limits, now)


def _import_step(facts: Facts, limits: Limits, now: float) -> Step:
    given_up = facts.cancelled or facts.hopeless or facts.attempts >= limits.attempts
    if given_up and facts.attempts == 0 and not facts.reached:
        # Nothing of ours can be on the server yet, so there is nothing to ask it.
        return Conclude()
    if facts.planned and facts.left == 0:
        return Conclude()
    if not given_up and now < facts.not_before:
        return Wait(facts.not_before)
    if not facts.planned:
        # Given up because not even this could be done, in any attempt: then there is nothing to ask about either.
        if facts.hopeless and facts.asked:
            return Conclude()
        # For a batch that is given up nothing is fetched, unless the server may have something of it.
        if given_up and not facts.fetched and not facts.reached:
            return Conclude()
        return Plan() if facts.fetched else Fetch()
    return _server_step(facts, given_up, now)


def _server_step(facts: Facts, given_up: bool, now: float) -> Step:
    if facts.asked and facts.running == facts.left:
        return Wait(facts.ask_again)
    if facts.asked and given_up:
        return Wait(facts.ask_again) if facts.running else Conclude()
    if facts.blocked is not None:
        return Wait(facts.blocked)
    # Ask before every attempt, and once more before giving up: a reply may have been lost.
    return Import() if facts.asked else Ask()


def verdict(outcomes: Iterable[Outcome | None], *, cancelled: bool, hopeless: bool) -> Verdict:
    """What a claim came to, by the outcome of each fileset (None: never finished)."""
    good = [isinstance(outcome, (Imported, Skipped, Attached)) for outcome in outcomes]
    if good and all(good) and not hopeless:
        return Verdict.IMPORTED
    if cancelled:
        return Verdict.CANCELLED
    return Verdict.PARTIAL if any(good) else Verdict.FAILED


def is_settled_outcome(outcome: Outcome | None) -> bool:
    """Whether a fileset needs no further attempt: it is in OMERO, or another attempt would not help."""
    return isinstance(outcome, (Imported, Skipped, Attached)) or (
        isinstance(outcome, Failed) and outcome.lasting
    )


@dataclass(frozen=True)
class State:
    """A row of the state table: *signs* under inbox, processing, done|failed, attempts, verdict, letters."""

    name: str
    signs: tuple[str, str, str, str, str, str]
    step: str


STATES = (
    State("S0 dropped", ("+", "-", "-", "0", "-", "-"), "Wait (settling, incomplete), Claim"),
    State(
        "S1 claimed", ("-", "+", "-", "0", "-", "-"), "Gather (loose files), Fetch (what `from` names), Plan"
    ),
    State(
        "S2 planned",
        ("-", "+", "-", ">=0", "-", "-"),
        "Ask, Import what is left | Wait (not due, running, paused) | Conclude",
    ),
    State("S3 concluded", ("-", "+", "-", "?", "+", "-"), "Notify"),
    State("S4 notified", ("-", "+", "-", "?", "+", "+"), "Retire"),
    State("S5 retired", ("-", "-", "+", "?", "+", "+"), "none: never touched again"),
)


def state_table() -> str:
    """The state table as README shows it, in Markdown."""
    head = ("state", "inbox", "processing", "done or failed", "attempts", "verdict", "letters", "next step")
    rows = [head, *((state.name, *state.signs, state.step) for state in STATES)]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "| --- " * len(head) + "|", *lines[1:]])
