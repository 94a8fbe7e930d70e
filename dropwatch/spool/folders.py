"""The layout of a spool, and the moves of a batch through it: claim, retire, give back."""

from __future__ import annotations

import calendar
import os
import random
import stat
import time
import unicodedata
from collections.abc import Container, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from dropwatch.durable import fsync_directory, is_there
from dropwatch.errors import OperatorError, Unavailable
from dropwatch.litter import is_junk
from dropwatch.model import CLAIM_STAMP, Envelope, Place
from dropwatch.spool.fence import Fence, Open
from dropwatch.spool.knock import GIVE_UP
from dropwatch.spool.moves import ensure_directory, move, remove_ours

IDENTITY = ".dropwatch-spool"
HANGING = "spool-hangs"  #: code of the error when a spool does not answer
MEMORY = ".dropwatch"  #: our own folder inside an envelope
LOCK = "lock"  #: in MEMORY; held shared by the workers of an envelope
REPORT = "REPORT.txt"
_REPORTS = (REPORT.casefold(), f"{REPORT}.part".casefold())
_NAME_BYTES = 60
_STAMPED = "%Y%m%d-%H%M%S"
_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"


@dataclass(frozen=True)
class Users:
    """The drop-folder users of a spool. *clashing* differ by case only and are refused, all of them."""

    names: tuple[str, ...]
    clashing: tuple[str, ...] = ()


@dataclass(frozen=True)
class InboxEntry:
    """Something at the top of an inbox. *folder* is a real directory; anything else is loose."""

    name: str
    folder: bool


def claim_stamp(now: float, rng: random.Random) -> str:
    """A sortable name that no other claim bears: UTC time and four random letters."""
    return time.strftime(f"{_STAMPED}-", time.gmtime(now)) + "".join(rng.choices(_LETTERS, k=4))


def stamped_at(claim: str) -> float:
    """When the claim stamp *claim* was made (epoch seconds); 0 where it is none."""
    try:
        return float(calendar.timegm(time.strptime(claim[:15], _STAMPED)))
    except ValueError:
        return 0.0


class Spool:
    """One spool. Raises OperatorError(concerns="spool") for what an admin has to mend.

    fence -- checked before each move, and to be checked before each other act that counts; none: Open
    """

    def __init__(self, root: Path, fence: Fence | None = None) -> None:
        self.root = root
        self.fence = fence or Open(root)

    # -- identity and users ------------------------------------------------------------------------

    @property
    def identity(self) -> Path:
        return self.root / IDENTITY

    def check_present(self) -> None:
        """Raise Unavailable when the identity file is missing: the share is not mounted, not empty. Also when it does
        not answer."""
        if not self.fence.answers():
            raise Unavailable(
                f"The spool {self.root} does not answer.",
                concerns="spool",
                remedy=f"See to its file server and the network. {GIVE_UP.format(self.root)}",
                code=HANGING,
            )
        if not self.identity.is_file():
            raise Unavailable(
                f"The spool {self.root} is not there: its identity file {IDENTITY} cannot be seen.",
                concerns="spool",
                remedy="Mount the share. If this spool is new, `dropwatch user add NAME` makes it.",
                code="spool-missing",
            )

    def users(self) -> Users:
        """Directories of the spool that contain an inbox/."""
        names = sorted(
            entry.name
            for entry in os.scandir(self.root)
            if not entry.name.startswith(".") and not is_junk(entry.name) and _is_user(entry)
        )
        folded: dict[str, list[str]] = {}
        for name in names:
            folded.setdefault(unicodedata.normalize("NFC", name).casefold(), []).append(name)
        clashing = tuple(name for same in folded.values() if len(same) > 1 for name in same)
        return Users(tuple(name for name in names if name not in clashing), clashing)

    def folder(self, user: str, place: Place) -> Path:
        return self.root / user / place.value

    def ensure_places(self, user: str) -> None:
        """Make the places that are missing; all four must be real directories on one file system."""
        device = self.folder(user, Place.INBOX).stat().st_dev
        for place in Place:
            path = self.folder(user, place)
            if not is_there(path):
                ensure_directory(path)
            if path.is_symlink() or not path.is_dir() or path.stat().st_dev != device:
                raise OperatorError(
                    f"{path} is not a plain folder on the same file system as {user}'s inbox.",
                    concerns="user",
                    remedy="Keep the four places together: a batch is moved, never copied.",
                )

    # -- looking -----------------------------------------------------------------------------------

    def inbox(self, user: str) -> list[InboxEntry]:
        """What lies at the top of the inbox, junk aside, oldest name first."""
        entries = [
            InboxEntry(entry.name, entry.is_dir(follow_symlinks=False))
            for entry in os.scandir(self.folder(user, Place.INBOX))
            if not is_junk(entry.name)
        ]
        return sorted(entries, key=lambda entry: entry.name)

    def envelopes(self, user: str, place: Place, but: Container[Path] = ()) -> Iterator[Envelope]:
        """The envelopes in *place* but those *but*, oldest claim first. What bears no claim stamp is none of ours."""
        try:
            names = sorted(path.name for path in self.folder(user, place).iterdir() if path not in but)
        except FileNotFoundError:
            return
        for name in names:
            envelope = self._envelope(user, place, name)
            if envelope is not None:
                yield envelope

    def _envelope(self, user: str, place: Place, name: str) -> Envelope | None:
        stamp = CLAIM_STAMP.match(name)
        path = self.folder(user, place) / name
        if stamp is None or not name[stamp.end() :].startswith("_") or path.is_symlink() or not path.is_dir():
            return None
        return Envelope(user, place, path, stamp.group(), inner_folder(path))

    def returned(self, user: str, name: str) -> Envelope | None:
        """The envelope that a person moved back to the inbox as *name*; None when it is a fresh drop."""
        path = self.folder(user, Place.INBOX) / name
        stamp = CLAIM_STAMP.match(name)
        inner = inner_folder(path)
        try:
            ours = stamp is not None or (path / MEMORY).is_dir()
            if not ours or not inner or _has_other_files(path):
                return None
        except PermissionError:
            return None  # the attempt to claim it says what is missing
        return Envelope(user, Place.INBOX, path, stamp.group() if stamp else "", inner)

    # -- moving ------------------------------------------------------------------------------------

    def make_envelope(self, user: str, claim: str, name: str, folder: str) -> Envelope:
        """An empty envelope for the folder *folder*; the caller writes its record, then calls take()."""
        self.fence.check()
        path = self.folder(user, Place.PROCESSING) / f"{claim}_{shortened(name)}"
        ensure_directory(path)
        try:
            ensure_directory(path / MEMORY)
        except OSError:
            with suppress(OSError):  # an empty one is removed by the next sweep, too
                path.rmdir()
            raise
        return Envelope(user, Place.PROCESSING, path, claim, folder)

    def take(self, entry: str, envelope: Envelope) -> None:
        """Move inbox/*entry* into its envelope. This one rename is the claim."""
        self.fence.check()
        move(self.folder(envelope.user, Place.INBOX) / entry, envelope.path / envelope.folder)

    def take_returned(self, returned: Envelope, claim: str, name: str) -> Envelope:
        """Move a returned envelope back under a new claim stamp. This one rename is claim and reset."""
        self.fence.check()
        path = self.folder(returned.user, Place.PROCESSING) / f"{claim}_{shortened(name)}"
        move(returned.path, path)
        return replace(returned, place=Place.PROCESSING, path=path, claim=claim)

    def undo(self, envelope: Envelope) -> None:
        """Remove an envelope whose claim did not happen. Raises OperatorError, and removes nothing, when
        something lies in it that is not ours."""
        self.fence.check()
        names = [entry.name for entry in os.scandir(envelope.path)]
        theirs = sorted(name for name in names if not _is_ours(name))
        if theirs:
            raise OperatorError(
                f"{envelope.path} holds {theirs[0]}, which is not ours; the envelope is not removed.",
                concerns="spool",
                remedy="Move it to where it belongs; then the empty envelope goes away by itself.",
            )
        remove_ours(envelope.path, names)

    def retire(self, envelope: Envelope, place: Place) -> Envelope:
        """Move the envelope to done/ or failed/. This one rename is the end of the claim."""
        self.fence.check()
        path = self.folder(envelope.user, place) / envelope.path.name
        if is_there(path) and not is_there(envelope.path):  # moved before, but an error came behind it
            fsync_directory(path.parent)
            fsync_directory(envelope.path.parent)
        else:
            move(envelope.path, path)
        return replace(envelope, place=place, path=path)

    def give_back(self, envelope: Envelope) -> Path:
        """Move an envelope to the inbox, to be tried again. Returns where it lies."""
        path = self.folder(envelope.user, Place.INBOX) / envelope.path.name
        move(envelope.path, path)
        return path

    def take_back(self, returned: Envelope, place: Place) -> Path:
        """Move a returned envelope out of the inbox again, to *place*. Returns where it lies."""
        path = self.folder(returned.user, place) / returned.path.name
        move(returned.path, path)
        return path


