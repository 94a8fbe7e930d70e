"""An envelope that no daemon sees yet: made under a hidden name, and shown by one rename when it is ready.

For who claims a drop without being the daemon, which takes an empty envelope for a claim that did not happen. Only what
is ours is ever in a hidden one.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from dropwatch.model import CLAIM_STAMP, Envelope, Place
from dropwatch.spool.copying import share
from dropwatch.spool.folders import MEMORY, Spool, shortened, stamped_at
from dropwatch.spool.moves import ensure_directory, move, remove_ours

_HIDDEN = "."
_LEFT = 3600.0  #: seconds after which nobody works on a hidden one any more


def make(spool: Spool, user: str, claim: str, folder: str) -> Envelope:
    """A hidden envelope for the folder *folder*, to write into. What was left of others goes. Raises OSError."""
    processing = spool.folder(user, Place.PROCESSING)
    _sweep(processing, claim)
    path = processing / f"{_HIDDEN}{claim}"
    for made in (path, path / MEMORY):
        ensure_directory(made)
        _hand_over(made)
    return Envelope(user, Place.PROCESSING, path, claim, folder)


def show(envelope: Envelope, name: str) -> Envelope:
    """From now on *envelope*, of what was dropped as *name*, is one like any other."""
    path = envelope.path.with_name(f"{envelope.claim}_{shortened(name)}")
    move(envelope.path, path)
    return replace(envelope, path=path)


def discard(envelope: Envelope) -> None:
    """Remove a hidden envelope, as far as that can be done."""
    with suppress(OSError):
        remove_ours(envelope.path, [MEMORY])


def _hand_over(path: Path) -> None:
    """The daemon has to write in it, whoever made it."""
    share(path, path.parent)
    if sys.platform != "win32" and os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def _sweep(processing: Path, claim: str) -> None:
    """Remove what a death between make() and show() left. *claim*: the stamp of now."""
    for path in processing.glob(f"{_HIDDEN}*"):
        stamp = path.name.removeprefix(_HIDDEN)
        if CLAIM_STAMP.fullmatch(stamp) and stamped_at(stamp) + _LEFT < stamped_at(claim):
            with suppress(OSError):
                remove_ours(path, [MEMORY])
