"""Once a day, has OMERO rid of what is left of imports that nobody goes on with.

A batch in work sees to its own when it is asked about. This is for those that were taken away, cancelled or given up
when their worker had just died.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from dropwatch.durable import write_durably
from dropwatch.errors import OperatorError, Unavailable
from dropwatch.model import Tidied, TidyJob
from dropwatch.pipeline.arrivals import FOREVER, Arrivals
from dropwatch.pipeline.crew import Crew
from dropwatch.pipeline.desk import Desk, Result
from dropwatch.workers import Done

TIDIED = "tidied"  #: in the state folder: when the last round began (epoch seconds)
EVERY = 86400.0  #: seconds between two rounds
FIRST = 3600.0  #: seconds after the first start ever
OLD = 86400.0  #: seconds; nothing younger is touched, nor what an import of twice the longest time may be at


@dataclass
class Tidying:
    """waiting -- OMERO users whose turn comes in this round; begun -- when it began (epoch seconds)"""

    desk: Desk
    crew: Crew
    arrivals: Arrivals
    waiting: list[str] = field(default_factory=list)
    begun: float | None = None

    def turn(self) -> float:
        """Go on with the round, or begin one; returns when to come again (epoch seconds)."""
        desk, now = self.desk, self.desk.now()
        if desk.config.importer == "folder" or self.crew.tidied is not None or desk.stopping.is_set():
            return FOREVER
        if not self.waiting:
            if now < (due := min(self._last(now), now) + EVERY):
                return due
            self.begun, self.waiting = now, self._owners()
            with suppress(OSError):  # a full disk: it is known until we end
                write_durably(self._path, f"{now:.0f}\n".encode("ascii"))
            if not self.waiting:
                return now + EVERY
        blocked = desk.pauses.blocked(("omero",), now)
        if blocked is not None:
            return max(blocked.pause.until, now + 1.0)
        self._send(self.waiting.pop(0))
        return FOREVER

    @property
    def _path(self) -> Path:
        return self.desk.config.state / TIDIED

    def _last(self, now: float) -> float:
        if self.begun is None:
            try:
                self.begun = float(self._path.read_text("ascii"))
            except (OSError, ValueError):
                self.begun = now - EVERY + FIRST
        return self.begun

    def _owners(self) -> list[str]:
        """Whom something may have been imported for: who has a drop folder, whom an instrument may name, who did."""
        config, names = self.desk.config, set(self.desk.addresses.owners())
        for _, user in self.arrivals.due:
            instrument = config.instrument(user)
            people = [user] if instrument is None else instrument.may_import_for
            names |= {config.omero_name(one) for one in people if not one.startswith("group:")}
        return sorted(names)

    def _send(self, owner: str) -> None:
        desk = self.desk
        self.crew.tidied = owner
        desk.pauses.probe(("omero",))
        in_work = frozenset(case.record.batch for case in desk.cases.values())
        job = TidyJob(owner, in_work, max(OLD, 2 * desk.config.workers.timeout))
        desk.workers.submit(job, partial(self._back, owner))

    def _back(self, owner: str, done: Done) -> None:
        """Runs in the worker: the answer is applied by the line."""
        self.desk.results.put(Result(partial(self._apply, owner, done)))
        self.desk.ring()

    def _apply(self, owner: str, done: Done) -> None:
        desk, error = self.desk, done.error
        self.crew.tidied = None
        desk.pauses.probed(("omero",))
        if isinstance(error, Unavailable) or (isinstance(error, OperatorError) and error.concerns != "user"):
            self.waiting.append(owner)
            desk.pause("omero", error)
        elif error is not None:  # the next round tries again
            desk.say("tidy", owner=owner, error=f"{type(error).__name__}: {error}")
        else:
            desk.works("omero")
            found: Tidied = done.value
            if found.removed or found.left:
                left = ",".join(map(str, found.left))
                desk.say("tidy", owner=owner, removed=found.removed, left=left or None)
