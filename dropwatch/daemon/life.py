"""The life of the daemon: start, loop, stop. Locks its spools, watches, sweeps, beats its heart.

The line, the workers, the mailroom and the housekeeper never wait for one another. Signals only set
flags and ring.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from dropwatch import __version__, journal
from dropwatch.config import Config
from dropwatch.daemon.mailroom import SENT_KEPT, Mailroom, make_outbox
from dropwatch.daemon.pulse import hanging, pulse
from dropwatch.daemon.shift import SLOW, Shift, in_time
from dropwatch.daemon.tenure import Tenure
from dropwatch.errors import OperatorError, Unavailable
from dropwatch.ledger import Ledger
from dropwatch.model import Place
from dropwatch.mounts import mounted_below, needs_polling, why_polled
from dropwatch.outbox import Letter
from dropwatch.pipeline.addresses import Addresses
from dropwatch.pipeline.assembly import pipeline
from dropwatch.pipeline.desk import Desk, Result, Staff
from dropwatch.pipeline.letters import Letters
from dropwatch.pipeline.line import FOREVER, Pipeline
from dropwatch.pipeline.pauses import Pauses, first_pause
from dropwatch.pipeline.relief import At, Relieving
from dropwatch.pipeline.stores import spool_target
from dropwatch.spool.folders import MEMORY, Spool
from dropwatch.spool.knock import Knock
from dropwatch.spool.lease import ANOTHERS, PACE, Pace
from dropwatch.spool.presence import HANGS, HOLD, only_daemon, write_heartbeat
from dropwatch.watch import Doorbell

log = logging.getLogger("dropwatch")

HEART, QUICK_HEART = 5.0, 1.0  #: seconds between two heartbeats at rest, and while something is imported
#: Seconds; a clock that jumps costs no more than this. Windows tells a waiting thread of Ctrl-C only afterwards.
LONGEST_WAIT = 1.0 if sys.platform == "win32" else 60.0
LOST_SPOOL = 10.0  #: seconds between two looks whether a spool is back
GOODBYE = 15.0  #: seconds that mailroom and leases get at the end
STOPPING = 45.0  #: seconds beyond workers.grace that the line gets: its workers are stopped, then killed
_OLD_LETTERS = 3600.0  #: seconds between two looks for sent letters to forget


class Daemon:
    """One daemon for the spools of *config*.

    staff    -- does the work; closed at the end
    environ  -- where passwords may be, beside their files
    pace     -- of the leases on the spools
    patience -- seconds that the line may be at one thing before it is asked whether the spool answers
    """

    def __init__(
        self,
        config: Config,
        staff: Staff,
        environ: Mapping[str, str],
        *,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        pace: Pace = PACE,
        patience: float = SLOW,
    ) -> None:
        self._config = config
        self._patience = patience
        self._clock = clock
        self._rng = rng or random.Random()
        self._bell, self._stopping = threading.Event(), threading.Event()
        config.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        outbox = make_outbox(config, environ, clock)
        self.mailroom = Mailroom(outbox, config, clock, self._rng) if outbox else None
        self.tenure = Tenure((spool.path for spool in config.spools), _is_remote, self._lose, pace)
        self.line = self._make_line(staff)
        self._doorbells: dict[Path, Doorbell] = {}
        self._sweep_due = {spool.path: 0.0 for spool in config.spools}
        self._lost: SimpleQueue[Path] = SimpleQueue()
        self._started = clock()
        self.stuck = False  #: threads of the line still wait for a share: the process must not wait for them

    def _make_line(self, staff: Staff) -> Pipeline:
        config, state = self._config, self._config.state
        addresses = Addresses(state / "addresses.json")
        desk = Desk(
            config=config,
            ledger=Ledger(MEMORY),
            workers=staff,
            letters=Letters(config, self._post, self._keep, addresses, self._clock),
            addresses=addresses,
            pauses=Pauses(first_pause(config.retry.import_), self._rng),
            clock=self._clock,
            rng=self._rng,
            ring=self._bell.set,
            holds=state / HOLD,
        )
        roots = [one.path for one in config.spools]
        spools = [Spool(root, Relieving(self.tenure.fence(root), desk.relief, root)) for root in roots]
        return pipeline(desk, spools)

    def _post(self, letter: Letter) -> bool:
        return self.mailroom.post(letter) if self.mailroom else False

    def _keep(self, letter: Letter) -> None:
        if self.mailroom:
            self.mailroom.keep(letter)

    # -- running -------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop in good order. May be called from a signal handler: it only sets flags and rings."""
        self._stopping.set()
        self.line.desk.stopping.set()
        if self.mailroom:
            self.mailroom.stop()
        self._bell.set()

    def run(self, *, once: bool = False) -> None:
        """Run until stopped; with *once* until nothing moves by itself any more. Raises OperatorError
        when another daemon of this machine serves one of the spools."""
        with only_daemon(self._config.state), in_time(self.tenure.close, GOODBYE):
            self._take_spools()
            log.info(journal.line("start", version=__version__, pid=os.getpid()))
            for spool in self._config.spools:
                # Until the very end, and no longer than that: it is waited for by nobody.
                threading.Thread(
                    target=self.tenure.beat, args=(spool.path,), name="tenure", daemon=True
                ).start()
            threads = [threading.Thread(target=self._housekeeper, name="housekeeper", daemon=True)]
            if self.mailroom:
                run_mail = partial(self.mailroom.run, self.line.desk.letters)
                threads.append(threading.Thread(target=run_mail, name="mailroom", daemon=True))
            for thread in threads:
                thread.start()
            try:
                self._keep_the_line(partial(self._loop, once))
            finally:
                self._close(threads)

    def _keep_the_line(self, loop: Callable[[], None]) -> None:
        relief = self.line.desk.relief
        shift = Shift(loop, relief, self._clock, self._set_aside, self._lose, self._patience)
        self.stuck = not shift.watch(self._stopping) or bool(relief.waiting())

    def _answers(self, root: Path) -> bool:
        """Asked when the line is at *root* for long: what is mounted below it may hang by itself."""
        return all(
            Knock(path, patience=self._patience / 4).answers() for path in (root, *mounted_below(root))
        )

    def _set_aside(self, at: At) -> None:
        """The line goes on without a spool that hangs, and forgets what it knew of that."""
        spool = self.line.arrivals.spools[at.spool]
        log.warning(journal.line("hang", spool=at.spool, at=at.what))
        self.line.desk.results.put(Result(partial(self.line.surrender, spool)))

    def _take_spools(self) -> None:
        """Refuse to start beside another daemon. What is away now is taken when it comes."""
        for spool in self._config.spools:
            # What else is wrong with it, the first sweep meets as well, and pauses it.
            with suppress(Unavailable, OSError):
                self.tenure.take(spool.path)

    def _lose(self, root: Path) -> None:
        self._lost.put(root)
        self._bell.set()

    def _loop(self, once: bool) -> None:
        while not self._stopping.is_set():
            due = min(self._sweep(), self.line.tick())
            idle = self.mailroom is None or self.mailroom.is_idle()
            if once and idle and not self.line.active() and not self._awaits_lease():
                return
            longest = 0.2 if once else LONGEST_WAIT
            self._bell.wait(max(0.0, min(longest, due - self._clock())))
            self._bell.clear()

    def _awaits_lease(self) -> bool:
        """Whether it will be known by itself, and soon, if a daemon of another machine still serves a spool."""
        return any(one.error.code == "lease-held" for one in self.line.desk.pauses.all())

    def _close(self, threads: list[threading.Thread]) -> None:
        self.stop()
        for doorbell in self._doorbells.values():
            doorbell.close()
        with in_time(self.line.stop, self._config.workers.grace + STOPPING):
            pass
        for thread in threads:
            thread.join(timeout=GOODBYE)
        self._beat()
        log.info(journal.line("stop", pid=os.getpid()))

    # -- sweeping ------------------------------------------------------------------------------------

    def _sweep(self) -> float:
        """Sweep each spool that is due; returns when the next one is (epoch seconds)."""
        while not self._lost.empty():
            self._sweep_due[self._lost.get()] = 0.0
        for settings in self._config.spools:
            now, due = self._clock(), self._sweep_due[settings.path]
            every = settings.poll if self.line.arrivals.polled(settings.path) else settings.sweep
            hurried = self.line.desk.stores.wants_sweep(settings.path)
            if due <= now or due > now + every or hurried:  # the second: the clock was set back
                with self.line.desk.is_at(settings.path, "its folders"):
                    there = self._sweep_one(self.line.arrivals.spools[settings.path])
                self._sweep_due[settings.path] = now + (every if there else min(every, LOST_SPOOL))
        return min(self._sweep_due.values(), default=FOREVER)

    def _sweep_one(self, spool: Spool) -> bool:
        """Read one spool anew, and watch the inboxes that it has now. False when it is not there, or not ours."""
        desk = self.line.desk
        if not desk.stores.may_sweep(spool.root):
            return False
        try:
            spool.check_present()
            if self.tenure.take(spool.root):
                desk.relief.check()
                self.line.surrender(spool)  # what is known of it may be out of date
            self.line.sweep(spool)
            self._listen(spool)
        except (Unavailable, OperatorError, OSError) as err:
            self._cannot_sweep(spool, err)
            if spool.root in self._doorbells:  # a watch does not outlive its mount
                self._doorbells[spool.root].close()
            return False
        desk.works(spool_target(spool.root))
        return not self.line.surrenders(spool)

    def _cannot_sweep(self, spool: Spool, err: Unavailable | OperatorError | OSError) -> None:
        desk, target = self.line.desk, spool_target(spool.root)
        if not isinstance(err, OSError) and err.code in ANOTHERS:
            self.line.surrender(spool)
        if desk.stores.met(err, spool.root, target) is None:
            desk.say("sweep", spool=spool.root, error=f"{type(err).__name__}: {err}")

    def _listen(self, spool: Spool) -> None:
        """Watch the inboxes that the spool has now, or see that they are polled. Found out anew each time: where a
        share came back, something else may be mounted than before."""
        inboxes = {user: spool.folder(user, Place.INBOX) for user in spool.users().names}
        desk, watch = self.line.desk, self.line.arrivals.settings(spool.root).watch
        why = "configured" if watch == "poll" else ""
        if watch == "auto":
            why = why_polled(spool.root, inboxes.values())
        if why != desk.polled.get(spool.root):
            desk.say("watch", spool=spool.root, by="polling" if why else "events", because=why or None)
            desk.polled[spool.root] = why
        ring = partial(self.line.arrivals.ring, spool.root)
        doorbell = self._doorbells.setdefault(spool.root, Doorbell(ring, partial(ring, None)))
        if why:
            doorbell.close()
            return
        for failure in doorbell.watch(inboxes):
            desk.say("watch", spool=spool.root, error=failure)

    # -- the housekeeper -----------------------------------------------------------------------------

    def _housekeeper(self) -> None:
        """Beats the heart, tends the workers and forgets old letters, whatever else hangs."""
        cleaned = 0.0
        while not self._stopping.is_set():
            self._beat()
            self.line.desk.workers.tend()
            self._alert_of_hanging()
            if self.mailroom and self._clock() - cleaned > _OLD_LETTERS:
                cleaned = self._clock()
                self._forget_letters(cleaned - SENT_KEPT)
            self._stopping.wait(HEART if not self.line.crew.flying.total() else QUICK_HEART)

    def _alert_of_hanging(self) -> None:
        """The line cannot tell the admins of a share that keeps it waiting."""
        at, desk = hanging(self.line.desk), self.line.desk
        if at is None or self._clock() - at.since < self._config.retry.outage_alert:
            return
        error = OperatorError(f"{at.spool} does not answer.", concerns="spool", remedy=HANGS.format(at.spool))
        try:
            desk.letters.fault(error, [])
        except OSError as err:
            log.info(journal.line("mail", error=f"{type(err).__name__}: {err}"))

    def _forget_letters(self, before: float) -> None:
        try:
            if self.mailroom:
                self.mailroom.outbox.purge_sent(before)
        except OSError as err:
            log.info(journal.line("mail", error=f"{type(err).__name__}: {err}"))

    def _beat(self) -> None:
        mail = self.mailroom.pauses if self.mailroom else None
        try:
            waiting = self.tenure.waiting_for() | self.line.desk.relief.waiting()
            stopped = self._stopping.is_set()
            beat = pulse(self.line.desk, mail, self._started, waiting, stopped=stopped)
            write_heartbeat(self._config.state, beat)
        except OSError as err:
            self.line.report(err)


def _is_remote(path: Path) -> bool:
    return needs_polling(path) != ""


def on_signals(stop: Callable[[], None]) -> None:
    """Stop on SIGTERM and SIGINT (Windows: also on Ctrl-Break)."""
    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, lambda *_: stop())
