"""A folder of this machine mounted by sshfs, without ssh: sshfs and OpenSSH's sftp-server talk through a pipe.

So there are two ways to the same files, as with any share: the mount, and the server's own disk behind it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.alive import is_alive
from tests.world import wait_until

SERVER = Path("/usr/lib/openssh/sftp-server")

#: docs/shares.md recommends them. Without, sshfs answers for 20 s from memory.
RECOMMENDED = ("dcache_timeout=1", "max_conns=4")


def missing() -> str:
    """Why nothing can be mounted with sshfs here; "" when it can."""
    if sys.platform != "linux" or os.geteuid() != 0 or not Path("/dev/fuse").exists():
        return "mounting with FUSE needs root on Linux, and /dev/fuse"
    return "" if shutil.which("sshfs") and SERVER.exists() else "needs sshfs and OpenSSH's sftp-server"


@dataclass
class Sshfs:
    """*real*, the server's folder, seen at *point*. Always close() it."""

    real: Path
    point: Path
    options: tuple[str, ...] = RECOMMENDED
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def mount(self) -> None:
        self.point.mkdir(exist_ok=True)
        script = self.point.with_suffix(".ssh")
        # What sshfs calls instead of ssh: each connection notes its process.
        script.write_text(f'#!/bin/sh\necho $$ >> "{self._pids}"\nexec {SERVER}\n')
        script.chmod(0o755)
        self._pids.write_text("")
        words = ["sshfs", "-f", f"-ossh_command={script}", *(f"-o{option}" for option in self.options)]
        self._processes.append(subprocess.Popen([*words, f"server:{self.real}", str(self.point)]))
        wait_until(self.is_mounted, what="sshfs mounts")

    def is_mounted(self) -> bool:
        with suppress(OSError):
            return os.path.ismount(self.point)
        return False

    def servers(self) -> list[int]:
        """The processes that serve it."""
        return [int(line) for line in self._pids.read_text().split() if is_alive(int(line))]

    def hang(self) -> None:
        """The server says nothing any more: whoever asks waits."""
        for pid in self.servers():
            os.kill(pid, signal.SIGSTOP)

    def go_on(self) -> None:
        for pid in self.servers():
            os.kill(pid, signal.SIGCONT)

    def disconnect(self) -> None:
        """The server goes away. sshfs ends and takes the mount along: an empty folder is left. With the option
        "reconnect" it stays, and calls the server anew."""
        for pid in self.servers():
            os.kill(pid, signal.SIGKILL)
        if "reconnect" not in self.options:
            wait_until(lambda: not self.is_mounted(), what="sshfs ends")

    def die(self) -> None:
        """sshfs is killed: the mount stays, and whoever asks it gets an error."""
        for process in self._processes:
            process.kill()
            process.wait(60)
        wait_until(self._fails, what="the mount is dead")

    def _fails(self) -> bool:
        try:
            os.statvfs(self.point)
        except OSError:
            return True
        return False

    def unmount(self) -> None:
        """Take the mount away, whoever still uses it, and end sshfs."""
        for process in self._processes:
            process.kill()
            process.wait(60)
        self._processes.clear()
        for pid in self.servers():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        subprocess.run(["umount", "--lazy", self.point], capture_output=True, timeout=200, check=False)

    def close(self) -> None:
        with suppress(FileNotFoundError):
            self.unmount()

    @property
    def _pids(self) -> Path:
        return self.point.with_suffix(".pids")
