"""Which kind of file system lies below a path, and whether its events can be relied on. Only asks, never mounts.

The kernel raises events for what is done through it. What another machine does to a share, or a server behind a
FUSE file system to its files, it does not see (inotify(7), LIMITATIONS). So events are trusted only where the kind
is known to be a disk of this machine's own; everything else, also what nobody has heard of yet, is polled.
"""

from __future__ import annotations

import ntpath
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

#: File systems of which this machine's kernel does everything that is done. fuseblk is FUSE on a local block device
#: (ntfs-3g, exfat): all that changes there goes through the mount. GFS2 and OCFS2 are missing on purpose, other
#: machines write to the same disk; so are autofs (what will be mounted there?) and virtiofs (the host writes too).
LOCAL = frozenset((
    "ext2", "ext3", "ext4", "xfs", "btrfs", "bcachefs", "zfs", "f2fs", "jfs", "reiserfs", "nilfs2", "minix",
    "tmpfs", "ramfs", "rootfs", "devtmpfs", "overlay", "aufs", "ecryptfs",
    "vfat", "msdos", "exfat", "ntfs", "ntfs3", "fuseblk", "hfs", "hfsplus", "ufs", "udf",
    "squashfs", "erofs", "iso9660",
))  # fmt: skip
_SHARE = "a network share"  #: where the system says no more than that
_REMOTE_DRIVE = 4  #: DRIVE_REMOTE of GetDriveTypeW (winbase.h)
_PATIENCE = 10.0  #: seconds for mount(8), which asks the kernel only

_OCTAL = re.compile(rb"\\([0-7]{3})")
_MAC_LINE = re.compile(r"(?P<source>.*?) on (?P<point>/.*) \((?P<words>[^()]*)\)\Z")


def needs_polling(path: Path) -> str:
    """The kind of the file system below *path* when its events cannot be relied on, else "".

    Also "" where that cannot be found out: there is no such path (now), or no way to ask.
    """
    if sys.platform == "win32":
        return remote_drive(os.path.realpath(path), _drive_type)
    if sys.platform == "darwin":
        return mac_kind(_said_by_mount(), os.path.realpath(path))
    kind = _linux_kind(path)
    return "" if kind in LOCAL else kind


def why_polled(root: Path, inboxes: Iterable[Path]) -> str:
    """Why a spool at *root* with these *inboxes* has to be polled, in words; "" when events tell of everything.

    Each drop folder may be a mount of its own: home directories on a server, say.
    """
    for path in (root, *inboxes):
        kind = needs_polling(path)
        if kind:
            where = "" if path == root else f" ({path})"
            return f"{kind}{where} raises no events for what other machines do"
    return ""


def mounted_below(root: Path) -> list[Path]:
    """Where other file systems are mounted below *root*, without touching them: one may hang. Linux only; elsewhere,
    and where that cannot be asked, none."""
    try:
        table = Path("/proc/self/mountinfo").read_bytes()
    except OSError:
        return []
    fields = (line.split(b" ") for line in table.split(b"\n"))
    points = [Path(os.fsdecode(_unescaped(one[4]))) for one in fields if len(one) > 4]
    return [point for point in dict.fromkeys(points) if point != root and point.is_relative_to(root)]


def keeps_inodes(path: Path) -> bool:
    """Whether a file below *path* has the same inode number as long as it is there. FUSE may give it another one
    whenever the kernel has forgotten the file, and so may SMB (mount.cifs(8), noserverino)."""
    return not needs_polling(path).startswith(("fuse", "macfuse", "osxfuse", "cifs", "smb"))


# -- Linux ---------------------------------------------------------------------------------------------------


def _linux_kind(path: Path) -> str:
    """The type of the mount that *path* is on; "" where that cannot be asked."""
    if sys.platform != "linux":
        return ""
    try:
        # Of the paths in the table several may match (mounts lie over one another), so the kernel is asked which
        # mount it is. The dot makes an automounter mount what belongs there; O_PATH opens nothing on the server.
        handle = os.open(f"{path}/.", os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        told = Path(f"/proc/self/fdinfo/{handle}").read_bytes()
        return kind_of_mount(Path("/proc/self/mountinfo").read_bytes(), told)
    except OSError:
        return ""
    finally:
        os.close(handle)


def kind_of_mount(table: bytes, fdinfo: bytes) -> str:
    """The type of the mount that an open file is on (proc(5), /proc/PID/mountinfo and fdinfo)."""
    found = re.search(rb"^mnt_id:\s*(\d+)$", fdinfo, re.MULTILINE)
    for line in table.split(b"\n") if found else ():  # a name may hold any other line end
        before, dash, after = line.partition(b" - ")
        if dash and found and before.split(b" ", 1)[0] == found[1]:
            return _unescaped(after.split(b" ", 1)[0]).decode("utf-8", "surrogateescape")
    return ""


def _unescaped(text: bytes) -> bytes:
    """Blanks, tabs, line ends, '#' and backslashes are octal there; all other bytes stand as they are."""
    return _OCTAL.sub(lambda found: bytes([int(found[1], 8) & 0xFF]), text)


# -- macOS ---------------------------------------------------------------------------------------------------


def _said_by_mount() -> str:
    try:
        done = subprocess.run(
            ["/sbin/mount"],
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=_PATIENCE,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def mac_kind(table: str, real: str) -> str:
    """The type of the mount that the real path *real* is on, when mount(8) does not call it "local"; else ""."""
    best, kind = "", ""
    for line in table.split("\n"):
        found = _MAC_LINE.match(line)
        if found is None:
            continue
        point, words = found["point"], [word.strip() for word in found["words"].split(",")]
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, "" if "local" in words[1:] else words[0]
    return kind


# -- Windows -------------------------------------------------------------------------------------------------


def remote_drive(real: str, drive_type: Callable[[str], int]) -> str:
    """What to call the drive of the real path *real* when another machine has it: ``\\\\server\\share\\...``, or a
    letter that a share is mapped to; else ""."""
    plain = real.removeprefix("\\\\?\\")
    if plain.startswith(("\\\\", "UNC\\")):
        return _SHARE
    letter = ntpath.splitdrive(plain)[0]
    return f"{_SHARE} ({letter})" if drive_type(f"{letter}\\") == _REMOTE_DRIVE else ""


if sys.platform == "win32":
    import ctypes

    def _drive_type(root: str) -> int:
        return int(ctypes.windll.kernel32.GetDriveTypeW(root))
else:

    def _drive_type(root: str) -> int:
        return 0
