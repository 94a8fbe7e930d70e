"""The life of the daemon: start, loop, stop. Locks its spools, watches, sweeps, beats its heart.

Four threads never wait for one another: the line, the workers' pool, the postman and the housekeeper. Each
sets flags and rings; none sleeps.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropwatch import __version__, credentials, journal
from dropwatch.config import Config
from dropwatch.errors import OperatorError, Unavailable
from dropwatch.importers.base import Importer
from dropwatch.ledger import Ledger
from dropwatch.model import Place
from dropwatch.outbox import Delivered, MailServerSettings, Outbox
from dropwatch.pipeline.addresses import Addresses
from dropwatch.pipeline.desk import Desk
from dropwatch.pipeline.letters import Letters
from dropwatch.pipeline.line import FOREVER, Pipeline, pipeline
from dropwatch.pipeline.pauses import Pauses
from dropwatch.spool.folders import MEMORY, Spool
from dropwatch.spool.presence import HOLD, only_daemon, write_heartbeat
from dropwatch.task import Workshop
from dropwatch.watch import Doorbell, needs_polling
from dropwatch.workers import Workers

log = logging.getLogger("dropwatch")

HEART = 5.0  #: seconds between two heartbeats
SENT_KEPT = 30 * 86400.0  #: seconds that sent letters are remembered, so that none is written twice
LONGEST_WAIT = 60.0  #: seconds; a clock that jumps costs no more than this
_OLD_LETTERS = 3600.0  #: seconds between two looks for sent letters to forget


@dataclass
class Bell:
    """Wakes a thread that waits. Ringing twice is ringing once."""

    event: threading.Event = field(default_factory=threading.Event)

    def ring(self) -> None:
        self.event.set()

    def wait(self, until: float, now: float) -> None:
        """Wait until the bell rings or *until* (epoch seconds) has come."""
        self.event.wait(max(0.0, min(LONGEST_WAIT, until - now)))
        self.event.clear()


class Daemon:
    """One daemon for the spools of *config*.

    importer -- an Importer, closed at the end
    environ  -- where passwords may be, beside their files
    """

    def __init__(
        self,
        config: Config,
        importer: Importer,
        environ: Mapping[str, str],
        *,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        self._config = config
        self._clock = clock
        self._bell, self._mail_bell = Bell(), Bell()
        self._stopping = threading.Event()
        self._rng = rng or random.Random()
        config.state.mkdir(parents=True, exist_ok=True)
        self.outbox = _outbox(config, environ, clock)
        self._workshop = Workshop(config, importer)
        self.line = self._make_line()
        self._mail_pauses = Pauses(_first_pause(config.retry.mail), self._rng)
        self._doorbells: dict[Path, Doorbell] = {}
        self._swept: dict[Path, float] = {}
        self._started = clock()
        self._posted = self._delivered = 0
        self.died = 0

    def _make_line(self) -> Pipeline:
        config, state = self._config, self._config.state
        addresses = Addresses(state / "addresses.json")
        desk = Desk(
            config=config,
            ledger=Ledger(MEMORY),
            workshop=self._workshop,
            workers=Workers(config.workers.imports),
            letters=Letters(config, self._post, addresses, self._clock),
            addresses=addresses,
            pauses=Pauses(_first_pause(config.retry.import_), self._rng),
            clock=self._clock,
            rng=self._rng,
            ring=self._bell.ring,
            holds=state / HOLD,
            polled={
                spool.path: reason for spool in config.spools if (reason := _polling(spool.path, spool.watch))
            },
        )
        return pipeline(desk, [Spool(spool.path) for spool in config.spools])

    def _post(self, letter: Any) -> bool:
        fresh = self.outbox.post(letter) if self.outbox else False
        if fresh:
            self._posted += 1
            self._mail_bell.ring()
        return fresh

    # -- running -------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop in good order. May be called from a signal handler: it only sets flags and rings."""
        self._stopping.set()
        self.line.desk.stopping.set()
        self._bell.ring()
        self._mail_bell.ring()

    def run(self, *, once: bool = False) -> None:
        """Run until stopped; with *once* until nothing moves by itself any more. Raises OperatorError
        when another daemon serves one of the spools."""
        with only_daemon([spool.path for spool in self._config.spools], self._config.state):
            log.info(journal.line("start", version=__version__, pid=os.getpid()))
            threads = [
                threading.Thread(target=target, name=target.__name__.strip("_"), daemon=True)
                for target in (self._postman, self._housekeeper)
            ]
            for thread in threads:
                thread.start()
            try:
                self._loop(once)
            finally:
                self._close(threads)

    def _loop(self, once: bool) -> None:
        while not self._stopping.is_set():
            sweep_due = self._sweep()
            due = min(self.line.tick(), sweep_due)
            if once and not self.line.active() and self._mail_is_idle():
                return
            self._bell.wait(min(due, self._clock() + 0.5) if once else due, self._clock())

    def _close(self, threads: list[threading.Thread]) -> None:
        self.stop()
        for doorbell in self._doorbells.values():
            doorbell.close()
        self.line.stop()
        for thread in threads:
            thread.join(timeout=60)
        self._beat()
        self._workshop.close()
        log.info(journal.line("stop", pid=os.getpid()))

    # -- sweeping ------------------------------------------------------------------------------------

    def _sweep(self) -> float:
        """Sweep each spool whose interval is over; returns when the next one is due."""
        soonest = FOREVER
        for settings in self._config.spools:
            now = self._clock()
            every = settings.poll if settings.path in self.line.desk.polled else settings.sweep
            last = self._swept.get(settings.path)
            if last is None or now >= last + every or now < last:
                self._swept[settings.path] = now
                if not self._sweep_one(self.line.arrivals.spools[settings.path]):
                    every = min(every, 10.0)
                    self._swept[settings.path] = now - settings.sweep + every
            soonest = min(soonest, self._swept[settings.path] + every)
        return soonest

    def _sweep_one(self, spool: Spool) -> bool:
        """Read one spool anew, and watch the inboxes it has now."""
        desk = self.line.desk
        try:
            spool.check_present()
            self.line.sweep(spool)
        except (Unavailable, OperatorError) as err:
            desk.pause(f"spool:{spool.root}", err)
            return False
        except OSError as err:
            log.info(journal.line("sweep", spool=spool.root, error=f"{type(err).__name__}: {err}"))
            return False
        desk.works(f"spool:{spool.root}")
        if spool.root not in desk.polled:
            self._watch(spool)
        return True

    def _watch(self, spool: Spool) -> None:
        bell = self._doorbells.get(spool.root)
        if bell is None:
            root = spool.root
            bell = Doorbell(lambda user: self.line.arrivals.ring(root, user))
            self._doorbells[root] = bell
        inboxes = {user: spool.folder(user, Place.INBOX) for user in spool.users().names}
        for failure in bell.watch(inboxes):
            log.info(journal.line("watch", spool=spool.root, error=failure))

    # -- the postman ---------------------------------------------------------------------------------

    def _postman(self) -> None:
        """Sends what is due, in a thread of its own: a slow mail host holds up nothing else."""
        while not self._stopping.is_set():
            posted = self._posted
            due = self._deliver() if self.outbox else FOREVER
            self._delivered = posted
            self._mail_bell.wait(due, self._clock())

    def _deliver(self) -> float:
        outbox, now = self.outbox, self._clock()
        if outbox is None:
            return FOREVER
        paused = self._mail_pauses.blocked(("mail",), now)
        if paused is not None:
            return paused.pause.until
        try:
            delivered = outbox.deliver(now, self._stopping.is_set)
        except OSError as err:
            log.info(journal.line("mail", error=f"{type(err).__name__}: {err}"))
            return now + HEART
        self._note_delivery(delivered, now)
        paused = self._mail_pauses.blocked(("mail",), self._clock())
        due = outbox.next_due()
        return paused.pause.until if paused else FOREVER if due is None else due

    def _note_delivery(self, delivered: Delivered, now: float) -> None:
        if delivered.outage is not None:
            paused = self._mail_pauses.fail("mail", delivered.outage, now)
            seconds = f"{paused.pause.until - now:.1f}"
            log.info(journal.line("pause", target="mail", seconds=seconds, reason=delivered.outage.message))
            if isinstance(delivered.outage, OperatorError) and not paused.told:
                self.line.desk.letters.operator(paused, [])
                self._mail_pauses.told("mail")
        elif self._mail_pauses.clear("mail"):
            log.info(journal.line("resume", target="mail"))
        if delivered.sent or delivered.deferred or delivered.died:
            log.info(
                journal.line(
                    "mail", sent=delivered.sent, deferred=delivered.deferred, dead=len(delivered.died)
                )
            )
        self.died += len(delivered.died)
        for letter in delivered.died:
            self.line.desk.letters.dead(letter)

    def _mail_is_idle(self) -> bool:
        """Whether each due letter was tried once, for `run --once`."""
        return self.outbox is None or self._delivered == self._posted

    # -- the housekeeper -----------------------------------------------------------------------------

    def _housekeeper(self) -> None:
        """Beats the heart and forgets old letters, whatever else hangs."""
        cleaned = 0.0
        while not self._stopping.is_set():
            self._beat()
            if self.outbox and self._clock() - cleaned > _OLD_LETTERS:
                cleaned = self._clock()
                self.outbox.purge_sent(cleaned - SENT_KEPT)
            self._stopping.wait(HEART)

    def _beat(self) -> None:
        try:
            write_heartbeat(self._config.state, self._pulse())
        except OSError as err:
            log.info(journal.line("heartbeat", error=f"{type(err).__name__}: {err}"))

    def _pulse(self) -> dict[str, Any]:
        desk = self.line.desk
        targets = {paused.name: paused for paused in (*desk.pauses.all(), *self._mail_pauses.all())}
        return {
            "version": __version__,
            "pid": os.getpid(),
            "started": self._started,
            "beat": self._clock(),
            "stopped": self._stopping.is_set(),
            "spools": {
                str(spool.path): {"watch": "poll" if spool.path in desk.polled else "events",
                                  "why": desk.polled.get(spool.path, "")}
                for spool in self._config.spools
            },
            "targets": {
                name: {"since": one.pause.since, "until": one.pause.until, "times": one.pause.times,
                       "reason": one.error.message, "remedy": one.error.remedy, "operator": one.operator}
                for name, one in targets.items()
            },
            "working": _working(desk),
            "concluded": dict(desk.concluded),
        }  # fmt: skip


