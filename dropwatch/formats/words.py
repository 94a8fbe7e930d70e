"""What Java throws, in words that a biologist understands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from dropwatch.formats.look import Unreadable

_DETAIL = 500  #: characters of Java's message that an admin gets to see

EMPTY = Unreadable(False, "The file is empty.")
BROKEN_NAME = Unreadable(
    False,
    "The name of the file, or of a folder above it, has a character that is not valid. Rename it and drop it again.",
)


def has_broken_name(path: Path) -> bool:
    """Whether *path* has bytes that are no UTF-8: Java cannot open such files."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def of_throwable(thrown: Any) -> Unreadable:
    """*thrown*: a Java throwable."""
    name = str(thrown.getClass().getName())
    detail = _one_line(f"{name}: {thrown.getMessage() or ''}")
    if name == "loci.formats.UnknownFormatException":
        return Unreadable(True, "It is not an image, or of a format that is not known here.", detail)
    if name.endswith(("UnsupportedCompressionException", "MissingLibraryException")):
        return Unreadable(
            False, "The format is known, but not the way in which the pixels in it are packed.", detail
        )
    return Unreadable(False, "The file is damaged or incomplete.", detail)


def _one_line(text: str) -> str:
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", text).strip()[:_DETAIL]
