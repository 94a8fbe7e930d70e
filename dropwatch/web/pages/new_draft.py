"""What a person has said of a new batch so far. Values only: the manifest room judges them, in the words it has
for a batch.yaml.

It also goes to the browser as text and comes back after a reload, and what comes back is believed no more than
anything else that a browser sends.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dropwatch import manifest
from dropwatch.document import printable
from dropwatch.manifest.keys import RelativePath
from dropwatch.model import Kind, Target

_BATCH = "{batch}"  #: what a manifest fills with the name of the batch
_LONGEST = 2_000_000  #: characters of a draft that comes back from a browser


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NewDataset(_Value):
    """A dataset, made if there is none of that name. *name*: "" is that of the batch; *project*: "" is none."""

    kind: Literal["dataset"] = "dataset"
    name: str = ""
    project: str = ""


class NewScreen(_Value):
    """A screen, for plates; made if there is none of that name. *name*: "" is that of the batch."""

    kind: Literal["screen"] = "screen"
    name: str = ""


class Known(_Value):
    """A dataset or screen that the person has. *path*: what people read, with its project."""

    kind: Literal["known"] = "known"
    what: Kind
    id: int
    path: str
    group: str


Where = Annotated[NewDataset | NewScreen | Known, Field(discriminator="kind")]


class Picks(_Value):
    """Files and folders of a place. *paths*: as its room spells them; *folders*: those of them that are folders."""

    place: str = ""
    paths: tuple[RelativePath, ...] = ()
    folders: tuple[RelativePath, ...] = ()


class Draft(_Value):
    """All of it. Texts are as they were typed."""

    name: str = ""
    where: Where = NewDataset()
    group: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    key_values: tuple[tuple[str, str], ...] = ()
    notify: tuple[str, ...] = ()

    def keys(self) -> dict[str, object]:
        """What a manifest is to say; what was left empty it does not say."""
        said = {
            "name": self.name.strip(),
            "target": _target(self.where),
            "group": self.where.group if isinstance(self.where, Known) else self.group,
            "description": self.description.strip(),
            "tags": list(self.tags),
            "key_values": {key.strip(): value.strip() for key, value in _rows(self)},
            "notify": list(self.notify),
        }
        return {key: value for key, value in said.items() if value}


def problems(draft: Draft, may_send_to: Callable[[str], bool]) -> dict[str, str]:
    """What is wrong, by key of the manifest. may_send_to -- whether the facility mails to an address"""
    found: dict[str, str] = {}
    for problem in manifest.complaints(draft.keys()):
        field, *rest = problem.path
        named = f"{printable(str(rest[0]))}: " if rest and field == "key_values" and rest[0] else ""
        found.setdefault(str(field), f"{named}{problem.text}")
    return {**found, **_beyond(draft, may_send_to)}


def _beyond(draft: Draft, may_send_to: Callable[[str], bool]) -> dict[str, str]:
    """What a manifest cannot have, or what the daemon would pass over."""
    found = {}
    keys = Counter(key.strip() for key, _ in _rows(draft))
    twice = [key for key, times in keys.items() if times > 1]
    if twice:
        found["key_values"] = f"{printable(twice[0])} is there twice"
    if "" in keys:
        found["key_values"] = "a value has no key"
    strangers = [address for address in draft.notify if "@" in address and not may_send_to(address)]
    if strangers:
        found["notify"] = f"this facility sends no mail to {printable(strangers[0])}"
    return found


def _rows(draft: Draft) -> list[tuple[str, str]]:
    """The pairs, empty rows aside."""
    return [(key, value) for key, value in draft.key_values if key.strip() or value.strip()]


def _target(where: NewDataset | NewScreen | Known) -> str:
    """As a manifest writes it; "" for a dataset named as the batch."""
    match where:
        case Known():
            return manifest.target_text(Target(where.what, id=where.id))
        case NewScreen():
            return manifest.target_text(Target(Kind.SCREEN, name=where.name.strip() or _BATCH))
        case NewDataset():
            name, project = where.name.strip(), where.project.strip()
            if not name and not project:
                return ""
            return manifest.target_text(Target(Kind.DATASET, name=name or _BATCH, project=project or None))


def suggested(picks: Picks) -> str:
    """What people would call it: the folder, the one file, or the folder that all of it comes from."""
    if not picks.paths:
        return ""
    first = picks.paths[0]
    above = {path.rpartition("/")[0] for path in picks.paths}
    if len(picks.paths) == 1:
        name = first.rpartition("/")[2]
        called = name if first in picks.folders else _stem(name)
    else:
        called = (next(iter(above)).rpartition("/")[2] if len(above) == 1 else "") or _stem(
            first.rpartition("/")[2]
        )
    return called if called.isprintable() else ""


def _stem(name: str) -> str:
    return re.sub(r"(?<=.)(\.(ome|companion))?\.[^.]*$", "", name, flags=re.IGNORECASE)


# -- over a reload -----------------------------------------------------------------------------------------


class Kept(_Value):
    """What a browser keeps of the page for *who*, until it is submitted or the tab is closed."""

    who: str
    draft: Draft
    picks: Picks


def to_text(kept: Kept) -> str:
    """ASCII, also where a file name is none."""
    return json.dumps(kept.model_dump(mode="python"))


def from_text(text: object, who: str) -> Kept | None:
    """What was kept for *who*; None for anything else that a browser may send."""
    if not isinstance(text, str) or len(text) > _LONGEST:
        return None
    try:
        kept = Kept.model_validate(json.loads(text))
    except (ValueError, RecursionError, ValidationError):
        return None
    return kept if kept.who == who else None
