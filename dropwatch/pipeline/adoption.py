"""From an envelope in processing/ to its case: the same way for a claim a moment ago and for a restart.

The record is believed in what harms nobody: what was done in this claim. Who, where to and whom to tell
are found out anew.
"""

from __future__ import annotations

import os
from dataclasses import replace

from dropwatch.durable import is_there
from dropwatch.errors import OperatorError
from dropwatch.model import CLAIM_STAMP, Envelope
from dropwatch.pipeline import cancelling
from dropwatch.pipeline.case import Case
from dropwatch.pipeline.desk import Desk
from dropwatch.record import Event, PastClaim, Record
from dropwatch.spool import loose
from dropwatch.spool.folders import MEMORY, Spool, stamped_at

_PAST_CLAIMS = 20
BEING_CANCELLED = 60.0  #: seconds that somebody has for the one move that cancels a drop


def first_record(envelope: Envelope, name: str, now: float, loose: tuple[str, ...] = ()) -> Record:
    """The record of a fresh batch; its id is its first claim stamp."""
    events = (Event(now, "claim", name),)
    return Record(
        envelope.claim, envelope.claim, envelope.user, name, envelope.folder, now, name, loose, events=events
    )


def next_record(old: Record | None, batch: str, returned: Envelope, claim: str, now: float) -> Record:
    """The record of a batch that came back: the same id, a new claim, and the old one as history."""
    same = old is not None and old.folder == returned.folder
    name = (old.dropped or old.name) if old is not None and same else ""
    # It becomes a part of a path, so a forged one must be no more than a name.
    name = name if _is_plain_name(name) else returned.folder
    history = old.history if old else ()
    if old is not None and not never_happened(old, returned):
        history = (*history, PastClaim(old.claim, old.claimed_at, old.verdict, old.attempts, old.events))
    events = (Event(now, "claim", f"{name}, returned"),)
    return Record(
        batch,
        claim,
        returned.user,
        name,
        returned.folder,
        now,
        name,
        events=events,
        history=history[-_PAST_CLAIMS:],
    )


def never_happened(old: Record, returned: Envelope) -> bool:
    """Whether *old* is of a claim whose rename failed: the folder still bears the stamp of the one before."""
    before = old.history[-1].claim if old.history else ""
    return old.verdict is None and old.claim != returned.claim and before == returned.claim != ""


def batch_id(old: Record | None, returned: Envelope) -> str | None:
    """The id of a batch that came back: its record's, or the stamp in the name of its envelope."""
    for candidate in (old.batch if old else "", returned.claim):
        if CLAIM_STAMP.fullmatch(candidate):
            return candidate
    return None


def adopt(desk: Desk, spool: Spool, envelope: Envelope) -> Case | None:
    """The case of *envelope*; None for a claim that did not happen (its folder never came), which is undone."""
    record = _sound(
        desk.ledger.read(envelope.path), envelope, desk.now(), max(desk.config.retry.import_, default=0.0)
    )
    envelope = replace(envelope, folder=envelope.folder or record.folder)
    if not _has_folder(envelope, record):
        if _is_being_cancelled(envelope, desk.now()) or not desk.is_proven(spool.root, envelope.path):
            return None  # a share may show it late; the next sweep looks again
        return _without_folder(desk, spool, envelope, record)
    desk.lacking.pop(envelope.path, None)
    gathered = not loose.ungathered(spool, envelope, record.loose)
    case = Case(spool, envelope, record, gathered=gathered)
    case.outcomes = {line.fileset: line for line in desk.ledger.lines(envelope.path, record.claim)}
    case.suspect = record.attempting
    if record.attempting:
        case.log(desk.now(), "resume", "dropwatch ended during an attempt")
    if record.verdict is None and cancelling.is_marked(envelope):
        # Now, before anything is begun: the line looks for that mark only every few seconds.
        case.cancelled = True
        case.log(desk.now(), "cancel")
    desk.say("adopt", case, name=record.name, attempts=record.attempts, interrupted=record.attempting or None)
    return case


def _has_folder(envelope: Envelope, record: Record) -> bool:
    """Whether the claim happened. That of loose files did with the first of them: until then it may be anybody's."""
    if record.loose and not record.planned:
        return bool(envelope.folder) and loose.has_begun(envelope)
    return bool(envelope.folder) and is_there(envelope.batch_folder)


def _is_being_cancelled(envelope: Envelope, now: float) -> bool:
    """Whether somebody may just be taking a drop out of the inbox into *envelope* (withdrawing.py)."""
    return cancelling.is_marked(envelope) and abs(now - stamped_at(envelope.claim)) < BEING_CANCELLED


def _sound(record: Record | None, envelope: Envelope, now: float, longest: float) -> Record:
    """The record, if it belongs to this claim; whatever in it could carry authority comes from the place.

    longest -- seconds of the longest interval between two attempts
    """
    if record is None or record.claim != envelope.claim:
        batch = batch_id(record, envelope) or envelope.claim
        return replace(first_record(envelope, envelope.folder, now), batch=batch)
    batch = record.batch if CLAIM_STAMP.fullmatch(record.batch) else envelope.claim
    loose = tuple(name for name in record.loose if _is_plain_name(name))
    folder = envelope.folder or (record.folder if _is_plain_name(record.folder) else "")
    # A forged wait must not outlive the longest one that the configuration knows, nor attempts be endless.
    attempts, not_before = max(0, record.attempts), min(record.not_before, now + longest)
    return replace(
        record,
        batch=batch,
        user=envelope.user,
        folder=folder,
        loose=loose,
        attempts=attempts,
        not_before=not_before,
    )


def _without_folder(desk: Desk, spool: Spool, envelope: Envelope, record: Record) -> Case | None:
    """No folder in the envelope: either the claim did not happen, or a person took the folder out meanwhile."""
    if record.planned:
        case = Case(spool, envelope, record)
        case.outcomes = {line.fileset: line for line in desk.ledger.lines(envelope.path, record.claim)}
        desk.letters.withdrawn(case)
        desk.say("withdraw", case)
    try:
        (loose.undo if record.loose else Spool.undo)(spool, envelope)
    except OperatorError as err:
        # Whose folder is the batch cannot be told any more; a person has to look, and is told once a day.
        desk.letters.fault(err, [envelope.user])
        desk.say("adopt", path=envelope.path, error=err.message)
    return None


def _is_plain_name(name: str) -> bool:
    return name not in ("", ".", "..", MEMORY) and not set(name) & {"/", os.sep, "\0"}
