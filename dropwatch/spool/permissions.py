"""The folders of a user, with permissions that work for other accounts. Nothing else gives rights away.

What works was found by trying (Linux 6.18, ext4, coreutils 9.1, rsync 3.5; the person and the daemon were two
accounts, the person's umask was 022). To claim a folder the daemon renames it, and moving a directory takes
write permission on the directory itself (rename(2), EACCES):

    dropped into inbox/ by                     default ACL    setgid, group    CAP_DAC_OVERRIDE or root
    loose files, however copied                claimed        claimed          claimed
    mkdir, then cp of files                    claimed        refused          claimed
    the same with umask 077                    claimed        refused          claimed
    dropwatch submit, whatever the umask       claimed        claimed          claimed
    rsync -r --chmod=D2770                     claimed        refused          claimed
    cp -r, rsync -r or tar of a 0755 folder    refused        refused          claimed
    cp -a, rsync -a of a 0755 folder           refused        refused          claimed
    mv of a 0755 folder, same file system      refused        refused          claimed

tests/faults/test_other_uids.py tries these again (but rsync), service/samba/README.md says what was tried with Samba.

Under a default ACL the umask has no say, so whatever a program makes with mode 0777 (mkdir, Explorer through Samba)
is open to the daemon. But cp, rsync and tar make a folder with the *mode of its source*, and the group bits of
that mode become the mask of the ACL: the daemon's entry stands there and counts for nothing. mv keeps the mode
and the ACL of where the folder came from. Only a privilege helps there: root, or CAP_DAC_OVERRIDE for the daemon's
account. Without it such a folder stays in inbox/, user and admins are told, and `chmod -R g+rwX` by the person
mends it where the ACL was inherited. With the setgid bit alone (no setfacl, a file system without ACLs) only what
is made with umask 002 can be moved, and the person has to be a member of the daemon's group.

In the same way a file of mode 0600 can be claimed and not be read.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dropwatch.errors import OperatorError, PermanentError
from dropwatch.litter import is_junk, is_temporary
from dropwatch.model import Place
from dropwatch.spool.accounts import Account, Owner, group_name
from dropwatch.spool.folders import IDENTITY, Spool
from dropwatch.spool.identity import ensure_spool
from dropwatch.spool.moves import make_directory

_ROOT = 0o755  #: people pass through; only the owner makes drop folders
_WRITE = 0o022
_SHARED = 0o2770  #: setgid: whatever is made inside belongs to the daemon's group
_TOP = 0o3770  #: sticky too: a person may add defaults.yaml there, and cannot rename the four places
_IDENTITY_MODE = 0o640  #: the daemon locks this file; whoever may read it could hold that lock
_UNUSABLE = re.compile(r'[/\\:*?"<>|]')
_NAME_BYTES = 255  #: of a name, on most file systems
_PATIENCE = 60.0  #: seconds for setfacl


@dataclass(frozen=True)
class Made:
    """What add_user() did. *notes*: what it could not do and what follows from that, in sentences.

    owner -- None where folders belong to nobody in particular (Windows)
    """

    folder: Path
    new_spool: bool
    new_user: bool
    owner: Owner | None
    notes: tuple[str, ...] = ()


def find_setfacl() -> str | None:
    """The program that sets ACLs; None where there is none."""
    return shutil.which("setfacl")


def add_user(
    root: Path,
    name: str,
    *,
    owner: Owner | None = None,
    person: Account | None = None,
    served: bool = False,
    mounts: Sequence[Path] = (),
    setfacl: str | None = None,
    clock: Callable[[], float] = time.time,
) -> Made:
    """Make the folders of the user *name* in the spool *root*, or mend their permissions.

    owner   -- the account that runs the daemon; None: whoever owns the spool
    person  -- the account that drops; None where this machine has none of that name
    served, mounts -- see ensure_spool()
    setfacl -- the program's path; None: the setgid bit alone has to do

    What users keep in their folders is not touched. Raises PermanentError (the name cannot be used) and
    OperatorError (no spool may be here, no permission to make it).
    """
    check_name(name)
    try:
        new_spool = ensure_spool(root, served=served, mounts=mounts, clock=clock)
        _refuse_clash(root, name)
        new_user = _make_places(Spool(root), name)
        if sys.platform == "win32":
            return Made(root / name, new_spool, new_user, None, (_WINDOWS,))
        info = root.stat()
        theirs = owner or Owner(info.st_uid, info.st_gid)
        notes = _close_root(root, theirs, new=new_spool)
        _give(root / IDENTITY, theirs, _IDENTITY_MODE)
        notes += _open_up(Spool(root), name, theirs, person, setfacl)
    except PermissionError as err:
        raise _not_allowed(err, root) from err
    return Made(root / name, new_spool, new_user, theirs, tuple(notes))


_WINDOWS = (
    "On Windows the folders inherit their permissions: give the account of the service Modify on the spool."
)


def check_name(name: str) -> None:
    """Raise PermanentError when *name* cannot be the name of a user's drop folder."""
    problem = ""
    if name in ("", ".", "..") or name != name.strip():
        problem = "it is empty, or has blanks at its ends"
    elif name.startswith(".") or is_junk(name) or is_temporary(name):
        problem = "folders of such names are passed over"
    elif _UNUSABLE.search(name):
        problem = "it has a character in it that Windows does not allow"
    elif name.startswith("-"):
        problem = "commands take it for an option"
    elif not name.isprintable():
        problem = "it has a character in it that cannot be shown"
    elif len(os.fsencode(name)) > _NAME_BYTES:
        problem = f"it is longer than {_NAME_BYTES} bytes"
    if problem:
        raise PermanentError(
            f"{name!r} cannot be the name of a drop folder: {problem}.", remedy="Take the user's login name."
        )


