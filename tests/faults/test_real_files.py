"""The files that pydicom and nibabel test themselves with, odd ones included, dropped as one batch."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import nibabel
import pydicom
import pytest

from dropwatch.ledger import Ledger
from dropwatch.model import Failed
from dropwatch.spool.folders import MEMORY
from facility import Facility, text_of

SOURCES = (Path(pydicom.__file__).parent / "data", Path(nibabel.__file__).parent / "tests" / "data")


def bring_all(place: Facility) -> set[str]:
    """The relative paths of what was dropped."""
    made = place.folder / "made" / "odd ones"
    for source in SOURCES:
        shutil.copytree(
            source, made / source.parts[-2], ignore=shutil.ignore_patterns("__pycache__", "*.py", ".*")
        )
    found = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    place.bring("alice", made)
    return found


@pytest.mark.long
def test_each_gets_a_verdict_and_a_sentence_and_nothing_crashes(facility: Callable[..., Facility]) -> None:
    place = facility(retry={"import": ["200ms"]})
    dropped = bring_all(place)
    place.start()
    place.until(lambda: place.retired("alice"), 240)
    place.until(lambda: place.subjects("alice@"))

    envelope = place.batch("alice", "failed")
    ledger = Ledger(MEMORY)
    record = ledger.read(envelope)
    assert record is not None
    lines = ledger.lines(envelope, record.claim)
    told = {name for line in lines for name in (line.name, *line.more)}
    kinds = Counter(type(line.outcome).__name__ for line in lines)
    [note] = [note for note in record.notes if note.startswith("Left aside")]
    more = re.search(r"and (\d+) more", note)
    named = len(re.split(", | and ", note.partition(": ")[2].rstrip("."))) - bool(more)
    aside = named + (int(more[1]) if more else 0)
    print(f"{len(dropped)} files: {dict(kinds)}, {aside} left aside")
    assert None not in {line.outcome for line in lines}
    assert told <= dropped
    assert aside == len(dropped - told), note
    for line in lines:
        if isinstance(line.outcome, Failed):
            assert line.outcome.lasting, line
            assert re.fullmatch(r"[A-Z].*[.]", line.outcome.reason, re.S), line.outcome
    assert not [subject for subject in place.subjects("admin@") if subject.startswith("Error in dropwatch")]
    assert "Left aside, not an image" in text_of(place.mails("alice@")[-1])
