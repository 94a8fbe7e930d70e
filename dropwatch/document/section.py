"""What parts of configuration and manifest have in common, and pydantic's complaints in plain words.

A Section is frozen, knows its keys, and takes an empty value as if the key were not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from dropwatch.document import Path, Problem, printable

_PART = 1000  #: entries of a long list that are checked at a time
MOST_PROBLEMS = 50  #: a list of 10,000 wrong entries is not told entry by entry

Place = TypeVar("Place")

# A control character in a name or address could forge a header of a mail or a line of a log.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]\\]+@[^\s@<>,;:\"()\[\]\\]+")


@dataclass(frozen=True)
class Stranger:
    """Stands in for the value of an unknown key: the value itself is never quoted, it may be a secret."""

    words: str


class Section(BaseModel):
    """A mapping with known keys. Immutable; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: keys for which an empty value says something else than leaving the key out
    NULLABLE: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _known_and_given(cls, value: Any) -> Any:
        """Leave out empty values: a section whose lines are all commented out means the defaults."""
        if not isinstance(value, Mapping):
            return value
        keys = cls.keys()
        made = {
            key: value[key]
            for key in keys
            if key in value and (value[key] is not None or key in cls.NULLABLE)
        }
        strangers = islice((key for key in value if key not in keys), MOST_PROBLEMS + 1)
        return made | {key: Stranger(nearest(key, keys)) for key in strangers}

    @classmethod
    def keys(cls) -> tuple[str, ...]:
        """Its keys as they are written in the file."""
        return tuple(field.alias or name for name, field in cls.model_fields.items())


def nearest(key: str, keys: Sequence[str]) -> str:
    """``did you mean port?``, or all there is."""
    near = get_close_matches(key.casefold(), keys, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(keys)}"


def problems(error: ValidationError, unknown: str) -> list[Problem]:
    """Every complaint of pydantic in our own words. *unknown* is what an unknown key is called."""
    return [
        Problem(tuple(step for step in detail["loc"] if step != "[key]"), _in_words(detail, unknown))
        for detail in error.errors(include_url=False)
    ]


def _in_words(detail: Any, unknown: str) -> str:
    kind, given, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return f"{unknown}; {given.words}" if isinstance(given, Stranger) else unknown
    if kind == "value_error":
        return str(context["error"])
    if kind in PLAIN:
        return PLAIN[kind]
    return f"expected {_expected(kind, context) or detail['msg']}, got {shown(given)}"


PLAIN: Mapping[str, str] = {
    "missing": "missing",
}


def _expected(kind: str, context: Mapping[str, Any]) -> str | None:
    match kind:
        case "int_parsing" | "int_type" | "int_from_float" | "int_parsing_size":
            return "a whole number"
        case "bool_parsing" | "bool_type":
            return "true or false"
        case "list_type" | "tuple_type":
            return "a list such as [a, b]"
        case "dict_type" | "mapping_type" | "model_type":
            return "keys with their values"
        case "string_type" | "path_type":
            return "a text"
        case "literal_error":
            return f"one of {context['expected']}".replace("'", "").replace(" or ", ", ")
        case "greater_than_equal":
            return f"at least {context['ge']}"
        case "less_than_equal":
            return f"at most {context['le']}"
    return None


def place_of(path: Path, places: Mapping[Path, Place]) -> Place | None:
    """Where the key stands; for one that is missing, the section it is missing from."""
    above = (path[:end] for end in range(len(path), 0, -1))
    return next((places[part] for part in above if part in places), None)


def cut_short(lines: Iterable[str]) -> list[str]:
    """*lines* without repetitions, and not too many of them."""
    told = list(dict.fromkeys(lines))
    return told if len(told) <= MOST_PROBLEMS else [*told[:MOST_PROBLEMS], "and more"]


def spelled(path: Iterable[str | int]) -> str:
    """``("files", 0, "size")`` as people read it, counted from one: ``files[1].size``."""
    text = ""
    for step in path:
        text += (
            f"[{step + 1}]" if isinstance(step, int) else f".{printable(step)}" if text else printable(step)
        )
    return text


def shown(value: object) -> str:
    """A value as an error text quotes it: one line, not too long."""
    if isinstance(value, Mapping):
        return "several keys"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "a list"
    return f"'{printable(str(value))}'"


def proper(text: str) -> str:
    """*text* itself, if it can be written as UTF-8. Raises ValueError: JSON can spell half a character."""
    try:
        text.encode()
    except UnicodeEncodeError as err:
        raise ValueError("it holds characters that are no text") from err
    return text


def _line(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty")
    if CONTROL.search(text):
        raise ValueError("it has a line break or another control character in it")
    return proper(text.strip())


def _address(text: str) -> str:
    if not ADDRESS.fullmatch(text) or not text.isascii() or CONTROL.search(text) or len(text) > 254:
        raise ValueError(f"expected an address such as alice@example.org, got {shown(text)}")
    return text


def _not_empty(items: tuple[Any, ...]) -> tuple[Any, ...]:
    if not items:
        raise ValueError("the list is empty")
    return items


def _part_by_part(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """Check long lists in parts: a complaint about each of a million entries would take minutes and gigabytes."""
    if not isinstance(value, list) or len(value) <= _PART:
        return handler(value)
    made: list[Any] = []
    for start in range(0, len(value), _PART):
        try:
            made += handler(value[start : start + _PART])
        except ValidationError:
            return handler(value[: start + _PART])  # once more, so that the numbers of the entries are right
    return tuple(made)


InParts = WrapValidator(_part_by_part)  # of a tuple; what stands behind it gets to see the whole
NotEmpty = AfterValidator(_not_empty)  # not pydantic's own, which counts only the entries that are right
Line = Annotated[str, AfterValidator(_line)]  #: one line of text that says something
Address = Annotated[str, AfterValidator(_address)]  #: an e-mail address, safe in a header; no display name
