"""A facility that stands still: its folders, records and letters as a daemon leaves them, for those who only look."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner, Result

from dropwatch import exits
from dropwatch.cli import app
from dropwatch.ledger import Ledger
from dropwatch.model import Place, Verdict
from dropwatch.outbox import Letter, Shelf, letter_id
from dropwatch.outbox.shelves import Shelves
from dropwatch.record import Line, Record
from dropwatch.spool.folders import MEMORY
from dropwatch.spool.presence import only_daemon, write_heartbeat

AT = 1_795_525_435.0  # 24 Nov 2026 13:03:55 UTC


class Facility:
    """A spool of alice and bob on disk, and the command that is told about it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spool, self.state = folder / "spool", folder / "state"
        for user in ("alice", "bob"):
            for place in Place:
                (self.spool / user / place).mkdir(parents=True)
        (self.spool / ".dropwatch-spool").write_text("{}")
        self.file = folder / "dropwatch.yaml"
        self.configure()

    def configure(self, **more: Any) -> None:
        text = {
            "site": {"timezone": "Europe/Paris"},
            "spools": [{"path": str(self.spool)}],
            "state": str(self.state),
            "omero": {
                "host": "omero.example.org",
                "user": "dropwatch",
                "web": "https://omero.example.org/web",
            },
            "mail": {"host": "localhost", "from": "d@example.org", "admins": ["it@example.org"]},
        }
        self.file.write_text(yaml.safe_dump({**text, **more}))

    def __call__(self, *words: str) -> Result:
        return CliRunner().invoke(app, ["--config", str(self.file), *words])

    def json(self, *words: str) -> Any:
        done = self(*words, "--json")
        assert done.exit_code == exits.GOOD, done.output
        return json.loads(done.stdout)

    def drop(self, user: str, name: str, *files: str) -> Path:
        path = self.spool / user / "inbox" / name
        path.mkdir()
        for file in files:
            (path / file).write_bytes(b"pixels")
        return path

    def claimed(
        self,
        user: str,
        name: str,
        place: Place = Place.FAILED,
        *,
        number: int = 0,
        title: str = "",
        lines: Iterable[Line] = (),
        **record: Any,
    ) -> Path:
        """An envelope as the daemon leaves one; the *number*-th claim of the day."""
        claim = time.strftime("%Y%m%d-%H%M%S-", time.gmtime(AT + number)) + "abcd"
        path = self.spool / user / place / f"{claim}_{name}"
        (path / name).mkdir(parents=True)
        (path / MEMORY).mkdir()
        verdict = {Place.DONE: Verdict.IMPORTED, Place.FAILED: Verdict.FAILED}.get(place)
        facts = {"batch": claim, "claimed_at": AT + number, "verdict": verdict, "planned": True, **record}
        ledger = Ledger(MEMORY)
        ledger.write(path, Record(claim=claim, user=user, name=title or name, folder=name, **facts))
        for line in lines:
            ledger.note(path, line)
        return path

    def line(self, number: int, name: str, outcome: Any, **more: Any) -> Line:
        claim = time.strftime("%Y%m%d-%H%M%S-", time.gmtime(AT + number)) + "abcd"
        facts = {"files": 1, "bytes": 1000, "attempt": 1, "at": AT + 2, **more}
        return Line(claim, f"id-{name}", name, outcome=outcome, **facts)

    @contextmanager
    def running(self, *working: dict[str, Any], **pulse: Any) -> Iterator[None]:
        """A daemon that runs, as far as anybody outside can see; *working*: what its workers have in hand."""
        self.state.mkdir(exist_ok=True)
        said = {"version": "9", "pid": 7, "started": AT, "beat": time.time(), "stopped": False, "targets": {}}
        with only_daemon(self.state):
            write_heartbeat(self.state, {**said, "working": list(working), **pulse})
            yield

    def letter(self, shelf: Shelf, to: str, **more: Any) -> Letter:
        name = letter_id("", "", "outcome", to)
        letter = Letter(name, "outcome", "", "", "alice", to, "News", "All is well.\n", "", AT, **more)
        Shelves(self.state / "outbox").write(shelf, letter)
        return letter
