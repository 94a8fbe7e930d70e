"""What lies where, for the pages and the API: one look for all who ask. Only reads.

Everything is asked for a Visitor: what is not theirs is not there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from dropwatch.config import Config
from dropwatch.pipeline import glance
from dropwatch.report import duration
from dropwatch.status import Found, Row, Status, Target, Whole, find, whole
from dropwatch.status.presence import Presence, presence
from dropwatch.status.rows import envelope_at
from dropwatch.status.snapshot import all_targets, outbox, state_troubles
from dropwatch.web.eye import Eye, Glimpse, newest
from dropwatch.web.listed import Listed, Selection, Wanted, is_drop, of_visitor, select
from dropwatch.web.remembered import Remembered
from dropwatch.web.shares import Shares
from dropwatch.web.visitor import Visitor
from dropwatch.web.watch import IDLE, Watch

FRESH = 1.5  #: seconds that a look is good for, for who asks just once
PATIENCE = 3.0  #: seconds that somebody waits for it at most


@dataclass(frozen=True)
class View:
    """All batches, newest first, as they were seen last.

    version -- another one when anything is different
    troubles -- what cannot be seen now, and why; the batches of there are as they were before
    unread  -- old batches that are not read yet; left_out -- those that are too many to be listed
    here    -- what was known of the daemon then
    """

    batches: tuple[Listed, ...]
    version: int
    users: tuple[str, ...] = ()
    troubles: tuple[Target, ...] = ()
    unread: int = 0
    left_out: int = 0
    here: Presence | None = None


@dataclass
class Index:
    """All batches, as *config* knows them.

    clock -- epoch seconds; idle -- seconds after which looking ends when nobody asks
    """

    config: Config
    clock: Callable[[], float]
    shares: Shares
    idle: float = IDLE
    _watches: tuple[Watch, ...] = field(init=False)
    _merged: tuple[int, tuple[Listed, ...]] = (-1, ())

    def __post_init__(self) -> None:
        eyes = [Eye(self.config, self.shares.spool(settings.path)) for settings in self.config.spools]
        self._watches = tuple(Watch(self.config, eye, self.clock, self.idle) for eye in eyes)

    # -- all of it -------------------------------------------------------------------------------------

    def latest(self) -> View:
        """What was seen last. Never waits; looking goes on for as long as this is called."""
        for watch in self._watches:
            watch.ask()
        return self._view()

    def fresh(self, seconds: float = FRESH) -> View:
        """What was there *seconds* ago or later; older where a spool does not answer soon."""
        now = time.monotonic()
        for watch in self._watches:
            watch.wait(now - seconds, now + PATIENCE)
        return self._view()

    def status(self) -> Status:
        """Everything at this moment, batches oldest first. For admins."""
        view, now = self.fresh(), self.clock()
        here = self.presence()
        troubles = [*state_troubles(self.config.state, here, now), *view.troubles]
        rows = tuple(one.row for one in reversed(view.batches))
        targets = all_targets(here, troubles)
        left = view.left_out + view.unread
        return Status(now, here.running, here.pulse, here.holds, targets, outbox(self.config), rows, left)

    def presence(self) -> Presence:
        """What is known of the daemon now."""
        return presence(self.config.state, self.clock())

    def _view(self) -> View:
        version = sum(watch.version for watch in self._watches)
        glimpses = [watch.glimpse for watch in self._watches]
        return View(
            self._batches(version, glimpses),
            version,
            tuple(sorted({user for glimpse in glimpses for user in glimpse.users})),
            tuple(trouble for watch in self._watches for trouble in _troubles(watch)),
            sum(glimpse.unread for glimpse in glimpses),
            sum(glimpse.left_out for glimpse in glimpses),
            self._watches[0].here if self._watches else None,
        )

    def _batches(self, version: int, glimpses: list[Glimpse]) -> tuple[Listed, ...]:
        if len(glimpses) == 1:
            return glimpses[0].batches
        if self._merged[0] != version:
            every = (one for glimpse in glimpses for one in glimpse.batches)
            self._merged = (version, tuple(sorted(every, key=newest, reverse=True)))
        return self._merged[1]

    # -- for a visitor ---------------------------------------------------------------------------------

    def rows(self, visitor: Visitor) -> list[Row]:
        """The batches that *visitor* may see, newest first."""
        return [one.row for one in of_visitor(self.fresh().batches, visitor)]

    def select(self, visitor: Visitor, wanted: Wanted, skip: int = 0, most: int | None = None) -> Selection:
        """*most* of the batches of *visitor* that are *wanted*, without the first *skip*; newest first."""
        return select(of_visitor(self.fresh().batches, visitor), wanted, skip, most)

    def batch(self, visitor: Visitor, key: str, view: View | None = None) -> Listed | None:
        """The newest batch of *visitor* that *key* (a claim stamp of now or before, an id, Listed.key) belongs to."""
        seen = of_visitor((view or self.fresh()).batches, visitor)
        return next((one for one in seen if one.is_called(key)), None)

    def lookup(self, visitor: Visitor, key: str) -> Listed | None:
        """As batch(); an old batch that was not read yet is read for who asks by its claim stamp."""
        # Who follows a drop has only just dropped it, and an older batch may have had the same name.
        view = self.fresh(0.0) if is_drop(key) else self.fresh()
        one = self.batch(visitor, key, view)
        for watch in self._watches if one is None and view.unread else ():
            root = watch.eye.spool.root
            for user, place, path in watch.eye.named(key):
                envelope = envelope_at(user, place, path) if visitor.may_see(root, user) else None
                if envelope is not None:
                    found = Found(self.shares.spool(root), user, place, path, envelope)
                    # Another eye: that of a Watch is used by its thread alone.
                    return Eye(self.config, found.spool).listed(found, self.presence(), self.clock())
        return one

    def find(self, visitor: Visitor, wanted: str) -> list[Found]:
        """The batches of *visitor* that are called *wanted*, by any name (status.find). Looks at the disk itself.
        Raises Unavailable when a spool of theirs is away."""
        roots = {folder.spool for folder in visitor.folders}
        spools = [one for one in self.config.spools if visitor.admin or one.path in roots]
        config = self.config.model_copy(update={"spools": tuple(spools)})
        found = find(config, wanted, glance.inbox, spool_at=self.shares.spool)
        return [one for one in found if visitor.may_see(one.spool.root, one.user)]

    # -- one batch -------------------------------------------------------------------------------------

    def found(self, listed: Listed) -> Found | None:
        """Where *listed* lies now, to read or to act on it; None when it moved on. Raises Unavailable, OSError."""
        spool, row = self.shares.spool(listed.spool), listed.row
        spool.check_present()
        if row.claim is not None:
            envelope = envelope_at(row.user, row.place, row.path)
            return Found(spool, row.user, row.place, row.path, envelope) if envelope else None
        looked = glance.inbox(self.config, spool, row.user)
        dropped = next((one for one in looked if one.path == row.path), None)
        if dropped is None:
            return None
        return Found(spool, row.user, row.place, row.path, dropped.envelope, dropped)

    def whole(self, found: Found) -> Whole:
        """All there is of one batch."""
        return whole(self.config, self.clock(), found, Remembered())


def _troubles(watch: Watch) -> tuple[Target, ...]:
    silent = watch.silent()
    if silent:
        reason = f"It has not answered for {duration(silent)}."
        remedy = "See to its file server and the network."
        return (Target(f"spool:{watch.eye.spool.root}", reason, remedy),)
    return (*((watch.trouble,) if watch.trouble else ()), *watch.glimpse.troubles)
