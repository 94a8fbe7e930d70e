"""The classes that hql.py may ask for: their tables, what their paths are in SQL, and how a row becomes an object.

``{}`` in a relation is where a comparison goes, such as ``= :id``; ``obj`` is the table of the class.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from dropwatch.sandbox import objects
from dropwatch.sandbox.accounts import group_with, user_with
from dropwatch.sandbox.update import ANNOTATIONS, LINKS

_OWNED = {"id": ("obj.id", "l"), "details.owner.id": ("obj.owner", "l"), "details.group.id": ("obj.grp", "l")}
_NAMED = {"name": ("obj.name", "s"), "description": ("obj.description", "s")}
_DETAILS = {"details.owner", "details.group", "details.creationEvent", "details.externalInfo"}


@dataclass(frozen=True)
class Class:
    """A class of OMERO's model.

    load      -- the object of a row; the second argument says whether the caller may edit it
    columns   -- path -> SQL, and its type for a projection: l long, s string, i int
    relations -- path that can only be compared -> SQL condition
    joins     -- paths that may be joined, fetched or not
    visible   -- what a caller may see; ``{x}`` stands for the rule about rows of x
    """

    table: str
    load: Callable[[sqlite3.Row, bool], Any]
    columns: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    relations: Mapping[str, str] = field(default_factory=dict)
    joins: frozenset[str] = frozenset()
    visible: str = "{obj}"


def _linked(kind: str, here: str, there: str) -> str:
    return f"obj.id in (select {here} from link where kind = '{kind}' and {there} {{}})"


def _link(kind: str) -> Class:
    parent, child = LINKS[kind]
    table = "annotation" if child == "Annotation" else child.lower()
    columns = {"parent.id": ("obj.parent", "l"), "child.id": ("obj.child", "l")}
    if child != "Annotation":
        columns["child.name"] = (f"(select name from {table} where id = obj.child)", "s")
    details = {f"child.{path}" for path in _DETAILS}
    return Class(
        "link",
        partial(objects.link, kind, parent, child),
        {**_OWNED, **columns},
        joins=frozenset(
            {*_DETAILS, *details, "parent", "child", "child.file"}
            | {"child.annotationLinks", "child.annotationLinks.child"}
        ),
        visible=f"obj.kind = '{kind}' and {{obj}}",
    )


def _annotation(kind: str) -> Class:
    columns = {"ns": ("obj.ns", "s"), "textValue": ("obj.text", "s"), "description": _NAMED["description"]}
    return Class(
        "annotation", objects.annotation, {**_OWNED, **columns}, joins=frozenset({*_DETAILS, "file"}),
        visible=f"obj.kind = '{kind}' and {{obj}}",
    )  # fmt: skip


def _container(kind: str, relations: Mapping[str, str], joins: set[str], **more: tuple[str, str]) -> Class:
    return Class(
        kind.lower(), partial(objects.container, kind), {**_OWNED, **_NAMED, **more}, relations,
        frozenset(_DETAILS | joins),
    )  # fmt: skip


CLASSES: Mapping[str, Class] = {
    "Project": _container(
        "Project",
        {"datasetLinks.child.id": _linked("ProjectDatasetLink", "parent", "child")},
        {"datasetLinks"},
    ),
    "Dataset": _container(
        "Dataset",
        {
            "projectLinks.parent.id": _linked("ProjectDatasetLink", "child", "parent"),
            "imageLinks.child.id": _linked("DatasetImageLink", "parent", "child"),
        },
        {"projectLinks", "imageLinks"},
    ),
    "Screen": _container(
        "Screen", {"plateLinks.child.id": _linked("ScreenPlateLink", "parent", "child")}, {"plateLinks"}
    ),
    "Plate": _container(
        "Plate",
        {
            "screenLinks.parent.id": _linked("ScreenPlateLink", "child", "parent"),
            "wells.id": "obj.id in (select plate from well where id {})",
        },
        {"screenLinks", "screenLinks.parent", "wells"},
        rows=("obj.row_count", "i"),
        columns=("obj.column_count", "i"),
    ),
    "Well": Class(
        "well", objects.well,
        {**_OWNED, "row": ("obj.row", "i"), "column": ("obj.col", "i"), "plate.id": ("obj.plate", "l")},
        joins=frozenset(
            {*_DETAILS, "plate", "wellSamples", "wellSamples.image", "wellSamples.plateAcquisition"}
        ),
    ),
    "WellSample": Class(
        "wellsample", objects.well_sample,
        {**_OWNED, "well.id": ("obj.well", "l"), "image.id": ("obj.image", "l")},
        joins=frozenset({*_DETAILS, "well", "image"}),
    ),
    "Image": Class(
        "image", objects.image,
        {**_OWNED, **_NAMED, "series": ("obj.series", "i"), "fileset.id": ("obj.fileset", "l")},
        {"datasetLinks.parent.id": _linked("DatasetImageLink", "child", "parent")},
        frozenset({*_DETAILS, "datasetLinks", "fileset", "pixels", "pixels.pixelsType"}),
    ),
    "Fileset": Class(
        "fileset", objects.fileset, {**_OWNED, "templatePrefix": ("obj.prefix", "s")},
        joins=frozenset(_DETAILS),
    ),
    "FilesetEntry": Class(
        "entry", objects.fileset_entry,
        {"id": ("obj.id", "l"), "clientPath": ("obj.client_path", "s"), "fileset.id": ("obj.fileset", "l")},
        joins=frozenset({"originalFile", "fileset"}),
        visible="exists (select 1 from fileset fs where fs.id = obj.fileset and {fs})",
    ),
    "OriginalFile": Class(
        "originalfile", objects.original_file,
        {
            **_OWNED,
            **{path: (f"obj.{path}", "s") for path in ("name", "path", "hash", "mimetype")},
            "size": ("obj.size", "l"),
        },
        joins=frozenset({*_DETAILS, "hasher"}),
    ),
    "Experimenter": Class(
        "experimenter",
        lambda row, _: objects.experimenter(_found(user_with(row["id"]))),
        {
            "id": ("obj.id", "l"), "omeName": ("obj.name", "s"), "email": ("obj.email", "s"),
            "firstName": ("obj.first_name", "s"), "lastName": ("obj.last_name", "s"),
        },
        {"groupExperimenterMap.parent.id": "obj.id in (select user from membership where grp {})"},
        frozenset({"groupExperimenterMap", "groupExperimenterMap.parent"}),
        visible="1 = 1",
    ),
    "ExperimenterGroup": Class(
        "experimentergroup",
        lambda row, _: objects.group(_found(group_with(row["id"]))),
        {"id": ("obj.id", "l"), "name": ("obj.name", "s")},
        {"groupExperimenterMap.child.id": "obj.id in (select grp from membership where user {})"},
        frozenset({"groupExperimenterMap", "groupExperimenterMap.child"}),
        visible="1 = 1",
    ),
    **{kind: _annotation(kind) for kind in ANNOTATIONS},
    **{kind: _link(kind) for kind in LINKS},
}  # fmt: skip

#: Conditions that BlitzGateway asks for with its option ``orphaned``.
ORPHANS: Mapping[str, str] = {
    f"not exists ( select {alias} from {kind} as {alias} where {alias}.child = obj.id )": (
        f"not exists (select 1 from link where kind = '{kind}' and child = obj.id)"
    )
    for kind, alias in (
        ("DatasetImageLink", "dilink"), ("ProjectDatasetLink", "pdlink"), ("ScreenPlateLink", "splink")
    )
} | {
    "not exists ( select ws from WellSample ws where ws.image.id = obj.id )": (
        "not exists (select 1 from wellsample where image = obj.id)"
    )
}  # fmt: skip


def _found(thing: Any) -> Any:
    assert thing is not None, "the tables of accounts are filled from the accounts"
    return thing
