"""Who does the work here: the daemon that runs, or the account that one would run as."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dropwatch.config import Config
from dropwatch.doctor.findings import Finding, ill, unknown, well
from dropwatch.spool.accounts import Account, account_of, is_root
from dropwatch.spool.folders import IDENTITY
from dropwatch.spool.locks import is_held
from dropwatch.spool.presence import HANGS, is_running, read_heartbeat

_LATE = 60.0  #: seconds without a heartbeat after which a daemon hangs; it beats every five
_CAP_DAC_OVERRIDE = 1 << 1  #: capabilities(7): file permissions do not bind it


@dataclass(frozen=True)
class Duty:
    """The daemon of a site.

    running -- it runs now; None: that cannot be seen by this account
    pid     -- its process, 0 when it does not run
    beat    -- when it beat last, epoch seconds
    uid     -- its account, as far as can be known
    mighty  -- file permissions do not bind it: it is root, or has CAP_DAC_OVERRIDE
    hanging -- the spools that do not answer it; whoever looks into one of them waits as well
    """

    running: bool | None
    pid: int = 0
    beat: float = 0.0
    uid: int | None = None
    mighty: bool = False
    hanging: frozenset[Path] = frozenset()

    def account(self, spool: Path) -> Account | None:
        """Whom to be when doing what the daemon does in *spool*; None: whoever we are.

        Only root can be somebody else, and a daemon that no permission binds is tried as root.
        """
        if not is_root() or self.mighty:
            return None
        uid = self.uid if self.uid is not None else _owner(spool)
        return account_of(uid) if uid else None


def _owner(spool: Path) -> int:
    try:
        return (spool / IDENTITY).stat().st_uid
    except OSError:
        return 0


def on_duty(state: Path) -> Duty:
    """The daemon that keeps its state in *state*."""
    try:
        running = is_running(state)
    except OSError:
        return Duty(None)
    if not running:
        return Duty(False)
    pulse = read_heartbeat(state)
    pid, beat = pulse.get("pid", 0), pulse.get("beat", 0.0)
    uid, mighty = _privileges(pid)
    hanging = pulse.get("hanging")
    paths = map(Path, hanging) if isinstance(hanging, dict) else ()
    return Duty(True, pid, beat, uid, mighty, frozenset(paths))


def _privileges(pid: int) -> tuple[int | None, bool]:
    """Account of the process, and whether permissions do not bind it (proc(5), status). Linux only."""
    if sys.platform != "linux":
        return None, False
    try:
        lines = Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines()
    except OSError:
        return None, False
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    uid = int(fields["Uid"].split()[1])
    return uid, bool(int(fields["CapEff"], 16) & _CAP_DAC_OVERRIDE)


def look_at_daemon(config: Config, duty: Duty, now: float) -> Iterator[Finding]:
    """Whether a daemon runs, is alive, and is the only one."""
    subject = "daemon"
    if duty.running is None:
        yield unknown(
            subject, f"{config.state} is closed to this account", "Check as root, or as the daemon's account."
        )
    elif not duty.running:
        yield well(subject, "none runs now")
    elif now - duty.beat > _LATE:
        yield ill(
            subject,
            f"it holds its lock and has not moved for {now - duty.beat:.0f} s (process {duty.pid})",
            "See its log. If the disk or a share hangs, mend that; else restart it.",
        )
    else:
        yield well(subject, f"runs, process {duty.pid}, account {_name(duty.uid)}")
    for path in duty.hanging:
        yield ill(f"spool {path}", "it does not answer, and the daemon waits for it", HANGS.format(path))
    for spool in config.spools:
        if duty.running is False and _is_locked(spool.path / IDENTITY):
            yield ill(
                subject,
                f"another one, with another state folder, serves {spool.path}",
                "Stop one of them: one daemon serves a spool.",
            )


def _name(uid: int | None) -> str:
    return "unknown" if uid is None else account_of(uid).name


def _is_locked(path: Path) -> bool:
    try:
        return path.is_file() and is_held(path)
    except OSError:
        return False


def who_we_are() -> str:
    """The account that checks, for texts."""
    return "this account" if sys.platform == "win32" else account_of(os.geteuid()).name
