"""Looks who else may read or change what belongs to the daemon, or to one user, alone. It changes nothing.

SECURITY.md has the table of all these places. Modes and owners are of POSIX: Windows keeps permissions elsewhere.
"""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import struct
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from dropwatch.config import Config
from dropwatch.doctor.findings import Finding, ill, unknown, well
from dropwatch.model import Place
from dropwatch.spool.accounts import Account, account_of, group_name
from dropwatch.spool.folders import Spool

_OTHERS = stat.S_IRWXO
_ALL_BUT_OWNER = stat.S_IRWXG | stat.S_IRWXO
_WRITE = stat.S_IWGRP | stat.S_IWOTH
_ACL = "system.posix_acl_access"
# linux/posix_acl_xattr.h: a version, then entries of tag, permissions, id.
_ENTRY = struct.Struct("<HHI")
_USER, _GROUP = 0x02, 0x08


def _posix() -> bool:
    return sys.platform != "win32"


# -- configuration, passwords, programs, state ---------------------------------------------------------------


def look_at_trust(config: Config, file: Path | None, daemon: Account | None) -> Iterator[Finding]:
    """Whether only admins may change what decides what the daemon does, and only the daemon reads its letters.

    file -- the configuration, where it is known
    """
    if not _posix():
        return
    found = [*_changeable(config, file, daemon), *_readable(config.state)]
    yield from found
    if not found:
        text = "only admins may change the configuration and what it names, only the daemon reads its letters"
        yield well("trust", text)


def _changeable(config: Config, file: Path | None, daemon: Account | None) -> Iterator[Finding]:
    for subject, path in _named(config, file):
        try:
            info = path.stat()
        except OSError:
            continue  # whoever needs it says so
        opened = _open_to_others(path)
        if opened is not None:
            yield ill(
                subject,
                f"{opened} can be changed by others (mode {_mode(opened)}), and so {path} can",
                f"chmod go-w {shlex.quote(str(opened))}",
            )
        elif info.st_uid not in _trusted(daemon):
            yield unknown(
                subject,
                f"{path} belongs to {account_of(info.st_uid).name}, who may so decide what the daemon does",
                f"If that is no admin: chown root {shlex.quote(str(path))}",
            )


def _named(config: Config, file: Path | None) -> Iterator[tuple[str, Path]]:
    """What the daemon does is decided there, and what each is called."""
    if file is not None:
        yield "configuration", file
    yield "program", Path(sys.executable)
    yield "program", Path(__file__).parents[1]
    for path in (config.bioformats.jar, config.bioformats.java):
        if path is not None:
            yield "Bio-Formats", path
    if config.importer == "omero-cli":
        command = shutil.which(config.omero_cli.command)
        yield from (("omero import", Path(one)) for one in (command, config.omero_cli.clientdir) if one)
    if config.omero is not None and config.omero.password_file is not None:
        yield "OMERO password", config.omero.password_file
    if config.mail is not None and config.mail.password_file is not None:
        yield "mail password", config.mail.password_file
    yield "state folder", config.state


def _open_to_others(path: Path) -> Path | None:
    """*path*, or the folder above it, that somebody besides its owner may change; None when there is none.

    In a folder with the sticky bit (/tmp) nobody takes away what belongs to another.
    """
    real = path.resolve()
    for one in (real, *real.parents):
        info = one.stat()
        shared = stat.S_ISDIR(info.st_mode) and info.st_mode & stat.S_ISVTX and one != real
        own_group = info.st_gid in (0, info.st_uid)  # many systems give each account a group of its own
        if not shared and (info.st_mode & stat.S_IWOTH or (info.st_mode & stat.S_IWGRP and not own_group)):
            return one
    return None


def _trusted(daemon: Account | None) -> tuple[int, int]:
    return 0, daemon.uid if daemon is not None else os.geteuid()


