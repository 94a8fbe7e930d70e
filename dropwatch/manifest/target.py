"""Where a batch goes in OMERO, as people write it: ``Project:HeLa/Dataset:day 3`` -> Target."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from dropwatch.document import printable
from dropwatch.document.section import CONTROL, proper, shown
from dropwatch.model import Kind, Target

LONGEST = 255  #: characters; the column `name` of OMERO's containers holds no more (omero.model.Dataset)
PLACEHOLDERS = ("batch", "folder", "date")

BELOW = re.compile(r"(?P<project>project\s*:.+?)\s*/\s*(?P<leaf>dataset\s*:.+)", re.IGNORECASE)
STEP = re.compile(
    r"(?P<kind>project|dataset|screen)\s*:\s*(?:(?P<by>id|name)\s*:)?(?P<rest>.*)", re.IGNORECASE
)
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def parse_target(text: str) -> Target:
    """``Dataset:day 3``, ``Dataset:123`` (an id), ``Screen:plates`` or ``Project:HeLa/Dataset:day 3``.

    A name made of digits only is an id; ``Dataset:name:2024`` says that it is a name after all, as
    OMERO's own command line writes it. Raises ValueError.
    """
    if CONTROL.search(text):
        raise ValueError("it has a line break or another control character in it")
    proper(text)
    if len(text) > 4 * LONGEST:
        raise ValueError(f"it is longer than {4 * LONGEST} characters")
    below = BELOW.fullmatch(text.strip())
    leaf = _step(below["leaf"] if below else text.strip())
    if leaf.kind is Kind.PROJECT:
        raise ValueError(f"a project holds datasets, no images; write {printable(str(leaf))}/Dataset:NAME")
    if not below:
        return leaf
    project = _step(below["project"])
    if project.name is None or leaf.id is not None:
        raise ValueError(
            "project and dataset go by name (Project:HeLa/Dataset:day 3); an id stands alone (Dataset:123)"
        )
    return replace(leaf, project=project.name)


def _step(text: str) -> Target:
    match = STEP.fullmatch(text)
    if match is None:
        raise ValueError(f"expected Dataset:NAME, Screen:NAME or Project:X/Dataset:Y, got {shown(text)}")
    kind, by, rest = Kind(match["kind"].capitalize()), (match["by"] or "").casefold(), match["rest"].strip()
    if by == "id" or (not by and rest.isascii() and rest.isdigit()):
        if not re.fullmatch(r"[0-9]{1,18}", rest):
            raise ValueError(f"expected an id, a whole number, got {shown(rest)}")
        return Target(kind, id=int(rest))
    _check_name(kind, rest)
    return Target(kind, name=rest)


def _check_name(kind: Kind, name: str) -> None:
    if not name:
        raise ValueError(f"the name of the {kind.lower()} is missing")
    if len(name) > LONGEST:
        raise ValueError(f"the name of the {kind.lower()} is longer than {LONGEST} characters")
    unknown = [word for word in PLACEHOLDER.findall(name) if word not in PLACEHOLDERS]
    if unknown:
        known = ", ".join(f"{{{word}}}" for word in PLACEHOLDERS)
        raise ValueError(f"unknown placeholder {shown('{' + unknown[0] + '}')}; there are {known}")


def fill(target: Target, *, batch: str, folder: str, date: str) -> Target:
    """Put the batch's values in place of ``{batch}``, ``{folder}`` and ``{date}``; cut at OMERO's limit."""
    values = {"batch": batch, "folder": folder, "date": date}
    return replace(target, name=_filled(target.name, values), project=_filled(target.project, values))


def _filled(name: str | None, values: Mapping[str, str]) -> str | None:
    if name is None:
        return None
    # One pass: braces that come in with a value are no placeholders.
    return PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), name)[:LONGEST]


def default_target(name: str, kind: Kind = Kind.DATASET) -> Target:
    """A dataset (or a screen, for plates) named as the batch."""
    return Target(kind, name=name[:LONGEST])


def target_text(target: Target) -> str:
    """What ``parse_target`` reads back as *target*: a name that looks like an id is said to be a name."""
    leaf = f"{target.kind}:{target.id}" if target.id is not None else _named(target.kind, target.name or "")
    return f"{_named(Kind.PROJECT, target.project)}/{leaf}" if target.project else leaf


def _named(kind: Kind, name: str) -> str:
    ambiguous = (name.isascii() and name.isdigit()) or re.match(r"(?i)(id|name)\s*:", name)
    return f"{kind}:name:{name}" if ambiguous else f"{kind}:{name}"
