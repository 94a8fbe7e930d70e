"""Which inbox to look at now, and what to do with what lies there. claims.py moves what is ready."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue

from dropwatch.config.sections import Spool as SpoolSettings
from dropwatch.errors import OperatorError, TemporaryError, Unavailable
from dropwatch.pipeline.case import Case
from dropwatch.pipeline.claims import Claims
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

Inbox = tuple[Path, str]  #: spool and user


@dataclass
class Arrivals:
    """monotonic -- our own clock for settling; due -- when to look at each inbox, by that clock."""

    desk: Desk
    claims: Claims
    lookup: Lookup
    spools: dict[Path, Spool]
    monotonic: Callable[[], float] = time.monotonic
    sightings: dict[Path, Sightings] = field(default_factory=dict)
    due: dict[Inbox, float] = field(default_factory=dict)
    earliest: dict[Inbox, float] = field(default_factory=dict)
    warm: dict[Inbox, float] = field(default_factory=dict)
    moving: set[Inbox] = field(default_factory=set)
    lacking: dict[Inbox, int] = field(default_factory=dict)
    rung: SimpleQueue[Inbox] = field(default_factory=SimpleQueue)

    def ring(self, spool: Path, user: str) -> None:
        """Something changed in an inbox. May be called from any thread."""
        self.rung.put((spool, user))
        self.desk.ring()

    def expect(self, spool: Spool, users: Users) -> None:
        """These are the users of *spool* now; every inbox of it is to be looked at."""
        for inbox in [inbox for inbox in self.due if inbox[0] == spool.root and inbox[1] not in users.names]:
            del self.due[inbox]
        for user in users.names:
            self.due[spool.root, user] = 0.0
        if users.clashing:
            self._clash(spool, users.clashing)

    def leave(self, spool: Spool) -> None:
        """Look at no inbox of *spool* until it is expected again."""
        for inbox in [inbox for inbox in self.due if inbox[0] == spool.root]:
            del self.due[inbox]

    def claim_ready(self) -> list[Case]:
        """Look at the inboxes that rang or are due; returns what was claimed."""
        self._take_rings()
        now = self.monotonic()
        claimed: list[Case] = []
        for inbox, due in list(self.due.items()):
            if max(due, self.earliest.get(inbox, 0.0)) <= now and len(claimed) < CLAIMS_A_TURN:
                claimed += self._visit(inbox, CLAIMS_A_TURN - len(claimed))
        return claimed

    def next_look(self) -> float:
        """When an inbox is due again (epoch seconds)."""
        soonest = min(
            (max(due, self.earliest.get(inbox, 0.0)) for inbox, due in self.due.items()), default=float("inf")
        )
        return self.desk.now() + soonest - self.monotonic()

    def settling(self) -> bool:
        """Whether some drop will be ready by itself, or an inbox waits to be looked at."""
        return bool(self.moving) or any(due == 0.0 for due in self.due.values())

    def incomplete(self) -> int:
        """How many drops lack something."""
        return sum(self.lacking.values())

    def _take_rings(self) -> None:
        while True:
            try:
                inbox = self.rung.get_nowait()
            except Empty:
                return
            if inbox in self.due:
                self.due[inbox] = 0.0

    # -- one inbox -----------------------------------------------------------------------------------

    def _visit(self, inbox: Inbox, most: int) -> list[Case]:
        """Look at one inbox and claim what is ready, at most *most* drops of it."""
        root, user = inbox
        started = self.monotonic()
        settings = self.settings(root)
        self.due[inbox] = started + (settings.poll if self.polled(root) else settings.sweep)
        claimed: list[Case] = []
        looked = 0.0
        try:
            self.spools[root].check_present()
            self.spools[root].fence.check()
            rules, trusted = self._rules(settings, user), not self.polled(root)
            seen = self._sightings(root).look(user, rules, started, inodes=trusted)
            looked = self.monotonic() - started
            self.desk.works(f"spool:{root}")
            claimed = self._act(inbox, settings, seen, most)
        except (Unavailable, OperatorError) as err:
            self.desk.pause(f"spool:{root}", err)
            self.due[inbox] = started + TROUBLE_WAIT
        except PermissionError as err:
            self._no_permission(inbox, err)
        except OSError as err:
            self.desk.say("look", user=user, error=f"{type(err).__name__}: {err}")
            self.due[inbox] = started + TROUBLE_WAIT
        if claimed and not self.polled(root):
            self.warm[inbox] = self.monotonic() + WARM
        if self.warm.get(inbox, 0.0) > started:
            self.due[inbox] = min(self.due[inbox], started + SHORTEST)
        self.earliest[inbox] = started + max(SHORTEST, looked * LOOK_SHARE)
        return claimed

    def _act(self, inbox: Inbox, settings: SpoolSettings, seen: list[Seen], most: int) -> list[Case]:
        claimed: list[Case] = []
        waits: list[float] = []
        self.lacking[inbox] = 0
        for one in seen:
            if isinstance(one.state, Settling):
                wait = self._tell(inbox, settings, one, one.state)
                waits.append(min(wait, self._look_again(inbox, one, one.state)))
                self.lacking[inbox] += bool(one.state.lacking)
            elif len(claimed) < most:
                case = self._claim(inbox, one, one.state)
                if case is not None:
                    claimed.append(case)
                else:
                    waits.append(TROUBLE_WAIT)
            else:
                waits.append(0.0)
        settles = any(isinstance(one.state, Settling) and not one.state.lacking for one in seen)
        (self.moving.add if settles or 0.0 in waits else self.moving.discard)(inbox)
        self.due[inbox] = min([self.due[inbox], *(self.monotonic() + wait for wait in waits)])
        return claimed

    def _look_again(self, inbox: Inbox, one: Seen, state: Settling) -> float:
        """Seconds until the next look at a drop that is not ready: soon while it grows, later when it rests.

        No event tells of what happens inside a drop (watch.py); on a share the poll interval is enough.
        """
        unchanged = self.monotonic() - one.sighting.since
        rest = min(LONGEST_REST, max(SHORTEST_REST, unchanged / 2))
        return min(state.wait, max(rest, self.settings(inbox[0]).poll) if self.polled(inbox[0]) else rest)

    def _claim(self, inbox: Inbox, one: Seen, state: Ready) -> Case | None:
        root, user = inbox
        try:
            case = self.claims.claim(self.spools[root], user, one, state)
        except OperatorError as err:
            if err.code in ANOTHERS:
                raise  # not this drop's trouble
            self._trouble(inbox, one.drop.name, err)
            return None
        except (TemporaryError, FileNotFoundError, FileExistsError) as err:
            self.desk.say("settle", user=user, name=one.drop.name, error=str(err))
            return None
        except Exception as err:  # a bug that one drop provokes never stops the others
            self._bug(inbox, one.drop.name, err)
            return None
        if case is not None:
            self._sightings(root).forget(user, one.drop)
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

    # -- trouble -------------------------------------------------------------------------------------

    def _trouble(self, inbox: Inbox, name: str, err: OperatorError) -> None:
        root, user = inbox
        path = str(root / user / "inbox" / name)
        self.desk.say("claim", user=user, name=name, error=err.message, detail=err.detail)
        self.desk.letters.permission(user, path, err)

    def _bug(self, inbox: Inbox, name: str, err: Exception) -> None:
        trace = "".join(traceback.format_exception(err))
        self.desk.say("bug", user=inbox[1], name=name, error=f"{type(err).__name__}: {err}", trace=trace)
        error = OperatorError(
            f"dropwatch met an error of its own with {name} in {inbox[1]}'s inbox.",
            concerns=f"spool:{inbox[0]}",
            remedy="The drop stays where it is and is tried again. Please report this to the makers of dropwatch.",
            detail=trace[-4000:],
        )
        self.desk.letters.fault(error, [inbox[1]])

    def _no_permission(self, inbox: Inbox, err: PermissionError) -> None:
        root, user = inbox
        path = err.filename or str(root / user / "inbox")
        error = OperatorError(
            f"dropwatch may not read {path}.",
            concerns="user",
            remedy=f"Give the account that runs dropwatch read and write permission on {path}.",
            detail=str(err),
        )
        self._trouble(inbox, "", error)
        self.due[inbox] = self.monotonic() + TROUBLE_WAIT

    def _clash(self, spool: Spool, names: tuple[str, ...]) -> None:
        error = OperatorError(
            f"Folders of {spool.root} differ by case only: {', '.join(names)}. None of them is served.",
            concerns=f"spool:{spool.root}",
            remedy="Rename or merge them, so that each user has one folder.",
        )
        self.desk.say("watch", spool=spool.root, error=error.message)
        self.desk.letters.fault(error, list(names))

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
