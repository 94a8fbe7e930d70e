"""Who runs a spool: the lock that one daemon holds, and what it says of itself in its heartbeat."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from dropwatch.durable import write_durably
from dropwatch.errors import OperatorError
from dropwatch.spool.knock import GIVE_UP
from dropwatch.spool.locks import is_held, locked

HEARTBEAT = "heartbeat.json"
HOLD = "hold"
#: What helps when a spool does not answer; for its path.
HANGS = f"See to its disk, its file server or the network. {GIVE_UP}"


@contextmanager
def only_daemon(state: Path) -> Iterator[None]:
    """Hold the lock of the folder *state*. Raises OperatorError when another daemon has it."""
    path = state / "lock"
    with ExitStack() as stack:
        if not _take(stack, path):
            raise OperatorError(
                f"Another dropwatch daemon runs here: it holds {path}.",
                concerns="spool",
                remedy="Stop it first; one daemon has a state folder.",
                code="another-daemon",
            )
        yield


def _take(stack: ExitStack, path: Path) -> bool:
    """Take a lock; whoever only looks whether it is held (`status`) has it for a moment, so try for a while."""
    for _ in range(20):
        if stack.enter_context(locked(path, shared=False)):
            return True
        threading.Event().wait(0.1)
    return False


def is_running(state: Path) -> bool:
    """Whether a daemon holds the lock of the state folder now."""
    path = state / "lock"
    return path.is_file() and is_held(path)


def write_heartbeat(state: Path, pulse: Mapping[str, Any]) -> None:
    write_durably(state / HEARTBEAT, json.dumps(pulse, indent=1).encode("ascii"))


def read_heartbeat(state: Path) -> dict[str, Any]:
    """What the daemon said of itself last; empty when it never did."""
    try:
        pulse = json.loads((state / HEARTBEAT).read_text("ascii"))
    except (OSError, ValueError, RecursionError):
        return {}
    return pulse if isinstance(pulse, dict) else {}


def hold_marker(state: Path, user: str | None) -> Path:
    """The file whose presence holds *user*, or everything."""
    return state / HOLD / (f"user-{user}" if user else "all")
