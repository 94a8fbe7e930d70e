"""Which file systems are watched by events, and which are polled: real mounts here, tables of other systems."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dropwatch.mounts import LOCAL, kind_of_mount, mac_kind, needs_polling, remote_drive, why_polled

NETWORK = (
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "gpfs", "beegfs", "davfs"),
    *("fuse", "fuse.sshfs", "fuse.rclone", "fuse.glusterfs", "fuse.vmhgfs-fuse", "vboxsf", "vmhgfs", "prl_fs"),
    *("virtiofs", "drvfs", "gfs2", "ocfs2", "orangefs", "wekafs", "autofs", "ncpfs", "coda"),
)  # fmt: skip
DISKS = ("ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "vfat", "exfat", "ntfs3", "fuseblk")

# -- Linux, by text ------------------------------------------------------------------------------------------


def mountinfo(*mounts: tuple[int, str, str]) -> bytes:
    """The table of mounts: id, point (as it is escaped there), type."""
    lines = [
        f"{number} 1 0:{number} / {point} rw,relatime shared:7 master:1 - {kind} some\\040source rw,size=4k"
        for number, point, kind in mounts
    ]
    return "\n".join(lines).encode() + b"\n"


def fdinfo(number: int) -> bytes:
    return f"pos:\t0\nflags:\t012000000\nmnt_id:\t{number}\nino:\t2\n".encode()


def test_disks_are_known_by_name_and_all_else_is_polled() -> None:
    assert set(DISKS) <= LOCAL
    assert not LOCAL & set(NETWORK)
    assert not [kind for kind in LOCAL if "." in kind]


@pytest.mark.parametrize("kind", ["nfs4", "fuse.sshfs", "fuse.what\\040not"])
def test_the_type_of_a_mount_is_told_as_the_kernel_calls_it(kind: str) -> None:
    table = mountinfo((222, "/srv/alice", kind), (22, "/srv", "xfs"), (2, "/", "ext4"))

    assert kind_of_mount(table, fdinfo(222)) == kind.replace("\\040", " ")
    assert kind_of_mount(table, fdinfo(22)) == "xfs"
    assert kind_of_mount(table, fdinfo(2)) == "ext4"


def test_a_dash_among_the_options_does_not_confuse() -> None:
    table = b"31 1 0:5 /a\\040-\\040b /mnt/a\\040-\\040nfs rw - ext4 /dev/x rw\n"

    assert kind_of_mount(table, fdinfo(31)) == "ext4"


def test_a_table_that_knows_nothing_of_it_says_nothing() -> None:
    assert kind_of_mount(mountinfo((2, "/", "nfs4")), fdinfo(3)) == ""
    assert kind_of_mount(mountinfo((2, "/", "nfs4")), b"pos:\t0\n") == ""
    assert kind_of_mount(b"gar\nbage", fdinfo(3)) == ""


# -- Linux, real ---------------------------------------------------------------------------------------------

linux = pytest.mark.skipif(sys.platform != "linux", reason="mounts of Linux")
root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root may mount (sudo make test)"
)


@contextmanager
def mounted(point: Path, *arguments: str) -> Iterator[None]:
    """mount(8) with *arguments* at *point*; skips where this machine may not."""
    done = subprocess.run(
        ["mount", *arguments, os.fspath(point)], capture_output=True, text=True, timeout=200, check=False
    )
    if done.returncode:
        pytest.skip(f"mount {' '.join(arguments)}: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", point], check=True, timeout=200)


def test_a_disk_of_this_machine_is_watched_by_events(tmp_path: Path) -> None:
    assert needs_polling(tmp_path) == ""
    assert why_polled(tmp_path, [tmp_path]) == ""


def test_a_path_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert needs_polling(tmp_path / "not" / "mounted") == ""


@linux
def test_what_is_not_known_to_be_local_is_polled() -> None:
    """The kernel's own tables change without events, too: nothing of them is in the list."""
    assert needs_polling(Path("/proc/self")) == "proc"
    assert needs_polling(Path("/sys")) == "sysfs"


@root
@pytest.mark.parametrize(
    "name", ["plain", "two words", "back\\slash", "line\nend", "Mikroskop ü", "#1 ü\t\\040"]
)
def test_the_name_of_a_mount_point_does_not_matter(tmp_path: Path, name: str) -> None:
    point = tmp_path / name
    point.mkdir()
    with mounted(point, "-t", "proc", "proc"):
        (tmp_path / "link").symlink_to(point)

        assert needs_polling(point) == "proc"
        assert needs_polling(tmp_path / "link") == "proc"
        assert needs_polling(tmp_path) == ""


