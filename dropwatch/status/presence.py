"""What is known of the daemon: whether it runs, what it said last, what it leaves alone, who is on hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropwatch.spool.presence import HANGS, HOLD, hold_marker, is_running, read_heartbeat
from dropwatch.status.heartbeat import heartbeat
from dropwatch.status.picture import InHand, Target

SILENT = 30.0  #: seconds; a daemon that says nothing for so long hangs, or is gone
EVERYBODY = "*"


@dataclass(frozen=True)
class Presence:
    """running -- a daemon holds the lock; pulse -- its last heartbeat; holds -- users on hold, ``*`` all"""

    running: bool
    pulse: Mapping[str, Any]
    holds: tuple[str, ...]
    targets: tuple[Target, ...]

    def in_hand(self, batch: str) -> tuple[InHand, ...]:
        """What the workers have of *batch* now."""
        working = self.pulse.get("working", ()) if self.running else ()
        return tuple(_in_hand(one) for one in working if one.get("batch") == batch)

    def hanging(self, spool: Path) -> Target | None:
        """What to say of *spool* when it keeps the daemon waiting: who looks into it waits as well."""
        said = self.pulse.get("hanging", {}).get(str(spool)) if self.running else None
        if said is None:
            return None
        at = f", and dropwatch waits for it ({said['at']}) and does nothing else" if said.get("at") else ""
        reason = f"It does not answer{at}."
        remedy = HANGS.format(spool)
        return Target(f"spool:{spool}", reason, remedy, since=said.get("since"), operator=True)

    def held(self, user: str) -> bool:
        return EVERYBODY in self.holds or user in self.holds

    def pause(self, *names: str) -> Target | None:
        """The first of the targets *names* that is left alone now."""
        found = {target.name: target for target in self.targets}
        return next((found[name] for name in names if name in found), None)


def presence(state: Path, now: float) -> Presence:
    """Read what the state folder says of the daemon."""
    pulse = heartbeat(read_heartbeat(state))
    targets = pulse.get("targets", {})
    return Presence(
        _runs(state, pulse, now), pulse, holds(state), tuple(_target(*item) for item in targets.items())
    )


def _runs(state: Path, pulse: Mapping[str, Any], now: float) -> bool:
    try:
        return is_running(state)
    except OSError:  # who may not open the lock still can read the heartbeat
        return not pulse.get("stopped", True) and now - float(pulse.get("beat", 0.0)) < SILENT


def holds(state: Path) -> tuple[str, ...]:
    """Who is on hold, by the marker files; ``*`` means everybody."""
    try:
        names = sorted(path.name for path in (state / HOLD).iterdir())
    except OSError:
        return ()
    everybody, prefix = hold_marker(state, None).name, hold_marker(state, "x").name.removesuffix("x")
    users = tuple(name.removeprefix(prefix) for name in names if name.startswith(prefix))
    return ((EVERYBODY,) if everybody in names else ()) + users


def _target(name: str, said: Mapping[str, Any]) -> Target:
    return Target(
        name,
        reason=str(said.get("reason", "")),
        remedy=str(said.get("remedy", "")),
        since=said.get("since"),
        until=said.get("until"),
        times=int(said.get("times", 0)),
        operator=bool(said.get("operator")),
    )


def _in_hand(said: Mapping[str, Any]) -> InHand:
    """An earlier dropwatch said less; what is missing is not known."""
    at = said.get("progress") or {}
    return InHand(
        str(said.get("file", "")),
        str(at.get("stage", "")),
        int(at.get("done", 0)),
        int(at.get("total", 0)),
        at.get("rate"),
        at.get("left"),
        str(said.get("fileset", "")),
    )
