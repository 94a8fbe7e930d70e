"""Where uploads wait to become a batch: ``<spool>/.dropwatch-uploads/<user>/<draft>/``, mode 0700.

A *draft* is a batch that is being put together. It lies on the file system of the inbox, so that submitting it is one
rename (submit.py), and where no user of a drop folder comes to; its name begins with a dot, so it is no user either.

    batch/         the files at their places, as they will be in the inbox
    uploads/       one small file for each of them: what it is to be, and how much of it is certainly on the disk
    submitted.json what it was dropped as; written before the rename

Only this module writes there. It knows no network and no person.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dropwatch.durable import fsync_directory, is_there, write_durably
from dropwatch.errors import OperatorError
from dropwatch.model import Place
from dropwatch.spool.copying import share
from dropwatch.spool.folders import Spool

UPLOADS = ".dropwatch-uploads"
_ID = re.compile(r"[0-9a-f]{16}")
_FILES, _NOTES, _DROPPED = "batch", "uploads", "submitted.json"
_WRITE = os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_ACL = ("system.posix_acl_access", "system.posix_acl_default")


@dataclass(frozen=True)
class Staged:
    """One file of a draft.

    path     -- '/'-separated, below the draft
    size     -- bytes it will have
    modified -- when its owner last changed it, milliseconds since the epoch
    received -- bytes that are certainly on the disk
    sha256   -- of the whole file, once it is there; None too when that has to be computed from the disk
    """

    id: str
    path: str
    size: int
    modified: int
    received: int = 0
    sha256: str | None = None

    @property
    def whole(self) -> bool:
        return self.received == self.size


@dataclass(frozen=True)
class Dropped:
    """What a draft was dropped as: *name* in the inbox. *top* -- the folder of the draft that became the batch."""

    name: str
    top: str


@dataclass(frozen=True)
class Staging:
    """The folder of one draft of *user* in the spool at *spool*."""

    spool: Path
    user: str
    draft: str

    @property
    def folder(self) -> Path:
        return self.spool / UPLOADS / self.user / self.draft

    @property
    def files(self) -> Path:
        """The folder that becomes the batch."""
        return self.folder / _FILES

    # -- the draft -----------------------------------------------------------------------------------

    def make(self) -> None:
        """Make it, empty. Raises OperatorError (it cannot become a batch by a rename; somebody else's folder)."""
        inbox = Spool(self.spool).folder(self.user, Place.INBOX)
        make_uploads(self.spool)
        _make_private(self.folder.parent)
        if self.folder.parent.stat().st_dev != inbox.stat().st_dev:
            raise OperatorError(
                f"{inbox} is not on the file system of its spool, so nothing can be uploaded for {self.user}.",
                concerns="user",
                remedy="Keep drop folders on the file system of the spool; an upload is moved into them.",
            )
        self.folder.mkdir(mode=0o700)
        (self.folder / _NOTES).mkdir(mode=0o700)
        self.files.mkdir()
        _resemble(self.files, inbox)
        for made in (self.folder, self.folder.parent):
            fsync_directory(made)

    def touch(self) -> None:
        """Somebody is at it still."""
        os.utime(self.folder)

    def touched(self) -> float:
        """When somebody last did something with it, by the clock of the disk: epoch seconds."""
        latest = 0.0
        for place in (self.folder, self.folder / _NOTES, self.folder / _DROPPED):
            with suppress(FileNotFoundError):  # it may go while we look
                latest = max(latest, place.stat().st_mtime)
        return latest

    def discard(self) -> None:
        """Take it away, with all that was uploaded. What was submitted is no longer here."""
        # Under another name first: half of a draft would look like a whole one.
        gone = self.folder.with_name(f".{self.draft}")
        with suppress(FileNotFoundError):
            self.folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    # -- its files -----------------------------------------------------------------------------------

    def load(self) -> Iterator[Staged]:
        """The files that are uploaded or being uploaded, by what is on the disk."""
        for note in sorted((self.folder / _NOTES).glob("*.json")):
            said = json.loads(note.read_bytes())
            staged = Staged(**said)
            there = self.size(staged) or 0
            yield staged if there >= staged.received else Staged(**{**said, "received": 0, "sha256": None})

    def size(self, staged: Staged) -> int | None:
        """Bytes that the disk has of it, certain or not; None where it is not there."""
        try:
            return self.place(staged).lstat().st_size
        except FileNotFoundError:
            return None

    def place(self, staged: Staged) -> Path:
        return self.files.joinpath(*staged.path.split("/"))

    def note(self, staged: Staged) -> None:
        """Write down, durably, how far *staged* is. What it says has to be on the disk already."""
        write_durably(self._note(staged), json.dumps(asdict(staged)).encode())

    def open(self, staged: Staged) -> int:
        """A descriptor to write the rest of *staged* with. Whatever came after what is certain is cut off."""
        place = self.place(staged)
        self._make_folders(place.parent)
        handle = os.open(place, _WRITE, 0o666)
        try:
            share(place, place.parent)
            os.ftruncate(handle, staged.received)
            os.lseek(handle, staged.received, os.SEEK_SET)
        except OSError:
            os.close(handle)
            raise
        return handle

    def make_empty(self, staged: Staged) -> None:
        """Have a file of no bytes there."""
        os.close(self.open(staged))
        self.set_time(staged)

    def set_time(self, staged: Staged) -> None:
        """Give the file the time that it has where it comes from."""
        with suppress(
            OverflowError, OSError
        ):  # a time that this disk cannot keep is no reason to lose a file
            os.utime(self.place(staged), ns=(staged.modified * 10**6, staged.modified * 10**6))

    def remove(self, staged: Staged) -> None:
        """Take one file away, and folders that are empty then."""
        place = self.place(staged)
        place.unlink(missing_ok=True)
        self._note(staged).unlink(missing_ok=True)  # last: what has no note would go with the batch
        for folder in place.parents:
            if folder == self.files:
                break
            try:
                folder.rmdir()
            except OSError:  # not empty, or never made
                if is_there(folder):
                    break

    # -- its end -------------------------------------------------------------------------------------

    def will_drop(self, dropped: Dropped) -> None:
        """Write down what the next rename makes of the draft."""
        write_durably(self.folder / _DROPPED, json.dumps(asdict(dropped)).encode())

    def dropped(self) -> Dropped | None:
        """What the draft was dropped as; None while it was not."""
        try:
            said: dict[str, Any] = json.loads((self.folder / _DROPPED).read_bytes())
        except FileNotFoundError:
            return None
        dropped = Dropped(**said)
        return None if is_there(self.files / dropped.top) else dropped

    def will_not_drop(self) -> None:
        """Take back will_drop(): the rename did not come. Files that are taken out later are not a batch that went."""
        with suppress(FileNotFoundError):
            (self.folder / _DROPPED).unlink()
            fsync_directory(self.folder)

    def forget(self) -> None:
        """Keep nothing of a submitted draft but what it was dropped as."""
        for part in (_NOTES, _FILES):
            shutil.rmtree(self.folder / part, ignore_errors=True)

    def _note(self, staged: Staged) -> Path:
        return self.folder / _NOTES / f"{staged.id}.json"

    def _make_folders(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._make_folders(folder.parent)
        with suppress(FileExistsError):  # two files of it begin at once
            folder.mkdir()
        share(folder, self.files)


def make_uploads(spool: Path) -> None:
    """Have the folder of all drafts there. Raises OperatorError when it is somebody else's."""
    _make_private(spool / UPLOADS)


def stagings(spool: Path, user: str) -> list[Staging]:
    """The drafts of *user*."""
    above = spool / UPLOADS / user
    names = sorted(path.name for path in above.iterdir()) if above.is_dir() else []
    return [Staging(spool, user, name) for name in names if is_draft(name)]


def all_stagings(spool: Path) -> list[Staging]:
    """The drafts of everybody."""
    above = spool / UPLOADS
    users = sorted(path.name for path in above.iterdir() if path.is_dir()) if above.is_dir() else []
    return [staging for user in users for staging in stagings(spool, user)]


def remove_discarded(spool: Path) -> None:
    """Take away the rest of drafts whose discarding was cut short."""
    for gone in (spool / UPLOADS).glob("*/.*"):
        if is_draft(gone.name.removeprefix(".")):
            shutil.rmtree(gone, ignore_errors=True)


def is_draft(name: str) -> bool:
    """Whether a draft can be called so."""
    return _ID.fullmatch(name) is not None


def _make_private(folder: Path) -> None:
    """Have *folder*, ours alone. Raises OperatorError when it is somebody else's."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        fsync_directory(folder.parent)
    info = folder.lstat()
    if not stat.S_ISDIR(info.st_mode) or (sys.platform != "win32" and info.st_uid != os.geteuid()):
        raise OperatorError(
            f"{folder} does not belong to the account that runs the page, so nothing can be uploaded.",
            concerns="spool",
            remedy="Run the page under the daemon's account; if that folder is nothing to you, take it away.",
        )
    if stat.S_IMODE(info.st_mode) & 0o077:
        folder.chmod(0o700)


def _resemble(folder: Path, inbox: Path) -> None:
    """Let *folder*, and what is made in it, be open to those to whom it would be, had it been made in *inbox*."""
    if sys.platform == "win32":
        return
    theirs = inbox.stat()
    if folder.stat().st_gid != theirs.st_gid:
        with suppress(PermissionError):
            os.chown(folder, -1, theirs.st_gid)
    folder.chmod(stat.S_IMODE(theirs.st_mode) & 0o2775 | 0o700)
    if sys.platform == "linux":
        with suppress(OSError):  # no ACLs here
            for name in _ACL:
                os.setxattr(folder, name, os.getxattr(inbox, _ACL[1]))
