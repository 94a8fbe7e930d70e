"""Performs the steps of a claimed batch, one method each. What the next step is, lifecycle.py decides."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from dropwatch.errors import (
    DropwatchError,
    Interrupted,
    OperatorError,
    PermanentError,
    Unavailable,
)
from dropwatch.lifecycle import verdict
from dropwatch.model import (
    NOT_READ,
    Answers,
    AskJob,
    Attached,
    Attachment,
    Batch,
    Failed,
    FetchJob,
    Imported,
    Plan,
    PlanJob,
    Problem,
    Refused,
    Skipped,
)
from dropwatch.pipeline.case import Case
from dropwatch.pipeline.crew import Crew
from dropwatch.pipeline.desk import Desk
from dropwatch.pipeline.fetches import Fetches
from dropwatch.pipeline.lookup import Lookup
from dropwatch.pipeline.stores import batch_target
from dropwatch.record import Line, line_of
from dropwatch.report import count
from dropwatch.schedule import next_attempt
from dropwatch.spool import loose
from dropwatch.spool.folders import LOCK, MEMORY
from dropwatch.spool.locks import is_held
from dropwatch.spool.moves import InUse
from dropwatch.workers import Done

RUNNING_POLL = 2.0  #: seconds between two questions whether the server has finished
CRASHES = 20  #: how many crashes of its planning a batch is forgiven before they count as attempts
WRITER_POLL = 5.0  #: seconds between two looks whether a writer has let go of its file


@dataclass
class Steps:
    desk: Desk
    crew: Crew
    lookup: Lookup
    fetches: Fetches = field(init=False)

    def __post_init__(self) -> None:
        self.fetches = Fetches(self.desk, self.crew, self.lookup, self.count_failure, self._give_up)

    # -- Gather, Plan --------------------------------------------------------------------------------

    def gather(self, case: Case) -> None:
        """Go on moving the loose files of this claim."""
        try:
            loose.gather(case.spool, case.envelope, case.record.loose)
        except InUse:
            case.wake = self.desk.now() + 2.0
            return
        case.gathered = not loose.ungathered(case.spool, case.envelope, case.record.loose)

    def plan(self, case: Case) -> None:
        self.crew.errand(case, self._planning(case), self._planned)

    def _planning(self, case: Case) -> PlanJob:
        record = case.record
        dropped = record.dropped or record.name
        batch = Batch(case.envelope, record.batch, dropped, record.claimed_at, case.spool.root)
        return PlanJob(batch, died=case.crashed, fetched=record.fetched)

    def _planned(self, case: Case, done: Done) -> None:
        case.crashed = done.died
        if case.crashed and case.crashes < CRASHES:
            # Its journal (task/looking.py) knows at which file: the next plan goes on without it.
            case.crashes += 1
            self.desk.say("defer", case, reason="a file hung or crashed Bio-Formats", detail=done.error)
            return
        if done.error is not None:
            self._errand_failed(case, done.error)
            return
        plan: Plan = done.value
        if plan.writing and not self._waited_enough(case):
            case.log(self.desk.now(), "defer", f"{plan.writing[0]} is still open for writing")
            self.desk.write(case, not_before=self.desk.now() + WRITER_POLL)
            return
        if plan.wanted is not None and plan.order is not None:
            job = self._planning(case)
            place = plan.wanted.place
            note = f"Its files are to be fetched from {place}; the originals stay there."
            self.desk.write(case, place=place, name=plan.name, fetched=False, notes=(note,))
            case.wants = FetchJob(job.batch, plan.order, plan.wanted)
            return
        self._adopt_plan(case, plan)

    def _waited_enough(self, case: Case) -> bool:
        """A writer that never lets go of its file holds the batch back for a bounded time only."""
        rules = self.desk.config.spool_for(case.spool.root)
        bound = rules.incomplete.tell if rules else 3600.0
        return self.desk.now() - case.record.claimed_at >= bound

    def _adopt_plan(self, case: Case, plan: Plan) -> None:
        desk, claim = self.desk, case.record.claim
        fresh = [fileset for fileset in plan.filesets if fileset.id not in case.outcomes]
        if fresh:
            desk.ledger.plan(case.envelope.path, claim, fresh)
        for fileset in fresh:
            case.outcomes[fileset.id] = replace(line_of(claim, fileset), more=())
        for refused in plan.refused:
            self._refuse(case, refused)
        planned = case.record.planned
        if not planned or plan.problems:
            case.log(desk.now(), "plan", _told(plan))
            desk.write(case, planned=True, name=plan.name, problems=plan.problems, notes=plan.notes)
            desk.say("plan", case, filesets=len(plan.filesets), problems=len(plan.problems))
        # Only now: what could not be written down is planned anew.
        case.plan, case.hopeless = plan, bool(plan.problems)
        if not planned or plan.problems:
            desk.report(case, now_or_never=True)

    def _refuse(self, case: Case, refused: Refused) -> None:
        key = f"refused-{refused.name}"
        if key not in case.outcomes:
            failed = Failed(
                refused.reason, refused.remedy, lasting=True, error=refused.error, detail=refused.detail
            )
            line = Line(case.record.claim, key, refused.name, refused.files, refused.bytes)
            self.desk.note(case, replace(line, at=self.desk.now(), outcome=failed))

    # -- Ask -----------------------------------------------------------------------------------------

    def ask(self, case: Case) -> None:
        if case.plan is None or is_held(case.envelope.path / MEMORY / LOCK):
            case.wake = self.desk.now() + RUNNING_POLL
            case.waiting_for = "another process holds the lock of this batch"
            self._tell_if_stuck(case)
            return
        self.desk.pauses.probe(self.desk.names(case))
        self.crew.errand(case, AskJob(case.envelope.path, case.plan), self._asked)

    def _asked(self, case: Case, done: Done) -> None:
        self.desk.pauses.probed(self.desk.names(case))
        if done.error is not None:
            self._errand_failed(case, done.error)
            return
        answers: Answers = done.value
        for name in self.desk.names(case):
            self.desk.works(name)
        if case.owner:
            self.desk.addresses.learn(case.owner, answers.email)
        case.answers, case.asked = answers, True
        case.ask_again = self.desk.now() + RUNNING_POLL * min(2**case.polls, 16)
        notes = (*case.record.notes, *([answers.container.note] if answers.container.note else []))
        # Not written yet: whatever comes next (the attempt, the verdict) writes the record before it acts.
        case.record = replace(
            case.record,
            container=answers.container,
            group=answers.group,
            notes=tuple(dict.fromkeys(notes)),
        )
        self._note_found(case, answers)

    def _note_found(self, case: Case, answers: Answers) -> None:
        for fileset in case.left():
            found = answers.found.get(fileset.id)
            if isinstance(found, (Imported, Skipped, Attached)):
                line = case.outcomes[fileset.id]
                self.desk.note(
                    case, replace(line, at=self.desk.now(), attempt=case.record.attempts, outcome=found)
                )
                self.desk.say("record", case, file=fileset.name, outcome="found")

    def ask_again(self, case: Case) -> None:
        """The server was still importing when it was asked last; see whether it has finished."""
        case.asked, case.polls = False, case.polls + 1
        self._tell_if_stuck(case)

    def _tell_if_stuck(self, case: Case) -> None:
        """No import takes that long, and nobody may hold a batch back for ever: the admins hear of it, once."""
        waited = self.desk.now() - case.record.claimed_at
        if waited > self.desk.config.workers.timeout and "stuck" not in case.record.told:
            self.desk.letters.stuck(case, waited)
            self.desk.write(case, told=(*case.record.told, "stuck"))

    # -- when an errand fails ------------------------------------------------------------------------

    def _errand_failed(self, case: Case, error: BaseException) -> None:
        """Sort a failure of plan or ask by what to do about it (DESIGN section 7)."""
        if isinstance(error, Interrupted):
            return  # we are being stopped, or it was cancelled
        if isinstance(error, (Unavailable, OperatorError)):
            self.crew.trouble(case, error)
        elif isinstance(error, PermanentError):
            self._give_up(case, Problem(error.message, error.remedy, type(error).__name__, error.detail))
        elif isinstance(error, DropwatchError):
            if error.code != NOT_READ or not self.desk.stores.is_sick(case.spool.root):
                self.count_failure(case, error.message)
        else:
            self.crew.bug(case, error)
            self.count_failure(case, "dropwatch met an error of its own.")

    def _give_up(self, case: Case, problem: Problem) -> None:
        case.hopeless = case.asked = True
        self.desk.write(case, problems=(*case.record.problems, problem))

    def count_failure(self, case: Case, reason: str) -> None:
        """It broke before a fileset was begun. It counts as an attempt, so that it is bounded."""
        desk, attempts = self.desk, case.record.attempts + 1
        intervals = desk.config.retry.import_
        if attempts > len(intervals) + 1:
            # The last question before giving up could not be answered either.
            self._give_up(case, Problem(reason, "Move the folder back to inbox to try again."))
            return
        due = next_attempt(intervals, attempts, desk.now())
        case.log(desk.now(), "defer", reason)
        desk.say("defer", case, reason=reason, attempt=attempts)
        desk.write(case, attempts=attempts, not_before=due or desk.now())
        case.forget_attempt()

    # -- Conclude, Notify, Retire ----------------------------------------------------------------------

    def conclude(self, case: Case) -> None:
        """Write the verdict."""
        desk = self.desk
        self._explain_unfinished(case)
        outcomes = [line.outcome for line in case.lines()]
        ruling = verdict(outcomes, cancelled=case.cancelled, hopeless=case.hopeless)
        case.log(desk.now(), "conclude", ruling.value)
        desk.write(case, verdict=ruling, concluded_at=desk.now(), attempting=False)
        desk.say("conclude", case, verdict=ruling.value, attempts=case.record.attempts)
        desk.concluded[ruling.value] = desk.concluded.get(ruling.value, 0) + 1

    def _explain_unfinished(self, case: Case) -> None:
        """A fileset that no attempt reached needs a reason too; why the attempts ended is that reason."""
        if case.cancelled or case.hopeless:
            return
        last = case.last_failure()
        for fileset in case.left():
            if case.outcome(fileset.id) is None:
                reason = last.reason if last else "OMERO could not be reached in any attempt."
                failed = Failed(reason, "Move the folder back to inbox to try again.", error="exhausted")
                line = replace(case.outcomes[fileset.id], at=self.desk.now(), outcome=failed)
                self.desk.note(case, line)

    def notify(self, case: Case) -> None:
        """Write the letters and the last report; only when they are safe on disk does the record say so."""
        desk = self.desk
        if case.plan is None:
            # A restart came in between: who else is to be told stands in the manifest only.
            self.crew.errand(case, self._planning(case), self._planned_to_tell)
            return
        wait = self.lookup.wait(case.user, case.owner, case.record.concluded_at or 0.0)
        if wait is not None:
            case.wake = desk.now() + wait
            return
        desk.letters.outcome(case)
        desk.last_report(case)
        case.log(desk.now(), "notify")
        desk.write(case, notified=True)
        desk.say("notify", case)

    def _planned_to_tell(self, case: Case, done: Done) -> None:
        if done.error is None:
            case.plan = done.value
        else:
            problem = Problem(str(done.error), error=type(done.error).__name__)
            case.plan = Plan(case.record.name, None, problems=(problem,))

    def retire(self, case: Case) -> None:
        """Move the envelope to where its verdict belongs; from then on it is never touched again."""
        desk, ruling = self.desk, case.record.verdict
        if ruling is None or self.fetches.clear(case):
            return
        key = case.key
        case.envelope = case.spool.retire(case.envelope, ruling.place)
        del desk.cases[key]
        desk.works(batch_target(case.record.batch))
        desk.say("retire", case, place=ruling.place.value)


def _told(plan: Plan) -> str:
    """What was planned, for people."""
    images = sum(not isinstance(fileset, Attachment) for fileset in plan.filesets)
    refused = f", {len(plan.refused)} refused" if plan.refused else ""
    return f"{count(images, 'image file')}{refused}"
