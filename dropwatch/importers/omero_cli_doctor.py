"""Looks whether `omero import` works on this machine, without a server: it is made to read one tiny image."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from dropwatch import probe_image
from dropwatch.errors import DropwatchError
from dropwatch.importers import omero_cli_verdict as verdict
from dropwatch.importers.base import Finding
from dropwatch.importers.omero_cli_program import Leashed, Program
from dropwatch.importers.omero_cli_room import Room
from dropwatch.importers.omero_cli_verdict import Ended
from dropwatch.importers.omero_cli_words import Heard
from dropwatch.model import FileFact, Fileset

_SUBJECT = "omero import"
_NAME = "dropwatch-check.ome.tif"
_LIMIT = 120.0  # seconds
_NO_CANDIDATES = 125  # exit code of `omero import -f` (omero-blitz CommandLineImporter.start)


def examine(program: Program, host: str) -> list[Finding]:
    """What was found; never raises for it."""
    heard = Heard()
    try:
        code = _read_one(program, heard)
    except DropwatchError as error:
        return [Finding(False, _SUBJECT, error.message, error.remedy)]
    if code == 0:
        return [Finding(True, _SUBJECT, f"works, {_versions(heard)}"), *_who_sees_keys()]
    if code is None:
        late = f"it did not read a tiny image within {_LIMIT:.0f} s"
        return [Finding(False, _SUBJECT, late, "Call it by hand, and see what it waits for.")]
    if code == _NO_CANDIDATES:
        odd = "it sees no image in a tiny OME-TIFF"
        return [
            Finding(
                False, _SUBJECT, odd, "Install OMERO.java anew; look at --readers in omero-cli.arguments."
            )
        ]
    fileset = Fileset("check", (FileFact(_NAME, 1, 0),))
    failure = verdict.sort(Ended(code, heard), fileset, host, lambda: False)
    remedy = failure.remedy or "Call it by hand, as the account that dropwatch runs as."
    return [Finding(False, _SUBJECT, f"{failure.message} {failure.detail}", remedy)]


def _read_one(program: Program, heard: Heard) -> int | None:
    """The program's exit code; None when it took too long."""
    room = Room(program.temporary)
    try:
        image = room.path / _NAME
        image.write_bytes(probe_image.ome_tiff(_NAME))
        command = program.line("-f", path=str(image))
        with Leashed(command, program.environment(room), room, None, "") as leashed:
            code = leashed.ended(_LIMIT)
            for line in leashed.said(last=True):
                heard.hear(line)
            return code
    finally:
        shutil.rmtree(room.path, ignore_errors=True)


def _versions(heard: Heard) -> str:
    told = [f"{name} {version}" for name, version in sorted(heard.versions.items())]
    return "Java client of " + ", ".join(told) if told else "it does not tell its version"


def _who_sees_keys() -> list[Finding]:
    """Java is given the key of the user's session as an argument; on Linux /proc shows those to everybody."""
    if not sys.platform.startswith("linux"):
        return []
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    proc = next((line.split() for line in reversed(mounts) if line.split()[1:3] == ["/proc", "proc"]), [])
    hidden = bool(proc) and any(
        option in proc[3].split(",")
        for option in ("hidepid=2", "hidepid=invisible", "hidepid=1", "hidepid=noaccess")
    )
    text = (
        "other accounts of this machine cannot see its arguments"
        if hidden
        else "other accounts of this machine can see the session key of a running import among the arguments of"
        " its Java (mount /proc with hidepid=2 to hide them)"
    )
    return [Finding(True, "omero import's session key", text)]
