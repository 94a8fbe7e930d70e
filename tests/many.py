"""Many retired batches in a spool, as the daemon leaves them, made in seconds: nothing is synced."""

from __future__ import annotations

import calendar
import json
import time
from dataclasses import asdict, replace
from pathlib import Path

from dropwatch.ledger import _plain  # the shape of a line on disk
from dropwatch.model import Container, Failed, FileFact, Fileset, Image, Imported, Kind, Place, Verdict
from dropwatch.record import Event, Record, line_of

NAMES = (
    "HeLa knockdown",
    "Drosophila wing disc",
    "Zebrafish 24 hpf",
    "Beads",
    "Mouse cortex",
    "Yeast Z-ring",
)
BEGUN = float(calendar.timegm((2026, 1, 5, 9, 0, 0)))
_VERBS = ("claim", "plan", "import", "conclude", "notify")
_APART = 2400.0  #: seconds between two claims


def retire_many(spool: Path, user: str, count: int, *, files: int = 3, first: int = 0) -> None:
    """Make *count* batches of *user*, every seventh one failed, each with *files* image files."""
    for number in range(first, first + count):
        _retire(spool / user, user, number, files)


def _retire(home: Path, user: str, number: int, files: int) -> None:
    at = BEGUN + number * _APART
    claim = time.strftime("%Y%m%d-%H%M%S-", time.gmtime(at)) + f"{number % 10000:04}"
    failed, name = number % 7 == 3, f"{NAMES[number % len(NAMES)]} {number}"
    place = Place.FAILED if failed else Place.DONE
    envelope = home / place.value / f"{claim}_{name}"
    memory = envelope / ".dropwatch"
    (envelope / name).mkdir(parents=True)
    memory.mkdir()
    record = Record(
        batch=claim, claim=claim, user=user, name=name, folder=name, claimed_at=at, planned=True, attempts=1,
        verdict=Verdict.PARTIAL if failed else Verdict.IMPORTED, concluded_at=at + 60, notified=True,
        container=Container(Kind.DATASET, 100 + number, f"day {number}", "lab-a"),
        events=tuple(Event(at + step, verb) for step, verb in enumerate(_VERBS)),
    )  # fmt: skip
    (memory / "record.json").write_text(json.dumps({"_default": {"1": asdict(record)}}))
    lines = []
    for one in range(files):
        fact = FileFact(f"pos {one:03}.czi", 1_000_000 + one, 1)
        planned = line_of(claim, Fileset(f"{number:08x}{one:08x}", (fact,), series=1))
        outcome = Imported((Image(number * files + one + 1, fact.path),), number * files + one + 1)
        broken = Failed(
            "The file is damaged: it ends too early.", "Copy it again.", lasting=True, error="truncated"
        )
        lines.append(planned)
        lines.append(
            replace(planned, attempt=1, at=at + 30, outcome=broken if failed and one == 0 else outcome)
        )
    (memory / "filesets.jsonl").write_text("".join(json.dumps(_plain(line)) + "\n" for line in lines))
