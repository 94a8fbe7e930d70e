"""The desk of one claimed batch: what the daemon holds in memory of it. A restart makes it anew from disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from dropwatch.lifecycle import Facts, is_settled_outcome
from dropwatch.model import Answers, Envelope, Failed, FetchJob, Fileset, Order, Outcome, Plan, Running
from dropwatch.record import Event, Line, Record
from dropwatch.spool.folders import Spool
from dropwatch.workers import Work

_EVENTS_KEPT = 200


@dataclass
class Case:
    """A batch in processing/.

    plan, answers -- of the coming or present attempt; None before it
    outcomes      -- by fileset id, what this claim came to so far (with the attempt that said so)
    unsaved       -- lines that could not be written down yet
    wants         -- what has to be fetched before it can be planned; None: nothing is known to be missing
    cleared       -- the copies that were fetched for it are gone, as far as they can be
    missed        -- since when its folder seems to be gone (epoch seconds); None: it is there
    queue, flying -- filesets of the open attempt that wait for a worker, and those that a worker has
    errand        -- the short job (plan, ask) that is under way for it
    withdrawn     -- a person took it away
    surrendered   -- its spool is another daemon's, or was meanwhile: nothing more is written about it
    suspect       -- a worker, or the daemon, died while it was in flight: such batches run one at a time
    died          -- a worker died in the present attempt
    crashes       -- how often its planning took a worker along
    crashed       -- the last one did
    """

    spool: Spool
    envelope: Envelope
    record: Record
    outcomes: dict[str, Line] = field(default_factory=dict)
    unsaved: list[Line] = field(default_factory=list)
    plan: Plan | None = None
    answers: Answers | None = None
    hopeless: bool = False
    asked: bool = False
    ask_again: float = 0.0
    polls: int = 0
    queue: deque[Fileset] = field(default_factory=deque)
    flying: dict[str, Work] = field(default_factory=dict)
    errand: Work | None = None
    gathered: bool = True
    cancelled: bool = False
    withdrawn: bool = False
    surrendered: bool = False
    suspect: bool = False
    died: bool = False
    crashes: int = 0
    crashed: bool = False
    wants: FetchJob | None = None
    cleared: bool = False
    missed: float | None = None
    wake: float = 0.0
    waiting_for: str = ""
    reported_at: float = 0.0
    _looks: tuple[Plan | None, frozenset[tuple[str, int]]] = (None, frozenset())

    @property
    def key(self) -> Path:
        return self.envelope.path

    @property
    def user(self) -> str:
        return self.envelope.user

    @property
    def busy(self) -> bool:
        """Whether a worker has something of it."""
        return bool(self.errand or self.flying or self.queue)

    @property
    def owner(self) -> str | None:
        """The OMERO user it is imported for, once the manifest was read."""
        return self._order.owner if self._order else None

    @property
    def beneficiary(self) -> str:
        """Whose images they become: the sender, unless an instrument dropped them for somebody."""
        return self._order.user if self._order else self.user

    @property
    def _order(self) -> Order | None:
        order = self.plan.order if self.plan else None
        return order or (self.wants.order if self.wants else None)

    def resembles(self, other: Case) -> bool:
        """Whether files of the same names and sizes go to the same target for the same person in both: one of the two
        may be a copy of the other. False where the manifest wants duplicates."""
        if self is other or (order := self._order) is None or order.duplicates == "import":
            return False
        their = other._order
        if their is None or (order.owner, order.group, order.target) != (
            their.owner,
            their.group,
            their.target,
        ):
            return False
        return not self._outline().isdisjoint(other._outline())

    def _outline(self) -> frozenset[tuple[str, int]]:
        """Names and sizes of what each fileset begins with; worked out once for each plan."""
        if self._looks[0] is not self.plan:
            first = [fileset.files[0] for fileset in self.plan.filesets] if self.plan else []
            looks = frozenset((fact.path.rpartition("/")[2], fact.size) for fact in first)
            self._looks = (self.plan, looks)
        return self._looks[1]

    def stop(self) -> None:
        """Tell its workers to stop."""
        for work in (*self.flying.values(), *([self.errand] if self.errand else [])):
            work.stop()

    def log(self, now: float, verb: str, text: str = "") -> None:
        """Add a line to the story of this claim; the caller writes the record. What repeats itself is told once."""
        last = self.record.events[-1] if self.record.events else None
        if last is not None and (last.verb, last.text) == (verb, text):
            return
        events = (*self.record.events, Event(now, verb, text))[-_EVENTS_KEPT:]
        self.record = replace(self.record, events=events)

    def outcome(self, fileset: str) -> Outcome | None:
        line = self.outcomes.get(fileset)
        return line.outcome if line else None

    def left(self) -> list[Fileset]:
        """Filesets of the plan that are neither in OMERO nor given up."""
        filesets = self.plan.filesets if self.plan else ()
        return [fileset for fileset in filesets if not is_settled_outcome(self.outcome(fileset.id))]

    def running(self) -> set[str]:
        """Those of them that the server is still importing, by its last answer."""
        found = self.answers.found if self.answers else {}
        return {fileset.id for fileset in self.left() if isinstance(found.get(fileset.id), Running)}

    def lines(self) -> Iterator[Line]:
        """What there is to tell of each fileset: planned ones in order, then those that were refused."""
        planned = [fileset.id for fileset in self.plan.filesets] if self.plan else []
        wanted = set(planned)
        yield from (self.outcomes[fileset] for fileset in planned if fileset in self.outcomes)
        for fileset, line in self.outcomes.items():
            if fileset not in wanted and self._counts_without_plan(line):
                yield line

    def _counts_without_plan(self, line: Line) -> bool:
        # With a plan at hand, a planned line of a file that was replaced or taken out is history.
        return self.plan is None or bool(self.plan.problems) or line.fileset.startswith("refused-")

    def facts(self, blocked: float | None) -> Facts:
        """The facts that decide the next step."""
        record = self.record
        # While a worker has something of it nothing else matters, and counting 10,000 filesets for each of them would.
        left, running = (0, 0) if self.busy else (len(self.left()), len(self.running()))
        return Facts(
            place=self.envelope.place,
            busy=self.busy,
            gathered=self.gathered,
            fetched=self.wants is None,
            planned=self.plan is not None,
            hopeless=self.hopeless,
            cancelled=self.cancelled,
            left=left,
            running=running,
            reached=record.container is not None,
            asked=self.asked,
            attempts=record.attempts,
            not_before=record.not_before,
            blocked=blocked,
            ask_again=self.ask_again,
            verdict=record.verdict,
            notified=record.notified,
        )

    def forget_attempt(self) -> None:
        """What was planned and asked holds for one attempt only."""
        self.plan = None if not self.hopeless else self.plan
        self.answers = None
        self.asked = False
        self.queue.clear()

    def last_failure(self) -> Failed | None:
        """The most recent failure that another attempt may mend."""
        lines = [line for line in self.outcomes.values() if isinstance(line.outcome, Failed)]
        lines = [line for line in lines if line.outcome and not is_settled_outcome(line.outcome)]
        last = max(lines, key=lambda line: line.at, default=None)
        return last.outcome if last and isinstance(last.outcome, Failed) else None
