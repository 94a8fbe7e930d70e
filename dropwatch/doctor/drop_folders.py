"""Looks at one user's drop folder, and sends a probe batch through it. Nothing of the probe stays."""

from __future__ import annotations

import shlex
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dropwatch import manifest
from dropwatch.doctor.duty import Duty, who_we_are
from dropwatch.doctor.findings import Finding, ill, unknown, well
from dropwatch.doctor.privacy import look_at_strangers
from dropwatch.errors import DropwatchError, ManifestError
from dropwatch.model import Place
from dropwatch.spool.accounts import Account, find_account, is_root
from dropwatch.spool.folders import Spool
from dropwatch.spool.tree import read_small
from dropwatch.spool.trial import Stuck, Trial, hold_trial

_CLOCKS_APART = 60.0  #: seconds
_DEFAULTS = "defaults.yaml"
_DOING = {
    "look": "{daemon}, who runs the daemon, may not list and change {path}",
    "drop": "{person} may not drop anything: {path} is closed",
    "claim": "{daemon}, who runs the daemon, may not move what {person} drops: {path}",
    "read": "{daemon}, who runs the daemon, may not read what {person} drops: {path}",
    "retire": "{daemon}, who runs the daemon, may not move a batch to failed: {path}",
    "give back": "{person} may not move a batch from failed back to inbox: {path}",
}


def look_at_user(
    spool: Spool,
    name: str,
    duty: Duty,
    environ: Mapping[str, str],
    find: Callable[[str], Account | None] = find_account,
) -> Iterator[Finding]:
    """The folders of the user *name*.

    find -- gives the account that a person has on this machine
    """
    subject = f"user {name}"
    odd = list(_odd_places(spool, name))
    yield from (ill(subject, text, remedy) for text, remedy in odd)
    if not odd:
        daemon = duty.account(spool.root)
        person = (find(name) or daemon) if is_root() else None
        trial = hold_trial(spool.root / name, person, daemon, environ)
        yield from _came_through(spool, name, trial, _cast(name, person, daemon))
        if not trial.step:
            yield from look_at_strangers(spool, name, _known(spool, find(name), duty))
    yield from _defaults(subject, spool.root / name / _DEFAULTS)
    if duty.running is False:
        yield from _left_over(subject, spool, name)


def _known(spool: Spool, person: Account | None, duty: Duty) -> set[int]:
    """For whom a drop folder is open: its user and the daemon, by their uids."""
    daemon = [duty.uid] if duty.uid is not None else []
    return {spool.identity.stat().st_uid, *daemon, *([person.uid] if person else [])}


def _odd_places(spool: Spool, name: str) -> Iterator[tuple[str, str]]:
    """What keeps the four places from being plain folders on one file system, and the remedy."""
    device = spool.folder(name, Place.INBOX).lstat().st_dev
    for place in Place:
        path = spool.folder(name, place)
        try:
            info = path.lstat()
        except FileNotFoundError:
            yield f"there is no {path}", f"dropwatch user add {shlex.quote(name)} makes it."
            continue
        if not stat.S_ISDIR(info.st_mode):
            yield f"{path} is not a plain folder", "Put a folder in its place; links are not followed."
        elif info.st_dev != device:
            yield (
                f"{path} is on another file system than the inbox",
                "Keep the four places together: a batch is moved, never copied.",
            )


# -- the probe batch ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Cast:
    """Who did what in the trial. *aside*: what the reader has to know of it."""

    person: str
    daemon: str
    aside: str = ""


def _cast(name: str, person: Account | None, daemon: Account | None) -> _Cast:
    us = who_we_are()
    if person is not None and person.name == name:
        return _Cast(name, daemon.name if daemon else us)
    if is_root():
        dropper = person.name if person else us
        return _Cast(dropper, daemon.name if daemon else us, f"; this machine knows no account {name}")
    return _Cast(us, us, f"; as root, `check` tries it as {name}")


def _came_through(spool: Spool, name: str, trial: Trial, cast: _Cast) -> Iterator[Finding]:
    """What the trial says, in words."""
    subject = f"user {name}"
    if trial.step == "child":
        yield unknown(subject, f"could not be tried as another account: {trial.reason}")
    elif trial.step:
        told = _DOING[trial.step].format(person=cast.person, daemon=cast.daemon, path=trial.path)
        yield ill(subject, f"{told} ({trial.reason})", _remedy(spool, name, trial, cast))
    else:
        text = f"a probe batch, dropped by {cast.person}, was claimed by {cast.daemon} and given back"
        yield well(subject, text + cast.aside)
    for stuck in trial.stuck:
        yield _stuck(spool, name, stuck, cast)
    if trial.ahead is not None and abs(trial.ahead) > _CLOCKS_APART:
        yield ill(
            subject,
            f"the clock of the file server and of this machine are {abs(trial.ahead):.0f} s apart",
            "Set both by NTP: times in names and mails would not agree.",
        )


def _remedy(spool: Spool, name: str, trial: Trial, cast: _Cast) -> str:
    path = Path(trial.path or ".")
    if spool.root.is_relative_to(path):
        who = cast.person if trial.step in ("drop", "give back") else cast.daemon
        return f"Let {who} pass through {path}: chmod o+x {shlex.quote(str(path))}"
    return f"dropwatch user add {shlex.quote(name)} (as root) sets the permissions anew."


def _stuck(spool: Spool, name: str, stuck: Stuck, cast: _Cast) -> Finding:
    path = spool.folder(name, Place.INBOX) / stuck.name
    may, how = ("move", "rwX") if stuck.folder else ("read", "rX")
    quoted = shlex.quote(str(path))
    remedy = f"setfacl -R -m u:{cast.daemon}:{how} -- {quoted}"
    if stuck.folder:
        remedy += (
            f" (or {stuck.owner} does chmod -R g+rwX). A folder that was moved in, or copied with its mode, stays "
            "closed to others: for all of them to be taken, give the service CAP_DAC_OVERRIDE (service/systemd)."
        )
    return ill(
        f"user {name}",
        f"{cast.daemon}, who runs the daemon, may not {may} {path} (mode {stuck.mode}, owner {stuck.owner})",
        remedy,
    )


# -- what else lies there ------------------------------------------------------------------------------------


def _defaults(subject: str, path: Path) -> Iterator[Finding]:
    """A defaults.yaml that cannot be used fails every batch of its user."""
    try:
        manifest.parse(read_small(path, most=manifest.LARGEST), source=str(path))
    except FileNotFoundError:
        return
    except ManifestError as err:
        remedy = f"Correct {path}: until then every batch of this user fails."
        yield from (ill(subject, problem, remedy) for problem in err.problems)
    except DropwatchError as err:
        yield ill(subject, err.message, err.remedy or f"Take {path} away.")


def _left_over(subject: str, spool: Spool, name: str) -> Iterator[Finding]:
    count = sum(1 for _ in spool.envelopes(name, Place.PROCESSING))
    if count:
        yield ill(
            subject,
            f"{count} batch{'es' if count > 1 else ''} in processing, and no daemon runs",
            "Start the daemon: it goes on with them.",
        )
