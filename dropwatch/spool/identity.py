"""Makes a folder a spool: writes its identity file, and only where a spool may be.

A share that is not mounted looks like an empty folder. A daemon that took it for a spool would find no
batch and serve nobody, so whoever makes one has to be sure.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from dropwatch.durable import write_durably
from dropwatch.errors import OperatorError
from dropwatch.litter import is_junk
from dropwatch.spool.folders import IDENTITY, Spool
from dropwatch.spool.moves import make_directory

_NAMED = 5
#: How the table of mounts writes a blank, a tab, a line end and a backslash (fstab(5)).
_ESCAPES = (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\"))


def ensure_spool(root: Path, *, served: bool, mounts: Sequence[Path], clock: Callable[[], float]) -> bool:
    """Make *root* a spool unless it is one. Returns whether it was made.

    served -- a daemon has served a spool at this path before
    mounts -- where this machine should have something mounted (planned_mounts)

    Raises OperatorError where no spool may be, and OSError.
    """
    if (root / IDENTITY).is_file():
        return False
    _refuse_unmounted(root, served, mounts)
    if not root.is_dir():
        if not root.parent.is_dir():
            raise _refusal(f"There is no folder {root.parent} for the spool {root}.", "Make it, or mount it.")
        make_directory(root)
    strangers = sorted(_strangers(root))
    if strangers:
        more = " and more" if len(strangers) > _NAMED else ""
        raise _refusal(
            f"{root} holds other things than drop folders: {', '.join(strangers[:_NAMED])}{more}.",
            "Name an empty folder as the spool.",
        )
    words = {"spool": secrets.token_hex(8), "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clock()))}
    write_durably(root / IDENTITY, json.dumps(words).encode("ascii") + b"\n")
    return True


def planned_mounts() -> list[Path]:
    """Where this machine should have something mounted, by /etc/fstab; nothing where there is no such table."""
    try:
        return mount_points(Path("/etc/fstab").read_text("utf-8", "surrogateescape"))
    except OSError:
        return []


def mount_points(table: str) -> list[Path]:
    """The folders that *table* (fstab(5)) says something is mounted on, the root of everything aside."""
    # Only a line feed ends a line, and only blanks and tabs part words: anything else may stand in a name.
    fields = [re.split(r"[ \t]+", line.strip(" \t")) for line in table.split("\n")]
    points = [_unescaped(field[1]) for field in fields if len(field) > 2 and not field[0].startswith("#")]
    return [Path(point) for point in points if point.startswith("/") and point != "/"]


def _unescaped(text: str) -> str:
    for code, char in _ESCAPES:
        text = text.replace(code, char)
    return text


def _refuse_unmounted(root: Path, served: bool, mounts: Sequence[Path]) -> None:
    sure = f"If a new spool is to begin here, make the file {root / IDENTITY} yourself."
    for point in mounts:
        if root.is_relative_to(point) and not os.path.ismount(point):
            raise _refusal(
                f"{point} should be mounted and is not, so {root} is not the spool.", f"Mount it. {sure}"
            )
    if served:
        raise _refusal(
            f"A spool was served at {root} before, and its identity file {IDENTITY} is not there now.",
            f"Probably a share is not mounted: mount it. {sure}",
        )


def _strangers(root: Path) -> Iterator[str]:
    users = Spool(root).users()
    ours = {*users.names, *users.clashing}
    for entry in os.scandir(root):
        if entry.name not in ours and not entry.name.startswith(".") and not is_junk(entry.name):
            yield entry.name


def _refusal(message: str, remedy: str) -> OperatorError:
    return OperatorError(message, concerns="spool", remedy=remedy, code="no-spool")
