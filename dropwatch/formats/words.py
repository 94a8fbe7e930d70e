"""What Java throws, in words that a biologist understands."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from dropwatch.formats.look import Unreadable

_DETAIL = 500  #: characters of Java's message that an admin gets to see

EMPTY = Unreadable(False, "The file is empty.")
BROKEN_NAME = Unreadable(
    False,
    "The name of the file, or of a folder above it, has a character that is not valid.",
    remedy="Rename it.",
)

_GARBLED = "The file is damaged or incomplete, or its format has a variant that Bio-Formats cannot read."
_TOO_SHORT = (False, "The file is damaged or incomplete: it ends too early.")
_PACKED = (False, "Its format is known, but the way in which its pixels are packed is not.")
#: by the name of Java's class
_REASONS = {
    "UnknownFormatException": (True, "It is not an image, or of a format that Bio-Formats does not know."),
    "UnsupportedCompressionException": _PACKED,
    "MissingLibraryException": _PACKED,
    "EOFException": _TOO_SHORT,
    "BufferUnderflowException": _TOO_SHORT,
}
_BEYOND = "newPosition > limit"  # java.nio.Buffer, which says so with an IllegalArgumentException
#: messages that name a file that is not there: those of OMETiffReader and of java.io.FileNotFoundException
_ABSENT = (
    r"Missing file (.+) associated with",
    r"(?:.*[/\\])?([^/\\]+) \(.*(?:No such file|cannot find).*\)$",
)


def has_broken_name(path: Path) -> bool:
    """Whether *path* has bytes that are no UTF-8: Java cannot open such files."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def cut(name: str, asked: str) -> Unreadable:
    """The end of the file *name* is missing; *asked* is the one that was looked at."""
    whose = "The file" if name == asked else f"{_one_line(name)}, which belongs to it,"
    return Unreadable(False, f"{whose} is damaged or incomplete: its end is missing.")


def lacking(name: str, what: str) -> Unreadable:
    """The file *name* belongs to the one that was looked at, and is *what*: missing, empty."""
    name = _one_line(name)
    return Unreadable(
        False,
        f"It is not complete: {name}, which belongs to it, is {what}.",
        remedy=f"Copy {name} into the folder as well.",
    )


def of_throwable(thrown: Any) -> Unreadable:
    """*thrown*: a Java throwable."""
    name, message = str(thrown.getClass().getName()), str(thrown.getMessage() or "")
    kind = name.rpartition(".")[2]
    detail = _one_line(f"{name}: {message}")
    absent = next((found[1] for pattern in _ABSENT if (found := re.match(pattern, message, re.DOTALL))), None)
    if absent is not None:
        return replace(lacking(absent, "missing"), detail=detail)
    if message.startswith(_BEYOND):
        return Unreadable(*_TOO_SHORT, detail)
    unknown, reason = _REASONS.get(kind, (False, _GARBLED))
    return Unreadable(unknown, reason, detail)


def barred_file(message: str) -> str | None:
    """The absolute path that java.io had no permission to open; None when *message* is about something else."""
    found = re.match(r"(/.+) \(Permission denied\)\Z", message, re.DOTALL)
    return found[1] if found else None


def _one_line(text: str) -> str:
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", text).strip()[:_DETAIL]
