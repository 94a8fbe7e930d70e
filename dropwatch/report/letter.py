"""A letter before it is typeset: a headline and blocks of plain strings. It knows neither text nor HTML.

Strings may hold anything that others named; ``plain.py`` and ``markup.py`` make each of them harmless when
they write it, so whoever composes a letter cannot forget to. A string is one line, save in an Excerpt.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Tone(StrEnum):
    """What the reader should feel at first sight; decides the colour."""

    GOOD = "good"
    MIXED = "mixed"
    BAD = "bad"
    QUIET = "quiet"
    INFO = "info"


@dataclass(frozen=True)
class Heading:
    text: str


@dataclass(frozen=True)
class Say:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Button:
    """A link of its own, the one that most readers want."""

    text: str
    url: str


@dataclass(frozen=True)
class Row:
    """One image file: *note* says what it holds, *url* leads there."""

    name: str
    note: str = ""
    url: str = ""


@dataclass(frozen=True)
class Rows:
    rows: tuple[Row, ...]
    more: str = ""  #: what was left out, in words


@dataclass(frozen=True)
class Trouble:
    """Something that went wrong, once for all the files it happened to.

    title   -- the file, or how many
    reasons -- what happened, a line each
    remedy  -- what to do about it
    lines   -- what to write for that, unbroken, to be copied as it is
    rows    -- the files, when the title does not name the only one
    """

    title: str
    reasons: tuple[str, ...]
    remedy: str = ""
    lines: tuple[str, ...] = ()
    rows: Rows = Rows(())


@dataclass(frozen=True)
class Items:
    items: tuple[str, ...]
    more: str = ""


@dataclass(frozen=True)
class Step:
    """One thing to do; *path* stands on a line of its own, unbroken, to be found or copied."""

    text: str
    path: str = ""


@dataclass(frozen=True)
class Steps:
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Facts:
    """Labels and values, for admins."""

    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Excerpt:
    """Lines of a log or trace, shown as they are."""

    title: str
    text: str
    url: str = ""


Block = Heading | Say | Button | Rows | Trouble | Items | Steps | Facts | Excerpt


@dataclass(frozen=True)
class Letter:
    """subject -- of the mail; headline -- the news; under -- of what it speaks; foot -- whom to ask."""

    subject: str
    tone: Tone
    headline: str
    under: tuple[str, ...]
    blocks: tuple[Block, ...]
    foot: tuple[str, ...] = ()
