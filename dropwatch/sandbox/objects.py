"""Rows of the store as omero.model objects. It reads values it is given and nothing else."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import omero
from omero.rtypes import rbool, rint, rlong, rstring, rtime

from dropwatch.sandbox.accounts import USER, USERS, Group, User, group_with, user_with

CONTAINERS = ("Project", "Dataset", "Screen", "Plate")


def text(value: object) -> Any:
    """*value* as RString, or None for NULL."""
    return None if value is None else rstring(value)


def number(value: object) -> Any:
    """*value* as RLong, or None for NULL."""
    return None if value is None else rlong(value)


def whole(value: object) -> Any:
    """*value* as RInt, or None for NULL."""
    return None if value is None else rint(value)


def moment(value: object) -> Any:
    """*value* (milliseconds since 1970) as RTime, or None for NULL."""
    return None if value is None else rtime(value)


def experimenter(user: User) -> Any:
    """The user with groups, the default group first, as ``IAdmin.lookupExperimenter`` loads it."""
    made = omero.model.ExperimenterI(user.id, True)
    made.omeName = rstring(user.name)
    made.firstName, made.lastName = rstring(user.first_name), rstring(user.last_name)
    made.email = text(user.email)
    made.ldap = rbool(False)
    for each in user.memberships:
        made.addGroupExperimenterMap(_membership(_group(each), omero.model.ExperimenterI(user.id, False)))
    return made


def group(each: Group) -> Any:
    """The group with its members, as ``IAdmin.lookupGroups`` loads it."""
    made = _group(each)
    for user in USERS:
        if each in user.memberships:
            member = omero.model.ExperimenterI(user.id, True)
            member.omeName = rstring(user.name)
            member.firstName, member.lastName = rstring(user.first_name), rstring(user.last_name)
            link = _membership(omero.model.ExperimenterGroupI(each.id, False), member)
            made.addGroupExperimenterMap(link)
    return made


def _group(each: Group) -> Any:
    made = omero.model.ExperimenterGroupI(each.id, True)
    made.name = rstring(each.name)
    made.ldap = rbool(False)
    made.details.permissions = permissions(each)
    return made


def _membership(group: Any, user: Any) -> Any:
    made = omero.model.GroupExperimenterMapI()
    made.owner = rbool(False)
    made.parent, made.child = group, user
    return made


def permissions(each: Group, *, edits: bool = True) -> Any:
    """The group's permissions; without *edits* the caller may not link, edit, delete or annotate."""
    made = omero.model.PermissionsI("rwrw--" if each == USER else "rwr---" if each.readable else "rw----")
    made._restrictions = [not edits] * 6
    return made


def container(kind: str, row: sqlite3.Row, edits: bool = True) -> Any:
    """A Project, Dataset, Screen or Plate."""
    made = getattr(omero.model, kind + "I")(row["id"], True)
    made.name, made.description = text(row["name"]), text(row["description"])
    if kind == "Plate":
        made.rows, made.columns = whole(row["row_count"]), whole(row["column_count"])
    return owned(made, row, edits)


def image(row: sqlite3.Row, edits: bool = True) -> Any:
    made = omero.model.ImageI(row["id"], True)
    made.name, made.description = text(row["name"]), text(row["description"])
    made.series = whole(row["series"])
    made.fileset = omero.model.FilesetI(row["fileset"], False)
    return owned(made, row, edits)


def pixels(row: sqlite3.Row) -> Any:
    made = omero.model.PixelsI(row["id"], True)
    made.image = omero.model.ImageI(row["image"], False)
    made.pixelsType = omero.model.PixelsTypeI()
    made.pixelsType.value = text(row["type"])
    for axis in "xyzct":
        setattr(made, "size" + axis.upper(), whole(row[axis]))
    return made


