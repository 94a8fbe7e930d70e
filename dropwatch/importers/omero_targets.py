"""Finds or makes the dataset or screen that a batch goes to.

By name, only the owner's own containers count, in the session's group; by id, whatever the owner may link to.
"""

from __future__ import annotations

from typing import Any

import omero
import omero.clients
import omero.model
from omero.rtypes import rstring

from dropwatch.errors import PermanentError
from dropwatch.importers import omero_queries as queries
from dropwatch.importers.omero_handles import delete_containers
from dropwatch.importers.omero_session import Session
from dropwatch.manifest.target import LONGEST
from dropwatch.model import Container, Kind, Target
from dropwatch.report.words import clean

_TAKEN_BACK = 1.0  # seconds

_MODEL = {
    Kind.PROJECT: omero.model.ProjectI,
    Kind.DATASET: omero.model.DatasetI,
    Kind.SCREEN: omero.model.ScreenI,
}
_BY_NAME = {
    Kind.PROJECT: queries.PROJECTS_BY_NAME,
    Kind.DATASET: queries.DATASETS_BY_NAME,
    Kind.SCREEN: queries.SCREENS_BY_NAME,
}


def resolve(session: Session, target: Target) -> Container:
    """The container that *target* names, made if need be. Raises PermanentError when an id names none."""
    if target.kind is Kind.PROJECT or (target.id is None and not target.name):
        raise PermanentError(
            f"{target} cannot hold images.",
            remedy="Name a dataset or a screen, for example 'Dataset:day 3'.",
            code="bad-target",
        )
    if target.id is not None:
        return _by_id(session, target.kind, target.id)
    project = _shown(target.project) if target.project is not None else None
    return _by_name(session, target.kind, _shown(target.name or ""), project)


def _shown(name: str) -> str:
    """*name*, which may be that of a folder, as people see it in OMERO: nothing in it acts, it fits the column."""
    return clean(name)[:LONGEST]


def reference(container: Container) -> Any:
    """The container as an unloaded model object, to be linked to."""
    return _MODEL[container.kind](container.id, False)


def is_empty(session: Session, container: Container) -> bool:
    question = queries.PLATES_IN_SCREEN if container.kind is Kind.SCREEN else queries.IMAGES_IN_DATASET
    return bool(session.ask(question, id=container.id)[0][0] == 0)


def _by_id(session: Session, kind: Kind, id: int) -> Container:
    found = _look(session, kind, id, {})
    if found is None:
        raise _absent(session, kind, id)
    permissions = found.details.permissions if found.details is not None else None
    if permissions is not None and not permissions.canLink():
        raise PermanentError(
            f"{session.owner} may see {kind} {id} in OMERO, but not add images to it.",
            remedy="Choose one of your own, or ask its owner.",
            code="not-allowed",
        )
    return Container(kind, id, found.name.val, session.group)


def _look(session: Session, kind: Kind, id: int, context: dict[str, str]) -> Any:
    try:
        return session.query.find(str(kind), id, context)
    except omero.SecurityViolation:
        return None  # it exists, but not for this person


def _absent(session: Session, kind: Kind, id: int) -> PermanentError:
    elsewhere = _look(session, kind, id, dict(queries.ALL_GROUPS)) is not None
    return PermanentError(
        f"There is no {str(kind).lower()} {id} that {session.owner} can see in group {session.group}.",
        remedy="It is in another group: name that group in batch.yaml."
        if elsewhere
        else "Check the number in OMERO.web.",
        code="no-such-target",
    )


def _by_name(session: Session, kind: Kind, name: str, project: str | None) -> Container:
    found = _named(session, kind, name, project)
    if len(found) > 1:  # two processes may have made it just now; then one of them takes it back
        session.closing.wait(_TAKEN_BACK)
        found = _named(session, kind, name, project)
    if found:
        return Container(kind, found[0], name, session.group, note=_several(kind, name, found))
    made, new_project = _make(session, kind, name, project)
    first = min(_named(session, kind, name, project), default=made.id)
    if first == made.id:
        return made
    # Another process made it in the same moment: the first one counts, there as here.
    if is_empty(session, made):
        delete_containers(session, kind, [made.id])
        if new_project is not None:
            delete_containers(session, Kind.PROJECT, [new_project])
    return Container(kind, first, name, session.group)


def _named(session: Session, kind: Kind, name: str, project: str | None) -> list[int]:
    """Ids of one's own containers of that name, newest first."""
    if project is None:
        return [row[0] for row in session.ask(_BY_NAME[kind], owner=session.owner_id, name=name)]
    inside = session.ask(queries.DATASETS_IN_PROJECT, owner=session.owner_id, name=name, project=project)
    return sorted({row[0] for row in inside}, reverse=True)


def _make(session: Session, kind: Kind, name: str, project: str | None) -> tuple[Container, int | None]:
    """The new container, and the id of its project if that is new too."""
    new = _MODEL[kind]()
    new.name = rstring(name)
    if project is None:
        made = session.update.saveAndReturnObject(new)
        return Container(kind, made.id.val, name, session.group, created=True), None
    own = session.ask(queries.PROJECTS_BY_NAME, owner=session.owner_id, name=project)
    link = omero.model.ProjectDatasetLinkI()
    link.parent = omero.model.ProjectI(own[0][0], False) if own else omero.model.ProjectI()
    if not own:
        link.parent.name = rstring(project)
    link.child = new
    made = session.update.saveAndReturnObject(link)  # one transaction: no dataset without its project
    note = _several(Kind.PROJECT, project, [row[0] for row in own])
    container = Container(kind, made.child.id.val, name, session.group, created=True, note=note)
    return container, None if own else made.parent.id.val


def _several(kind: Kind, name: str, found: list[int]) -> str:
    if len(found) < 2:
        return ""
    kinds = f"{str(kind).lower()}s"
    return f"{len(found)} of your {kinds} are called {name!r}; the newest one ({found[0]}) was used."
