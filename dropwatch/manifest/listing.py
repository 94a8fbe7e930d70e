"""File names in a manifest: which are allowed, and which files of the batch they mean."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from dropwatch.document.section import shown

DRIVE = re.compile(r"[A-Za-z]:")
LONE = re.compile(r"[\ud800-\udc7f\udd00-\udfff]")  # U+DC80 to U+DCFF stand for undecodable bytes (PEP 383)


def clean_path(value: object) -> str:
    """A path below the batch's folder, '/'-separated. Raises ValueError.

    ``\\`` separates too: acquisition software on Windows writes it.
    """
    if not isinstance(value, str):
        raise ValueError(f"expected a file name, got {shown(value)}")
    if "\0" in value or LONE.search(value):
        raise ValueError(f"{shown(value)} has characters that no file name has")
    path = value.replace("\\", "/")
    if path.startswith("/") or DRIVE.match(path):
        raise ValueError(f"{shown(value)} must be relative to the folder of the batch")
    steps = [step for step in path.split("/") if step not in ("", ".")]
    if ".." in steps:
        raise ValueError(f"{shown(value)} leads out of the folder of the batch")
    if not steps:
        raise ValueError(f"expected a file name, got {shown(value)}")
    return "/".join(steps)


def same_name(path: str) -> str:
    """What two spellings of one name have in common: macOS writes é as two characters, others as one."""
    return unicodedata.normalize("NFC", path)


@dataclass(frozen=True)
class Match:
    """found   -- path in the batch by listed path
    missing -- listed paths that are not there, as listed
    hints   -- for some of the missing: a file that differs in upper and lower case only
    """

    found: dict[str, str]
    missing: tuple[str, ...]
    hints: dict[str, str]


def match(listed: Iterable[str], present: Iterable[str]) -> Match:
    """Find each of *listed* among the relative paths *present*, by the exact name or else by its NFC."""
    there = sorted(present)
    exact = set(there)
    by_name = {same_name(path): path for path in reversed(there)}
    folded = {same_name(path).casefold(): path for path in reversed(there)}
    found: dict[str, str] = {}
    missing: list[str] = []
    for path in listed:
        name = path if path in exact else by_name.get(same_name(path))
        if name is None:
            missing.append(path)
        else:
            found[path] = name
    hints = {path: folded[key] for path in missing if (key := same_name(path).casefold()) in folded}
    return Match(found, tuple(missing), hints)
