"""A letter and its text on disk. Pure: text in, values out."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, fields
from typing import Any

#: Epoch seconds in the year 9892: what lies beyond 9999, in whichever time zone, cannot be written as a date.
_END_OF_TIME = 250_000_000_000.0


@dataclass(frozen=True)
class Letter:
    """One mail to one recipient, and how far it got.

    id         -- its name: letter_id(...), the same for the same news to the same person
    kind       -- what it is about, e.g. ``outcome``
    batch      -- batch id; empty when it is about no batch
    claim      -- claim stamp; empty likewise
    user       -- the drop-folder user it concerns
    to         -- address of its one recipient
    text, html -- the two forms of the same words; *html* may be empty. Undecodable file names may be in it
    created    -- epoch seconds
    attempts   -- how often sending was begun
    tried      -- when it was begun last, epoch seconds; 0 for never
    not_before -- when it is due again, epoch seconds
    error      -- why the last attempt failed, or why it was given up
    """

    id: str
    kind: str
    batch: str
    claim: str
    user: str
    to: str
    subject: str
    text: str
    html: str
    created: float
    attempts: int = 0
    tried: float = 0.0
    not_before: float = 0.0
    error: str = ""

    def due_at(self, now: float) -> float:
        """When it is due, epoch seconds."""
        # Tried in the future: the clock was set back since. The wait would have no bound.
        return now if self.tried > now else self.not_before


class NotALetter(ValueError):
    """The text on disk is none of ours."""


def letter_id(batch: str, claim: str, kind: str, to: str) -> str:
    """A stable name, safe as a file name everywhere and in a Message-ID. The case of *to* does not matter."""
    whole = "\0".join((batch, claim, kind, to.casefold())).encode("utf-8", "surrogatepass")
    spoken = re.sub(r"[^a-z0-9]+", "-", f"{claim}-{kind}".lower()).strip("-")[:48]
    return f"{spoken or 'letter'}-{hashlib.sha256(whole).hexdigest()[:16]}"


def is_safe(name: str) -> bool:
    """Whether *name* can be the id of a letter: it names a file of the outbox and nothing else."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,120}", name) is not None


def to_json(letter: Letter) -> str:
    """Plain ASCII, so that undecodable bytes of file names come back as they were."""
    return json.dumps(asdict(letter), indent=1)


def from_json(text: str) -> Letter:
    """The letter in *text*. Keys that a newer version wrote are left out. Raises NotALetter."""
    try:
        raw = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as err:
        raise NotALetter(f"it is not JSON: {err}") from err
    if not isinstance(raw, dict):
        raise NotALetter("it is not a JSON object")
    values: dict[str, Any] = {}
    for field in fields(Letter):
        if field.name in raw:
            values[field.name] = _checked(field.name, str(field.type), raw[field.name])
    try:
        letter = Letter(**values)
    except TypeError as err:
        raise NotALetter(f"keys are missing: {err}") from err
    if not is_safe(letter.id):
        raise NotALetter(f"its id is none of ours: {letter.id[:40]!r}")
    return letter


def _checked(name: str, kind: str, value: object) -> object:
    good = {
        "str": isinstance(value, str),
        "int": type(value) is int and 0 <= value < 2**31,
        # Infinity and the like would make a letter that is never due and never complained about.
        "float": type(value) in (int, float) and 0 <= value <= _END_OF_TIME,  # type: ignore[operator]
    }
    if not good[kind]:
        raise NotALetter(f"{name}: {str(value)[:40]!r} is not usable")
    return value


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is not a number")
