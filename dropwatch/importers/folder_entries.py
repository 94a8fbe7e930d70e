"""The entry of a fileset in the archive: which files it is made of, where they are, and what the batch says of them.

An entry is a small JSON file, for us and for whatever program takes the files further. Values and text only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from dropwatch.model import Attachment, Fileset, Order


@dataclass(frozen=True)
class Stored:
    """A file in the archive.

    path   -- in its batch
    place  -- in the archive, '/'-separated
    size, sha256 -- bytes; hex
    """

    path: str
    place: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Entry:
    """A fileset that was copied and verified.

    number -- stands where OMERO has an id: the same for ever, and no more than that
    batch, source -- id of its batch, and name of the folder that was dropped
    home   -- the folder of its dataset, '/'-separated below the archive
    about  -- what the batch says of it, for people and other programs
    """

    number: int
    batch: str
    source: str
    home: str
    files: tuple[Stored, ...]
    plate: bool = False
    attachment: bool = False
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sums(self) -> list[tuple[str, str]]:
        """Names and checksums, in order: what makes another fileset the same."""
        return sorted((last_step(one.path), one.sha256) for one in self.files)


def entry_of(order: Order, home: str, fileset: Fileset, files: tuple[Stored, ...]) -> Entry:
    """The entry of a *fileset* that was copied to *files*."""
    about = {
        "claim": order.claim,
        "owner": order.owner,
        "sender": order.sender,
        "target": str(order.target),
        "group": order.group,
        "description": order.description,
        "tags": list(order.tags),
        "key_values": dict(order.key_values),
        "format": fileset.format,
        "series": fileset.series,
    }
    number = number_of(f"{order.batch}/{fileset.id}")
    attachment = isinstance(fileset, Attachment)
    return Entry(number, order.batch, order.source, home, files, fileset.plate, attachment, about)


def number_of(text: str) -> int:
    """A number for what has none, greater than 0: a digest, so that nothing has to be counted and locked."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:4], "big") // 2 + 1


def last_step(path: str) -> str:
    return path.rpartition("/")[2]


def dump(entry: Entry) -> bytes:
    """*entry* as text. ASCII, so that undecodable names come through as escapes."""
    return json.dumps(asdict(entry), indent=1).encode("ascii") + b"\n"


def load(data: bytes) -> Entry | None:
    """What dump() wrote; None for anything else, also for places that lead out of the archive."""
    try:
        said = json.loads(data)
        files = tuple(
            Stored(str(one["path"]), _inside(one["place"]), int(one["size"]), str(one["sha256"]))
            for one in said["files"]
        )
        entry = Entry(
            int(said["number"]),
            str(said["batch"]),
            str(said["source"]),
            _inside(said["home"]),
            files,
            bool(said["plate"]),
            bool(said["attachment"]),
            dict(said["about"]),
        )
    except (ValueError, KeyError, TypeError):
        return None
    return entry if files else None


def _inside(place: Any) -> str:
    """*place*, unless it leads out of the archive. Raises ValueError."""
    if any(step in ("", ".", "..") or "\\" in step or ":" in step for step in str(place).split("/")):
        raise ValueError(f"{place!r} is no place in the archive")
    return str(place)