def _working(desk: Desk) -> list[dict[str, Any]]:
    """What the workers have in hand."""
    found = []
    for case in list(desk.cases.values()):
        for fileset, progress in list(case.flying.items()):
            line = case.outcomes.get(fileset)
            at = (
                {"stage": progress.stage, "done": progress.done, "total": progress.total}
                if progress
                else None
            )
            found.append(
                {
                    "batch": case.record.batch,
                    "fileset": fileset,
                    "file": line.name if line else "",
                    "progress": at,
                }
            )
    return found


def _outbox(config: Config, environ: Mapping[str, str], clock: Callable[[], float]) -> Outbox | None:
    mail = config.mail
    if mail is None:
        return None

    def password() -> str | None:
        return credentials.read(mail.password_file, credentials.MAIL, environ, concerns="mail")

    server = MailServerSettings(mail.host, mail.port, mail.security, mail.user, mail.from_)
    return Outbox(config.state / "outbox", server, password, config.retry.mail, clock)


def _polling(path: Path, watch: str) -> str:
    """Why *path* is polled; "" when events do."""
    if watch == "poll":
        return "configured"
    if watch == "events":
        return ""
    kind = needs_polling(path)
    return f"{kind} raises no events for what other machines do" if kind else ""


def _first_pause(intervals: tuple[float, ...]) -> float:
    """How long a target is left alone at first: the first retry interval, within bounds."""
    return min(30.0, max(0.2, intervals[0] if intervals else 30.0))


def on_signals(stop: Callable[[], None]) -> None:
    """Stop on SIGTERM and SIGINT (Windows: also on Ctrl-Break)."""
    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, lambda *_: stop())
