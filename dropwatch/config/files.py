"""A configuration file and the files it includes -> one value, with the file and line of each key.

It knows no setting and opens no file itself.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dropwatch import document
from dropwatch.config.values import file_name
from dropwatch.document import Problem, Unreadable
from dropwatch.document.section import shown
from dropwatch.errors import ConfigError

PATHS = frozenset(
    {"path", "state", "password_file", "templates", "jar", "java", "clientdir"}
)  #: keys whose value is a file or folder
SECRET = re.compile(r"(?i)(.*[_-])?(password|passwd|passphrase|secret|token|api[_-]?key)")
INCLUDES = 10  #: longest chain of included files; it also ends a circle that goes through links

Read = Callable[[str], str]  #: path of a file -> its text; raises ConfigError
Place = tuple[str, int]  #: file and line


@dataclass(frozen=True)
class Layers:
    """What the files say together: the values, where each key stands, and what was wrong on the way."""

    value: Mapping[str, object]
    places: Mapping[document.Path, Place]
    problems: tuple[Problem, ...]


def read(text: str, source: str, open_: Read) -> Layers:
    """Read *text*, the contents of *source*, over the file it includes. Raises ConfigError."""
    return _read(text, source, open_, (_same(source),))


def _read(text: str, source: str, open_: Read, chain: tuple[str, ...]) -> Layers:
    own, include = _own(text, source)
    if include is None:
        return own
    base = _beside(source, include)
    if _same(base) in chain or len(chain) > INCLUDES:
        _, line = own.places["include",]
        raise ConfigError(
            [f"{source}:{line}: include: {shown(include)} goes round in a circle"], source=source
        )
    return _over(_read(open_(base), base, open_, (*chain, _same(base))), own)


def _own(text: str, source: str) -> tuple[Layers, str | None]:
    """What this one file says, and the file it includes."""
    try:
        made = document.read(text)
    except Unreadable as err:
        place = source if err.line is None else f"{source}:{err.line}"
        raise ConfigError([f"{place}: {err.message}"], source=source) from err
    value = {} if made.value is None else made.value
    if not isinstance(value, dict):
        raise ConfigError(
            [f"{source}:1: expected settings such as `site:`, got {shown(value)}"], source=source
        )
    include = value.pop("include", None)
    if not isinstance(include, str | None) or (include and not _is_file_name(include)):
        raise ConfigError([f"{source}: include: expected the name of one file"], source=source)
    secrets = _take_secrets(value, ())
    _anchor(value, source)
    places = {path: (source, line) for path, line in made.lines.items()}
    return Layers(value, places, (*made.problems, *secrets)), include


def _over(base: Layers, own: Layers) -> Layers:
    return Layers(
        _merged(base.value, own.value), {**base.places, **own.places}, (*base.problems, *own.problems)
    )


def _merged(base: Mapping[str, object], own: Mapping[str, object]) -> dict[str, object]:
    """Mappings are merged key by key; anything else of *own* replaces what *base* says."""
    made = dict(base)
    for key, value in own.items():
        below = made.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        made[key] = _merged(below, value) if both else value  # type: ignore[arg-type]
    return made


def _take_secrets(value: object, path: document.Path) -> list[Problem]:
    """Take secrets out before anything can quote them in an error text."""
    found = []
    for key, below in list(_below(value)):
        here = (*path, key)
        if isinstance(key, str) and SECRET.fullmatch(key) and not isinstance(below, Mapping):
            del value[key]  # type: ignore[attr-defined]
            remedy = "write it into a file that only the daemon can read, and name that: password_file"
            found.append(Problem(here, f"no secret stands in this file; {remedy}"))
        else:
            found += _take_secrets(below, here)
    return found


def _anchor(value: object, source: str) -> None:
    """Relative paths start at the folder of the file they stand in, not where the daemon was started."""
    for key, below in list(_below(value)):
        if key in PATHS and isinstance(below, str):
            value[key] = _beside(source, below)  # type: ignore[index]
        else:
            _anchor(below, source)


def _below(value: object) -> list[tuple[str | int, object]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []


def _beside(source: str, name: str) -> str:
    return str(Path(source).parent / name)


def _is_file_name(name: str) -> bool:
    try:
        file_name(name)
    except ValueError:
        return False
    return True


def _same(name: str) -> str:
    return os.path.normcase(os.path.normpath(name))
