"""Opens folders and files that other people may change under our hands: step by step, and no step is a link.

From the envelope on, a person may put a link in place of any folder while we look. The one place that opens them.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from dropwatch.model import CLAIM_STAMP

#: Windows has neither of these flags, nor folders that can be opened: there each step is looked at before it is taken.
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
STEP_BY_STEP = os.open in os.supports_dir_fd and bool(_NO_FOLLOW) and hasattr(os, "O_DIRECTORY")

#: No link is followed at the end either, and nothing waits at a pipe.
PLAIN = (
    _NO_FOLLOW
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
)


def open_steps(path: Path) -> int:
    """A descriptor of the folder *path*. From the envelope on that it lies in, or else at its end, no link is followed.

    What lies above an envelope only the daemon may change. Raises NotADirectoryError or OSError (ELOOP) at a link.
    Not for Windows.
    """
    above, steps = _split(path)
    here = os.open(above, _FOLDER)
    try:
        for step in steps:
            below = step_into(step, here)
            os.close(here)
            here = below
    except OSError as err:
        err.filename = str(path)
        os.close(here)
        raise
    return here


def open_below(folder: Path, relative: str) -> int:
    """A descriptor, to read, of the file *relative* ('/'-separated, each step a plain name) below *folder*.

    Raises as open_steps(), and OSError (ELOOP) where the file is a link. What it is, the caller has to look at.
    Not for Windows.
    """
    *steps, name = relative.split("/")
    here = open_steps(folder)
    try:
        for step in steps:
            below = step_into(step, here)
            os.close(here)
            here = below
        return os.open(name, os.O_RDONLY | PLAIN, dir_fd=here)
    finally:
        os.close(here)


def step_into(name: str, folder: int) -> int:
    """A descriptor of the folder *name* in *folder* (a descriptor)."""
    return os.open(name, _FOLDER | _NO_FOLLOW, dir_fd=folder)


def in_envelope(path: Path) -> bool:
    """Whether *path* lies in an envelope, going by the names of the folders above it."""
    return _split(path)[0] not in (path.parent, path)


def _split(path: Path) -> tuple[Path, tuple[str, ...]]:
    """*path* up to the place of the envelope that it lies in, and the steps from there."""
    parts = path.parts
    for number, part in enumerate(parts):
        stamp = CLAIM_STAMP.match(part)
        if number and stamp and part[stamp.end() :].startswith("_"):
            return Path(*parts[:number]), parts[number:]
    return path.parent, parts[-1:]


def look_at_steps(path: Path) -> None:
    """Raise NotADirectoryError where open_steps() would."""
    above, steps = _split(path)
    for step in steps:
        above /= step
        if above.is_symlink():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(above))
