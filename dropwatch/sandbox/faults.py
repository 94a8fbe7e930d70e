"""Trouble on order: what the sandbox's servers are to do wrong, read from one YAML file.

Only this module reads or rewrites the faults file. It decides that a fault applies, never what it does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from threading import Lock

import yaml

from dropwatch import document

_DURATION = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)\s*(ms|s|m|h)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

Section = dict[str, object]


class Faults:
    """The faults that are set in the YAML file *path*, section by section. Safe for many threads.

    The file is read anew at each call, so a person or a test changes it while the servers run. A missing
    file means no faults; while it is half-written or invalid the last good content stands.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._text = ""
        self._good: dict[str, Section] = {}

    def get(self, section: str) -> Section:
        """What is set in *section* now, e.g. ``{"busy": 3, "slow_upload": "5s"}``."""
        with self._lock:
            self._read()
            return dict(self._good.get(section, {}))

    def use(self, section: str, name: str) -> bool:
        """Say whether fault *name* applies now; a number counts one down, in the file too.

        ``true`` and durations stay as they are; 0, ``false`` and a missing name do not apply.
        """
        applies = False

        def change(value: object) -> object:
            nonlocal applies
            if _is_count(value):
                applies = True
                return int(str(value)) - 1
            applies = value is True or (isinstance(value, str) and bool(value))
            return value

        self._change(section, name, change)
        return applies

    def spend(self, section: str, name: str, amount: int) -> bool:
        """Take *amount* off the number *name*; True once, when that brings it to 0."""
        reached = False

        def change(value: object) -> object:
            nonlocal reached
            if not _is_count(value):
                reached = False
                return value
            left = max(0, int(str(value)) - amount)
            reached = left == 0
            return left

        self._change(section, name, change)
        return reached

    def _change(self, section: str, name: str, change: Callable[[object], object]) -> None:
        with self._lock:
            while True:
                text = self._read()
                old = self._good.get(section, {}).get(name)
                new = change(old)
                if new == old:
                    return
                wanted = {**self._good, section: {**self._good[section], name: new}}
                if text is None or self._replace(text, wanted):
                    self._good = wanted
                    return

    def _read(self) -> str | None:
        """Bring ``_good`` up to date; the file's text, or None when it is not usable just now."""
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            text = ""
        except (OSError, UnicodeDecodeError):
            return None
        if text != self._text:
            parsed = _parse(text)
            if parsed is None:
                return None
            self._good = parsed
            self._text = text
        return text

    def _replace(self, seen: str, wanted: dict[str, Section]) -> bool:
        """Write *wanted*, unless somebody else wrote the file since its text was *seen*."""
        text = yaml.safe_dump(wanted, sort_keys=False)
        temporary = self._path.with_name(self._path.name + ".new")
        # No fsync: a fault need not survive a power cut.
        temporary.write_text(text, encoding="utf-8")
        if self._current() != seen:
            return False
        temporary.replace(self._path)
        self._text = text
        return True

    def _current(self) -> str | None:
        try:
            return self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None


def seconds(value: object) -> float:
    """A duration such as ``5s``, ``500ms`` or ``2m`` (or a bare number of seconds) in seconds; else 0."""
    found = _DURATION.fullmatch(str(value).strip())
    return float(found[1]) * _UNITS[found[2] or "s"] if found else 0.0


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _parse(text: str) -> dict[str, Section] | None:
    """The sections of a faults file; None when *text* is not one."""
    try:
        parsed = document.read(text).value
    except document.Unreadable:
        return None
    if parsed is None:
        return {}
    if not isinstance(parsed, dict):
        return None
    return {
        section: {name: _value(value) for name, value in faults.items()}
        for section, faults in parsed.items()
        if isinstance(faults, dict)
    }


def _value(text: object) -> object:
    """What a plain value means: a number, true or false, or the text itself."""
    if text in ("true", "false"):
        return text == "true"
    return int(text) if isinstance(text, str) and re.fullmatch(r"-?[0-9]{1,15}", text) else text
