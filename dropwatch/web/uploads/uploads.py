"""Everybody's drafts. Each belongs to one drop folder; to who comes for another one, it is not there.

It blocks; pages and API use threads. One page process at a time receives uploads for a spool.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from dropwatch.config import Config
from dropwatch.errors import OperatorError
from dropwatch.spool.folders import Spool
from dropwatch.spool.locks import locked
from dropwatch.spool.staging import (
    UPLOADS,
    Staged,
    Staging,
    all_stagings,
    is_draft,
    make_uploads,
    remove_discarded,
    stagings,
)
from dropwatch.spool.submit import Wishes
from dropwatch.web.uploads.draft import Draft
from dropwatch.web.uploads.room import Refused, check_disk, check_limit, disk_trouble
from dropwatch.web.visitor import DropFolder, Visitor

_GOODBYE = 2.0  #: seconds
_LOCK = "lock"  #: in the folder of uploads; held by the page that receives there


@dataclass
class Uploads:
    """The uploads of *config*. *clock*: epoch seconds, compared with times of the spool's disk."""

    config: Config
    clock: Callable[[], float]
    _drafts: dict[str, Draft] = field(default_factory=dict)
    _served: dict[Path, ExitStack] = field(default_factory=dict)
    _locks: dict[Path, threading.RLock] = field(
        default_factory=dict
    )  # a spool that hangs holds its own alone

    def close(self) -> None:
        """Let another page receive uploads. Where a spool hangs, the end of the process lets it go."""
        for held in self._served.values():
            end = threading.Thread(target=held.close, name="uploads-close", daemon=True)
            end.start()
            end.join(_GOODBYE)
        self._served.clear()

    # -- drafts --------------------------------------------------------------------------------------

    def begin(self, visitor: Visitor, folder: DropFolder | None = None) -> Draft:
        """A new draft for *folder*, by default the visitor's first. Raises Refused, OperatorError, Unavailable."""
        if not visitor.folders:
            raise Refused(
                403,
                "You have no drop folder yet, so nothing can be uploaded.",
                remedy="Ask the facility for one.",
            )
        where = folder or visitor.folders[0]
        if where not in visitor.folders:
            raise Refused(404, "You have no such drop folder.")
        with disk_trouble():
            self._serve(where.spool)
            self._tidy(where.spool)  # first: it may be what fills the disk
            check_disk(self.config, where.spool, 0)
            staging = Staging(where.spool, where.user, secrets.token_hex(8))
            staging.make()
            return self._load(staging)

    def drafts(self, visitor: Visitor) -> list[Draft]:
        """The visitor's drafts that are not submitted yet, the one that was touched last first."""
        found = [one for where in visitor.folders for one in stagings(where.spool, where.user)]
        found = [one for one in found if one.dropped() is None]
        found.sort(key=Staging.touched, reverse=True)
        return [self._load(staging) for staging in found]

    def draft(self, visitor: Visitor, id_: str) -> Draft:
        """The draft *id_*, if it is the visitor's. Raises Refused (404), OperatorError."""
        for where in visitor.folders if is_draft(id_) else ():
            staging = Staging(where.spool, where.user, id_)
            if staging.folder.is_dir():
                return self._load(staging)
        if visitor.away:
            raise Refused(503, "A disk does not answer, and it may be there.", remedy="Try again in a while.")
        raise Refused(404, "There is no such upload.", remedy="It may be submitted or discarded: begin anew.")

    def of(self, visitor: Visitor, file: str) -> Draft:
        """The draft that the file with the id *file* is in, if it is the visitor's. Raises Refused (404)."""
        draft = self.draft(visitor, file[: len(file) // 2])
        draft.file(file)
        return draft

    def discard(self, visitor: Visitor, id_: str) -> None:
        """Take a draft away. Raises Refused (404)."""
        draft = self.draft(visitor, id_)
        draft.discard()
        self._drafts.pop(id_, None)

    def submit(self, visitor: Visitor, id_: str, wishes: Wishes) -> Path:
        """Drop the draft *id_* as one batch, once, however often it is asked for; returns the batch's folder in the
        inbox. Raises Refused (404), PermanentError (not all is there), ManifestError (the wishes), OSError."""
        return self.draft(visitor, id_).submit(wishes)

    # -- files ---------------------------------------------------------------------------------------

    def add(self, visitor: Visitor, id_: str, path: str, size: int, modified: int) -> Staged:
        """Expect a file of *size* bytes at *path* of the draft *id_*; *modified*: milliseconds since the epoch.
        Raises Refused, PermanentError (its name)."""
        draft = self.draft(visitor, id_)
        if size < 0:
            raise Refused(400, "A file has a size.")
        self.check_room(draft)
        with disk_trouble():
            theirs = self.drafts(visitor)
            with self._lock_of(draft.staging.spool):  # what two ask for at once counts for both
                if known := draft.known(path, size, modified):
                    return known
                check_limit(self.config, sum(one.size() for one in theirs), size)
                check_disk(self.config, draft.staging.spool, size + self._awaited(draft.staging.spool))
                staged = draft.expect(path, size, modified)
            draft.write_down(staged)
        return staged

    def check_room(self, draft: Draft) -> None:
        """Raise Refused where the disk of *draft* can take nothing more now."""
        with disk_trouble():
            check_disk(self.config, draft.staging.spool, 0)

    def known(self, file: str) -> Draft | None:
        """The draft with the file *file*, once of() has let somebody to it. It is asked where nothing may wait,
        so it takes no lock."""
        return self._drafts.get(file[: len(file) // 2])

    def _awaited(self, spool: Path) -> int:
        """Bytes that are still to come into *spool*, as far as is known here."""
        return sum(draft.awaited() for draft in list(self._drafts.values()) if draft.staging.spool == spool)

    def _more(self, staging: Staging) -> None:
        check_disk(self.config, staging.spool, 0)

    # -- loading and tidying -------------------------------------------------------------------------

    def _lock_of(self, spool: Path) -> threading.RLock:
        return self._locks.setdefault(spool, threading.RLock())

    def _load(self, staging: Staging) -> Draft:
        with self._lock_of(staging.spool):
            if staging.draft not in self._drafts:
                self._serve(staging.spool)
                self._drafts[staging.draft] = Draft.load(staging, self._more)
            return self._drafts[staging.draft]

    def _serve(self, spool: Path) -> None:
        """Be the one page that receives uploads for *spool*, until the process ends. Raises OperatorError."""
        with self._lock_of(spool):
            if spool in self._served:
                return
            Spool(spool).check_present()
            make_uploads(spool)
            stack = ExitStack()
            if not stack.enter_context(locked(spool / UPLOADS / _LOCK, shared=False)):
                stack.close()
                raise OperatorError(
                    f"Another page receives uploads for {spool}.",
                    concerns="spool",
                    remedy="Stop one of the two; one `dropwatch web` serves a spool.",
                )
            self._served[spool] = stack

    def _tidy(self, spool: Path) -> None:
        """Take away what nobody touched for web.upload_keep."""
        for staging in all_stagings(spool):
            if self.clock() - staging.touched() > self.config.web.upload_keep:
                self._drafts.pop(staging.draft, None)
                staging.discard()
        remove_discarded(spool)
