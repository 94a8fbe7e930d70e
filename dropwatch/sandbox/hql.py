"""The little HQL that omero-py's own programs are made of: one class, joins from it, conditions, an order.

Pure: text in, values out. Whatever it does not know is refused by name: a stand-in that guessed would hide what a
real server refuses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


class Unknown(Exception):
    """A part of the text that is not known here."""


@dataclass(frozen=True)
class Parameter:
    """``:name`` or ``(:name)``."""

    name: str


@dataclass(frozen=True)
class Condition:
    """*path* from the class that was asked for, e.g. ``details.owner.id``; *operator* as SQL has it.

    value -- None for ``is null`` and the like, which are whole in *operator*
    """

    path: str
    operator: str
    value: Parameter | int | str | None


@dataclass(frozen=True)
class Order:
    path: str
    lower: bool
    descending: bool


@dataclass(frozen=True)
class Question:
    """What is asked.

    selected -- paths, or ``count``; empty for whole objects
    fetched  -- paths of what is to be loaded with each object
    joined   -- paths of all joins
    orphans  -- texts of conditions ``not exists (...)``
    """

    kind: str
    selected: tuple[str, ...]
    fetched: frozenset[str]
    joined: frozenset[str]
    conditions: tuple[Condition, ...]
    orphans: tuple[str, ...]
    order: tuple[Order, ...]


_NAME = r"(?!(?:where|order|group|join|left|inner)\b)\w+"
_JOIN = re.compile(
    rf"(?:left outer |left |inner )?join(?P<fetch> fetch)? (?P<path>[\w.]+)(?:(?: as)? (?P<alias>{_NAME}))?"
)
_TEXT = re.compile(
    rf"(?:select (?P<what>.+?) )?from (?P<kind>\w+)(?:(?: as)? (?P<alias>{_NAME}))?"
    rf"(?P<joins>(?: {_JOIN.pattern.replace('?P<fetch>', '').replace('?P<path>', '').replace('?P<alias>', '')})*)"
    r"(?: where (?P<where>.+?))?(?: order by (?P<order>.+))?"
)
_CONDITION = re.compile(
    r"(?P<path>[\w.]+)"
    r"(?:(?P<null> is (?:not )?null)| ?(?P<operator>=|<>|!=|<=|>=|<|>|(?<= )like(?= )|in) ?(?P<value>.+))"
)
_VALUE = re.compile(r"\(?:(?P<name>\w+)\)?|(?P<number>-?[0-9]{1,18})|'(?P<text>[^']*)'")
_ORDER = re.compile(r"(?:lower\((?P<lower>[\w.]+)\)|(?P<path>[\w.]+))(?: (?P<way>asc|desc))?")
_COUNT = re.compile(r"count\((?:\*|[\w.]+)\)")


def parse(text: str) -> Question:
    """The question that *text* asks. Raises Unknown."""
    text = " ".join(text.split())
    found = _TEXT.fullmatch(text)
    if found is None:
        raise Unknown(text)
    aliases: dict[str, str] = {found["alias"]: ""} if found["alias"] else {}
    joined, fetched = _joins(found["joins"], aliases)
    conditions, orphans = _where(found["where"], aliases)
    return Question(
        kind=found["kind"],
        selected=_selected(found["what"] or found["alias"] or "", aliases),
        fetched=frozenset(fetched),
        joined=frozenset(joined),
        conditions=tuple(conditions),
        orphans=tuple(orphans),
        order=tuple(_order(found["order"], aliases)),
    )


def _path(text: str, aliases: Mapping[str, str]) -> str:
    """The same from the class that is asked for: aliases are replaced by what they stand for."""
    first, _, rest = text.partition(".")
    start = aliases.get(first, first)
    return ".".join(part for part in (start, rest) if part)


def _joins(text: str, aliases: dict[str, str]) -> tuple[list[str], list[str]]:
    joined, fetched = [], []
    for join in _JOIN.finditer(text):
        path = _path(join["path"], aliases)
        joined.append(path)
        if join["fetch"]:
            fetched.append(path)
        if join["alias"]:
            aliases[join["alias"]] = path
    return joined, fetched


def _selected(text: str, aliases: Mapping[str, str]) -> tuple[str, ...]:
    if _COUNT.fullmatch(text):
        return ("count",)
    paths = [part.strip() for part in text.split(",")]
    if len(paths) == 1 and aliases.get(paths[0]) == "":
        return ()
    unknown = [path for path in paths if not re.fullmatch(r"[\w.]+", path)]
    if unknown:
        raise Unknown(f"select {unknown[0]}")
    return tuple(_path(path, aliases) for path in paths)


def _where(text: str | None, aliases: Mapping[str, str]) -> tuple[list[Condition], list[str]]:
    conditions, orphans = [], []
    for part in text.split(" and ") if text else ():
        if part.strip().startswith("not exists"):
            orphans.append(part.strip())
        elif part.strip() != "1 = 1":
            conditions.append(_condition(part.strip(), aliases))
    return conditions, orphans


def _condition(text: str, aliases: Mapping[str, str]) -> Condition:
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise Unknown(text)
    path = _path(found["path"], aliases)
    if found["null"]:
        return Condition(path, found["null"].strip(), None)
    value = _VALUE.fullmatch(found["value"])
    if value is None:
        raise Unknown(text)
    if value["name"]:
        return Condition(path, found["operator"], Parameter(value["name"]))
    return Condition(path, found["operator"], int(value["number"]) if value["number"] else value["text"])


def _order(text: str | None, aliases: Mapping[str, str]) -> Iterator[Order]:
    for part in text.split(",") if text else ():
        found = _ORDER.fullmatch(part.strip())
        if found is None:
            raise Unknown(f"order by {part.strip()}")
        path = _path(found["lower"] or found["path"], aliases)
        yield Order(path, bool(found["lower"]), found["way"] == "desc")
