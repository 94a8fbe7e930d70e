"""Passwords, from the environment or a file. The only module that reads one; no text ever holds it."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from dropwatch.errors import OperatorError

OMERO = "DROPWATCH_OMERO_PASSWORD"
MAIL = "DROPWATCH_MAIL_PASSWORD"
LONGEST = 4096  #: bytes; a longer file is something else, named by mistake


def read(
    password_file: Path | None, variable: str, environ: Mapping[str, str], *, concerns: str
) -> str | None:
    """The password, or None when neither *variable* is set nor a file is named.

    Read anew at each connect, so that a changed password needs no restart.
    variable -- name of the environment variable; it wins over the file
    concerns -- what pauses while the file cannot be read: "omero" or "mail"
    Raises OperatorError.
    """
    if environ.get(variable):
        return environ[variable]
    if password_file is None:
        return None
    try:
        with password_file.open("rb") as file:
            data = file.read(LONGEST + 1)
    except OSError as err:
        raise _useless(password_file, f"cannot be read: {err.strerror or err}", variable, concerns) from err
    # Replaced, not refused: a UnicodeDecodeError would carry the bytes of the file along with our own error.
    secret = data.decode("utf-8-sig", "replace").removesuffix("\n").removesuffix("\r")
    if "\ufffd" in secret:
        raise _useless(password_file, "is not UTF-8 text", variable, concerns)
    if not secret or len(data) > LONGEST or "\n" in secret or "\0" in secret:
        raise _useless(password_file, "does not hold one line with a password", variable, concerns)
    return secret


def _useless(path: Path, trouble: str, variable: str, concerns: str) -> OperatorError:
    return OperatorError(
        f"The password file {path} {trouble}.",
        concerns=concerns,
        remedy=f"Put the password into it and make it readable for the daemon, or set {variable}.",
        code="password-file",
    )


def warnings(password_file: Path) -> list[str]:
    """What `check` says about the safety of a password file that can be read."""
    try:
        mode = password_file.stat().st_mode
    except OSError:
        return []  # reading it tells that better
    if os.name != "posix":  # Windows keeps permissions elsewhere, and reports 0666 for everything
        return []
    found = []
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        found.append(f"{password_file} is open to every account of this machine: chmod 600 {password_file}")
    elif mode & stat.S_IWGRP:
        found.append(f"{password_file} can be changed by its group: chmod 640 {password_file}")
    return found
