"""A spool with one user and a daemon with a given importer, for measuring."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from dropwatch import config
from dropwatch.daemon import Daemon
from dropwatch.model import Place
from dropwatch.task.eyes import ByName

sys.path.insert(0, str(Path(__file__).parents[1]))
from threads import thread_staff


def daemon_for(root: Path, importer: Any, *, settle: str = "0", **settings: object) -> tuple[Daemon, Path]:
    """The daemon, and the inbox of alice. Nobody gets mail unless *settings* say so."""
    spool = root / "spool"
    for place in Place:
        (spool / "alice" / place).mkdir(parents=True)
    (spool / ".dropwatch-spool").write_text("{}")
    text = {
        "spools": [{"path": str(spool), "settle": settle}],
        "state": str(root / "state"),
        "omero": {"host": "127.0.0.1", "user": "dropwatch"},
        "mail": None,
        **settings,
    }
    root.mkdir(parents=True, exist_ok=True)
    source = root / "dropwatch.yaml"
    source.write_text(yaml.safe_dump(text))
    settings_ = config.load(source)
    return Daemon(settings_, thread_staff(settings_, importer, ByName), {}), spool / "alice" / "inbox"


def waited(condition: Callable[[], object], deadline: float = 60.0) -> None:
    """Wait until *condition* holds, looking every half millisecond."""
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("what was measured did not happen")
        threading.Event().wait(0.0005)