def well(row: sqlite3.Row, edits: bool = True) -> Any:
    made = omero.model.WellI(row["id"], True)
    made.row, made.column = whole(row["row"]), whole(row["col"])
    made.plate = omero.model.PlateI(row["plate"], False)
    return owned(made, row, edits)


def well_sample(row: sqlite3.Row, edits: bool = True) -> Any:
    made = omero.model.WellSampleI(row["id"], True)
    made.well = omero.model.WellI(row["well"], False)
    made.image = omero.model.ImageI(row["image"], False)
    return owned(made, row, edits)


def original_file(row: sqlite3.Row, edits: bool = True) -> Any:
    made = omero.model.OriginalFileI(row["id"], True)
    made.path, made.name = text(row["path"]), text(row["name"])
    made.size, made.hash = number(row["size"]), text(row["hash"])
    made.mimetype = text(row["mimetype"])
    if row["hasher"]:
        made.hasher = algorithm(row["hasher"])
    return owned(made, row, edits)


def fileset(row: sqlite3.Row, edits: bool = True) -> Any:
    made = omero.model.FilesetI(row["id"], True)
    made.templatePrefix = text(row["prefix"])
    return owned(made, row, edits)


def fileset_entry(row: sqlite3.Row, edits: bool = True) -> Any:
    made = omero.model.FilesetEntryI(row["id"], True)
    made.clientPath = text(row["client_path"])
    made.fileset = omero.model.FilesetI(row["fileset"], False)
    made.originalFile = omero.model.OriginalFileI(row["file"], False)
    return made


def annotation(row: sqlite3.Row, edits: bool = True) -> Any:
    """A tag, comment, map or file annotation."""
    made = getattr(omero.model, row["kind"] + "I")(row["id"], True)
    made.ns, made.description = text(row["ns"]), text(row["description"])
    if row["kind"] == "MapAnnotation":
        made.setMapValue([omero.model.NamedValue(*pair) for pair in json.loads(row["pairs"])])
    elif row["kind"] == "FileAnnotation":
        made.file = omero.model.OriginalFileI(row["file"], False)
    else:
        made.textValue = text(row["text"])
    return owned(made, row, edits)


def link(kind: str, parent: str, child: str, row: sqlite3.Row, edits: bool = True) -> Any:
    """A link of this *kind*; its ends are not loaded."""
    made = getattr(omero.model, kind + "I")(row["id"], True)
    made.parent = getattr(omero.model, parent + "I")(row["parent"], False)
    made.child = getattr(omero.model, _concrete(child) + "I")(row["child"], False)
    return owned(made, row, edits)


def _concrete(kind: str) -> str:
    # Nothing says of a child that is not loaded which kind of annotation it is.
    return "CommentAnnotation" if kind == "Annotation" else kind


def algorithm(name: str) -> Any:
    made = omero.model.ChecksumAlgorithmI()
    made.value = rstring(name)
    return made


def owned(made: Any, row: sqlite3.Row, edits: bool) -> Any:
    """*made* with owner, group and permissions of its *row*; its collections are not loaded."""
    made.unloadCollections()
    made.details.owner = omero.model.ExperimenterI(row["owner"], False)
    made.details.group = omero.model.ExperimenterGroupI(row["grp"], False)
    found = group_with(row["grp"])
    if found is not None:
        made.details.permissions = permissions(found, edits=edits)
    return made


def created(made: Any, row: sqlite3.Row) -> Any:
    """*made* with owner and time of its making, as queries fetch them."""
    owner = user_with(row["owner"])
    if owner is not None:
        made.details.owner = experimenter(owner)
    made.details.creationEvent = omero.model.EventI(row["id"], True)
    made.details.creationEvent.time = moment(row["created"])
    return made


def loaded(made: Any, collection: str, things: list[Any]) -> None:
    """Set a collection of *made*, e.g. ``pixels``, which is loaded then."""
    setattr(made, f"_{collection}Seq", things)
    setattr(made, f"_{collection}Loaded", True)
