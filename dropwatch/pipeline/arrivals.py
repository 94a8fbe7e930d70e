"""Which inbox to look at now, and what to do with what lies there. claims.py moves what is ready."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue

from dropwatch.config.sections import Spool as SpoolSettings
from dropwatch.errors import OperatorError, TemporaryError, Unavailable
from dropwatch.pipeline.case import Case
from dropwatch.pipeline.claims import Claims
from dropwatch.pipeline.complaints import Complaints, Inbox
from dropwatch.pipeline.desk import Desk
from dropwatch.pipeline.letters import digest
from dropwatch.pipeline.lookup import Lookup
from dropwatch.pipeline.sightings import Seen, Sightings
from dropwatch.settling import Ready, Rules, Settling
from dropwatch.spool.folders import Spool, Users
from dropwatch.spool.lease import ANOTHERS

CLAIMS_A_TURN = 50  #: so that a thousand drops at once do not keep the line from its other work
TROUBLE_WAIT = 10.0  #: seconds until an inbox that gave trouble is looked at again
LOOK_SHARE = 10.0  #: looking at one inbox takes at most one part in ten of the time
SHORTEST_REST, LONGEST_REST = 0.5, 10.0  #: seconds between two looks at a drop that is not ready
SHORTEST = 0.05  #: seconds between two looks at an inbox, however often it rings
WARM = 1.0  #: seconds; watchdog holds back what happens within half a second after a folder was moved out

FOREVER = float("inf")


@dataclass
class Arrivals:
    """monotonic -- our own clock for settling
    due     -- when to look at each inbox, by that clock; who was served last stands last
    waiting -- what was ready at the last look and had to wait for a turn
    """

    desk: Desk
    claims: Claims
    lookup: Lookup
    spools: dict[Path, Spool]
    monotonic: Callable[[], float] = time.monotonic
    complaints: Complaints = field(init=False)
    sightings: dict[Path, Sightings] = field(default_factory=dict)
    due: dict[Inbox, float] = field(default_factory=dict)
    earliest: dict[Inbox, float] = field(default_factory=dict)
    warm: dict[Inbox, float] = field(default_factory=dict)
    waiting: dict[Inbox, deque[Seen]] = field(default_factory=dict)
    moving: set[Inbox] = field(default_factory=set)
    looked: set[Inbox] = field(default_factory=set)
    lacking: dict[Inbox, int] = field(default_factory=dict)
    rung: SimpleQueue[tuple[Path, str | None]] = field(default_factory=SimpleQueue)

    def __post_init__(self) -> None:
        self.complaints = Complaints(self.desk)

    def ring(self, spool: Path, user: str | None) -> None:
        """Something changed in an inbox; *user* None: events were lost, of whichever. May be called from any thread."""
        self.rung.put((spool, user))
        self.desk.ring()

    def expect(self, spool: Spool, users: Users) -> None:
        """These are the users of *spool* now; every inbox of it is to be looked at."""
        for inbox in [inbox for inbox in self.due if inbox[0] == spool.root and inbox[1] not in users.names]:
            self._forget(inbox)
        for user in users.names:
            self.due[spool.root, user] = 0.0
        if users.clashing:
            self.complaints.clash(spool.root, users.clashing)

    def leave(self, spool: Spool) -> None:
        """Look at no inbox of *spool* until it is expected again."""
        for inbox in [inbox for inbox in self.due if inbox[0] == spool.root]:
            self._forget(inbox)

    def _forget(self, inbox: Inbox) -> None:
        """What waits there must not keep the line awake, nor `run --once` alive."""
        for known in (self.due, self.waiting, self.lacking):
            known.pop(inbox, None)
        self.moving.discard(inbox)

    def claim_ready(self) -> list[Case]:
        """Look at the inboxes that rang or are due; returns what was claimed."""
        self._take_rings()
        claimed: list[Case] = []
        for inbox in list(self.due):
            if len(claimed) < CLAIMS_A_TURN and (self._is_due(inbox) or self.waiting.get(inbox)):
                with self.desk.is_at(inbox[0], f"{inbox[1]}'s inbox"):
                    claimed += self._visit(inbox, CLAIMS_A_TURN - len(claimed))
                self.due[inbox] = self.due.pop(inbox)  # the next turn begins with the others
        return claimed

    def rung_at(self) -> list[tuple[Spool, str]]:
        """Whose inbox was looked at since this was asked last: what lay there may be cancelled, and in processing/."""
        found = [(self.spools[root], user) for root, user in self.looked]
        self.looked.clear()
        return found

    def next_look(self) -> float:
        """When an inbox is due again (epoch seconds)."""
        if any(self.waiting.values()):
            return self.desk.now()
        soonest = min(map(self._due, self.due), default=FOREVER)
        return self.desk.now() + soonest - self.monotonic()

    def _due(self, inbox: Inbox) -> float:
        return max(self.due[inbox], self.earliest.get(inbox, 0.0))

    def _is_due(self, inbox: Inbox) -> bool:
        return self._due(inbox) <= self.monotonic()

    def settling(self) -> bool:
        """Whether some drop will be ready by itself, or an inbox waits to be looked at."""
        return bool(self.moving) or any(self.waiting.values()) or 0.0 in self.due.values()

    def incomplete(self) -> int:
        """How many drops lack something."""
        return sum(self.lacking.values())

    def _take_rings(self) -> None:
        while True:
            try:
                spool, user = self.rung.get_nowait()
            except Empty:
                return
            if user is None:
                self._overflowed(spool)
            elif (spool, user) in self.due:
                self.due[spool, user] = 0.0

    def _overflowed(self, spool: Path) -> None:
        """The only event of some inbox may be among the lost ones, so every inbox is looked at, now."""
        self.desk.overflows[spool] = self.desk.overflows.get(spool, 0) + 1
        self.desk.say("overflow", spool=spool, times=self.desk.overflows[spool])
        for inbox in self.due:
            if inbox[0] == spool:
                self.due[inbox] = 0.0

    # -- one inbox -----------------------------------------------------------------------------------

    def _visit(self, inbox: Inbox, most: int) -> list[Case]:
        """Look at one inbox, if it is due, and claim what is ready, at most *most* drops of it."""
        started = self.monotonic()
        claimed: list[Case] = []
        waits = self.desk.stores.waits(inbox[0])
        if waits:
            self.waiting.pop(inbox, None)
            self.due[inbox] = started + waits
            return claimed
        try:
            self.spools[inbox[0]].check_present()
            self.spools[inbox[0]].fence.check()
            claimed = self._look(inbox, most) if self._is_due(inbox) else self._claim_waiting(inbox, most)
        except PermissionError as err:
            self.complaints.unreadable(inbox, err)
            self._trouble_at(inbox, started)
        except (Unavailable, OperatorError, OSError) as err:
            if self.desk.stores.met(err, inbox[0], f"inbox:{inbox[1]}") is None:
                self.desk.say("look", user=inbox[1], error=f"{type(err).__name__}: {err}")
            self._trouble_at(inbox, started)
        if claimed and not self.polled(inbox[0]):
            self.warm[inbox] = self.monotonic() + WARM
        if self.warm.get(inbox, 0.0) > started:
            self.due[inbox] = min(self.due[inbox], started + SHORTEST)
        return claimed

    def _trouble_at(self, inbox: Inbox, started: float) -> None:
        self.waiting.pop(inbox, None)
        self.due[inbox] = started + TROUBLE_WAIT
        self.earliest[inbox] = started + SHORTEST

    def _look(self, inbox: Inbox, most: int) -> list[Case]:
        """Look at a whole inbox, and sort what lies there into what is ready and what is not."""
        root, user = inbox
        settings, started = self.settings(root), self.monotonic()
        self.due[inbox] = started + (settings.poll if self.polled(root) else settings.sweep)
        rules, trusted = self._rules(settings, user), not self.polled(root)
        seen = self._sightings(root).look(user, rules, started, inodes=trusted)
        self.desk.relief.check()
        if not self.polled(root):  # else a sweep comes as often
            self.looked.add(inbox)
        looked = self.monotonic() - started
        self.earliest[inbox] = started + max(SHORTEST, looked * LOOK_SHARE)
        self._wait_for(inbox, settings, seen)
        ready = [one for one in seen if isinstance(one.state, Ready)]
        self.waiting[inbox] = deque(ready[most:])
        return self._claim_each(inbox, ready[:most])

    def _wait_for(self, inbox: Inbox, settings: SpoolSettings, seen: list[Seen]) -> None:
        """Come again when what is not ready may be."""
        settling = [(one, one.state) for one in seen if isinstance(one.state, Settling)]
        self.lacking[inbox] = sum(bool(state.lacking) for _, state in settling)
        (self.moving.add if self.lacking[inbox] < len(settling) else self.moving.discard)(inbox)
        for one, state in settling:
            wait = min(self._tell(inbox, settings, one, state), self._look_again(inbox, one, state))
            self.due[inbox] = min(self.due[inbox], self.monotonic() + wait)

    def _claim_waiting(self, inbox: Inbox, most: int) -> list[Case]:
        """Claim what was ready at the last look, and still is: looking at all of a large inbox anew for every few
        claims would take longer the more there is."""
        root, user = inbox
        waiting, sightings = self.waiting[inbox], self._sightings(root)
        rules = self._rules(self.settings(root), user)
        chosen = [waiting.popleft() for _ in range(min(most, len(waiting)))]
        now, trusted = self.monotonic(), not self.polled(root)
        seen = (sightings.see(user, one.drop, rules, now, inodes=trusted) for one in chosen)
        ready = [one for one in seen if one is not None and isinstance(one.state, Ready)]
        self.desk.relief.check()
        if len(ready) < len(chosen):  # something changed since
            self.due[inbox] = 0.0
        return self._claim_each(inbox, ready)

    def _claim_each(self, inbox: Inbox, ready: list[Seen]) -> list[Case]:
        claimed = [case for one in ready if (case := self._claim(inbox, one)) is not None]
        if len(claimed) < len(ready):
            self.due[inbox] = min(self.due[inbox], self.monotonic() + TROUBLE_WAIT)
        return claimed

    def _look_again(self, inbox: Inbox, one: Seen, state: Settling) -> float:
        """Seconds until the next look at a drop that is not ready: soon while it grows, later when it rests.

        No event tells of what happens inside a drop (watch.py); on a share the poll interval is enough.
        """
        unchanged = self.monotonic() - one.sighting.since
        rest = min(LONGEST_REST, max(SHORTEST_REST, unchanged / 2))
        return min(state.wait, max(rest, self.settings(inbox[0]).poll) if self.polled(inbox[0]) else rest)

    def _claim(self, inbox: Inbox, one: Seen) -> Case | None:
        root, user = inbox
        corner = f"drop:{user}/{one.drop.name}"
        if not isinstance(one.state, Ready) or self.desk.pauses.blocked((corner,), self.desk.now()):
            return None
        try:
            case = self.claims.claim(self.spools[root], user, one, one.state)
        except OperatorError as err:
            if err.code in ANOTHERS:
                raise  # not this drop's trouble
            self.complaints.unmovable(inbox, one.drop.name, err)
            return None
        except (TemporaryError, FileNotFoundError, FileExistsError) as err:
            self.desk.say("settle", user=user, name=one.drop.name, error=str(err))
            return None
        except OSError as err:
            self.desk.stores.unswept.add(root)
            if self.desk.stores.met(err, root, corner) is None:
                self.desk.say("claim", user=user, name=one.drop.name, error=f"{type(err).__name__}: {err}")
            return None
        except Exception as err:  # a bug that one drop provokes never stops the others
            self.complaints.bug(inbox, one.drop.name, err)
            return None
        if case is not None:
            self._sightings(root).forget(user, one.drop)
            self.complaints.said.pop((inbox, one.drop.name), None)
            self.desk.works(corner)
        return case

    def _tell(self, inbox: Inbox, settings: SpoolSettings, one: Seen, state: Settling) -> float:
        """Tell the user, once for each state of a drop, what it lacks. Returns seconds until it is worth
        looking again because of that."""
        unchanged = self.monotonic() - one.sighting.since
        if not state.tell or one.sighting.told:
            return FOREVER
        wait = self.lookup.wait(inbox[1], None, self.desk.now() - unchanged + settings.incomplete.tell)
        if wait is not None:
            return wait
        one.sighting.told = True
        fails_at = self.desk.now() + max(0.0, settings.incomplete.fail - unchanged)
        what = digest(one.drop.key, state.lacking, one.sighting.snapshot)
        self.desk.letters.incomplete(inbox[1], one.drop.name, state.lacking, what, fails_at)
        self.desk.say("settle", user=inbox[1], name=one.drop.name, lacking="; ".join(state.lacking))
        return FOREVER

    # -- settings ------------------------------------------------------------------------------------

    def settings(self, root: Path) -> SpoolSettings:
        return next(spool for spool in self.desk.config.spools if spool.path == root)

    def polled(self, root: Path) -> bool:
        return bool(self.desk.polled.get(root))

    def _rules(self, settings: SpoolSettings, user: str) -> Rules:
        manifest_only = self.desk.config.user(user).start == "manifest"
        return Rules(settings.settle, settings.incomplete.tell, settings.incomplete.fail, manifest_only)

    def _sightings(self, root: Path) -> Sightings:
        if root not in self.sightings:
            self.sightings[root] = Sightings(self.spools[root])
        return self.sightings[root]
