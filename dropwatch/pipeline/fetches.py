"""The step Fetch: gives the fetching of a batch to a worker and takes the answer. Users take turns, beside the imports.

Also clears away the copies of a batch that needs them no more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from dropwatch.errors import DropwatchError, Interrupted, OperatorError, PermanentError, Unavailable
from dropwatch.model import ClearJob, Fetched, FetchJob, Problem, Verdict
from dropwatch.pipeline.case import Case
from dropwatch.pipeline.crew import Crew, Guarded
from dropwatch.pipeline.desk import Desk, place_target
from dropwatch.pipeline.lookup import Lookup
from dropwatch.report.words import count, size
from dropwatch.schedule import Turns
from dropwatch.spool.fetched import Copies
from dropwatch.spool.folders import LOCK, MEMORY
from dropwatch.spool.locks import is_held
from dropwatch.workers import Done

SEATS = 2  #: fetches at the same time; more of them only make the disks seek
UNSEEN = 20  #: how often a fetch may end without anybody seeing how: the daemon died with it
SOON = 10.0  #: seconds until something is tried again that an admin or a host has to mend
LOCKED = 2.0  #: seconds between two looks whether a worker of an earlier life has let go


@dataclass
class Fetches:
    """count_failure -- an attempt at the whole batch broke; give_up -- and none will help"""

    desk: Desk
    crew: Crew
    lookup: Lookup
    count_failure: Callable[[Case, str], None]
    give_up: Callable[[Case, Problem], None]
    turns: Turns = field(default_factory=lambda: Turns(1))

    # -- whose turn it is ------------------------------------------------------------------------------

    def wants(self, case: Case) -> None:
        """The next step of *case* is Fetch: it waits for its turn."""
        if case.record.fetching >= UNSEEN:
            self.give_up(case, Problem(_DEADLY, "Tell the facility; the log says more.", "fetch-died"))
            case.wake = 0.0
        else:
            self.crew.fetching[case.key] = case

    def dispatch(self, guarded: Guarded) -> None:
        """Start what may start now. *guarded* does it for one case, and sees to it if that fails."""
        while (case := self._next()) is not None:
            del self.crew.fetching[case.key]
            guarded(case, self._begin)

    def _next(self) -> Case | None:
        able = []
        for case in list(self.crew.fetching.values()):
            until = self._blocked(case)
            if until is None:
                able.append(case)
            else:
                del self.crew.fetching[case.key]
                case.wake = until
        flying = Counter(case.user for case in self.desk.cases.values() if _fetches(case))
        user = self.turns.choose(Counter(case.user for case in able), flying)
        if user is None or flying.total() >= SEATS or self.desk.stopping.is_set():
            return None
        self.turns = self.turns.after(user)
        return min((case for case in able if case.user == user), key=lambda case: case.envelope.claim)

    def is_waiting(self) -> bool:
        """Whether some case waits for its turn and nothing else."""
        return any(self._blocked(case) is None for case in self.crew.fetching.values())

    def _blocked(self, case: Case) -> float | None:
        """Until when nothing is to be fetched for *case*; None: it may be now. OMERO is not needed for it."""
        stalled = self.desk.stalled(case)
        if stalled is not None:
            return stalled
        if self.desk.held(case.user):
            case.waiting_for = "held by an admin"
            return self.desk.now() + 60.0
        assert case.wants is not None
        paused = self.desk.pauses.blocked((place_target(case.wants.wanted.place),), self.desk.now())
        case.waiting_for = paused.error.message if paused else ""
        return max(paused.pause.until, self.desk.now() + 1.0) if paused else None

    # -- fetching --------------------------------------------------------------------------------------

    def _begin(self, case: Case) -> None:
        """Write down that it begins, before it does: what kills us again and again has to end."""
        if is_held(case.envelope.path / MEMORY / LOCK):
            case.wake, case.waiting_for = (
                self.desk.now() + LOCKED,
                "another process holds the lock of this batch",
            )
            return
        job = case.wants
        assert job is not None
        target = place_target(job.wanted.place)
        if case.record.fetching == 0:
            case.log(self.desk.now(), "fetch", f"from {job.wanted.place}")
        self.desk.write(case, fetching=case.record.fetching + 1)
        self.desk.say("fetch", case, place=job.wanted.place)
        self.desk.report(case, now_or_never=True)
        # It may take hours, and meanwhile there may be something to tell.
        self.lookup.wait(case.user, case.owner, self.desk.now())
        self.desk.pauses.probe((target,))
        self.crew.errand(case, replace(job, proof=case.spool.fence.proof()), self._fetched)

    def _fetched(self, case: Case, done: Done) -> None:
        job = case.wants
        assert job is not None
        target = place_target(job.wanted.place)
        self.desk.pauses.probed((target,))
        if isinstance(done.value, Fetched):
            self._arrived(case, job, done.value)
        elif isinstance(done.error, Interrupted) or (done.died and self.desk.stopping.is_set()):
            self.desk.write(case, fetching=0)
        elif done.error is not None:
            self._failed(case, done.error)

    def _arrived(self, case: Case, job: FetchJob, fetched: Fetched) -> None:
        self.desk.works(place_target(job.wanted.place))
        told = f"{count(fetched.files, 'file')}, {size(fetched.bytes)} from {job.wanted.place}"
        case.log(self.desk.now(), "fetched", told)
        self.desk.write(case, fetched=True, fetching=0)
        case.wants = None
        self.desk.say("fetched", case, files=fetched.files, bytes=fetched.bytes, copied=fetched.copied)
        self.desk.report(case, now_or_never=True)

    def _failed(self, case: Case, error: BaseException) -> None:
        """Sort a failure by what to do about it (DESIGN section 7)."""
        desk = self.desk
        if isinstance(error, (Unavailable, OperatorError)):
            # A place is left alone by itself; what else is in the way (OMERO did not tell the groups, say) is not.
            rest = 0.0 if error.concerns == place_target(case.record.place) else SOON
            desk.write(case, fetching=0, not_before=desk.now() + rest)
            self.crew.trouble(case, error)
            return
        desk.write(case, fetching=0)
        if isinstance(error, PermanentError):
            self.give_up(case, Problem(error.message, error.remedy, type(error).__name__, error.detail))
            return
        reason, remedy = "dropwatch met an error of its own.", ""
        if isinstance(error, DropwatchError):
            reason, remedy = error.message, error.remedy
        else:
            self.crew.bug(case, error)
        if case.record.attempts >= len(desk.config.retry.import_):
            desk.write(case, attempts=case.record.attempts + 1)
            self.give_up(case, Problem(reason, remedy or "Move the folder back to inbox to try again."))
        else:
            self.count_failure(case, reason)

    # -- clearing away -----------------------------------------------------------------------------------

    def clear(self, case: Case) -> bool:
        """Have the copies of a batch removed that needs them no more; whether that has to be waited for.

        What was imported is in OMERO, as it confirmed; what was cancelled can be fetched again. For another try at what
        failed they stay.
        """
        needless = case.record.verdict in (Verdict.IMPORTED, Verdict.CANCELLED)
        if not needless or case.cleared or not Copies(case.envelope.path).exist():
            return False
        self.crew.errand(case, ClearJob(case.envelope.path), self._cleared)
        return True

    def _cleared(self, case: Case, done: Done) -> None:
        if isinstance(done.error, Interrupted):
            return
        case.cleared = True  # also when it failed: then they stay, and the batch goes on
        if done.error is not None:
            self.desk.say("retire", case, error=f"its copies stay: {done.error}")


def _fetches(case: Case) -> bool:
    return case.errand is not None and isinstance(case.errand.job, FetchJob)


_DEADLY = f"dropwatch ended {UNSEEN} times while it fetched the files of this batch."
