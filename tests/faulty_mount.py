"""Mounts for tests of faults: a FUSE file system that obeys (faultfs.py), a tmpfs that is soon full. Always close.

Both lie over a folder of the test; what they need is asked for by can_mount().
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.world import wait_until


def can_mount() -> str:
    """Why nothing can be mounted here; "" when it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "mounting needs root on Linux"
    return ""


def can_fuse() -> str:
    """Why there is no FUSE here; "" when there is."""
    if not os.access("/dev/fuse", os.W_OK) or shutil.which("fusermount3") is None:
        return "FUSE is not installed (fuse3)"
    try:
        import mfusepy  # noqa: F401
    except (ImportError, OSError):
        return "mfusepy is not installed"
    return can_mount()


class FaultyMount:
    """The folder *backing* seen through the file system at *mountpoint*, which fails as it is told."""

    def __init__(self, backing: Path, mountpoint: Path) -> None:
        self.backing, self.mountpoint = backing, mountpoint
        self._rooms = tempfile.TemporaryDirectory(prefix="faultfs-")  # paths of sockets must be short
        self._socket = f"{self._rooms.name}/orders"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            sys.executable,
            "-m",
            "tests.faultfs",
            str(self.backing),
            str(self.mountpoint),
            self._socket,
        ]
        with Path(f"{self._rooms.name}/log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=Path(__file__).parents[1],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(lambda: os.path.ismount(self.mountpoint), what="the FUSE file system")

    def die(self) -> None:
        """The process that serves it dies: whoever looks gets ENOTCONN."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process = None

    def unmount(self) -> None:
        """Lazily, as after a lost share: the empty folder underneath shows."""
        subprocess.run(["umount", "-l", str(self.mountpoint)], check=False, capture_output=True)
        self.die()

    def close(self) -> None:
        self.unmount()
        self._rooms.cleanup()

    # -- orders ------------------------------------------------------------------------------------------

    def fail(self, op: str, error: str, path: str = "*", **more: Any) -> None:
        """*op* on *path* fails with *error* ("EIO"); *more* is that of faultfs.Order."""
        self._order(do="fail", op=op, error=error, path=path, **more)

    def hang(self, op: str = "*", path: str = "*", **more: Any) -> None:
        """The first *op* on *path* does not come back until go_on(), nor does anything after it; that is how a share
        looks whose server is gone. *more* is that of faultfs.Order."""
        self._order(do="hang", op=op, path=path, **more)

    def hung(self) -> bool:
        """Whether somebody was met by that."""
        return bool(self._order(do="hung")["hung"])

    def go_on(self) -> None:
        """It answers again, first whoever waits."""
        self._order(do="go on")

    def heal(self) -> list[str]:
        """All orders end; says what they were met by."""
        return list(self._order(do="heal")["met"])

    def met(self) -> list[str]:
        """Which operations failed as ordered."""
        return list(self._order(do="met")["met"])

    def passed(self) -> list[str]:
        """What changed something, since it was mounted."""
        return list(self._order(do="passed")["passed"])

    def stale(self, seconds: float) -> None:
        """What was once seen of a name is told again for so long, whatever others do behind the mount."""
        self._order(do="stale", seconds=seconds)

    def _order(self, **words: Any) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(20)
            line.connect(self._socket)
            with line.makefile("rw", encoding="utf-8") as file:
                file.write(json.dumps(words) + "\n")
                file.flush()
                answer: dict[str, Any] = json.loads(file.readline())
                return answer


class SmallDisk:
    """A tmpfs of *size* bytes at *mountpoint*."""

    def __init__(self, mountpoint: Path, size: int) -> None:
        self.mountpoint = mountpoint
        mountpoint.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(mountpoint)], check=True)

    def fill(self, leave: int = 0) -> None:
        """Take all room but *leave* bytes."""
        filler = self.mountpoint / ".filler"
        with filler.open("ab", buffering=0) as file:
            try:
                while os.statvfs(self.mountpoint).f_bavail:
                    file.write(bytes(4096))
            except OSError:
                pass
        os.truncate(filler, max(0, filler.stat().st_size - leave))

    def empty(self) -> None:
        (self.mountpoint / ".filler").unlink(missing_ok=True)

    def close(self) -> None:
        subprocess.run(["umount", "-l", str(self.mountpoint)], check=False, capture_output=True)
