"""Takes a drop that nobody claimed yet out of its inbox, for who cancels it: claimed and cancelled by one rename.

No daemon has to run, and one that does may claim the same drop at the same moment: only one of the two renames comes
about. The envelope is whole and marked as cancelled before it is seen. Whoever finds it concludes it like any other.
"""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

from dropwatch.config import Config
from dropwatch.errors import DropwatchError
from dropwatch.ledger import Ledger
from dropwatch.model import Dropped, Envelope
from dropwatch.pipeline import cancelling
from dropwatch.pipeline.adoption import first_record
from dropwatch.pipeline.claims import names_of_loose
from dropwatch.spool import loose, unseen
from dropwatch.spool.folders import MEMORY, Spool, claim_stamp, inner_name


def withdraw(config: Config, spool: Spool, dropped: Dropped, now: float, rng: random.Random) -> Path:
    """Move *dropped* into an envelope in processing/ that is cancelled. Returns where its files lie.

    now -- epoch seconds
    Raises FileNotFoundError (it has left the inbox), InUse, OperatorError (no permission), OSError: it lies where it
    lay then.
    """
    claim = claim_stamp(now, rng)
    spool.ensure_places(dropped.user)
    if dropped.envelope is not None:
        # An envelope that came back. The mark names the new stamp, so that only this move cancels.
        cancelling.mark(dropped.envelope.path, claim)
        return spool.take_returned(dropped.envelope, claim, dropped.envelope.folder).batch_folder
    envelope = _marked(config, spool, dropped, claim, now)
    try:
        if dropped.loose:
            loose.begin(spool, envelope, dropped.loose[0])
        else:
            spool.take(dropped.name, envelope)
    except (DropwatchError, OSError):
        (loose.undo if dropped.loose else Spool.undo)(spool, envelope)
        raise
    if dropped.loose:
        with suppress(DropwatchError, OSError):  # they are one batch now: the line goes on moving them
            loose.gather(spool, envelope, dropped.loose)
    return envelope.batch_folder


def _marked(config: Config, spool: Spool, dropped: Dropped, claim: str, now: float) -> Envelope:
    """A cancelled envelope for *dropped*, without its folder."""
    name, folder = dropped.name, inner_name(dropped.name)
    if dropped.loose:
        name, folder = names_of_loose(dropped.name, now, config.site.timezone)
    hidden = unseen.make(spool, dropped.user, claim, folder)
    try:
        # Nobody knows this envelope yet: from the rename on, the daemon alone writes its record.
        Ledger(MEMORY).write(hidden.path, first_record(hidden, name, now, dropped.loose))
        cancelling.mark(hidden.path, claim)
        return unseen.show(hidden, dropped.name)
    except (DropwatchError, OSError):
        unseen.discard(hidden)
        raise
