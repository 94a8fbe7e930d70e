"""How we write names, counts, sizes and times for people. Every text that is shown passes through ``clean``.

File names, batch names and server messages come from others. ``clean`` makes what could move a cursor,
break a line or turn the reading direction visible instead of active; it loses nothing a person could read.
"""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import datetime
from zoneinfo import ZoneInfo

SUBJECT_MOST = 120  #: characters; mail clients cut longer subjects
_SUBJECT_NAME = 44  #: characters of a batch name that leave room for the news
NAME_MOST = 120  #: characters of one file or batch name inside a text
SENTENCE_MOST = 600  #: characters of one reason or remark

# Cc and Cf hold terminal escapes and bidi overrides, Zl and Zp break lines, Cs cannot be encoded.
_ACTIVE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = frozenset("\u200c\u200d")  # Persian words and family emoji need them
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNITS = ("kB", "MB", "GB", "TB", "PB")
_SPANS = (("day", 86400), ("hour", 3600), ("minute", 60))
# Words that a sentence may begin with and that are lower case in the middle of one.
_OPENERS = frozenset(
    {"The", "This", "These", "That", "There", "A", "An", "No", "Its", "It", "Your", "Some", "All"}
)


def clean(text: str) -> str:
    """Return *text* on one line, with control, format and undecodable characters as readable escapes."""
    if text.isprintable():
        return text
    return "".join(map(_visible, text))


def clean_lines(text: str) -> list[str]:
    """Return the lines of *text*, each clean. Only a true line end (LF or CRLF) begins a new line."""
    return [clean(line.expandtabs(4)) for line in text.replace("\r\n", "\n").split("\n")]


def _visible(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # how Python carries a byte of a file name that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if unicodedata.category(char) not in _ACTIVE or char in _JOINERS:
        return char
    if code < 0x100:
        return _SHORT.get(char, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shorten(text: str, most: int) -> str:
    """Return *text* with at most *most* characters. The middle goes: the end of a name tells its kind."""
    if len(text) <= most:
        return text
    tail = (most - 3) // 3
    return f"{text[: most - 3 - tail]}...{text[len(text) - tail :]}"


def named(name: str, most: int = NAME_MOST) -> str:
    """Return a file or batch name as we show it: clean and not too long."""
    return shorten(clean(name), most)


def sentence(text: str) -> str:
    """Return a reason or remark on one line that is not too long and ends with a full stop."""
    flat = cut(_flat(text), SENTENCE_MOST)
    return flat if not flat or flat[-1] in ".!?:" else f"{flat}."


def clause(text: str, most: int = SENTENCE_MOST) -> str:
    """Return the first sentence of *text* as it reads behind a dash: no full stop, no opening capital."""
    first = re.split(r"(?<=[a-z0-9\")])[.;] ", _flat(text), maxsplit=1)[0].rstrip(". ")
    opener, _, rest = first.partition(" ")
    return cut(f"{opener.lower()} {rest}" if opener in _OPENERS else first, most)


def cut(text: str, most: int) -> str:
    """Return the beginning of *text*, at most *most* characters: to a colon or comma, or a whole word."""
    if len(text) <= most:
        return text
    end = max(text.rfind(mark, 0, most) for mark in (": ", ", ", " ("))
    if end > most // 3:
        return text[:end]
    return f"{text[: most - 3].rpartition(' ')[0] or text[: most - 3]}..."


def subject(head: str, name: str, tail: str = "") -> str:
    """Return ``head: name - tail`` as a mail subject: one line, at most ``SUBJECT_MOST`` characters."""
    front = f"{clean(head)}: {named(name, _SUBJECT_NAME if tail else SUBJECT_MOST)}"
    room = SUBJECT_MOST - len(front) - 3
    end = f" \N{EM DASH} {cut(_flat(tail), room)}" if tail and room > 10 else ""
    return shorten(f"{front}{end}", SUBJECT_MOST)


def _flat(text: str) -> str:
    # Reasons may come in several lines; a name's own line end has been made visible by then.
    return clean(text.replace("\r\n", "\n").replace("\n", " ")).strip()


def number(value: int) -> str:
    """Return 12000 as ``12,000``."""
    return f"{value:,}"


def count(value: int, noun: str) -> str:
    """Return ``1 image file``, ``2 image files``. *noun* takes a plain s."""
    return f"{number(value)} {noun}{'' if value == 1 else 's'}"


def size(value: int) -> str:
    """Return bytes in people's units (powers of ten): ``1.2 GB``."""
    if value < 1000:
        return count(value, "byte")
    power = _power(value)
    amount = value / 1000**power
    digits = f"{amount:.1f}" if amount < 9.95 else f"{amount:.0f}"
    return f"{digits.removesuffix('.0')} {_UNITS[power - 1]}"


def _power(value: int) -> int:
    """Of 1000, for the unit that *value* is told in."""
    # 999,600 bytes would be rounded to 1000 kB: that is 1 MB.
    return next((power for power in range(1, len(_UNITS)) if round(value / 1000**power) < 1000), len(_UNITS))


def share(done: int, total: int) -> str:
    """Return ``1.2 of 5.0 GB``: both in the unit of *total*, so that they can be compared at a glance."""
    if total < 1000:
        return f"{number(done)} of {count(total, 'byte')}"
    power = _power(total)
    unit = 1000**power
    digits = 1 if total / unit < 100 else 0
    return f"{done / unit:.{digits}f} of {total / unit:.{digits}f} {_UNITS[power - 1]}"


def brief(seconds: float) -> str:
    """Return a span for a narrow column: ``40 s``, ``1 h 20 min``, ``3 days``."""
    if seconds <= 50:  # in steps, so that it does not flicker
        return f"{max(10, math.ceil(seconds / 10) * 10)} s"
    minutes = max(1, round(seconds / 60))
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h{f' {minutes % 60} min' if minutes % 60 else ''}"
    return count(round(minutes / 60 / 24), "day")


def duration(seconds: float) -> str:
    """Return a span in at most two units: ``5 minutes``, ``1 hour 20 minutes``, ``2 days``."""
    if seconds < 60:
        return count(max(0, round(seconds)), "second") if seconds < 59.5 else "1 minute"
    # Seconds beside minutes, or minutes beside days, are more than anybody wants to know.
    rest = round(seconds / 60) * 60 if seconds < 86400 else round(seconds / 3600) * 3600
    parts = []
    for noun, span in _SPANS:
        amount, rest = divmod(rest, span)
        if amount:
            parts.append(count(amount, noun))
    return " ".join(parts[:2])


def moment(when: float, zone: str) -> str:
    """Return epoch seconds as ``24 Nov 2026 14:03`` in the time zone *zone* (IANA name)."""
    at = datetime.fromtimestamp(when, ZoneInfo(zone))
    # Not strftime: its month names follow the machine's locale.
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year} {at:%H:%M}"


def moment_beside(when: float, now: float, zone: str) -> str:
    """Return *when* as briefly as it can be understood at *now*: ``14:05``, or ``25 Nov 14:05``."""
    at, today = (datetime.fromtimestamp(stamp, ZoneInfo(zone)) for stamp in (when, now))
    clock = f"{at:%H:%M}"
    return clock if at.date() == today.date() else f"{at.day} {_MONTHS[at.month - 1]} {clock}"


def listed(words: list[str]) -> str:
    """Return ``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
