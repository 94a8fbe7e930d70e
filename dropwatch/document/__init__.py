"""Text of a YAML or JSON document -> plain values, and the line of each. Knows no key and opens no file.

Every scalar stays the text that the person wrote: ``name: 2024-01-01`` is no date and ``tags: [1, yes]`` are
words. Who wants a number asks for one (``document_section``). An empty value, ``~`` and ``null`` are None.
"""

from __future__ import annotations

import codecs
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import yaml

Path = tuple[str | int, ...]  #: keys and list positions from the top: ``("files", 2, "size")``

TOO_DEEP = "this is nested too deeply"
TOO_LONG = "this is too long to be read"
DEPTH = 16  #: deepest nesting; a configuration needs five levels
EVENTS = 1_000_000  #: longest document in YAML events: about 100,000 listed files
TWICE = "given twice"
SHOWN = 60  #: a longer value is cut in an error text
NULLS = frozenset({"", "~", "null", "Null", "NULL"})

# libyaml reads 10,000 listed files in 0.2 s, the loader in pure Python needs some seconds.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

HINTS = {
    "mapping values are not allowed": "look for a missing quote mark, a second colon or a wrong indentation",
    "cannot start any token": "indent with spaces, not tabs, and put text with special characters in quotes",
    "unexpected end of stream": "a quote mark or bracket is never closed",
    "did not find expected": "look for a wrong indentation, a missing comma or a bracket left open",
    "could not find expected": "a colon is missing",
    "control character": "it may have been cut off while it was written",
}


class Unreadable(ValueError):
    """The text is no document of ours. *line* counts from 1; None when no line is to blame."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. *path* is where; *text* is the complaint without the place."""

    path: Path
    text: str


@dataclass(frozen=True)
class Document:
    """value    -- nested dict, list, str and None
    lines    -- line of each key and list entry, from 1; may be empty
    problems -- what is wrong with it although it could be read
    proven   -- it cannot be the beginning of something longer (JSON, flow style, or YAML's end mark)
    """

    value: object
    lines: Mapping[Path, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    proven: bool = False


def printable(text: str) -> str:
    """*text* in one line that any terminal, mail or log can show, and not too long."""
    cut = text if len(text) <= SHOWN else text[:SHOWN] + "..."
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in cut)


def decode(data: bytes) -> str:
    """UTF-8 with or without a byte order mark, UTF-16 with one. Raises Unreadable."""
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as err:
        line = data.count(b"\n", 0, err.start) + 1
        raise Unreadable("this is not UTF-8 text; save the file with the encoding UTF-8", line) from err


def read(text: str) -> Document:
    """JSON when it is JSON, YAML otherwise. Raises Unreadable.

    JSON has a reader of its own because it is not quite a part of YAML 1.1 (tabs, escapes).
    """
    if text.lstrip().startswith("{"):
        try:
            return _read_json(text)
        except (ValueError, RecursionError):
            pass  # flow style YAML begins like this too, and its reader names the line of a mistake
    return read_yaml(text)


