"""Compares the people whom OMERO knows with the drop folders there are. Values in, values out; it makes nothing."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from dropwatch.config import Config
from dropwatch.errors import DropwatchError, PermanentError
from dropwatch.importers.base import Account
from dropwatch.spool.permissions import check_name


class Standing(StrEnum):
    """How a person and a drop folder stand to one another, in the words of the table."""

    TO_MAKE = "to make"
    MADE = "made"
    NOT_MADE = "could not be made"
    THERE = "there"
    ELSEWHERE = "elsewhere"  #: in another spool of this site
    NO_NAME = "no name"  #: no folder can be called so
    STRANGER = "not in OMERO"  #: a drop folder of somebody for whom nothing can be imported


@dataclass(frozen=True)
class Row:
    """One person. *folder*: name of the drop folder; *owner*: in OMERO; *remark*: what an admin should know."""

    standing: Standing
    folder: str
    owner: str
    email: str | None = None
    remark: str = ""


def compare(
    config: Config,
    accounts: Sequence[Account],
    folders: Sequence[str],
    elsewhere: Mapping[str, str],
    group: str | None,
    look_up: Callable[[str], Account],
) -> list[Row]:
    """A row for each person of *accounts* who is in *group* (None: anybody), and for each stranger's folder.

    folders   -- the drop folders of the spool that is looked at
    elsewhere -- those of the site's other spools, and in which spool each is
    look_up   -- asks OMERO about one person; may raise DropwatchError, which becomes the remark
    """
    known = {account.name: account for account in accounts}
    owners = {config.omero_name(folder): folder for folder in folders}
    wanted = [account for account in accounts if group is None or group in account.groups]
    rows = [_row(config, account, owners.get(account.name), folders, elsewhere) for account in wanted]
    strangers = [owner for owner in owners if owner not in known and config.instrument(owners[owner]) is None]
    return rows + [_stranger(owners[owner], owner, look_up) for owner in sorted(strangers)]


def _row(
    config: Config,
    account: Account,
    folder: str | None,
    folders: Sequence[str],
    elsewhere: Mapping[str, str],
) -> Row:
    name = folder or _folder_for(config, account.name)
    email = config.user(name).email or account.email
    silent = "" if email or config.mail is None else "no e-mail address: mails go to the admins"
    if folder is not None:
        return Row(Standing.THERE, name, account.name, email, silent)
    other = _same(name, elsewhere)
    if other is not None:
        return Row(Standing.ELSEWHERE, other, account.name, email, f"in the spool {elsewhere[other]}")
    problem = _problem(name, folders)
    if problem:
        return Row(Standing.NO_NAME, name, account.name, email, problem)
    return Row(Standing.TO_MAKE, name, account.name, email, silent)


def _folder_for(config: Config, owner: str) -> str:
    """The drop folder that the configuration says is *owner*'s; else the one of their name."""
    return next((name for name, user in config.users.items() if user.omero == owner), owner)


def _problem(name: str, folders: Sequence[str]) -> str:
    """Why no drop folder can be made by this name, or ""."""
    other = _same(name, folders)
    if other is not None:
        return f"the folder {other} is in the way; if it is theirs, say users: {{{other}: {{omero: {name}}}}}"
    try:
        check_name(name)
    except PermanentError as err:
        return err.message
    return ""


def _same(name: str, names: Sequence[str] | Mapping[str, str]) -> str | None:
    """The one of *names* that a file server may take for *name*."""
    return next((other for other in names if _folded(other) == _folded(name)), None)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _stranger(folder: str, owner: str, look_up: Callable[[str], Account]) -> Row:
    try:
        account = look_up(owner)
    except DropwatchError as err:
        return Row(Standing.STRANGER, folder, owner, None, err.message)
    why = "has no group to import into" if account.active else "the account is not active"
    return Row(Standing.STRANGER, folder, owner, account.email, why)
