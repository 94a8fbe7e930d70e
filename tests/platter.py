"""A disk that loses its power: a small file system in an image, and the copy of the image is what the platter held.

What the file system has not sent down when the image is copied is lost, as in a power cut. What it has sent down counts
as written: a disk that lies about its cache is not looked at. Needs root, Linux and the mkfs programs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

MIB = 2**20
_START_SYNC, _WAIT_SYNC = (
    0x80089418,
    0x40089416,
)  #: BTRFS_IOC_..., linux/btrfs.h: both with a u64, the transaction


@dataclass(frozen=True)
class FileSystem:
    """size -- bytes of its image, sparse; options -- of mkfs; mount_options -- of mount"""

    name: str
    size: int
    options: tuple[str, ...] = ()
    mount_options: tuple[str, ...] = ()
    kind: str = ""

    @property
    def type(self) -> str:
        return self.kind or self.name

    def lacks(self) -> str:
        """What this machine lacks to run it; empty when nothing."""
        if not sys.platform.startswith("linux") or os.geteuid() != 0:
            return "loop mounts need Linux and root"
        if not Path("/dev/loop-control").exists():
            return "this machine has no loop devices"
        if shutil.which(f"mkfs.{self.type}") is None:
            return f"mkfs.{self.type} is not installed"
        with tempfile.TemporaryDirectory(prefix="dropwatch-disk-") as folder:
            disk = Disk(Path(folder), self)
            try:
                disk.make()
                disk.mount()
            except subprocess.CalledProcessError as err:
                return f"{self.name} cannot be mounted here: {err.stderr.strip()}"
            finally:
                disk.unmount()
        return ""


_EAGER = "lazy_itable_init=0,lazy_journal_init=0"  # nothing is written behind our back
EXT4 = FileSystem("ext4", 64 * MIB, ("-q", "-b", "4096", "-E", _EAGER))
EXT4_WRITEBACK = FileSystem("ext4-writeback", EXT4.size, EXT4.options, ("data=writeback",), "ext4")
XFS = FileSystem("xfs", 320 * MIB, ("-q",))
BTRFS = FileSystem("btrfs", 128 * MIB, ("-q",))


@dataclass
class Disk:
    """A file system of *kind* on an image below *folder*, mounted at *path* between mount() and unmount()."""

    folder: Path
    kind: FileSystem
    _device: str = field(default="", repr=False)

    @property
    def path(self) -> Path:
        return self.folder / "disk"

    @property
    def _image(self) -> Path:
        return self.folder / "disk.img"

    @property
    def _bystander(self) -> Path:
        return self.path / "bystander"

    def make(self) -> None:
        """Make the file system anew."""
        self.path.mkdir(parents=True, exist_ok=True)
        self._image.unlink(missing_ok=True)
        with self._image.open("wb") as file:
            file.truncate(self.kind.size)
        _run(f"mkfs.{self.kind.type}", *self.kind.options, str(self._image))

    def mount(self) -> None:
        options = ("-o", ",".join(self.kind.mount_options)) if self.kind.mount_options else ()
        self._device = _run("losetup", "--find", "--show", str(self._image)).strip()
        try:
            _run("mount", "-t", self.kind.type, *options, self._device, str(self.path))
        finally:
            # Busy as it is, it goes away by itself with the mount.
            _run("losetup", "--detach", self._device)

    def unmount(self) -> None:
        """Whoever just looks around on this machine may keep it busy for a moment."""
        for _ in range(50):
            if not os.path.ismount(self.path):
                return
            done = subprocess.run(["umount", str(self.path)], capture_output=True, check=False, timeout=200)
            if done.returncode:
                time.sleep(0.1)
        _run("umount", "--lazy", str(self.path))
        raise AssertionError(f"{self.path} stayed busy")

    def sync(self) -> None:
        """Send everything down."""
        _run("sync", "--file-system", str(self.path))

    def commit(self) -> None:
        """What a file system does every few seconds: changes of names become durable, data it holds back does not."""
        if self.kind.type == "btrfs":
            self._commit_btrfs()
            return
        with self._bystander.open("ab", buffering=0) as file:
            file.write(b".")
            os.fsync(file.fileno())  # ext4's journal and xfs's log are one for all files

    def _commit_btrfs(self) -> None:
        import fcntl

        handle = os.open(self.path, os.O_RDONLY)
        try:
            transaction = fcntl.ioctl(handle, _START_SYNC, bytes(8))
            fcntl.ioctl(handle, _WAIT_SYNC, transaction)
        finally:
            os.close(handle)

    def cut(self) -> None:
        """The power fails, and comes back: from here on it holds what was on the platter."""
        copy = self.folder / "platter.img"
        while True:
            before = self._writes()
            _run("cp", "--sparse=always", str(self._image), str(copy))
            if before == self._writes() and before[-1] == 0:
                break  # nothing was written while it was copied: it is the picture of one moment
        self.unmount()
        copy.replace(self._image)
        self.mount()

    def _writes(self) -> tuple[int, int, int]:
        """How often and how many sectors were written to the device so far, and how many requests are under way."""
        counts = Path(f"/sys/block/{Path(self._device).name}/stat").read_text().split()
        return int(counts[4]), int(counts[6]), int(counts[8])


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=200).stdout
