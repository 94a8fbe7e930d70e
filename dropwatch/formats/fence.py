"""Fences a thread in: from then on the kernel opens no file for it but those of one folder, and what Java needs.

An image file may name any path of this machine as part of itself, and a person may put a link in place of a folder
while it is looked at. Bio-Formats opens whatever that leads to. Behind the fence it gets "Permission denied".

Linux has it since 5.13 (Landlock, landlock(7)), for any program and without privilege. Elsewhere, or where it is
switched off, threads go unfenced: what a look says of files outside is refused (task/belonging.py), but they were read.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from dropwatch.formats.installation import Installation

#: linux/landlock.h and the numbers of its calls, which are the same on all machines but Alpha
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PATH_BENEATH = 1
_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION: nothing is made, the kernel only says which version it has
_ALL = (1 << 13) - 1  # whatever the first version knows, from execute to make_sym
_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_NO_NEW_PRIVS = (
    38  # PR_SET_NO_NEW_PRIVS of prctl(2); who wants to be fenced in without privilege has to say so
)

_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_SYSTEM = ("/usr", "/lib", "/lib64")  # libraries, and time zones


def can_fence() -> bool:
    """Whether threads of this machine can be fenced in."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION) >= 1)


def fence_in(folder: int, installation: Installation) -> bool:
    """Fence this thread in, for good, with the folder that *folder* is a descriptor of. False where it cannot be."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    handled = struct.pack("=Q", _ALL)
    rules = libc.syscall(_CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0)
    if rules < 0:
        return False
    try:
        _allow(libc, rules, folder, _READ_FILE | _READ_DIR)
        for path, access in _needed(installation):
            try:
                handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue
            try:
                _allow(libc, rules, handle, access)
            finally:
                os.close(handle)
        if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            return False
        return bool(libc.syscall(_RESTRICT_SELF, ctypes.c_int(rules), 0) == 0)
    finally:
        os.close(rules)


def _allow(libc: ctypes.CDLL, rules: int, handle: int, access: int) -> None:
    if not stat.S_ISDIR(os.fstat(handle).st_mode):
        access &= _READ_FILE | _WRITE_FILE
    rule = struct.pack("=Qi", access, handle)
    if libc.syscall(_ADD_RULE, ctypes.c_int(rules), _PATH_BENEATH, rule, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _needed(installation: Installation) -> Iterator[tuple[Path, int]]:
    """What Java and Python read while they look at a file, and where Java's libraries are unpacked to."""
    home = installation.libjvm.resolve().parents[2]
    # Distributions keep Java's settings in /etc, with links to them.
    settings = (home / "conf", *_in(home / "conf"), *_in(home / "lib" / "security"))
    ours = (Path(path) for path in (sys.prefix, sys.base_prefix, *sys.path) if path)
    for path in (home, *settings, *installation.jars, *ours, *map(Path, _SYSTEM)):
        if path.resolve() != Path("/"):
            yield path.resolve(), _READ_FILE | _READ_DIR
    for device in _DEVICES:
        yield Path(device), _READ_FILE | _WRITE_FILE
    yield workshop(), _ALL


def _in(folder: Path) -> Iterable[Path]:
    return folder.iterdir() if folder.is_dir() else ()


def workshop() -> Path:
    """A folder for what Java unpacks, ours alone. Raises OSError where none can be made."""
    path = Path(tempfile.gettempdir(), f"dropwatch-java-{os.getuid() if sys.platform != 'win32' else 'temp'}")
    path.mkdir(mode=0o700, exist_ok=True)
    info = path.lstat()
    if sys.platform != "win32" and (info.st_uid != os.getuid() or stat.S_IMODE(info.st_mode) & 0o077):
        return Path(tempfile.mkdtemp(prefix="dropwatch-java-"))  # somebody made it before us
    return path
