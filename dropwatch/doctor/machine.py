"""Looks at this machine: passwords, the state folder, Bio-Formats. It changes nothing and starts nothing that stays."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from dropwatch import credentials
from dropwatch.config import Config
from dropwatch.doctor.findings import Finding, ill, unknown, well
from dropwatch.errors import OperatorError
from dropwatch.formats import JAR, Missing, can_fence, find
from dropwatch.mounts import needs_polling
from dropwatch.spool.accounts import Account
from dropwatch.spool.trial import closed_to

_BY_NAME = (
    "So only files of formats that are known to be one file for one image are imported; "
    "all others, plates among them, are refused."
)
_UNFENCED = (
    "this machine cannot keep Bio-Formats to the folder that it looks at: a file outside that an image file names, or "
    "that a link leads to which comes while it is looked at, is opened and read with the rights of the daemon's "
    "account before dropwatch refuses it (it is not imported)"
)


def look_at_passwords(
    config: Config, daemon: Account | None, environ: Mapping[str, str]
) -> Iterator[Finding]:
    """Whether each password can be had, and by nobody else."""
    if config.omero is not None and config.importer != "folder":
        yield from _password("OMERO password", config.omero.password_file, credentials.OMERO, daemon, environ)
    if config.mail is not None and config.mail.user is not None:
        yield from _password("mail password", config.mail.password_file, credentials.MAIL, daemon, environ)


def _password(
    subject: str, path: Path | None, variable: str, daemon: Account | None, environ: Mapping[str, str]
) -> Iterator[Finding]:
    concerns = "omero" if variable == credentials.OMERO else "mail"
    try:
        secret = credentials.read(path, variable, environ, concerns=concerns)
    except OperatorError as err:
        yield ill(subject, err.message, err.remedy)
        return
    if secret is None:
        yield unknown(
            subject,
            f"no password_file is named, and {variable} is not set here; it may be for the daemon",
            f"Name a password_file, or set {variable} where the daemon is started.",
        )
        return
    if path is None or environ.get(variable):
        yield well(subject, f"is in {variable}")
        return
    warnings = credentials.warnings(path)
    yield from (ill(subject, *warning.split(": ", 1)) for warning in warnings)
    if daemon is not None and is_closed(daemon, [path], environ, write=False):
        yield ill(
            subject,
            f"{path} cannot be read by {daemon.name}, who runs the daemon",
            f"Give it: chgrp {daemon.name} {path}; chmod 640 {path}",
        )
    elif not warnings:
        yield well(subject, f"is in {path}")


def look_at_state(config: Config, daemon: Account | None, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Whether the state folder can be written, on a disk of this machine with space left."""
    subject, state = "state folder", config.state
    there = next(path for path in (state, *state.parents) if path.exists())
    who = daemon.name if daemon else "this account"
    if not there.is_dir():
        yield ill(subject, f"{there} is not a folder", "Take it away, or name another folder as state.")
        return
    if is_closed(daemon, [there], environ, write=True):
        yield ill(
            subject,
            f"{there} is closed to {who}, who has to write {'in it' if there == state else f'{state} there'}",
            f"mkdir -p {state}; chown {who} {state}" if daemon else f"Let the daemon's account own {state}.",
        )
        return
    share = needs_polling(there)
    if share:
        yield ill(
            subject,
            f"{state} is on {share}, no disk of this machine: locks and letters are not safe there",
            "Name a folder on a disk of this machine as state.",
        )
        return
    made = "" if there == state else "; it is made at the first start"
    yield well(subject, f"{state} can be written{made}")
    if state.exists() and shutil.disk_usage(state).free < 50 * 2**20:
        yield ill(subject, f"less than 50 MiB are free where {state} lies", "Make space: letters wait there.")


def look_at_formats(config: Config, daemon: Account | None, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Which Bio-Formats looks at the files, and with which Java."""
    subject, settings = "Bio-Formats", config.bioformats
    found = find(settings, environ, config.omero_cli.clientdir)
    if isinstance(found, Missing):
        if settings.jar or settings.java or environ.get(JAR):
            yield ill(subject, found.what, found.remedy)
        else:
            yield unknown(subject, f"{found.what} {_BY_NAME}", found.remedy)
    elif daemon is not None and is_closed(daemon, [*found.jars, found.libjvm], environ, write=False):
        yield ill(
            subject,
            f"{found.jars[0]} or {found.libjvm} cannot be read by {daemon.name}, who runs the daemon",
            "Put them, and the environment that dropwatch is installed in, where that account can read.",
        )
    else:
        yield well(subject, f"{found.version} of {found.jar_from}; Java {found.java} of {found.java_from}")
    if not isinstance(found, Missing):
        yield _fence()


def _fence() -> Finding:
    if can_fence():
        return well("fence", "Linux keeps Bio-Formats to the folder that it looks at (Landlock)")
    if sys.platform == "linux":
        remedy = "Run Linux 5.13 or later with Landlock on (`lsm=landlock,...` when it boots). Until then"
    else:
        remedy = "Only Linux has what it takes (Landlock). So"
    return unknown(
        "fence", _UNFENCED, f"{remedy} let the daemon's account read nothing but drop folders and places."
    )


def is_closed(account: Account | None, paths: list[Path], environ: Mapping[str, str], *, write: bool) -> bool:
    """Whether one of *paths* may not be read, with *write* also changed, by the account (None: by us)."""
    try:
        return bool(closed_to(account, paths, environ, write=write))
    except (ValueError, subprocess.SubprocessError) as err:
        raise OSError(f"could not be tried as another account: {err}") from err
