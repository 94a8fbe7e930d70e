"""Bytes of a ``batch.yaml`` -> Manifest, or every problem at once in words for its user; and the way back.

It reads no file. Whatever the bytes are, the answer is a Manifest or a ManifestError.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from pydantic import ValidationError

from dropwatch import document
from dropwatch.document import Document, Problem, Unreadable
from dropwatch.document.section import cut_short, place_of, problems, shown, spelled
from dropwatch.errors import ManifestError
from dropwatch.manifest.keys import From, Manifest
from dropwatch.manifest.listing import Match, match
from dropwatch.manifest.names import is_manifest_name, lookalike, loose_stem
from dropwatch.manifest.target import default_target, fill, parse_target, target_text
from dropwatch.model import ListedFile

# The other rooms know one door: this module.
__all__ = [
    "LARGEST",
    "From",
    "Manifest",
    "Match",
    "complaints",
    "compose",
    "default_target",
    "fill",
    "is_manifest_name",
    "lookalike",
    "loose_stem",
    "match",
    "merge",
    "parse",
    "parse_target",
    "schema",
    "target_text",
    "whole",
]

_BY_HAND = 2**20  #: characters; nobody writes a longer one by hand, nor looks for a line in it
LARGEST = 16 * 2**20  #: bytes; about 100,000 listed files with their checksums


def parse(data: bytes, *, source: str = "batch.yaml") -> Manifest:
    """Read a manifest: YAML or JSON; UTF-8, or UTF-16 with a byte order mark.

    source -- what to call it in error texts
    Raises ManifestError with every problem, each with its line.
    """
    text, read = _read(data, source)
    found = list(read.problems)
    value = {} if read.value is None else read.value
    if not isinstance(value, dict):
        raise ManifestError(
            [f"{source}: expected keys such as `name: day 3`, got {shown(value)}"], source=source
        )
    match _validated(value):
        case Manifest() as manifest if not found:
            return manifest
        case [*wrong]:
            found += wrong
    raise ManifestError(_told(found, _lines(text, read), source), source=source)


def complaints(value: Mapping[str, object]) -> list[Problem]:
    """What is wrong with the keys *value*, as they are written in the file, each with the way to it: for who has
    a place beside each key to say it."""
    judged = _validated(value)
    return judged if isinstance(judged, list) else []


def _validated(value: Mapping[str, object]) -> Manifest | list[Problem]:
    try:
        return Manifest.model_validate(value)
    except ValidationError as err:
        return problems(err, "unknown key")


def _read(data: bytes, source: str) -> tuple[str, Document]:
    if len(data) > LARGEST:
        raise ManifestError([f"{source} is larger than {LARGEST // 2**20} MiB"], source=source)
    try:
        text = document.decode(data)
        if not text.strip():
            raise ManifestError(
                [f"{source} is empty; it may not have been written yet"], source=source, garbled=True
            )
        return text, document.read(text)
    except Unreadable as err:
        place = source if err.line is None else f"{source} line {err.line}"
        raise ManifestError([f"{place}: {err.message}"], source=source, garbled=True) from err


def _lines(text: str, read: Document) -> Mapping[document.Path, int]:
    """Python's JSON reader tells no lines; for an error text we look them up as YAML."""
    if read.lines or len(text) > _BY_HAND:
        return read.lines
    try:
        return document.read_yaml(text).lines
    except Unreadable:
        return {}


def _told(found: list[Problem], lines: Mapping[document.Path, int], source: str) -> list[str]:
    placed = []
    for problem in found:
        line = place_of(problem.path, lines) or 0
        where = f"{source} line {line}" if line else source
        placed.append((line, f"{where}: {spelled(problem.path)}: {problem.text}"))
    return cut_short(text for _, text in sorted(placed, key=lambda one: one[0]))


def whole(data: bytes) -> bool:
    """Does the text prove that nothing of it is missing?

    JSON and flow style end with their closing bracket; block style YAML only with its end mark, a last
    line ``...``: cut off anywhere else it is a valid, shorter manifest.
    """
    try:
        _, read = _read(data, "")
    except ManifestError:
        return False
    return read.proven and isinstance(read.value, dict)


def merge(defaults: Manifest | None, manifest: Manifest | None) -> Manifest:
    """The user's defaults.yaml, and over it what the manifest says, key by key."""
    if defaults is None or manifest is None:
        return manifest or defaults or Manifest()
    return defaults.model_copy(update={key: getattr(manifest, key) for key in manifest.model_fields_set})


def compose(keys: Mapping[str, object], files: Iterable[ListedFile] = ()) -> bytes:
    """A manifest that proves itself whole. Raises ManifestError when *keys* are not right.

    keys  -- as they are written in the file; ``target`` as text
    files -- what to list
    """
    entries = [
        {"path": file.path}
        | {key: value for key in ("size", "sha256") if (value := getattr(file, key)) is not None}
        for file in files
    ]
    text = json.dumps({"dropwatch": 1, **keys} | ({"files": entries} if entries else {}), indent=1)
    data = f"{text}\n".encode()
    parse(data, source="the new manifest")
    return data


def schema() -> dict[str, object]:
    """JSON Schema of the manifest, for editors."""
    made = Manifest.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "dropwatch manifest"}
