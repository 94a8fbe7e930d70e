"""Loose files of an inbox: many renames bring them into their envelope, and the first of them is the claim.

Who comes second finds the first file gone, and leaves the others where they are.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from dropwatch.durable import fsync_directory, is_there
from dropwatch.model import Envelope, Place
from dropwatch.spool.folders import Spool
from dropwatch.spool.moves import ensure_directory, rename


def begin(spool: Spool, envelope: Envelope, name: str) -> None:
    """Move inbox/*name*, the first of them, into the envelope. This one rename is the claim; gather() comes next, and
    makes it durable.

    Raises as moves.rename(): FileNotFoundError when somebody else took it. Then undo() the envelope.
    """
    spool.fence.check()
    if not envelope.batch_folder.is_dir():
        ensure_directory(envelope.batch_folder)
    rename(spool.folder(envelope.user, Place.INBOX) / name, envelope.batch_folder / name)


def has_begun(envelope: Envelope) -> bool:
    """Whether one of them is in the envelope. Raises OSError where that cannot be known."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(envelope.batch_folder) as there:
        return any(there)
    return False


def gather(spool: Spool, envelope: Envelope, names: tuple[str, ...]) -> None:
    """Move the loose files *names* into the envelope; what is there already stays.

    A power cut between the two syncs leaves a file under both its names on btrfs. It is one file, so that its old
    name can go; left there, it would be another batch.
    """
    inbox = spool.folder(envelope.user, Place.INBOX)
    if not envelope.batch_folder.is_dir():
        ensure_directory(envelope.batch_folder)
    try:
        for name in names:
            source, target = inbox / name, envelope.batch_folder / name
            if not is_there(source):
                continue
            spool.fence.check()
            if not is_there(target):
                rename(source, target)
            elif _is_same(source, target):
                source.unlink()
    finally:  # there may be thousands of them; a file that a power cut takes back waits in the inbox again
        fsync_directory(envelope.batch_folder)
        fsync_directory(inbox)


def ungathered(spool: Spool, envelope: Envelope, names: tuple[str, ...]) -> bool:
    """Whether one of *names* still waits in the inbox to be moved into the envelope."""
    inbox, folder = spool.folder(envelope.user, Place.INBOX), envelope.batch_folder
    return any(
        is_there(inbox / name) and (not is_there(folder / name) or _is_same(inbox / name, folder / name))
        for name in names
    )


def undo(spool: Spool, envelope: Envelope) -> None:
    """Remove an envelope whose claim did not begin, with the empty folder that was made for it. Raises as
    Spool.undo(), which removes nothing of the user's."""
    spool.fence.check()
    with suppress(OSError):
        envelope.batch_folder.rmdir()
    spool.undo(envelope)


def _is_same(one: Path, other: Path) -> bool:
    """Whether two names are certainly of one file. Shares make inodes up, and two files may get the same; but these
    do not claim to have a second name."""
    first, second = one.lstat(), other.lstat()
    alike = (first.st_size, first.st_mtime_ns) == (second.st_size, second.st_mtime_ns)
    return first.st_nlink > 1 and alike and os.path.samestat(first, second)
