"""Removes what is left in OMERO of imports and attachments that nobody goes on with.

Their batch was taken away or given up when a worker had just died, or a connection was lost: nobody asks about it any
more. Nothing that has images is ever deleted here, nor what may still get some.
"""

from __future__ import annotations

from collections.abc import Collection

from dropwatch.importers import omero_attachments as attachments
from dropwatch.importers import omero_inventory as inventory
from dropwatch.importers.omero_handles import delete_files, delete_filesets
from dropwatch.importers.omero_inventory import Unfinished
from dropwatch.importers.omero_session import Session
from dropwatch.model import Tidied

_AT_ONCE = 50  # filesets in one deletion: each may have thousands of files


def tidy(session: Session, keep: Collection[str], older: float) -> Tidied:
    """See base.Importer.tidy."""
    before = session.factory.getConfigService().getServerTime().val - older * 1000
    old = {one.id: one.key for one in left_over(session, before) if one.key[0] not in keep}
    alive = inventory.not_over(session, old)
    # Once more, after all else: what has images by now is none, whatever its process said.
    dead = [one.id for one in left_over(session, before) if one.id in old.keys() - alive]
    for start in range(0, len(dead), _AT_ONCE):
        delete_filesets(session, dead[start : start + _AT_ONCE])
    half = [file.id for file in attachments.half(session) if file.made < before and file.batch not in keep]
    delete_files(session, half)
    return Tidied(len(dead) + len(half), tuple(sorted(alive)))


def left_over(session: Session, before: float) -> list[Unfinished]:
    """The owner's filesets of ours without images that were made *before* then (the server's time, milliseconds)."""
    return [one for one in inventory.unfinished(session) if one.made < before and one.key != ("", "")]
