"""Accounts of this machine, and acting as one of them. The only module that changes who we are.

Windows has no such accounts: there nobody is found, and nothing is ever done as somebody else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dropwatch.errors import OperatorError

if sys.platform != "win32":
    import grp
    import pwd


@dataclass(frozen=True)
class Account:
    """Somebody this machine knows. *gid* is the group of what they make, *groups* all they are in."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()


@dataclass(frozen=True)
class Owner:
    """Whom a folder belongs to: the account that runs the daemon, and its group."""

    uid: int
    gid: int

    def __str__(self) -> str:
        return f"{account_of(self.uid).name}:{group_name(self.gid)}"


def is_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0


def find_account(name: str) -> Account | None:
    """The account called *name*, from wherever this machine knows its accounts (NSS); None when there is none."""
    if sys.platform == "win32":
        return None
    try:
        entry = pwd.getpwnam(name)
    except (KeyError, ValueError):  # the second: a name that no account can have
        return None
    return _account(entry)


def account_of(uid: int) -> Account:
    """The account with this number; called by the number where it has no name."""
    if sys.platform == "win32":
        return Account(str(uid), uid, uid)
    try:
        return _account(pwd.getpwuid(uid))
    except KeyError:
        return Account(str(uid), uid, uid)


def group_name(gid: int) -> str:
    if sys.platform == "win32":
        return str(gid)
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def parse_owner(text: str) -> Owner:
    """``NAME`` or ``NAME:GROUP``, as chown takes it; the group is the account's own if none is named.

    Raises OperatorError when there is no such account or group.
    """
    name, _, group = text.partition(":")
    account = find_account(name)
    if account is None:
        raise _unknown("account", name)
    if sys.platform == "win32" or not group:
        return Owner(account.uid, account.gid)
    try:
        return Owner(account.uid, grp.getgrnam(group).gr_gid)
    except KeyError:
        raise _unknown("group", group) from None


def _unknown(kind: str, name: str) -> OperatorError:
    return OperatorError(
        f"This machine knows no {kind} {name!r}.",
        concerns="spool",
        remedy=f"Name the {kind} that dropwatch runs as: --owner NAME or --owner NAME:GROUP.",
    )


@contextmanager
def acting_as(account: Account | None, *, umask: int) -> Iterator[None]:
    """Do the block as *account*, with its groups and *umask*; as we are when it is None. Only root can.

    The whole process changes, so it has to be one with a single thread and nothing else to do.
    """
    before = os.umask(umask)
    try:
        if sys.platform == "win32" or account is None:
            yield
        else:
            groups, gid = os.getgroups(), os.getgid()
            os.setgroups(account.groups)
            _become_group(account.gid)
            _become(account.uid)
            try:
                yield
            finally:
                _become(0)
                _become_group(gid)
                os.setgroups(groups)
    finally:
        os.umask(before)


if sys.platform == "linux":
    # The real ids too, because access(2) goes by them; the saved one is the way back.
    def _become(uid: int) -> None:
        os.setresuid(uid, uid, 0)

    def _become_group(gid: int) -> None:
        os.setresgid(gid, gid, 0)
elif sys.platform != "win32":

    def _become(uid: int) -> None:
        os.seteuid(uid)

    def _become_group(gid: int) -> None:
        os.setegid(gid)


if sys.platform != "win32":

    def _account(entry: pwd.struct_passwd) -> Account:
        groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, tuple(groups))