def _is_user(entry: os.DirEntry[str]) -> bool:
    if not entry.is_dir(follow_symlinks=False):
        return False
    try:
        return stat.S_ISDIR(Path(entry.path, Place.INBOX.value).lstat().st_mode)
    except PermissionError:
        return True  # somebody's, probably; looking into it tells the admins, and passing it over would tell nobody
    except OSError:
        return False


def inner_folder(envelope: Path) -> str:
    """The name of the only directory in an envelope that is not ours; "" when there is none, or several.

    A link counts as the user's: it is what the user dropped, and planning refuses it by name.
    """
    try:
        names = [
            entry.name
            for entry in os.scandir(envelope)
            if not _is_reserved(entry.name) and (entry.is_dir(follow_symlinks=False) or entry.is_symlink())
        ]
    except OSError:
        return ""
    return names[0] if len(names) == 1 else ""


def _is_ours(name: str) -> bool:
    """Whether an entry of an envelope was made by us, or is the litter of a desktop."""
    return _is_reserved(name) or is_junk(name)


def _is_reserved(name: str) -> bool:
    """Whether a file of ours has this name in an envelope, or what was put aside for one (durable_memory.py)."""
    return name == MEMORY or name.casefold() in _REPORTS or name.startswith(f".{REPORT}.")


def inner_name(name: str) -> str:
    """What a folder dropped as *name* is called in its envelope, beside files of ours."""
    return f"{name} (folder)" if _is_reserved(name) else name


def _has_other_files(envelope: Path) -> bool:
    return any(
        not _is_ours(entry.name) and not entry.is_dir(follow_symlinks=False) for entry in os.scandir(envelope)
    )


def shortened(name: str) -> str:
    """*name* cut to 60 bytes at a character, for the name of an envelope; the record keeps the whole."""
    raw = os.fsencode(name)[:_NAME_BYTES]
    while raw:
        text = os.fsdecode(raw)
        if os.fsencode(name).startswith(raw) and name.startswith(text):
            break
        raw = raw[:-1]
    return os.fsdecode(raw).rstrip(" .") or "batch"