@root
def test_of_mounts_over_one_another_the_one_on_top_counts(tmp_path: Path) -> None:
    point = tmp_path / "spool"
    point.mkdir()
    with mounted(point, "-t", "proc", "proc"):
        with mounted(point, "-t", "tmpfs", "tmpfs"):
            over = needs_polling(point)

        assert (over, needs_polling(point)) == ("", "proc")


@root
def test_a_mount_that_another_one_hides_does_not_count(tmp_path: Path) -> None:
    """The deeper mount is older: the table still has it, with the longer path, but nobody can get there."""
    below = tmp_path / "spool" / "alice"
    below.mkdir(parents=True)
    with mounted(below, "-t", "proc", "proc"), mounted(tmp_path / "spool", "-t", "tmpfs", "tmpfs"):
        below.mkdir()

        assert needs_polling(below) == ""


@root
def test_a_bind_mount_is_what_it_shows(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    with mounted(tmp_path / "spool", "--bind", "/proc"):
        assert needs_polling(tmp_path / "spool" / "self") == "proc"
    with mounted(tmp_path / "spool", "--bind", os.fspath(tmp_path)):
        assert needs_polling(tmp_path / "spool" / "spool") == ""


@root
def test_an_overlay_is_local(tmp_path: Path) -> None:
    for name in ("lower", "upper", "work", "spool"):
        (tmp_path / name).mkdir()
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    with mounted(tmp_path / "spool", "-t", "overlay", "overlay", "-o", options):
        assert needs_polling(tmp_path / "spool") == ""


@root
def test_one_drop_folder_on_a_share_is_enough_and_is_named(tmp_path: Path) -> None:
    theirs = tmp_path / "bob" / "inbox"
    theirs.mkdir(parents=True)
    (tmp_path / "alice").mkdir()
    with mounted(theirs.parent, "-t", "proc", "proc"):
        told = why_polled(tmp_path, [tmp_path / "alice", theirs.parent / "self"])

    assert told == f"proc ({theirs.parent / 'self'}) raises no events for what other machines do"


# -- macOS, by text ------------------------------------------------------------------------------------------

MAC = """\
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
devfs on /dev (devfs, local, nobrowse)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse, protect, root data)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
//alice@server/spool on /Volumes/spool (smbfs, nodev, nosuid, mounted by alice)
server:/export/on (2) on /Volumes/on (2) (nfs, nodev, nosuid)
/dev/disk4s1 on /Volumes/MICRO (1) (msdos, local, nodev, nosuid, noowners)
host:/x on /Volumes/ssh (macfuse, nodev, nosuid, synchronous, mounted by alice)
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/System/Volumes/Data/srv", ""),
        ("/Users/alice", ""),
        ("/Volumes/spool/alice/inbox", "smbfs"),
        ("/Volumes/spool", "smbfs"),
        ("/Volumes/spool 2", ""),
        ("/Volumes/on (2)/x", "nfs"),
        ("/Volumes/MICRO (1)/x", ""),
        ("/Volumes/ssh/x", "macfuse"),
        ("/System/Volumes/Data/home/alice", "autofs"),
    ],
)
def test_macos_says_which_mounts_are_local(path: str, kind: str) -> None:
    assert mac_kind(MAC, path) == kind


def test_a_mac_that_says_nothing_is_believed() -> None:
    assert mac_kind("", "/Volumes/spool") == ""


# -- Windows, by text ----------------------------------------------------------------------------------------


@pytest.fixture
def drives() -> Callable[[str], int]:
    """C: a fixed disk, E: a removable one, Z: mapped to a share."""
    known = {"C:\\": 3, "E:\\": 2, "Z:\\": 4}
    return lambda name: known.get(name, 1)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (r"C:\spool", ""),
        ("C:\\", ""),
        (r"E:\spool", ""),
        (r"Z:\spool", "a network share (Z:)"),
        (r"\\server\share\spool", "a network share"),
        (r"\\?\UNC\server\share\spool", "a network share"),
        (r"\\?\C:\spool", ""),
        (r"\\?\Z:\spool", "a network share (Z:)"),
    ],
)
def test_windows_knows_mapped_drives_and_unc_paths(
    drives: Callable[[str], int], path: str, told: str
) -> None:
    assert remote_drive(path, drives) == told
