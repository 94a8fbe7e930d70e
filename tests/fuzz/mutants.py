"""Bytes that nearly are what a reader is made for: good examples edited, other values in them, mere words, noise."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from hypothesis import strategies as st

LARGEST = 65536  #: bytes; what is longer has a test of its own

#: Values that programs do not write and people might, where another one is expected.
HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**18, 10**400, 0.5, -0.0, 1e300, -1e300, float("nan"),
    float("inf"),
    "", " ", "a", "/", "..", "../../etc/passwd", "a/b", "/etc/passwd", "a\0b", "a\nb", "\x1b[31m", "\ud800",
    "\udcff", "\u202e",
    "\u2028", "x" * 300, "9" * 5000, "9" * 400 + "s", "1e999", "nan", "inf", "-1", "20261124-130355-abcd",
    "٢" * 8 + "-130355-abcd",
    "99999999-999999-aaaa", "Dataset:" + " " * 40 + "x", "project:" + " " * 2000 + "x", "{batch}" * 9,
    "*" * 40 + "@x",
    "[" * 40, "%", "5%", "0", "1:99:99", "imported", "Dataset", "~", "[b-a]@x", [], {}, [[]], [None], {"": None},
    {"a": {"a": {"a": {}}}}, ["a"] * 50, [{}], [{"path": "a.czi"}] * 2, {"\ud800": "a"}, {"a\nb": 1},
)  # fmt: skip


@dataclass(frozen=True)
class Edit:
    """What to do at which place of a text; *at* and *size* are parts of it, so that they fit any text."""

    what: str
    at: float
    size: int
    word: bytes


def edited(data: bytes, edits: Sequence[Edit]) -> bytes:
    for edit in edits:
        data = _edited(data, edit)[:LARGEST]
    return data


def _edited(data: bytes, edit: Edit) -> bytes:
    here = int(edit.at * len(data))
    before, part, after = data[:here], data[here : here + edit.size], data[here + edit.size :]
    match edit.what:
        case "delete":
            return before + after
        case "double":
            return before + part + part + after
        case "insert":
            return before + edit.word + part + after
        case "replace":
            return before + edit.word + after
        case "cut":
            return before
        case "swap":
            lines = data.split(b"\n")
            one, other = int(edit.at * len(lines)) % len(lines), edit.size % len(lines)
            lines[one], lines[other] = lines[other], lines[one]
            return b"\n".join(lines)
        case "repeat":
            lines = data.split(b"\n")
            one = int(edit.at * len(lines)) % len(lines)
            return b"\n".join([*lines[: one + 1], lines[one], *lines[one + 1 :]])
    raise AssertionError(edit.what)


EDITS = ("delete", "double", "insert", "replace", "cut", "swap", "repeat")


def edits(words: Sequence[bytes]) -> st.SearchStrategy[list[Edit]]:
    word = st.binary(max_size=4) | st.sampled_from(words) if words else st.binary(max_size=4)
    part = st.floats(0, 1, exclude_max=True)
    size = st.sampled_from((0, 1, 1, 2, 3, 8, 30, 300))
    return st.lists(st.builds(Edit, st.sampled_from(EDITS), part, size, word), min_size=1, max_size=6)


# -- values ------------------------------------------------------------------------------------------------


def revalued(lines: Sequence[Any], changes: Sequence[tuple[float, int, int]]) -> bytes:
    """JSON of *lines*, after values (or keys) of them were replaced by hostile ones. Each change: place, value, how."""
    whole = json.loads(json.dumps(lines))
    for at, number, how in changes:
        nodes = list(_nodes(whole))
        holder, key = nodes[int(at * len(nodes))]
        value = copy.deepcopy(HOSTILE[number % len(HOSTILE)])
        if isinstance(holder, list):
            holder[key] = value
        elif how == 0:
            del holder[key]
        elif how == 1 and isinstance(value, str):
            holder[value] = holder.pop(key)
        else:
            holder[key] = value
    return b"\n".join(json.dumps(one).encode("ascii") for one in whole)


def _nodes(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each place below *value* at which a value stands: what holds it, and its key there."""
    below = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    for key, inner in list(below):
        yield value, key
        yield from _nodes(inner)


def values_of(seed: bytes) -> list[Any]:
    """What *seed* says, a value for each line of JSON, or the one of a document; nothing where it is neither."""
    try:
        return [json.loads(line) for line in seed.splitlines() if line.strip()]
    except ValueError:
        pass
    try:
        return [yaml.safe_load(seed)]
    except (yaml.YAMLError, ValueError):
        return []


CHANGES = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, len(HOSTILE) - 1), st.integers(0, 5)),
    min_size=1,
    max_size=4,
)


def near(seeds: Sequence[bytes], words: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """All kinds of input for a reader of *seeds*."""
    seed = st.sampled_from(seeds)
    kinds = [
        st.builds(edited, seed, edits(words)),
        st.lists(st.sampled_from(words) if words else st.binary(max_size=9), max_size=60).map(b"".join),
        st.binary(max_size=200),
    ]
    spoken = [values for values in map(values_of, seeds) if any(map(_has_parts, values))]
    if spoken:
        kinds += [st.builds(revalued, st.sampled_from(spoken), CHANGES)] * 2
    return st.one_of(kinds)


def _has_parts(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value)
