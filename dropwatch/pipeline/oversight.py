"""Looks over the batches in work now and then: cancelled, taken away by a person, held or released by an admin.

No event tells of these, and a worker may be busy for hours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from dropwatch.durable import is_there
from dropwatch.errors import DropwatchError
from dropwatch.model import FetchJob
from dropwatch.pipeline import cancelling
from dropwatch.pipeline.case import Case
from dropwatch.pipeline.crew import Crew
from dropwatch.pipeline.desk import Desk
from dropwatch.pipeline.stores import batch_target, spool_target

EVERY = 2.0  #: seconds between two looks
WAITED_FOR = 60.0  #: seconds that workers wait for a spool that does not answer
SHARE = 20.0  #: looking takes at most one part in twenty of the time
FOREVER = float("inf")


@dataclass
class Oversight:
    desk: Desk
    crew: Crew
    looked: float = 0.0
    took: float = 0.0
    holds: frozenset[str] = frozenset()
    silent: dict[Path, float] = field(default_factory=dict)  #: spools that do not answer, and since when

    def due(self) -> float:
        """When to look again (epoch seconds)."""
        return self.looked + max(EVERY, SHARE * self.took)

    def look(self, guarded: Callable[[Case, Callable[[Case], None]], None]) -> None:
        """Look, if it is time. *guarded* does something for one case, and sees to it if that fails."""
        now = self.desk.now()
        if self.looked <= now < self.due():
            return
        self.looked = now
        self._look_at_holds()
        for case in list(self.desk.cases.values()):
            spool = case.spool
            if not spool.fence.answers():
                self._leave_waiting(case, now)
                continue
            self.silent.pop(spool.root, None)
            if self.desk.pauses.get(spool_target(spool.root)) is None:
                guarded(case, self._look_at)
        self.took = self.desk.now() - now

    def _leave_waiting(self, case: Case, now: float) -> None:
        """Its spool does not answer: after a while its workers are wanted for others, and go on with it later."""
        if now - min(now, self.silent.setdefault(case.spool.root, now)) > WAITED_FOR:
            case.stop()

    def _look_at_holds(self) -> None:
        """An admin who releases something means it to go on now, paused targets included."""
        holds = self.desk.read_holds()
        if holds is not None and holds != self.holds:
            if self.holds - holds:
                self.desk.pauses.hurry()
            self.holds = holds
            self.desk.wake_all()

    def _look_at(self, case: Case) -> None:
        if case.surrendered:
            return
        if self.is_gone(case):
            self.withdraw(case)
        elif not case.cancelled and case.record.verdict is None and cancelling.is_marked(case.envelope):
            case.cancelled = True
            case.log(self.desk.now(), "cancel")
            self.stop_work(case)
        elif _fetches(case) and self.desk.held(case.user):
            case.stop()  # it may go on for hours; what was copied stays

    def is_gone(self, case: Case) -> bool:
        """Whether a person took the batch away. A share that is not mounted is an outage: nothing was taken.

        One look is no proof: the share may have come back between the two halves of it, and what a share tells of its
        folders may be a minute old. Raises OSError when it cannot be known.
        """
        gone = case.gathered and not is_there(case.envelope.batch_folder)
        if not gone or not case.spool.identity.is_file():
            if case.missed is not None:
                case.missed, case.wake = None, 0.0
            return False
        now = self.desk.now()
        if case.missed is None or case.missed > now:
            case.missed = now
        return now - case.missed >= self.desk.patience(case.spool.root)

    def unsure_until(self, case: Case) -> float | None:
        """When to look again at a case whose folder seems to be gone; None when it is there."""
        return None if case.missed is None else self.desk.now() + EVERY

    def withdraw(self, case: Case) -> None:
        """A person took the batch out of processing/: stop its workers, then tell the user."""
        if not _is_ours(case):
            return  # another daemon serves the spool, and went on with it
        case.withdrawn = True
        self.stop_work(case)
        if case.busy:
            case.wake = FOREVER  # its workers' last answers bring it here again
            return
        self.desk.cases.pop(case.key, None)
        self.desk.say("withdraw", case)
        self.desk.works(batch_target(case.record.batch))
        try:
            if case.record.verdict is None:
                self.desk.letters.withdrawn(case)
            if case.envelope.path.exists():
                case.spool.undo(case.envelope)
        except (DropwatchError, OSError) as err:  # the next sweep finds the envelope and tries again
            self.desk.say("withdraw", case, error=f"{type(err).__name__}: {err}")

    def stop_work(self, case: Case) -> None:
        """Stop its workers; nothing new of it is begun."""
        case.stop()
        self.crew.abandon(case)
        self.crew.drop(case)
        case.wake = 0.0


def _is_ours(case: Case) -> bool:
    try:
        case.spool.fence.check()
    except (DropwatchError, OSError):
        return False
    return True


def _fetches(case: Case) -> bool:
    return case.errand is not None and isinstance(case.errand.job, FetchJob)
