"""Finds the mail address of a person whom OMERO knows and we do not yet, before a letter is written.

A letter waits for that a bounded time only; then the admins get it, marked so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from dropwatch.errors import DropwatchError, OperatorError, TemporaryError, Unavailable
from dropwatch.model import LookUpJob
from dropwatch.pipeline.desk import Desk, Result
from dropwatch.workers import Done

_SOON = 1.0  #: seconds until somebody who waits for an answer looks again
_AGAIN = 10.0  #: seconds between two tries after one that broke


@dataclass
class Lookup:
    """asked -- the owners whom a worker is asking OMERO for; later -- when to ask again for one that broke"""

    desk: Desk
    asked: set[str] = field(default_factory=set)
    later: dict[str, float] = field(default_factory=dict)

    def wait(self, user: str, owner: str | None, since: float) -> float | None:
        """Seconds until it is worth looking again, or None when the letter may be written now: the address
        is known, nobody knows it, or it was waited for since *since* (epoch seconds) long enough."""
        desk, mail = self.desk, self.desk.config.mail
        if mail is None or desk.letters.address_of(user, owner):
            return None
        owner = owner or (None if desk.config.instrument(user) else desk.config.omero_name(user))
        patience = since + mail.delay_notice - desk.now()
        if owner is None or patience <= 0 or desk.addresses.was_asked(owner):
            return None
        blocked = desk.pauses.blocked(("omero",), desk.now())
        if blocked is not None:
            return min(patience, max(_SOON, blocked.pause.until - desk.now()))
        self._ask(owner)
        return min(patience, _SOON)

    def _ask(self, owner: str) -> None:
        if owner in self.asked or self.desk.now() < self.later.get(owner, 0.0):
            return
        self.asked.add(owner)
        self.desk.pauses.probe(("omero",))
        self.desk.workers.submit(LookUpJob(owner), partial(self._back, owner))

    def _back(self, owner: str, done: Done) -> None:
        """Runs in the worker: the answer is applied by the line."""
        self.desk.results.put(Result(partial(self._apply, owner, done)))
        self.desk.ring()

    def _apply(self, owner: str, done: Done) -> None:
        desk, error = self.desk, done.error
        self.asked.discard(owner)
        desk.pauses.probed(("omero",))
        if error is None:
            desk.works("omero")
            desk.addresses.learn(owner, done.value)
        elif isinstance(error, Unavailable) or (
            isinstance(error, OperatorError) and error.concerns != "user"
        ):
            desk.pause("omero", error)
        elif isinstance(error, DropwatchError) and not isinstance(error, TemporaryError):
            desk.addresses.learn(owner, None)
        else:
            self.later[owner] = desk.now() + _AGAIN
            desk.say("look-up", owner=owner, error=f"{type(error).__name__}: {error}")
        desk.wake_all()  # whoever waited for this answer looks at once
