"""What somebody asked for when they made a batch: the manifest in its folder, for people. Only reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from dropwatch import manifest
from dropwatch.errors import DropwatchError
from dropwatch.manifest import Manifest
from dropwatch.model import Envelope
from dropwatch.spool.tree import read_small

_ENTRIES = 10_000  #: of the folder that are looked through for a manifest


@dataclass(frozen=True)
class Wishes:
    """facts -- name and value, in the order in which people read them"""

    facts: tuple[tuple[str, str], ...]


def wishes(envelope: Envelope) -> Wishes | None:
    """What the manifest of the batch says; None when there is none, or none that can be read."""
    with suppress(OSError, DropwatchError):
        for entry in islice(sorted(envelope.batch_folder.iterdir()), _ENTRIES):
            if manifest.is_manifest_name(entry.name) or manifest.loose_stem(entry.name) is not None:
                data = read_small(entry, most=manifest.LARGEST)
                return Wishes(tuple(_facts(manifest.parse(data, source=entry.name))))
    return None


def _facts(said: Manifest) -> Iterator[tuple[str, str]]:
    if said.target is not None:
        yield "Asked for", str(said.target)
    if said.description:
        yield "Description", said.description
    if said.tags:
        yield "Tags", ", ".join(said.tags)
    yield from said.key_values.items()
    if said.from_ is not None:
        yield "Fetched from", f"{said.from_.place}: {', '.join(said.from_.paths)}"
    if said.notify:
        yield "Also told", ", ".join(said.notify)