def _refuse_clash(root: Path, name: str) -> None:
    folded = unicodedata.normalize("NFC", name).casefold()
    for entry in list(os.scandir(root)):
        same = unicodedata.normalize("NFC", entry.name).casefold() == folded
        if same and entry.name != name:
            raise PermanentError(
                f"There is {entry.name} already, which differs from {name} by upper and lower case only.",
                remedy=f"Use {entry.name}, or rename it first.",
            )
        if same and not entry.is_dir(follow_symlinks=False):
            raise PermanentError(f"{root / name} is no plain folder.", remedy="Take it away first.")


def _make_places(spool: Spool, name: str) -> bool:
    """Make what is missing of the user's folders; returns whether the user is new."""
    folder, inbox = spool.root / name, spool.folder(name, Place.INBOX)
    new = not inbox.is_dir()
    for path in (folder, inbox):
        if not os.path.lexists(path):
            make_directory(path)
    spool.ensure_places(name)
    return new


# -- whose they are, and who may do what ------------------------------------------------------------------


def _close_root(root: Path, owner: Owner, *, new: bool) -> list[str]:
    """See to it that nobody else makes drop folders; returns what was changed of a spool that was there."""
    mode = stat.S_IMODE(root.stat().st_mode)
    if new:
        _give(root, owner, _ROOT)
    elif mode & _WRITE:
        root.chmod(mode & ~_WRITE)
        return [
            f"{root} was open to others (mode {mode:04o}), who could have imported in anybody's name. Now only "
            "its owner makes drop folders."
        ]
    return []


def _open_up(spool: Spool, name: str, owner: Owner, person: Account | None, setfacl: str | None) -> list[str]:
    """Set owner, modes and ACLs; returns what could not be had."""
    places = [spool.folder(name, place) for place in Place]
    _give(spool.root / name, owner, _TOP)
    for path in places:
        _give(path, owner, _SHARED)
    notes = []
    problem = _set_acls(setfacl, spool.root / name, places, owner, person)
    if problem:
        notes.append(
            f"{problem} So only the setgid bit was set: dropwatch can move what is made with umask 002, through Samba "
            "or by `dropwatch submit`, and nothing else."
        )
    if person is None:
        notes.append(
            f"This machine knows no account {name}, so only members of the group {group_name(owner.gid)} may drop "
            f"here. When there is one, run `dropwatch user add {shlex.quote(name)}` again."
        )
    elif problem and owner.gid not in (person.gid, *person.groups) and person.uid != owner.uid:
        group = group_name(owner.gid)
        notes.append(
            f"{name} has to be a member of the group {group}: usermod -aG {group} {shlex.quote(name)}"
        )
    if owner.uid == 0:
        notes.append(
            "The folders belong to root, so the daemon has to run as root. If it has an account of its own, name it: "
            f"`dropwatch user add {shlex.quote(name)} --owner ACCOUNT`."
        )
    return notes


def _give(path: Path, owner: Owner, mode: int | None) -> None:
    if sys.platform == "win32":
        return
    info = path.lstat()
    if (info.st_uid, info.st_gid) != (owner.uid, owner.gid):
        os.chown(path, owner.uid, owner.gid, follow_symlinks=False)
    if mode is not None:
        path.chmod(mode)


def _set_acls(
    setfacl: str | None, folder: Path, places: Sequence[Path], owner: Owner, person: Account | None
) -> str:
    """Open the places to person and daemon, and whatever will be made in them. Says what went wrong, or ""."""
    if setfacl is None:
        return "There is no setfacl on this machine (package acl)."
    inside = ["u::rwx", "g::rwx", "o::---"]
    if owner.uid != 0:
        inside.append(f"u:{owner.uid}:rwx")
    theirs = [f"u:{person.uid}:rwx"] if person else []
    entries = [*theirs, *(f"d:{entry}" for entry in (*inside, *theirs))]
    calls = [(entries, places)]
    if theirs:
        calls.append((theirs, [folder]))
    for granted, paths in calls:
        problem = _run([setfacl, "--physical", "-m", ",".join(granted), "--", *map(str, paths)])
        if problem:
            return problem
    return ""


def _run(argv: list[str]) -> str:
    """Run a program; returns in a sentence why it failed, or ""."""
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_PATIENCE,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as err:
        return f"{argv[0]} could not be run: {err}."
    if done.returncode == 0:
        return ""
    said = (done.stderr.strip().splitlines() or ["no reason given"])[0]
    return f"{argv[0]} failed: {said}."


def _not_allowed(err: PermissionError, root: Path) -> OperatorError:
    return OperatorError(
        f"{err.filename or root} may not be made or changed: {err.strerror}.",
        concerns="spool",
        remedy="Run it as root (sudo): only root can give a folder to the account that runs dropwatch.",
        detail=f"{type(err).__name__}: {err}",
    )
