"""Claims one drop: makes its envelope with its record, then moves it in by one rename."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from dropwatch.errors import DropwatchError, OperatorError
from dropwatch.model import Envelope
from dropwatch.pipeline.adoption import adopt, batch_id, first_record, never_happened, next_record
from dropwatch.pipeline.case import Case
from dropwatch.pipeline.desk import Desk
from dropwatch.pipeline.drops import FreshFolder, LooseFiles, ReturnedEnvelope
from dropwatch.pipeline.sightings import Seen
from dropwatch.report.words import size
from dropwatch.settling import Ready
from dropwatch.spool import loose
from dropwatch.spool.folders import Spool, claim_stamp, inner_name, shortened

STATE_FULL = 2**16  #: bytes; with less, no letter can be kept
STATE_LEAST = (
    16 * 2**20
)  #: bytes; the state folder needs little, whatever share of its disk the spool has to keep free
SPLIT_RUN = 600.0  #: seconds within which a folder of the same name means that a run came in two parts


@dataclass
class Claims:
    """recent -- when a folder of that name was claimed last, and as what"""

    desk: Desk
    recent: dict[tuple[Path, str, str], tuple[float, str]] = field(default_factory=dict)

    def claim(self, spool: Spool, user: str, seen: Seen, state: Ready) -> Case | None:
        """Claim a drop that is ready; None when it has to wait (held, no space, already in processing/).

        Raises OperatorError (no permission), TemporaryError (still in use), FileNotFoundError (taken away).
        """
        if self.desk.held(user) or not self._has_space(spool) or self._is_in_work(spool, user, seen):
            return None
        spool.ensure_places(user)
        claim = claim_stamp(self.desk.now(), self.desk.rng)
        match seen.drop:
            case FreshFolder() as drop:
                envelope = self._claim_folder(spool, user, drop, claim, proven=seen.is_proven)
            case LooseFiles() as drop:
                envelope = self._claim_loose(spool, user, drop, claim)
            case ReturnedEnvelope() as drop:
                envelope = self._claim_returned(spool, drop, claim, new_batch=seen.wants_new_batch)
        case = adopt(self.desk, spool, envelope)
        if case is not None:
            self.desk.say("claim", case, name=case.record.name, lacking="; ".join(state.lacking) or None)
        return case

    def _claim_folder(
        self, spool: Spool, user: str, drop: FreshFolder, claim: str, *, proven: bool
    ) -> Envelope:
        envelope = spool.make_envelope(user, claim, drop.name, inner_name(drop.name))
        self._filled(spool, envelope, first_record(envelope, drop.name, self.desk.now()), drop.name)
        if not proven:  # a program that lists its files knows that it has written them all
            self._tell_if_split(spool, user, drop.name, claim)
        return envelope

    def _filled(self, spool: Spool, envelope: Envelope, record: object, entry: str) -> None:
        """Write the record, then make the one move. A claim that cannot be made leaves nothing behind."""
        try:
            self.desk.ledger.write(envelope.path, record)  # type: ignore[arg-type]
            spool.take(entry, envelope)
        except (DropwatchError, OSError):
            spool.undo(envelope)
            raise

    def _claim_loose(self, spool: Spool, user: str, drop: LooseFiles, claim: str) -> Envelope:
        """The first rename is the claim. The record lists them all before, so that a restart goes on."""
        now = self.desk.now()
        name, folder = names_of_loose(drop.name, now, self.desk.config.site.timezone)
        envelope = spool.make_envelope(user, claim, drop.name, folder)
        try:
            self.desk.ledger.write(envelope.path, first_record(envelope, name, now, drop.names))
            loose.begin(spool, envelope, drop.names[0])
        except (DropwatchError, OSError):
            loose.undo(spool, envelope)
            raise
        try:
            loose.gather(spool, envelope, drop.names)
        except (DropwatchError, OSError) as err:
            # The record lists them: from now on they are one batch, and the line goes on moving them.
            self.desk.say("settle", user=user, name=drop.name, error=f"{type(err).__name__}: {err}")
        return envelope

    def _claim_returned(
        self, spool: Spool, drop: ReturnedEnvelope, claim: str, *, new_batch: bool
    ) -> Envelope:
        """The record of the new claim is written first; the rename that follows is claim and reset."""
        returned, ledger = drop.envelope, self.desk.ledger
        old = ledger.read(returned.path)
        batch = batch_id(old, returned) or claim
        if new_batch and (old is None or old.verdict is not None or never_happened(old, returned)):
            batch = claim
        record = next_record(old, batch, returned, claim, self.desk.now())
        ledger.write(returned.path, record)
        envelope = spool.take_returned(returned, claim, record.name)
        return replace(envelope, claim=claim)

    # -- what makes a drop wait ------------------------------------------------------------------------

    def _is_in_work(self, spool: Spool, user: str, seen: Seen) -> bool:
        """A copy of an envelope bears the same id: it waits until the batch in work has gone."""
        if isinstance(seen.drop, LooseFiles):
            return self._is_being_gathered(spool, user, seen.drop)
        if not isinstance(seen.drop, ReturnedEnvelope):
            return False
        batch = batch_id(self.desk.ledger.read(seen.drop.envelope.path), seen.drop.envelope)
        # Of the same user: an id is written in a record, and a forged one must hold nobody else back.
        mine = (case for case in self.desk.cases.values() if case.user == user)
        return any(case.record.batch == batch for case in mine)

    def _is_being_gathered(self, spool: Spool, user: str, drop: LooseFiles) -> bool:
        """Loose files that an interrupted claim has listed belong to that claim, which goes on moving them."""
        # Hardly any is, and this is asked for each of thousands of drops while there are thousands of cases.
        cases = [case for case in self.desk.cases.values() if not case.gathered]
        theirs = [case for case in cases if case.spool is spool and case.user == user]
        return any(set(case.record.loose) & set(drop.names) for case in theirs)

    def _has_space(self, spool: Spool) -> bool:
        """Claims stop while the spool is nearly full, or the state folder, where its mails would be kept; the admins
        are told once a day, and `status` shows it."""
        full = [path for path in (spool.root, self.desk.config.state) if not self._has_room(path)]
        return not full

    def _has_room(self, path: Path) -> bool:
        desk, name = self.desk, f"space:{path}"
        usage = shutil.disk_usage(path)
        least = int(desk.config.limits.min_free.of(usage.total))
        if path == desk.config.state:
            least = min(least, STATE_LEAST)
            if usage.free < STATE_FULL:
                desk.stores.met_in_state(
                    OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path / "outbox"))
                )
            if desk.stores.holding_letters() is not None:
                return False  # the admins were told
        if usage.free >= least:
            desk.works(name)
            return True
        error = OperatorError(
            f"The disk of {path} is nearly full ({size(usage.free)} free, at least {size(least)} wanted): no new "
            "batches are taken up.",
            concerns="spool",
            remedy='Make room, for instance by removing old folders from "done", or lower limits.min_free.',
        )
        if desk.stores.low(name, error):
            desk.say("pause", target=name, free=usage.free, least=least)
            desk.letters.low_space(str(path), usage.free, least, len(desk.cases))
        return False

    def _tell_if_split(self, spool: Spool, user: str, name: str, claim: str) -> None:
        now, key = self.desk.now(), (spool.root, user, name)
        before = self.recent.pop(key, None)
        while self.recent and now - next(iter(self.recent.values()))[0] >= SPLIT_RUN:
            del self.recent[next(iter(self.recent))]  # the oldest stands first
        self.recent[key] = (now, claim)
        if before and now - before[0] < SPLIT_RUN:
            self.desk.letters.split_run(user, name, claim)


def names_of_loose(stem: str, now: float, timezone: str) -> tuple[str, str]:
    """What a batch of loose files is called that are claimed at *now* (epoch seconds): for people, and its folder."""
    at = datetime.fromtimestamp(now, ZoneInfo(timezone))
    # A name takes 255 bytes, and the file may use them all. A dot in front says "half written". A colon cannot
    # stand in a name on Windows shares, so the folder has a dot where people see a colon.
    folder = f"{shortened(stem).lstrip('.')}, {at.day} {at:%b %Y %H.%M}"
    return f"{stem}, {at.day} {at:%b %Y %H:%M}", folder
