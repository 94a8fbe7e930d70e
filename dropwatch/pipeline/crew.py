"""Gives work to the workers and takes their answers. Users take turns; nothing here decides what a batch needs.

Answers come back as closures in the desk's queue and are applied by the line, one at a time.
"""

from __future__ import annotations

import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from dropwatch.durable import is_there
from dropwatch.errors import (
    DropwatchError,
    Interrupted,
    OperatorError,
    PermanentError,
    Unavailable,
)
from dropwatch.model import AskJob, Attached, Failed, Fileset, Imported, ImportJob, Job, Outcome
from dropwatch.pipeline.case import Case
from dropwatch.pipeline.desk import Desk, Result
from dropwatch.pipeline.letters import failure
from dropwatch.record import line_of
from dropwatch.schedule import Turns, next_attempt
from dropwatch.workers import Bug, Done

Guarded = Callable[[Case, Callable[[Case], None]], None]


@dataclass
class Crew:
    """asking, importing, fetching -- cases whose next step is Ask, Import or Fetch, waiting for their turn
    flying -- how many imports of each user the workers have in hand
    tidied -- the owner whose leftovers a worker is removing (tidying.py)
    """

    desk: Desk
    turns: Turns
    asking: dict[Any, Case] = field(default_factory=dict)
    importing: dict[Any, Case] = field(default_factory=dict)
    fetching: dict[Any, Case] = field(default_factory=dict)
    flying: Counter[str] = field(default_factory=Counter)
    tidied: str | None = None

    # -- errands: short jobs that never wait behind an import ----------------------------------------

    def errand(self, case: Case, job: Job, then: Callable[[Case, Done], None]) -> None:
        """Let a worker do *job*; *then* gets its answer in the line."""

        def apply(done: Done) -> None:
            case.errand = None
            if not case.surrendered:
                then(case, done)
            case.wake = 0.0

        case.errand = self.desk.workers.submit(job, partial(self._back, case, apply))

    def _back(self, case: Case, apply: Callable[[Done], None], done: Done) -> None:
        self.desk.results.put(Result(partial(apply, done), case))
        self.desk.ring()

    def _back_from_flight(self, case: Case, apply: Callable[[Done], None], done: Done) -> None:
        """What became of it may have to wait until its spool answers; the others get its seat at once."""
        self.desk.results.put(Result(partial(self._free, case.user)))
        self._back(case, apply, done)

    def _free(self, user: str) -> None:
        self.flying[user] -= 1

    # -- whose turn it is ----------------------------------------------------------------------------

    def wants_to_ask(self, case: Case) -> None:
        self.asking[case.key] = case

    def wants_to_import(self, case: Case) -> None:
        self.importing[case.key] = case

    def drop(self, case: Case) -> None:
        self.asking.pop(case.key, None)
        self.importing.pop(case.key, None)
        self.fetching.pop(case.key, None)

    def dispatch(self, guarded: Guarded, ask: Callable[[Case], None]) -> None:
        """Start what may start now: asks a little ahead of the imports, imports in turns. *guarded* does it
        for one case, and sees to it if that fails.

        One ask of an owner at a time: two that want the same new dataset would both make it, and tidy up after.
        And none while an upload goes on from a folder that was taken away, or of files that look the same: it may be
        what is asked about, dropped anew or twice. Nor while leftovers of the owner's are removed: both would delete.
        """
        under_way = [case for case in self.desk.cases.values() if self._is_open(case)]
        opened = Counter(case.user for case in under_way)
        owners = {case.owner for case in self.desk.cases.values() if self._asks(case)}
        if self.tidied is not None:
            owners.add(self.tidied)
        if self.asking:
            owners |= {case.owner for case in self.desk.cases.values() if self._was_taken_away(case)}
        for case in sorted(self.asking.values(), key=lambda case: case.envelope.claim):
            if opened[case.user] > self.turns.per_user or case.owner in owners:
                continue
            if any(map(case.resembles, under_way)):
                continue
            if not self._blocked(case, self.asking):
                del self.asking[case.key]
                opened[case.user] += 1
                under_way.append(case)
                owners.add(case.owner)
                guarded(case, ask)
        while self._start_one(guarded):
            pass

    def is_waiting(self) -> bool:
        """Whether some case waits for its turn and nothing else."""
        cases = (*self.asking.values(), *self.importing.values())
        return any(self.desk.blocked(case) is None for case in cases)

    @staticmethod
    def _asks(case: Case) -> bool:
        return case.errand is not None and isinstance(case.errand.job, AskJob)

    def _was_taken_away(self, case: Case) -> bool:
        """Whether its folder is no longer where its workers began to read it. Where that cannot be known: yes; such
        a spool is in trouble, and its uploads end soon."""
        if not case.flying or not case.spool.fence.answers():
            return False
        try:
            with self.desk.is_at(case.spool.root, f"{case.user}/{case.record.name}"):
                return not is_there(case.envelope.batch_folder)
        except OSError:
            return True

    def _is_open(self, case: Case) -> bool:
        return self._asks(case) or case.key in self.importing or bool(case.flying or case.queue)

    def _blocked(self, case: Case, waiting: dict[Any, Case]) -> bool:
        """A case that was blocked after it had got in line goes back to the line's next step. What OMERO had before
        the pause says nothing of after."""
        if self.desk.blocked(case) is None:
            return False
        del waiting[case.key]
        case.asked, case.wake = False, 0.0
        return True

    def _start_one(self, guarded: Guarded) -> bool:
        if self.desk.stopping.is_set() or self.flying.total() >= self.desk.config.workers.imports:
            return False
        alone = any(case.suspect and case.flying for case in self.desk.cases.values())
        able = [case for case in self.importing.values() if not (case.suspect and alone)]
        user = self.turns.choose(Counter(case.user for case in able), self.flying)
        if user is None:
            return False
        case = min((case for case in able if case.user == user), key=lambda case: case.envelope.claim)
        if not case.queue and self._blocked(case, self.importing):
            return True
        self.turns = self.turns.after(user)
        guarded(case, self._fly)
        return True

    # -- an attempt ----------------------------------------------------------------------------------

    def _begin(self, case: Case) -> None:
        """Count the attempt, and when the next one is due, before anything is done."""
        desk, attempts = self.desk, case.record.attempts + 1
        running = case.running()
        todo = [fileset for fileset in case.left() if fileset.id not in running]
        due = next_attempt(desk.config.retry.import_, attempts, desk.now())
        case.log(desk.now(), "import", f"attempt {attempts}: {len(todo)} to import")
        desk.write(case, attempts=attempts, not_before=due or desk.now(), attempting=True)
        desk.say("import", case, attempt=attempts, filesets=len(todo))
        desk.report(case, now_or_never=True)
        case.queue.extend(todo)

    def _fly(self, case: Case) -> None:
        if not case.queue:
            self._begin(case)
        fileset = case.queue.popleft()
        if not case.queue:
            del self.importing[case.key]
        back = partial(self._back_from_flight, case, partial(self._landed, case, fileset))
        case.flying[fileset.id] = self.desk.workers.submit(self._job(case, fileset), back)
        self.flying[case.user] += 1

    def _job(self, case: Case, fileset: Fileset) -> ImportJob:
        assert case.plan is not None and case.plan.order is not None and case.answers is not None
        # What was found of the other filesets would be sent along with each.
        answers = replace(case.answers, found={})
        seconds = self.desk.config.workers.timeout
        return ImportJob(
            case.envelope.path, case.plan.order, fileset, answers, seconds, case.spool.fence.proof()
        )

    def _landed(self, case: Case, fileset: Fileset, done: Done) -> None:
        case.flying.pop(fileset.id, None)
        case.wake = 0.0
        if case.surrendered:
            return
        outcome = self._outcome(case, done)
        try:
            if outcome is not None and not case.withdrawn:
                self._remember(case, fileset, outcome)
        finally:  # an outcome that cannot be written down (disk full) must not leave the attempt open
            if not case.flying and not case.queue:
                self.end_attempt(case)
        if case.busy:
            self.desk.report(case)

    def _remember(self, case: Case, fileset: Fileset, outcome: Outcome) -> None:
        planned = case.outcomes.get(fileset.id) or line_of(case.record.claim, fileset)
        line = replace(planned, attempt=case.record.attempts, at=self.desk.now(), outcome=outcome, more=())
        self.desk.note(case, line)
        self._tell(case, fileset, outcome)

    def _tell(self, case: Case, fileset: Fileset, outcome: Outcome) -> None:
        kind, error, more = type(outcome).__name__.lower(), None, ""
        if isinstance(outcome, Failed):
            error, more = outcome.error, f" {outcome.reason}\n{outcome.detail}"
        self.desk.say("record", case, file=fileset.name, outcome=kind, error=error)
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.desk.now()))
        text = f"{at} attempt {case.record.attempts} {fileset.name}: {kind}{more}"
        self.desk.log(case, text)

    def _outcome(self, case: Case, done: Done) -> Outcome | None:
        """What an import's answer means; None when nothing came of it because we were told to stop."""
        error = done.error
        if error is None:
            self.desk.works("omero")
            return done.value if isinstance(done.value, (Imported, Attached)) else None
        if isinstance(error, Interrupted):
            return None
        if done.died:
            if self.desk.stopping.is_set():
                return None  # whoever stopped us stopped the workers too
            case.died = case.suspect = True
        if isinstance(error, (Unavailable, OperatorError)):
            self.trouble(case, error)
            self.abandon(case)
            return failure(error, lasting=False)
        if isinstance(error, DropwatchError):
            return failure(error, lasting=_lasts(error, case.record.attempts))
        return self.bug(case, error)

    def trouble(self, case: Case, error: Unavailable | OperatorError) -> None:
        """Connecting failed, or an admin has to act: what it concerns is left alone for a while."""
        if error.concerns in ("spool", "state"):
            self.desk.met(case, error)
        else:
            name = f"user:{case.user}" if error.concerns == "user" else error.concerns
            self.desk.pause(name, error, case)

    def bug(self, case: Case, error: BaseException) -> Failed:
        """Something that nobody translated: a bug of ours. It counts, the admins hear of it, the others go on."""
        name, trace = type(error).__name__, "".join(traceback.format_exception(error))
        if isinstance(error, Bug):
            name, trace = error.name, error.detail
        self.desk.say("bug", case, error=f"{name}: {error}", trace=trace)
        if "bug" not in case.record.told:
            self.desk.letters.bug(case, f"{name}: {error}", trace)
            self.desk.write(case, told=(*case.record.told, "bug"))
        return Failed(
            "dropwatch met an error of its own with this file.", error=f"Bug {name}", detail=trace[-2000:]
        )

    def abandon(self, case: Case) -> None:
        """Leave what is not begun to the next attempt."""
        case.queue.clear()
        self.importing.pop(case.key, None)

    def end_attempt(self, case: Case) -> None:
        """Close the attempt; what is left waits for the next one, counted from now."""
        desk, record = self.desk, case.record
        case.suspect, case.died = case.died, False
        case.wake = 0.0
        if not case.left() or case.withdrawn:
            return  # the verdict, which comes next, is written with the attempt closed
        case.forget_attempt()  # before the record, which may fail: nothing is begun again without asking anew
        attempts = record.attempts
        due = next_attempt(desk.config.retry.import_, attempts, desk.now()) or record.not_before
        if desk.stopping.is_set():
            # The only refund: our own stop is not the batch's fault.
            attempts, due = max(0, attempts - 1), 0.0
        case.log(desk.now(), "defer", "the attempt left something to do")
        desk.write(case, attempts=attempts, not_before=due, attempting=False)
        desk.report(case, now_or_never=True)


def _lasts(error: DropwatchError, attempt: int) -> bool:
    """Whether trying again is of no use.

    Other bytes than listed are looked at once more, later: a writer behind a file server goes on through the claim, and
    no lease tells of it (task/planning.py).
    """
    return isinstance(error, PermanentError) and not (error.code == "checksum-listed" and attempt == 1)