def _read_json(text: str) -> Document:
    twice: list[str] = []

    def mapping(pairs: list[tuple[str, object]]) -> dict[str, object]:
        twice.extend(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        return {key: _as_text(value) for key, value in pairs}

    value = json.loads(text, object_pairs_hook=mapping, parse_int=str, parse_float=str, parse_constant=str)
    _check_extent(value)
    return Document(value, problems=tuple(Problem((key,), TWICE) for key in twice), proven=True)


def _check_extent(value: object) -> None:
    """Raise ValueError for what the reader of YAML refuses too: no caller has to be ready for more than that."""
    level, depth, number = [value], 0, 0
    while level:
        number += len(level)
        if depth > DEPTH or number > EVENTS:
            raise ValueError(TOO_DEEP if depth > DEPTH else TOO_LONG)
        level = [inner for outer in level for inner in _inside(outer)]
        depth += 1


def _inside(value: object) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _as_text(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return [_as_text(item) for item in value] if isinstance(value, list) else value


def read_yaml(text: str) -> Document:
    """One YAML document, without tags, anchors and aliases. Raises Unreadable."""
    return _Reader(text).document()


class _Reader:
    """Builds the values from libyaml's events: never deeper than DEPTH; a bomb ends at its first anchor."""

    def __init__(self, text: str) -> None:
        self._events = _events(text)
        self._lines: dict[Path, int] = {}
        self._problems: list[Problem] = []

    def document(self) -> Document:
        next(self._events)  # the start of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return Document(None)
        first = next(self._events)
        value = self._value(first, ())
        end = next(self._events)
        more = next(self._events)
        if not isinstance(more, yaml.StreamEndEvent):
            raise Unreadable("a second document begins here; only one is allowed", _line(more))
        flow = isinstance(first, yaml.MappingStartEvent) and bool(first.flow_style)
        return Document(
            value, self._lines, tuple(self._problems), flow or bool(getattr(end, "explicit", False))
        )

    def _value(self, event: yaml.Event, path: Path) -> object:
        _refuse_what_is_no_plain_value(event)
        if isinstance(event, yaml.ScalarEvent):
            return None if not event.style and event.value in NULLS else event.value
        if len(path) >= DEPTH:
            raise Unreadable(TOO_DEEP, _line(event))
        return self._list(path) if isinstance(event, yaml.SequenceStartEvent) else self._mapping(path)

    def _list(self, path: Path) -> list[object]:
        made: list[object] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            here = (*path, len(made))
            self._lines[here] = _line(event)
            made.append(self._value(event, here))
        return made

    def _mapping(self, path: Path) -> dict[str, object]:
        made: dict[str, object] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            _refuse_what_is_no_plain_value(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise Unreadable("the word before a colon must be plain text", _line(event))
            here = (*path, event.value)
            if event.value in made:
                self._problems.append(Problem(here, TWICE))
            self._lines[here] = _line(event)
            made[event.value] = self._value(next(self._events), here)
        return made


def _events(text: str) -> Iterator[yaml.Event]:
    try:
        for number, event in enumerate(yaml.parse(text, Loader=LOADER)):
            if number > EVENTS:
                raise Unreadable(TOO_LONG, _line(event))
            yield event
    except yaml.MarkedYAMLError as err:
        raise Unreadable(_in_words(err.problem or ""), _line_of(err)) from err
    except yaml.reader.ReaderError as err:
        line = text.count("\n", 0, err.position) + 1
        raise Unreadable(_in_words("a control character is not allowed"), line) from err
    except UnicodeError as err:  # a lone half of a surrogate pair
        raise Unreadable("it holds characters that are no text") from err


def _line_of(err: yaml.MarkedYAMLError) -> int | None:
    # What is never closed is found at the end of the file, but to be mended where it was opened.
    unclosed = "end of stream" in (err.problem or "")
    mark = err.context_mark if unclosed and err.context_mark else err.problem_mark
    return mark.line + 1 if mark else None


def _in_words(problem: str) -> str:
    if "maximum nesting depth" in problem:  # PyYAML, from 6.0.4 on, has a limit of its own
        return TOO_DEEP
    hint = next((words for part, words in HINTS.items() if part in problem), "")
    return f"this is not valid YAML ({problem})" + (f"; {hint}" if hint else "")


def _refuse_what_is_no_plain_value(event: yaml.Event) -> None:
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
        raise Unreadable(
            "anchors and aliases (& and *) are not understood here; write the value out, "
            "or put it in quotes if it is meant as text",
            _line(event),
        )
    tag = getattr(event, "tag", None)
    if tag not in (None, "!", "tag:yaml.org,2002:str"):
        raise Unreadable(
            f"the tag '{printable(str(tag))}' is not understood here; leave it out", _line(event)
        )


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1
