"""Carries every batch along: observe, decide, perform. The only room with a broad `except`.

One thread runs the line. What takes long is done by workers, whose answers are applied here.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dropwatch import lifecycle
from dropwatch.errors import DropwatchError, OperatorError, Unavailable
from dropwatch.lifecycle import Limits, next_step
from dropwatch.model import Envelope, Place
from dropwatch.pipeline.adoption import adopt
from dropwatch.pipeline.arrivals import Arrivals
from dropwatch.pipeline.case import Case
from dropwatch.pipeline.crew import Crew
from dropwatch.pipeline.desk import Desk, Result
from dropwatch.pipeline.oversight import Oversight
from dropwatch.pipeline.steps import Steps
from dropwatch.pipeline.stores import batch_target
from dropwatch.pipeline.tidying import Tidying
from dropwatch.spool.folders import Spool

_TROUBLE_WAIT = 10.0
FOREVER = float("inf")


@dataclass
class Pipeline:
    """tick() does all that can be done now and says when to come again."""

    desk: Desk
    arrivals: Arrivals
    crew: Crew
    steps: Steps
    oversight: Oversight
    tidying: Tidying
    limits: Limits
    bug_wait: float = 60.0  #: seconds until a batch that met a bug of ours is looked at again

    # -- one turn of the line ------------------------------------------------------------------------

    def tick(self) -> float:
        """Apply answers, carry each batch as far as it goes, start what may start.

        Returns when something is due next (epoch seconds); sooner whenever the bell rings.
        """
        try:
            return self._turn()
        except Exception as err:  # the last guard: what belongs to no batch must not end the daemon either
            self.desk.say("bug", error=f"{type(err).__name__}: {err}", trace=traceback.format_exc())
            return self.desk.now() + _TROUBLE_WAIT

    def _turn(self) -> float:
        probed = self.desk.stores.probe()
        self._apply_results()
        for case in self.arrivals.claim_ready():
            self.desk.cases[case.key] = case
        for spool, user in self.arrivals.rung_at():
            if spool.fence.answers():
                with self.desk.is_at(spool.root, f"{user}'s folders"):
                    self._look_over(spool, user)
        self.oversight.look(self._guarded)
        self._carry_all()
        self.crew.dispatch(self._guarded, self.steps.ask)
        self.steps.fetches.dispatch(self._guarded)
        tidied = self.tidying.turn()
        self._apply_results()
        due = min((case.wake for case in self.desk.cases.values()), default=FOREVER)
        overseen = self.oversight.due() if self.desk.cases else FOREVER
        return min(due, overseen, probed, tidied, self.arrivals.next_look(), self.desk.alert_outages())

    def sweep(self, spool: Spool) -> None:
        """Read the spool anew: inboxes, and envelopes that are in processing/ without our knowing."""
        users = spool.users()
        self.desk.relief.check()
        self.arrivals.expect(spool, users)
        for user in users.names:
            self._look_over(spool, user)

    def _look_over(self, spool: Spool, user: str) -> None:
        """Take in hand what is in *user*'s processing/ without our knowing."""
        try:
            unknown = list(spool.envelopes(user, Place.PROCESSING, but=self.desk.cases))
        except OSError as err:  # the look at the inbox tells of it, and the other users go on
            self._cannot(spool, f"inbox:{user}", err, "sweep", user=user)
            return
        cases = self.desk.cases.values() if unknown else ()
        known = {case.record.batch for case in cases if case.user == user}
        for envelope in unknown:
            self._adopt(spool, envelope, known)

    def _cannot(self, spool: Spool, corner: str, error: OSError, verb: str, **values: Any) -> None:
        """Something of a sweep failed: the storage is left alone, or the log has what it was."""
        if self.desk.stores.met(error, spool.root, corner) is None:
            self.desk.say(verb, **values, error=f"{type(error).__name__}: {error}")

    def _adopt(self, spool: Spool, envelope: Envelope, known: set[str]) -> None:
        """Take an envelope in hand that an earlier life of ours claimed, or who cancelled a drop. *known*: batches in
        hand, of its user: an id is written in a record, and a forged one must not stand in another's way."""
        try:
            case = adopt(self.desk, spool, envelope)
        except DropwatchError as err:
            self.desk.say("adopt", path=envelope.path, error=str(err))
            return
        except OSError as err:
            self._cannot(spool, batch_target(envelope.claim), err, "adopt", path=envelope.path)
            return
        except Exception as err:  # an envelope that cannot be taken in hand never stops the others
            self.desk.say("bug", path=envelope.path, error=str(err), trace=traceback.format_exc())
            return
        self.desk.relief.check()
        if case is not None and case.record.batch not in known:
            self.desk.cases[case.key] = case
            known.add(case.record.batch)

    # -- a spool that is another daemon's ------------------------------------------------------------

    def surrender(self, spool: Spool) -> None:
        """Another daemon serves *spool* now, or did meanwhile: stop all work on it and write nothing more about
        it. When it is ours again, a sweep finds what there is."""
        self.arrivals.leave(spool)
        for case in [case for case in self.desk.cases.values() if case.spool is spool]:
            case.surrendered = True
            self.oversight.stop_work(case)
            self._let_go(case)

    def surrenders(self, spool: Spool) -> bool:
        """Whether workers still have something that was surrendered."""
        return any(case.spool is spool and case.surrendered for case in self.desk.cases.values())

    def _let_go(self, case: Case) -> None:
        case.wake = FOREVER  # its workers' last answers bring it here again
        if not case.busy:
            self.desk.say("surrender", case)
            del self.desk.cases[case.key]

    # -- answers -------------------------------------------------------------------------------------

    def _apply_results(self) -> None:
        for _ in range(self.desk.results.qsize()):
            result = self.desk.results.get()
            if result.case is not None and not result.case.spool.fence.answers():
                # To write it down there now would keep everything else waiting.
                self.desk.results.put(result)
            elif result.case is not None:
                self._guarded(result.case, result.apply_to)
            else:
                result.apply()

    # -- carrying ------------------------------------------------------------------------------------

    def _carry_all(self) -> None:
        now = self.desk.now()
        for case in list(self.desk.cases.values()):
            if case.wake <= now and not case.spool.fence.answers():
                case.wake = now + _TROUBLE_WAIT
            elif case.wake <= now:
                self._guarded(case, self._carry)

    def _guarded(self, case: Case, act: Callable[[Case], None]) -> None:
        """Do something for one case. Whatever goes wrong with it never stops another."""
        try:
            with self.desk.is_at(case.spool.root, f"{case.user}/{case.record.name}"):
                act(case)
        except (OperatorError, Unavailable) as err:
            self.crew.trouble(case, err)
            self._defer(case, err, _TROUBLE_WAIT)
        except DropwatchError as err:
            self._defer(case, err, _TROUBLE_WAIT)
        except OSError as err:
            paused = self.desk.met(case, err)
            if paused is None:
                self._defer(case, err, _TROUBLE_WAIT)
            else:
                self._put_off(case, paused.pause.until)
        except Exception as err:  # a bug in one batch never stops another
            self._defer(case, err, self.bug_wait)
            self._tell_of_bug(case, err)

    def _tell_of_bug(self, case: Case, error: Exception) -> None:
        """A bug counts as an attempt, so that a batch that provokes one is given up in the end."""
        try:
            self.crew.bug(case, error)
            self.steps.count_failure(case, "dropwatch met an error of its own.")
        except (DropwatchError, OSError) as err:  # the disk is full, say: the log has it
            self.desk.say("bug", case, error=f"{type(err).__name__}: {err}")

    def _defer(self, case: Case, error: Exception, seconds: float) -> None:
        self.desk.say("defer", case, seconds=seconds, error=f"{type(error).__name__}: {error}")
        self._put_off(case, self.desk.now() + seconds)

    def _put_off(self, case: Case, until: float) -> None:
        """Come back to *case* later. What was planned and asked for an attempt that broke here holds no longer."""
        self.crew.abandon(case)
        self.crew.drop(case)
        if case.record.attempting and case.record.verdict is None and not case.busy:
            case.forget_attempt()
        case.wake = 0.0 if case.surrendered else until
        if not case.surrendered:
            self.desk.cases.setdefault(case.key, case)

    def _carry(self, case: Case) -> None:
        """Perform steps until there is something to wait for."""
        if case.surrendered:
            self._let_go(case)
            return
        if case.withdrawn:
            self.oversight.withdraw(case)
            return
        while case.key in self.desk.cases:
            now = self.desk.now()
            stalled = self.oversight.unsure_until(case) or self.desk.stalled(case)
            if stalled is not None:
                case.wake = stalled
                return
            case.wake = FOREVER
            step = next_step(case.facts(self.desk.blocked(case)), self.limits, now)
            if isinstance(step, lifecycle.Wait):
                if step.until is not None and step.until <= now and case.asked:
                    self.steps.ask_again(case)
                    continue
                case.wake = min(FOREVER if step.until is None else step.until, self._delay_notice(case))
                return
            letterless = self.desk.stores.holding_letters()
            if isinstance(step, lifecycle.Notify) and letterless is not None:
                case.wake, case.waiting_for = letterless.pause.until, letterless.error.message
                return
            self._perform(step, case)
            if case.busy or case.wake != FOREVER or not self._moves(step):
                case.wake = min(case.wake, self._delay_notice(case))
                return

    @staticmethod
    def _moves(step: lifecycle.Step | None) -> bool:
        """Whether the line itself performed the step; Ask, Import and Fetch only get in line for their turn."""
        return step is not None and not isinstance(step, (lifecycle.Ask, lifecycle.Import, lifecycle.Fetch))

    def _perform(self, step: lifecycle.Step | None, case: Case) -> None:
        match step:
            case lifecycle.Gather():
                self.steps.gather(case)
            case lifecycle.Fetch():
                self.steps.fetches.wants(case)
            case lifecycle.Plan():
                self.steps.plan(case)
            case lifecycle.Ask():
                self.crew.wants_to_ask(case)
            case lifecycle.Import():
                self.crew.wants_to_import(case)
            case lifecycle.Conclude():
                self.steps.conclude(case)
            case lifecycle.Notify():
                self.steps.notify(case)
            case lifecycle.Retire():
                self.steps.retire(case)
            case _:
                pass

    def _delay_notice(self, case: Case) -> float:
        """Tell the user once when a batch takes long; returns when that will be due."""
        record, mail = case.record, self.desk.config.mail
        if mail is None or record.verdict is not None or "delay" in record.told:
            return FOREVER
        due, letterless = record.claimed_at + mail.delay_notice, self.desk.stores.holding_letters()
        if self.desk.now() < due:
            return due
        if letterless is not None:
            return letterless.pause.until
        self.desk.letters.delay(case)
        self.desk.write(case, told=(*record.told, "delay"))
        return FOREVER

    # -- for the daemon --------------------------------------------------------------------------------

    def active(self) -> bool:
        """Whether something moves by itself now: for `run --once`, which waits for that and for nothing more."""
        now = self.desk.now()
        cases = self.desk.cases.values()
        running = any(case.busy or case.wake <= now or (case.asked and case.running()) for case in cases)
        running = running or any(case.missed is not None for case in cases)
        running = running or any(map(self.desk.stores.wants_sweep, self.arrivals.spools))
        waiting = self.crew.is_waiting() or self.steps.fetches.is_waiting() or bool(self.steps.lookup.asked)
        return running or waiting or self.arrivals.settling() or not self.desk.results.empty()

    def report(self, error: OSError) -> None:
        """The state folder could not be written to. May be called from any thread."""

        def apply() -> None:
            if self.desk.stores.holding_letters() is not None:
                return  # known, and tried again in its own time
            if self.desk.stores.met_in_state(error) is None:
                self.desk.say("heartbeat", error=f"{type(error).__name__}: {error}")

        self.desk.results.put(Result(apply))
        self.desk.ring()

    def stop(self) -> None:
        """Stop the workers in good order and remember how far they came."""
        self.desk.stopping.set()
        for case in self.desk.cases.values():
            case.queue.clear()
        self.desk.workers.close(self.desk.config.workers.grace)
        self._apply_results()
        for case in self.desk.cases.values():
            if case.record.attempting:
                self._guarded(case, self.crew.end_attempt)
