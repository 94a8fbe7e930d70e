"""How much of a long batch a text shows, and how an image file reads in a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dropwatch.report.letter import Row, Rows
from dropwatch.report.story import Entry
from dropwatch.report.words import count, named, number, size

FILE = "image file"
REST = "see REPORT.txt in the folder"


@dataclass(frozen=True)
class Most:
    """How much of a long batch a text shows; the rest is counted."""

    imported: int
    failed: int
    groups: int
    remarks: int


EVERYTHING = Most(imported=10**9, failed=10**9, groups=10**9, remarks=10**9)


def about(entry: Entry) -> str:
    """Return an image file's name, and how many files belong to it."""
    more = f" (with {number(entry.files - 1)} more {'file' if entry.files == 2 else 'files'})"
    return f"{named(entry.name)}{more if entry.files > 1 else ''}"


def rows(entries: Sequence[Entry], most: int, noun: str = FILE) -> Rows:
    """Return *entries* with their sizes, at most *most* of them."""
    shown = tuple(Row(about(entry), size(entry.bytes) if entry.bytes else "") for entry in entries[:most])
    return Rows(shown, left_out(len(entries), len(shown), noun))


def left_out(total: int, shown: int, noun: str = FILE) -> str:
    """Return the last line of a list that shows *shown* of *total* things, or ""."""
    if shown >= total:
        return ""
    return f"and {count(total - shown, f'more {noun}')}; {REST}" if shown else f"{REST} for their names"
