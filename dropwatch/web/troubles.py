"""What an admin has to see to, in words: from an Overview to sentences, the worst first. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dropwatch.report import count, size
from dropwatch.report.words import listed, moment_beside
from dropwatch.status import Target
from dropwatch.web.overview import Daemon, Life, Overview

_START = "Start it again: `systemctl start dropwatch`, or in the way you run it. Its log says why it ended."
_LOOK = "Its log says more. If a disk or a share hangs, mend that; else restart it: nothing is lost by that."
_DAEMON = {
    Life.HANGS: ("dropwatch runs, but has said nothing", _LOOK),
    Life.STOPPED: ("dropwatch is not running: it was stopped", _START),
    Life.DIED: ("dropwatch is not running: it ended in the middle of its work", _START),
    Life.NEVER: ("dropwatch has never run here", "Start it: `dropwatch run`, or as a service."),
}
_PLAIN = {"omero": "OMERO", "mail": "The mail server", "state": "The state folder"}
_KINDS = {
    "spool": "The drop folders in",
    "space": "The disk of",
    "user": "The user",
    "inbox": "The inbox of",
    "drop": "The drop",
    "batch": "The batch",
}


@dataclass(frozen=True)
class Trouble:
    """*what* it is, and *more*: what to do, since when, when it is tried again. *bad*: somebody has to act."""

    bad: bool
    what: str
    more: str


def troubles(seen: Overview, zone: str) -> Iterator[tuple[str, Trouble]]:
    """All of it, each under a name that stays while it lasts. *zone*: of the times."""
    yield from _of_daemon(seen.daemon, seen.at, zone)
    for target in sorted(seen.targets, key=lambda one: not one.operator):
        yield f"target {target.name}", _of_target(target, seen, zone)
    yield from _of_disks(seen)
    if seen.dead:
        many = count(len(seen.dead), "letter")
        yield (
            "dead",
            Trouble(True, f"{many} could not be delivered.", "Below, each can be read and sent again."),
        )
    if seen.all_held:
        yield (
            "held",
            Trouble(
                False, "Everything is on hold.", "What is being imported is finished; nothing else begins."
            ),
        )
    elif seen.holds:
        yield (
            "held",
            Trouble(
                False, f"On hold: {listed(list(seen.holds))}.", "Their batches wait until you let them go."
            ),
        )


def called(target: str) -> str:
    """What people call a target, such as ``spool:/srv/dropwatch``, at the beginning of a sentence."""
    kind, _, name = target.partition(":")
    return _PLAIN.get(target) or f"{_KINDS.get(kind, kind)} {name}".strip()


def _of_daemon(daemon: Daemon, now: float, zone: str) -> Iterator[tuple[str, Trouble]]:
    if daemon.life in _DAEMON:
        what, remedy = _DAEMON[daemon.life]
        since = f" since {moment_beside(daemon.beat, now, zone)}" if daemon.beat else ""
        yield "daemon", Trouble(True, f"{what}{since}.", remedy)


def _of_target(target: Target, seen: Overview, zone: str) -> Trouble:
    said = [target.remedy]
    if target.since:
        said.append(f"Since {moment_beside(target.since, seen.at, zone)}.")
    if seen.daemon.life is not Life.RUNS:
        said.append("So it was when dropwatch said something last.")
    elif target.until is not None:
        said.append(f"Tried again at {moment_beside(target.until, seen.at, zone)}.")
    return Trouble(target.operator, f"{called(target.name)}: {target.reason}", " ".join(filter(None, said)))


def _of_disks(seen: Overview) -> Iterator[tuple[str, Trouble]]:
    told = {target.name for target in seen.targets}
    for disk in seen.disks:
        if disk.low and f"space:{disk.path}" not in told:
            what = f"The disk of {disk.path} is nearly full: {size(disk.free)} free."
            more = f"Make room: below {size(disk.least)} (limits.min_free) nothing more is taken up."
            yield f"disk {disk.path}", Trouble(True, what, more)
