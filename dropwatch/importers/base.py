"""The contract between a worker and an image store. It opens no connection itself.

An Importer belongs to one process and may be used by several threads at once; it keeps one session for
each worker thread, owner and group, and keeps it alive. Whatever the store says is translated here, by
type, into the errors of ``errors.py``; anything that comes out untranslated is a bug.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from dropwatch.model import Answers, Attached, Attachment, Fileset, Imported, Order, Progress, Tidied, Tree


@dataclass(frozen=True)
class Account:
    """What the store knows of a person. *admin*: an administrator of the store itself, restricted ones too."""

    name: str
    email: str | None
    active: bool
    groups: tuple[str, ...]
    default_group: str
    admin: bool = False


@dataclass(frozen=True)
class Finding:
    """One line of a doctor's report. *remedy* is empty when *ok*."""

    ok: bool
    subject: str
    text: str
    remedy: str = ""


class Importer(Protocol):
    """Imports as a user. Every method may raise Unavailable (connecting failed, nothing begun) and
    OperatorError (an admin has to act)."""

    def ask(self, order: Order, filesets: Sequence[Fileset]) -> Answers:
        """Connect as the owner, find or make the target, and ask what the store already has of *filesets*.

        Leftovers (uploads of this batch that never became images) are closed and deleted, so that
        what is missing in the answer can be imported at once. With ``order.duplicates == "skip"`` files
        that the owner already has in the target (name, size, checksum) are answered as Skipped, and a
        fileset that the store still imports into it under another batch id as Running.
        Raises PermanentError (no such target, not a member of the group), TemporaryError.
        """
        ...

    def import_(
        self,
        order: Order,
        fileset: Fileset,
        answers: Answers,
        *,
        progress: Callable[[Progress], None],
        stopped: Callable[[], bool],
    ) -> Imported:
        """Import one fileset into ``answers.container``; its key is in the store before its first byte.

        *stopped* is looked at between blocks and while following the server. Before the upload is
        verified it leads to Interrupted, with the import process closed and the leftover deleted where possible;
        after that it leads to Interrupted too, but the store goes on by itself and a later ask says Running
        or Imported.
        Raises PermanentError (unreadable by the server, not the listed file; a server that answered ERR
        puts its error name into ``code``, excerpt of its import log into ``detail`` and the log's id into
        ``log`` (attribute, int or None)), TemporaryError (connection lost, checksum differs, file changed
        while it was read), Interrupted.
        """
        ...

    def attach(
        self,
        order: Order,
        attachment: Attachment,
        answers: Answers,
        *,
        progress: Callable[[Progress], None],
        stopped: Callable[[], bool],
    ) -> Attached:
        """Attach one file to ``answers.container``, so that a later ask finds it; done twice it is there once.

        Raises PermanentError, TemporaryError, Interrupted as import_ does.
        """
        ...

    def tidy(self, owner: str, keep: Collection[str], older: float) -> Tidied:
        """Remove what is left of imports of *owner*'s that nobody goes on with: uploads that broke off, imports that
        failed, half attachments. Nothing that has images is touched, nor what may still get some.

        keep  -- ids of the batches that are in work: ask() sees to what is left of those
        older -- seconds; what is younger is left alone
        Raises TemporaryError.
        """
        ...

    def account(self, owner: str) -> Account:
        """What the store knows of *owner*. Raises OperatorError(concerns="user") when unknown or inactive."""
        ...

    def accounts(self) -> list[Account]:
        """Everybody whom the store knows and whom a batch may be imported for, in the order of their names.

        Accounts of the store's own (root, guests, the service account) are left out.
        """
        ...

    def containers(self, owner: str, group: str | None) -> Tree:
        """What *owner* has in *group* (None: the default group), to choose a target from.

        Raises PermanentError (not a member of the group), TemporaryError.
        """
        ...

    def thumbnails(
        self, owner: str, ids: Sequence[int], size: int, *, kind: str = "Image"
    ) -> Mapping[int, bytes]:
        """JPEG pictures by image id, or by plate id when *kind* is "Plate" (of its first field), in whatever group.

        size -- pixels of the longer side. What *owner* may not see in the store, and what cannot be drawn, is
        left out. Raises TemporaryError.
        """
        ...

    def sign_in(self, name: str, password: str) -> Account | None:
        """Who *name* is in the store's own spelling, if the store takes *password*; None when it refuses either.

        A session is opened as that person and closed before the answer; nothing is kept, and the password is
        in no error, log or ``repr``. Raises Unavailable, and PermanentError with a remedy when the account may
        not be used (it is not active) or the store knows no passwords.
        """
        ...

    def diagnose(self, owner: str | None) -> list[Finding]:
        """Check login, privilege and, for *owner*, the way through sudo; never raises for what it finds."""
        ...

    def discard(self, order: Order, fileset: Fileset, imported: Imported) -> None:
        """Remove what ``import_`` made (for ``check --import-as``), the target too if it was created and is empty."""
        ...

    def close(self) -> None:
        """End all sessions. Never raises."""
        ...
