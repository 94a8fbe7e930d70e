"""Sends what is due, in a thread of its own: a slow mail host holds up nothing else.

outbox/ knows how to send and what to remember of it; here is when, and the pause of a host that is down.
"""

from __future__ import annotations

import logging
import random
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace

from dropwatch import credentials, journal
from dropwatch.config import Config
from dropwatch.errors import DropwatchError, OperatorError, Unavailable
from dropwatch.outbox import Delivered, Letter, MailServerSettings, Outbox
from dropwatch.pipeline.letters import Letters
from dropwatch.pipeline.pauses import Paused, Pauses, first_pause

log = logging.getLogger("dropwatch")

SENT_KEPT = 30 * 86400.0  #: seconds that sent letters are remembered, so that none is written twice
_FOREVER = float("inf")
_TROUBLE_WAIT = 10.0


class Mailroom:
    """The outbox of one daemon and the thread that empties it.

    died -- letters that were given up since the start

    A letter that the full disk does not take is kept in memory and handed to the mail server at once. As soon as there
    is room it is stored, or noted as sent, so that nobody gets it twice.
    """

    def __init__(
        self, outbox: Outbox, config: Config, clock: Callable[[], float], rng: random.Random
    ) -> None:
        self.outbox = outbox
        self.pauses = Pauses(first_pause(config.retry.mail), rng)
        self.died = 0
        self._after = config.retry.outage_alert
        self._clock = clock
        self._bell = threading.Event()
        self._stopping = threading.Event()
        self._posted, self._tried = 0, -1  # what an earlier life left in the queue is due, too
        self._kept: dict[str, Letter] = {}
        self._handed: dict[str, Letter] = {}
        self._complaint, self._troubles = "", 0  # of the state folder, in a row

    def post(self, letter: Letter) -> bool:
        """Store a letter durably, and wake the thread. False when it was written before."""
        try:
            fresh = self.outbox.post(letter)
        except OSError:
            self._ring()  # it may be there all the same
            raise
        if fresh:
            self._ring()
        return fresh

    def _ring(self) -> None:
        self._posted += 1
        self._bell.set()

    def keep(self, letter: Letter) -> None:
        """Take a letter that cannot be stored. Writing one again does nothing here either."""
        if letter.id not in self._kept and letter.id not in self._handed:
            self._kept[letter.id] = letter
            self._ring()

    def stop(self) -> None:
        self._stopping.set()
        self._bell.set()

    def is_idle(self) -> bool:
        """Whether each letter that is due was tried once, for `run --once`."""
        return self._tried == self._posted

    def run(self, letters: Letters) -> None:
        """Send until stopped. *letters* writes the alerts about letters that died, and about a refused login."""
        while not self._stopping.is_set():
            posted = self._posted
            try:
                due = self._deliver(letters)
            except Exception as err:  # outermost guard: the thread must outlive a bug
                told = f"{type(err).__name__}: {err}"
                log.error(journal.line("bug", error=told, trace=traceback.format_exc()))
                due = self._clock() + _TROUBLE_WAIT
            self._tried = posted
            self._bell.wait(max(0.0, min(60.0, due - self._clock())))
            self._bell.clear()

    def _deliver(self, letters: Letters) -> float:
        """Send what is due; returns when to come again (epoch seconds)."""
        now = self._clock()
        paused = self.pauses.blocked(("mail",), now)
        if paused is not None:
            return self._alert(letters, paused)
        try:
            self._store_kept()
            delivered = self.outbox.deliver(now, self._stopping.is_set)
        except OSError as err:
            self._complain(f"{type(err).__name__}: {err}")
            self._hand_over_kept(now)
            self._troubles += 1
            return now + min(_TROUBLE_WAIT, 0.25 * 2.0**self._troubles)
        self._complaint, self._troubles = "", 0
        self._note(delivered, letters, now)
        paused = self.pauses.blocked(("mail",), self._clock())
        due = self.outbox.next_due()
        return paused.pause.until if paused else _FOREVER if due is None else due

    def _complain(self, error: str) -> None:
        """Into the log, once for each trouble; the pause of the state folder says it to people."""
        if error != self._complaint:
            self._complaint = error
            log.info(journal.line("mail", error=error))

    def _store_kept(self) -> None:
        """Store what had to be kept in memory. Raises OSError."""
        for letter in list(self._handed.values()):
            self.outbox.note_sent(letter)
            del self._handed[letter.id]
        for letter in list(self._kept.values()):
            self.outbox.post(letter)
            del self._kept[letter.id]

    def _hand_over_kept(self, now: float) -> None:
        for letter in list(self._kept.values()):
            try:
                self.outbox.hand_over(letter)
            except (Unavailable, OperatorError) as err:
                self.pauses.fail("mail", err, now)
                return
            except DropwatchError as err:
                self._complain(err.message)
                continue
            self._handed[letter.id] = replace(letter, attempts=1, tried=self._clock())
            del self._kept[letter.id]
            log.info(journal.line("mail", sent=1, stored=False))

    def _note(self, delivered: Delivered, letters: Letters, now: float) -> None:
        if delivered.outage is not None:
            paused = self.pauses.fail("mail", delivered.outage, now)
            seconds = f"{paused.pause.until - now:.1f}"
            log.info(journal.line("pause", target="mail", seconds=seconds, reason=delivered.outage.message))
            self._alert(letters, paused)
        else:
            self._resume(letters)
        if delivered.sent or delivered.deferred or delivered.died:
            counts = {"sent": delivered.sent, "deferred": delivered.deferred, "dead": len(delivered.died)}
            log.info(journal.line("mail", **counts))
        self.died += len(delivered.died)
        for letter in delivered.died:
            letters.dead(letter)

    def _alert(self, letters: Letters, paused: Paused) -> float:
        """Write the admins of a mail host that stays away; they read it when it is back, and in `status` before."""
        due = paused.pause.since + self._after
        if not paused.told and (paused.operator or self._clock() >= due):
            self.pauses.told("mail")
            if isinstance(paused.error, OperatorError):
                letters.operator(paused, [])
            else:
                letters.outage(paused, self.outbox.counts()["queued"])
        return paused.pause.until if paused.told or paused.operator else min(paused.pause.until, due)

    def _resume(self, letters: Letters) -> None:
        ended = self.pauses.clear("mail")
        if ended is not None:
            log.info(journal.line("resume", target="mail"))
        if ended is not None and ended.told and not ended.operator:
            letters.outage_over(ended, self.outbox.counts()["queued"])


def make_outbox(config: Config, environ: Mapping[str, str], clock: Callable[[], float]) -> Outbox | None:
    """The outbox that the configuration describes; None when nobody gets mail."""
    mail = config.mail
    if mail is None:
        return None

    def password() -> str | None:
        return credentials.read(mail.password_file, credentials.MAIL, environ, concerns="mail")

    server = MailServerSettings(mail.host, mail.port, mail.security, mail.user, mail.from_)
    return Outbox(config.state / "outbox", server, password, config.retry.mail, clock)
