"""Carries every batch along: observe, decide, perform. The only room with a broad `except`.

One thread runs the line. What takes long is done by workers, whose answers are applied here.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from dropwatch import lifecycle
from dropwatch.errors import DropwatchError, OperatorError, TemporaryError, Unavailable
from dropwatch.lifecycle import Limits, next_step
from dropwatch.model import Envelope, Place
from dropwatch.pipeline.adoption import adopt
from dropwatch.pipeline.arrivals import Arrivals
from dropwatch.pipeline.case import Case
from dropwatch.pipeline.claims import Claims
from dropwatch.pipeline.crew import Crew
from dropwatch.pipeline.desk import Desk
from dropwatch.pipeline.lookup import Lookup
from dropwatch.pipeline.steps import Steps
from dropwatch.schedule import Turns
from dropwatch.spool.folders import MEMORY, Spool

CANCEL = "cancel"  #: marker in an envelope's .dropwatch/, holds the claim stamp that it is meant for
WATCH_OVER = 2.0  #: seconds between two looks whether a batch in work was cancelled or taken away
_BUG_WAIT = 60.0
_TROUBLE_WAIT = 10.0
FOREVER = float("inf")


@dataclass
class Pipeline:
    """tick() does all that can be done now and says when to come again."""

    desk: Desk
    arrivals: Arrivals
    crew: Crew
    steps: Steps
    limits: Limits
    looked_over: float = 0.0
    look_over_took: float = 0.0
    holds: frozenset[str] = frozenset()

    # -- one turn of the line ------------------------------------------------------------------------

    def tick(self) -> float:
        """Apply answers, carry each batch as far as it goes, start what may start.

        Returns when something is due next (epoch seconds); sooner whenever the bell rings.
        """
        self._apply_results()
        for case in self.arrivals.claim_ready():
            self.desk.cases[case.key] = case
        self._look_over()
        self._carry_all()
        self.crew.dispatch(self._ask)
        self._apply_results()
        due = min((case.wake for case in self.desk.cases.values()), default=FOREVER)
        return min(due, self._next_look_over(), self.arrivals.next_look(), self.desk.alert_outages())

    def sweep(self, spool: Spool) -> None:
        """Read the spool anew: inboxes, and envelopes that are in processing/ without our knowing."""
        users = spool.users()
        self.arrivals.expect(spool, users)
        for user in users.names:
            try:
                envelopes = list(spool.envelopes(user, Place.PROCESSING))
            except OSError as err:  # the look at the inbox tells of it, and the other users go on
                self.desk.say("sweep", user=user, error=f"{type(err).__name__}: {err}")
                continue
            for envelope in envelopes:
                if envelope.path not in self.desk.cases:
                    self._adopt(spool, envelope)

    def _adopt(self, spool: Spool, envelope: Envelope) -> None:
        """Take an envelope in hand that some earlier life of ours claimed."""
        try:
            case = adopt(self.desk, spool, envelope)
        except (DropwatchError, OSError) as err:
            self.desk.say("adopt", path=envelope.path, error=str(err))
            return
        except Exception as err:  # an envelope that cannot be taken in hand never stops the others
            self.desk.say("bug", path=envelope.path, error=str(err), trace=traceback.format_exc())
            return
        known = {one.record.batch for one in self.desk.cases.values()}
        if case is not None and case.record.batch not in known:
            self.desk.cases[case.key] = case

    # -- answers -------------------------------------------------------------------------------------

    def _apply_results(self) -> None:
        while not self.desk.results.empty():
            apply = self.desk.results.get()
            try:
                apply()
            except Exception as err:  # one batch's answer that cannot be applied never stops the others
                self.desk.say("bug", error=f"{type(err).__name__}: {err}", trace=traceback.format_exc())

    # -- carrying ------------------------------------------------------------------------------------

    def _carry_all(self) -> None:
        now = self.desk.now()
        for case in list(self.desk.cases.values()):
            if case.wake <= now:
                self._carry_guarded(case)

    def _carry_guarded(self, case: Case) -> None:
        try:
            self._carry(case)
        except TemporaryError as err:
            self._defer(case, err, _TROUBLE_WAIT)
        except (OperatorError, Unavailable) as err:
            self.crew.trouble(case, err)
            self._defer(case, err, _TROUBLE_WAIT)
        except FileNotFoundError as err:
            self._defer(case, err, 0.0 if self._is_gone(case) else _TROUBLE_WAIT)
        except OSError as err:
            self._defer(case, err, _TROUBLE_WAIT)
        except Exception as err:  # a bug in one batch never stops another
            self._defer(case, err, _BUG_WAIT)
            self.crew.bug(case, err)

    def _defer(self, case: Case, error: Exception, seconds: float) -> None:
        self.desk.say("defer", case, seconds=seconds, error=f"{type(error).__name__}: {error}")
        case.wake = self.desk.now() + seconds
        if self._is_gone(case):
            self._withdraw(case)
        else:
            self.desk.cases.setdefault(case.key, case)

    def _carry(self, case: Case) -> None:
        """Perform steps until there is something to wait for."""
        while case.key in self.desk.cases:
            now = self.desk.now()
            case.wake = FOREVER
            step = next_step(case.facts(self.desk.blocked(case)), self.limits, now)
            if isinstance(step, lifecycle.Wait):
                if step.until is not None and step.until <= now and case.asked:
                    self.steps.ask_again(case)
                    continue
                case.wake = min(FOREVER if step.until is None else step.until, self._delay_notice(case))
                return
            self._perform(step, case)
            if case.busy or case.wake != FOREVER or not self._moves(step):
                case.wake = min(case.wake, self._delay_notice(case))
                return

    @staticmethod
    def _moves(step: lifecycle.Step | None) -> bool:
        """Whether the line itself performed the step; Ask and Import only get in line for their turn."""
        return step is not None and not isinstance(step, (lifecycle.Ask, lifecycle.Import))

    def _perform(self, step: lifecycle.Step | None, case: Case) -> None:
        match step:
            case lifecycle.Gather():
                self.steps.gather(case)
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

    def _ask(self, case: Case) -> None:
        self.steps.ask(case)

    def _delay_notice(self, case: Case) -> float:
        """Tell the user once when a batch takes long; returns when that will be due."""
        record, mail = case.record, self.desk.config.mail
        if mail is None or record.verdict is not None or "delay" in record.told:
            return FOREVER
        due = record.claimed_at + mail.delay_notice
        if self.desk.now() < due:
            return due
        self.desk.letters.delay(case)
        self.desk.write(case, told=(*record.told, "delay"))
        return FOREVER

    # -- cancelled, or taken away ----------------------------------------------------------------------

    def _look_over(self) -> None:
        now = self.desk.now()
        if self.looked_over <= now < self._next_look_over():
            return
        self.looked_over = now
        self._look_at_holds()
        for case in list(self.desk.cases.values()):
            if self._is_gone(case):
                self._withdraw(case)
            elif not case.cancelled and case.record.verdict is None and self._cancel_marker(case):
                case.cancelled = True
                case.log(now, "cancel")
                self._stop_work(case)

        self.look_over_took = self.desk.now() - now

    def _next_look_over(self) -> float:
        """Soon, but never so often that looking takes more than a small part of the time."""
        return self.looked_over + max(WATCH_OVER, 20 * self.look_over_took)

    def _look_at_holds(self) -> None:
        """An admin who releases something means it to go on now, paused targets included."""
        holds = self.desk.read_holds()
        if holds != self.holds:
            if self.holds - holds:
                self.desk.pauses.hurry()
            self.holds = holds
            self.desk.wake_all()

    @staticmethod
    def _is_gone(case: Case) -> bool:
        # A share that is not mounted is an outage: nothing was taken out of it.
        gone = case.gathered and not os.path.lexists(case.envelope.batch_folder)
        return gone and case.spool.identity.is_file()

    @staticmethod
    def _cancel_marker(case: Case) -> bool:
        try:
            return (case.envelope.path / MEMORY / CANCEL).read_text("ascii").strip() == case.record.claim
        except (OSError, ValueError):
            return False

    def _stop_work(self, case: Case) -> None:
        case.stop.set()
        self.crew.abandon(case)
        self.crew.drop(case)
        case.wake = 0.0

    def _withdraw(self, case: Case) -> None:
        """A person took the batch out of processing/: stop its workers, then tell the user."""
        case.withdrawn = True
        self._stop_work(case)
        if case.busy:
            case.wake = FOREVER  # its workers' last answers bring it here again
            return
        self.desk.cases.pop(case.key, None)
        self.desk.say("withdraw", case)
        try:
            if case.record.verdict is None:
                self.desk.letters.withdrawn(case)
            if case.envelope.path.exists():
                case.spool.undo(case.envelope)
        except (DropwatchError, OSError) as err:  # the next sweep finds the envelope and tries again
            self.desk.say("withdraw", case, error=f"{type(err).__name__}: {err}")

    # -- for the daemon --------------------------------------------------------------------------------

    def active(self) -> bool:
        """Whether something moves by itself now: for `run --once`, which waits for that and for nothing more."""
        now = self.desk.now()
        cases = self.desk.cases.values()
        running = any(case.busy or case.wake <= now or (case.asked and case.running()) for case in cases)
        waiting = self.crew.is_waiting() or self.arrivals.settling() or bool(self.steps.lookup.asked)
        return running or waiting or not self.desk.results.empty()

    def stop(self) -> None:
        """Stop the workers in good order and remember how far they came."""
        self.desk.stopping.set()
        for case in self.desk.cases.values():
            case.queue.clear()
        self.desk.workers.close()
        self._apply_results()
        for case in self.desk.cases.values():
            if case.record.attempting:
                self.crew.end_attempt(case)


def pipeline(desk: Desk, spools: list[Spool], monotonic: Callable[[], float] = time.monotonic) -> Pipeline:
    """Put the rooms of the line together."""
    config = desk.config
    crew = Crew(desk, Turns(config.workers.per_user))
    limits = Limits(attempts=len(config.retry.import_) + 1)
    lookup = Lookup(desk)
    arrivals = Arrivals(desk, Claims(desk), lookup, {spool.root: spool for spool in spools}, monotonic)
    return Pipeline(desk, arrivals, crew, Steps(desk, crew, lookup), limits)