def _readable(state: Path) -> Iterator[Finding]:
    """Letters name people and files, and what lies in queued/ is mailed: they are nobody else's."""
    outbox = state / "outbox"
    for path in (outbox, *_children(outbox), state / "addresses.json"):
        try:
            mode = path.lstat().st_mode
        except OSError:
            continue
        if mode & _ALL_BUT_OWNER:
            yield ill(
                "state folder",
                f"{path} is open to others (mode {_mode(path)}), and mails lie there",
                f"chmod -R go= {shlex.quote(str(outbox if path != state / 'addresses.json' else path))}",
            )
            return


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


# -- a spool and its users -----------------------------------------------------------------------------------


def look_at_root(subject: str, spool: Spool) -> Iterator[Finding]:
    """Whether only the owner makes drop folders: whoever makes `bob/inbox` imports in the name of bob."""
    if not _posix():
        return
    opened = _open_to_others(spool.root)
    if spool.root.stat().st_mode & _WRITE or opened is not None:
        path = opened or spool.root
        yield ill(
            subject,
            f"others may make drop folders in it, and so import in anybody's name: {path} has mode {_mode(path)}",
            f"chmod go-w {shlex.quote(str(path))}",
        )
    if spool.identity.stat().st_mode & _OTHERS:
        yield ill(
            subject,
            f"{spool.identity} is open to every account, which could hold the lock that is the daemon's",
            f"chmod o= {shlex.quote(str(spool.identity))}",
        )


def look_at_strangers(spool: Spool, name: str, known: Collection[int]) -> Iterator[Finding]:
    """Whether the drop folder of *name* is open to anybody else. known -- uids for whom it is open"""
    if not _posix():
        return
    subject, owner = f"user {name}", spool.identity.stat().st_uid
    folders = [spool.root / name, *(spool.folder(name, place) for place in Place)]
    opened = [text for path in folders if (text := _opened(path, owner, top=path == folders[0]))]
    if opened:
        more = f" (and {len(opened) - 1} more of its folders)" if len(opened) > 1 else ""
        remedy = f"dropwatch user add {shlex.quote(name)} (as root) sets the permissions anew."
        yield ill(subject, opened[0] + more, remedy)
    for path in folders:
        yield from _granted(subject, path, known)


def _opened(path: Path, owner: int, *, top: bool) -> str:
    """How a folder of a user is open to others, or ""."""
    info = path.lstat()
    if info.st_mode & _OTHERS:
        return f"{path} is open to every account of this machine (mode {_mode(path)})"
    if info.st_uid != owner:
        return (
            f"{path} belongs to {account_of(info.st_uid).name}, not to {account_of(owner).name} as the spool"
        )
    if top and info.st_mode & stat.S_IWGRP and not info.st_mode & stat.S_ISVTX:
        return f"whoever may write in {path} may rename its four places"
    return ""


def _granted(subject: str, path: Path, known: Collection[int]) -> Iterator[Finding]:
    """Who may more by an ACL than `user add` gives."""
    for tag, id in _acl(path):
        if tag == _USER and id not in known:
            who, entry = account_of(id).name, f"u:{id}"
        elif tag == _GROUP:
            who, entry = f"the group {group_name(id)}", f"g:{id}"
        else:
            continue
        yield unknown(
            subject,
            f"{path} is open to {who} too, who may so act in the name of this user",
            f"If that is not meant: setfacl -x {entry} -- {shlex.quote(str(path))}",
        )


def _acl(path: Path) -> list[tuple[int, int]]:
    """Tag and id of each entry of the ACL that grants something (acl(5)). Linux only; without ACL nothing."""
    if sys.platform != "linux":
        return []
    try:
        data = os.getxattr(path, _ACL, follow_symlinks=False)
    except OSError:
        return []
    whole = 4 + (len(data) - 4) // _ENTRY.size * _ENTRY.size
    return [(tag, id) for tag, granted, id in _ENTRY.iter_unpack(data[4:whole]) if granted]


def _mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.lstat().st_mode):04o}"
