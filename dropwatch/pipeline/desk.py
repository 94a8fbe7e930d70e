"""What the rooms of the pipeline share: the hands, the clock, the cases. All of it is passed in."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

from dropwatch import journal, report
from dropwatch.config import Config
from dropwatch.errors import DropwatchError, OperatorError
from dropwatch.ledger import Ledger
from dropwatch.model import Job
from dropwatch.pipeline.addresses import Addresses
from dropwatch.pipeline.case import Case
from dropwatch.pipeline.letters import Letters, story_of
from dropwatch.pipeline.pauses import Paused, Pauses
from dropwatch.pipeline.relief import Relief
from dropwatch.pipeline.stores import STATE, Stores, batch_target, spool_target
from dropwatch.record import Line
from dropwatch.spool.reports import write_report
from dropwatch.workers import Done, Work

log = logging.getLogger("dropwatch")

SOON, STALE = 1.0, 60.0  #: seconds; clients of NFS believe for up to a minute what they saw of a folder
REPORTED = 5000  #: image files for each second between two REPORT.txt
REPORT_EVERY = 5.0  #: seconds between two REPORT.txt of a batch that moves


class Staff(Protocol):
    """Who does the jobs; the errors in their answers are those of importers/base.py, and Bug."""

    died: int

    def submit(self, job: Job, finished: Callable[[Done], None]) -> Work: ...

    def busy(self) -> dict[str, int]: ...

    def tend(self) -> None: ...

    def close(self, grace: float) -> None: ...


@dataclass(frozen=True)
class Result:
    """A worker's answer, to be applied by the line; *case*: whose it is, if it is one batch's."""

    apply: Callable[[], None]
    case: Case | None = None

    def apply_to(self, case: Case) -> None:
        self.apply()


@dataclass
class Desk:
    """ring      -- wakes the line
    holds     -- folder of the hold markers
    polled    -- why a spool is polled, "" where events do; nothing of a spool that was not there yet
    stopping  -- set when the daemon stops
    relief    -- which thread may go on when a share hangs
    concluded -- how many batches came to which verdict since the start
    overflows -- how many times the system lost events of a spool since the start
    stores    -- which storage is in trouble
    lacking   -- envelopes that seemed to lack their folder, and when first
    """

    config: Config
    ledger: Ledger
    workers: Staff
    letters: Letters
    addresses: Addresses
    pauses: Pauses
    clock: Callable[[], float]
    rng: random.Random
    ring: Callable[[], None]
    holds: Path
    polled: dict[Path, str] = field(default_factory=dict)
    cases: dict[Path, Case] = field(default_factory=dict)
    results: SimpleQueue[Result] = field(default_factory=SimpleQueue)
    stopping: threading.Event = field(default_factory=threading.Event)
    concluded: dict[str, int] = field(default_factory=dict)
    relief: Relief = field(init=False)
    overflows: dict[Path, int] = field(default_factory=dict)
    lacking: dict[Path, float] = field(default_factory=dict)
    stores: Stores = field(init=False)

    def __post_init__(self) -> None:
        self.relief = Relief(self.clock)
        self.stores = Stores(
            self.config.state,
            self.pauses,
            self.letters,
            self.clock,
            self.say,
            self.works,
            self.ring,
            self.relief,
        )

    def now(self) -> float:
        return self.clock()

    def say(self, verb: str, case: Case | None = None, **values: object) -> None:
        """One line for the log."""
        self.relief.check()
        names = {"batch": case.record.batch, "user": case.user} if case else {}
        log.info(journal.line(verb, **names, **values))

    def is_at(self, spool: Path, what: str) -> AbstractContextManager[None]:
        """What happens in the block is done to *what*: a share that hangs keeps us there."""
        return self.relief.is_at(spool, what)

    # -- memory --------------------------------------------------------------------------------------

    def write(self, case: Case, **changes: object) -> None:
        """Change the record, durably. What cannot be written does not hold either: the next step is decided anew."""
        case.spool.fence.check()
        self._flush(case)
        record = replace(case.record, **changes)  # type: ignore[arg-type]
        self.ledger.write(case.envelope.path, record)
        case.record = record

    def note(self, case: Case, line: Line) -> None:
        """Remember what became of a fileset, durably. Raises OSError when it is only in memory as yet: it is kept,
        and written before anything else of this batch is."""
        case.outcomes[line.fileset] = line
        case.unsaved.append(line)
        case.spool.fence.check()
        self._flush(case)

    def _flush(self, case: Case) -> None:
        if case.unsaved:
            self.ledger.note(case.envelope.path, *case.unsaved)
            case.unsaved.clear()

    def report(self, case: Case, *, now_or_never: bool = False) -> None:
        """Write REPORT.txt; while filesets rush through, only every few seconds. If it fails, the batch goes on."""
        # One of 100,000 image files takes most of a second to write.
        rest = max(REPORT_EVERY, len(case.outcomes) / REPORTED)
        if not now_or_never and self.now() - case.reported_at < rest:
            return
        try:
            self._write_report(case, durably=False)
        except OSError as err:
            self.met(case, err)

    def last_report(self, case: Case) -> None:
        """Write the REPORT.txt that will stay, durably: nobody will write it anew. Raises OSError."""
        self._write_report(case, durably=True)

    def _write_report(self, case: Case, *, durably: bool) -> None:
        self.relief.check()
        case.reported_at = self.now()
        text = report.report_txt(story_of(case), self.letters.site)
        write_report(case.envelope.path, text, durably=durably)

    def log(self, case: Case, text: str) -> None:
        """Add to the import.log of a batch, for admins. Where that fails, the batch goes on."""
        try:
            self.ledger.log(case.envelope.path, text)
        except OSError as err:
            self.met(case, err)

    def met(self, case: Case, error: OSError | DropwatchError) -> Paused | None:
        """An error came up in work on *case*; what it concerns is left alone. None: no storage is to blame."""
        return self.stores.met(error, case.spool.root, batch_target(case.record.batch))

    # -- what seems to be gone -----------------------------------------------------------------------

    def patience(self, root: Path) -> float:
        """Seconds between two looks at the spool *root* which prove together that something is gone."""
        settings = self.config.spool_for(root)
        polled = bool(self.polled.get(root))
        return min(STALE, 6 * settings.poll) if settings is not None and polled else SOON

    def is_proven(self, root: Path, path: Path) -> bool:
        """Whether it was long enough ago that *path* seemed to lack something for the first time. On a disk of this
        machine one look is enough: nothing else tells of its folders than what is in them."""
        if not self.polled.get(root):
            return True
        now = self.now()
        first = min(self.lacking.setdefault(path, now), now)
        self.lacking[path] = first
        if now - first < self.patience(root):
            return False
        del self.lacking[path]
        return True

    # -- what is paused or held ------------------------------------------------------------------------

    def names(self, case: Case) -> tuple[str, ...]:
        return ("omero", f"user:{case.user}")

    def stalled(self, case: Case) -> float | None:
        """Until when nothing at all may be done for *case*, because of its storage; None: it may go on."""
        paused = self.stores.holding(case.spool.root, batch_target(case.record.batch))
        if paused is None:
            return None
        case.waiting_for = paused.error.message
        return max(paused.pause.until, self.now() + 0.1)

    def blocked(self, case: Case) -> float | None:
        """Until when nothing may go to the server for *case*; None: it may go now."""
        now, stalled = self.now(), self.stalled(case)
        if stalled is not None:
            return stalled
        if self.held(case.user):
            case.waiting_for = "held by an admin"
            return now + 60.0
        paused = self.pauses.blocked(self.names(case), now)
        if paused is None:
            case.waiting_for = ""
            return None
        case.waiting_for = paused.error.message
        return max(paused.pause.until, now + 1.0) if paused.probing else paused.pause.until

    def held(self, user: str) -> bool:
        """Whether an admin put *user*, or everything, on hold."""
        return (self.holds / "all").exists() or (self.holds / f"user-{user}").exists()

    def read_holds(self) -> frozenset[str] | None:
        """The names of all hold markers; None when they cannot be read now."""
        try:
            return frozenset(path.name for path in self.holds.iterdir())
        except FileNotFoundError:
            return frozenset()
        except OSError:
            return None

    def pause(self, name: str, error: DropwatchError, case: Case | None = None) -> None:
        """A target, or a user, is left alone for a while; for an operator's fault admin and user are told."""
        self.relief.check()
        paused = self.pauses.fail(name, error, self.now())
        wait = paused.pause.until - self.now()
        self.say("pause", case, target=name, seconds=f"{wait:.1f}", reason=error.message, detail=error.detail)
        if isinstance(error, OperatorError):
            if not paused.told:
                self.letters.operator(paused, self._waiting_users(case))
                self.pauses.told(name)
            if case is not None:
                self.letters.operator_for_user(case, error, paused.pause.since)

    def works(self, name: str) -> None:
        """A target answered: whatever waited for it goes on."""
        self.relief.check()
        ended = self.pauses.clear(name, self.now())
        self.stores.forget(name)
        if ended is None:
            return
        self.say("resume", target=name)
        if ended.told and not ended.operator:
            self.letters.outage_over(ended, len(self.cases))
        self.wake_all()

    def alert_outages(self) -> float:
        """Tell the admins of outages that last; returns when to look again (epoch seconds)."""
        after, soonest = self.config.retry.outage_alert, float("inf")
        for paused in self.pauses.all():
            due = paused.pause.since + after
            if paused.told or paused.operator:
                continue
            if self.now() >= due:
                self.letters.outage(paused, self._waiting(paused))
                self.pauses.told(paused.name)
            else:
                soonest = min(soonest, due)
        return soonest

    def wake_all(self) -> None:
        for case in self.cases.values():
            case.wake = 0.0
        self.ring()

    def _waiting(self, paused: Paused) -> int:
        if paused.name == STATE:
            return sum(case.record.verdict is not None for case in self.cases.values())
        return sum(
            paused.name in (*self.names(case), *_storage(case), *_place(case)) for case in self.cases.values()
        )

    def _waiting_users(self, case: Case | None) -> list[str]:
        return sorted({case.user} if case else {one.user for one in self.cases.values()})


def place_target(place: str) -> str:
    """The name of a place among the targets."""
    return f"place:{place}"


def _place(case: Case) -> tuple[str, ...]:
    return (place_target(case.wants.wanted.place),) if case.wants else ()


def _storage(case: Case) -> tuple[str, ...]:
    """What a batch lies in, as targets."""
    return spool_target(case.spool.root), batch_target(case.record.batch)
