"""What is asked of an image store, and where in it the images go."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dropwatch.model.files import Fileset


class Kind(StrEnum):
    """What may hold images."""

    PROJECT = "Project"
    DATASET = "Dataset"
    SCREEN = "Screen"


@dataclass(frozen=True)
class Target:
    """Where in OMERO the images go, as asked for: by *id*, or by *name* below an optional *project*."""

    kind: Kind
    name: str | None = None
    id: int | None = None
    project: str | None = None

    def __str__(self) -> str:
        leaf = f"{self.kind}:{self.id if self.id is not None else self.name}"
        return f"Project:{self.project}/{leaf}" if self.project else leaf


@dataclass(frozen=True)
class Container:
    """The place in OMERO a Target was resolved to. *note* is a remark for the user ("several match, ...")."""

    kind: Kind
    id: int
    name: str
    group: str
    created: bool = False
    note: str = ""


@dataclass(frozen=True)
class Order:
    """All that an importer needs to know of a batch. Made anew from place, configuration and manifest each
    time: nothing in it comes from the record but *batch* and the dates, which carry no authority.

    batch       -- the batch id, part of every key in OMERO
    claim       -- stamp of the present claim
    owner       -- OMERO user name the import belongs to
    user        -- the drop-folder user that owner is (the sender, unless that is an instrument)
    group       -- OMERO group name, or None for the user's default group
    folder      -- absolute path of the batch's own folder (never written to)
    fetched     -- absolute path of the folder of what was fetched for it; "" when nothing was
    target      -- where to; None is never used: the default has been filled in
    sender      -- the drop-folder user (or instrument) that dropped it
    source      -- name of the folder as dropped, for the annotation
    tags, key_values, description -- as the manifest says
    duplicates  -- "skip" or "import"
    """

    batch: str
    claim: str
    owner: str
    user: str
    group: str | None
    folder: str
    target: Target
    sender: str
    source: str
    description: str = ""
    tags: tuple[str, ...] = ()
    key_values: tuple[tuple[str, str], ...] = ()
    duplicates: str = "skip"
    fetched: str = ""

    def folder_of(self, fileset: Fileset) -> str:
        """The folder that the paths of *fileset* start at."""
        return self.fetched if fileset.fetched else self.folder
