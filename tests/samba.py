"""A real Samba server for one spool, with the share as service/samba/ ships it, and smbclient as a workstation.

Everything smbd keeps is below one folder. It listens at an address of its own in 127.0.0.0/8: smbcacls knows no
other port than 445. smbd wants accounts that the system
knows, and no test makes any: two that every Debian has do for the people.
"""

from __future__ import annotations

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from dropwatch.spool.accounts import Account
from tests.world import wait_until

TEMPLATE = Path(__file__).parents[1] / "service" / "samba" / "dropwatch.conf"
SPOOL = "/srv/dropwatch"  #: as the template has it
PASSWORD = "correct horse"
NAMES = ("games", "news")

_GLOBAL = """\
[global]
    server role = standalone server
    interfaces = {host}/8
    bind interfaces only = yes
    smb ports = 445
    disable netbios = yes
    disable spoolss = yes
    load printers = no
    printing = bsd
    passdb backend = tdbsam
    log file = {home}/log
    max log size = 0
    {kept}
    include = {share}
"""
_KEPT = (
    "private dir",
    "lock directory",
    "state directory",
    "cache directory",
    "pid directory",
    "ncalrpc dir",
)


def missing() -> str:
    """Why no Samba can be started here; "" when it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "smbd needs root, on Linux"
    gone = [name for name in ("smbd", "smbclient", "pdbedit", "setfacl") if not shutil.which(name)]
    if gone:
        return f"needs {', '.join(gone)} (Debian: samba, smbclient, acl)"
    return "" if all(_known(name) for name in NAMES) else f"needs the accounts {' and '.join(NAMES)}"


def _known(name: str) -> bool:
    with suppress(KeyError):
        return bool(pwd.getpwnam(name))
    return False


def person(name: str) -> Account:
    found = pwd.getpwnam(name)
    return Account(name, found.pw_uid, found.pw_gid)


@dataclass
class Samba:
    """*spool* as the share "dropwatch". *changes*: lines of the template to replace. Always stop() it."""

    home: Path
    spool: Path
    changes: Mapping[str, str] = field(default_factory=dict)
    host: str = ""
    _server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.home.mkdir()
        for name in _KEPT:
            (self.home / name).mkdir()
        self.host = _free_address()
        kept = "\n    ".join(f"{name} = {self.home / name}" for name in _KEPT)
        share = TEMPLATE.read_text()
        for old, new in {SPOOL: str(self.spool), **self.changes}.items():
            assert old in share, f"the template says nothing of {old!r}"
            share = share.replace(old, new)
        (self.home / "dropwatch.conf").write_text(share)
        text = _GLOBAL.format(host=self.host, home=self.home, kept=kept, share=self.home / "dropwatch.conf")
        self._config.write_text(text)
        for name in NAMES:
            self._set_password(name)
        command = ["smbd", "--foreground", "--no-process-group", f"--configfile={self._config}"]
        with (self.home / "smbd.out").open("wb") as out:
            # A group of its own: when smbd is told to end, it tells all its group.
            self._server = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
        wait_until(self.listens, what="smbd listens")

    def stop(self) -> None:
        if self._server is not None:
            self._server.terminate()
            try:
                self._server.wait(60)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(self._server.pid, signal.SIGKILL)
                self._server.wait()
        # Its helpers for names and security identifiers leave the group.
        for pid in _with_words(str(self._config)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def listens(self) -> bool:
        with suppress(OSError), socket.create_connection((self.host, 445), 1):
            return True
        return False

    def command(self, name: str, program: str = "smbclient") -> list[str]:
        """A *program* of Samba's as *name*, connected to the share."""
        return [
            program,
            f"--configfile={self._config}",
            f"--user={name}%{PASSWORD}",
            f"//{self.host}/dropwatch",
        ]

    def does(self, name: str, script: str, *, desk: Path, fails: bool = False) -> str:
        """Run commands of smbclient as *name*, one after another, from the folder *desk*; what it says.

        fails -- one of them is refused, which is not an error of the test
        """
        done = subprocess.run(
            [*self.command(name), "--command", script],
            cwd=desk,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=200,
            check=False,
        )
        told = done.stdout + done.stderr
        assert fails or (done.returncode == 0 and "NT_STATUS_" not in told), told
        return told

    def acl(self, name: str, remote: str, *words: str) -> str:
        """What smbcacls says of *remote*, with *words* for what it is to do."""
        done = subprocess.run(
            [*self.command(name, "smbcacls"), remote, *words],
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=200,
            check=False,
        )
        return done.stdout + done.stderr

    @property
    def _config(self) -> Path:
        return self.home / "smb.conf"

    def _set_password(self, name: str) -> None:
        subprocess.run(
            [
                "pdbedit",
                f"--configfile={self._config}",
                "--create",
                "--password-from-stdin",
                f"--user={name}",
            ],
            input=f"{PASSWORD}\n{PASSWORD}\n",
            text=True,
            capture_output=True,
            timeout=200,
            check=True,
        )


def _with_words(words: str) -> list[int]:
    """The processes that were started with *words* in an argument."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if words.encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def _free_address() -> str:
    """A loopback address where nobody listens for SMB. Several tests run side by side."""
    while True:
        host = f"127.{random.randint(64, 126)}.{random.randint(0, 255)}.{random.randint(1, 254)}"
        with socket.socket() as probe:
            probe.bind((host, 0))
            if probe.connect_ex((host, 445)):
                return host
