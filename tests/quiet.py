"""A spool and the configuration of a daemon that needs no server: the folder importer, nobody mailed.

For stories about what is seen and claimed, and when. The daemon runs in a process of its own (lives.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropwatch.model import Place
from dropwatch.spool.presence import read_heartbeat
from tests.lives import LONGEST, Life
from tests.world import merged, wait_until


@dataclass
class Quiet:
    """Everything below *root*; *settings* is merged into the configuration."""

    root: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    users: tuple[str, ...] = ("alice", "bob")

    def __post_init__(self) -> None:
        for user in self.users:
            for place in Place:
                self.place(user, place).mkdir(parents=True)
        (self.spool / ".dropwatch-spool").write_text("{}")
        archive = self.archive / ".dropwatch-archive"
        archive.parent.mkdir()
        archive.touch()
        defaults = {
            "spools": {"path": str(self.spool), "settle": "200ms", "sweep": "1h"},
            "state": str(self.root / "state"),
            "importer": "folder",
            "folder": {"path": str(self.archive)},
            "limits": {"min_free": "1MiB"},
            "retry": {"import": ["300ms"] * 3, "mail": ["300ms"]},
            "mail": None,
        }
        settings = merged(defaults, self.settings)
        self.config.write_text(json.dumps({**settings, "spools": [settings["spools"]]}, indent=1))

    @property
    def spool(self) -> Path:
        return self.root / "spool"

    @property
    def archive(self) -> Path:
        """Where the folder importer copies to."""
        return self.root / "archive"

    @property
    def config(self) -> Path:
        return self.root / "dropwatch.yaml"

    @property
    def log(self) -> Path:
        return self.root / "daemon.log"

    @contextmanager
    def daemon(self, longest: int = LONGEST) -> Iterator[Life]:
        """A daemon that has begun to beat, and is killed at the end."""
        life = Life(self.config, self.log, longest=longest)
        try:
            wait_until(lambda: self.pulse().get("pid") == life.pid and not self.pulse().get("stopped"))
            yield life
        finally:
            life.kill()

    def pulse(self) -> dict[str, Any]:
        return read_heartbeat(self.root / "state")

    def overflows(self) -> int:
        """How often the daemon says that events were lost."""
        return int(self.pulse()["spools"][str(self.spool)]["overflows"])

    def said(self, words: str) -> bool:
        return words in self.log.read_text("utf-8", "replace")

    def place(self, user: str, place: str) -> Path:
        return self.spool / user / place

    def inbox(self, user: str) -> Path:
        return self.place(user, "inbox")

    def is_quiet(self) -> bool:
        """Whether whatever was dropped is retired."""
        waiting = (self.place(user, place) for user in self.users for place in ("inbox", "processing"))
        return not any(any(place.iterdir()) for place in waiting)

    def claimed(self, user: str) -> list[Path]:
        """The envelopes of *user*, wherever they are by now."""
        places = (self.place(user, place) for place in ("processing", "done", "failed"))
        return [path for place in places for path in place.iterdir()]
