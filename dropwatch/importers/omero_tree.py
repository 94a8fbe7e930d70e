"""What a person has in OMERO already, for the page to choose a target from. It changes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from dropwatch.importers import omero_queries as queries
from dropwatch.importers.omero_session import Row, Session
from dropwatch.model import Kind, Own, Tree

MOST = 20_000  #: rows of one answer; who has more finds the newest, and names the others


def containers(session: Session, groups: Sequence[str], most: int = MOST) -> Tree:
    """The session's owner's own containers in the session's group; *groups* are all that the owner is in."""
    asked = (queries.OWN_PROJECTS, queries.OWN_DATASETS, queries.OWN_SCREENS)
    answers = [session.ask(question, limit=most + 1, owner=session.owner_id) for question in asked]
    links, datasets, screens = (rows[:most] for rows in answers)
    own = {one.id: one for one in _owned(Kind.DATASET, datasets)}
    names, inside = {row[0]: row[1] for row in links}, _inside(links, own)
    projects = (
        Own(Kind.PROJECT, id, name, len(inside[id]), _by_name(inside[id])) for id, name in names.items()
    )
    placed = {one.id for some in inside.values() for one in some}
    return Tree(
        group=session.group,
        groups=tuple(groups),
        projects=_by_name(projects),
        datasets=_by_name(one for one in own.values() if one.id not in placed),
        screens=_by_name(_owned(Kind.SCREEN, screens)),
        cut=any(len(rows) > most for rows in answers),
    )


def _owned(kind: Kind, rows: Sequence[Row]) -> list[Own]:
    return [Own(kind, id, name or "", count) for id, name, count in rows]


def _inside(links: Sequence[Row], own: dict[int, Own]) -> defaultdict[int, list[Own]]:
    """The owner's own datasets of each project; other people's may be in it too."""
    inside: defaultdict[int, list[Own]] = defaultdict(list)
    for project, _, dataset in links:
        if dataset in own:
            inside[project].append(own[dataset])
    return inside


def _by_name(some: Iterable[Own]) -> tuple[Own, ...]:
    return tuple(sorted(some, key=lambda one: (one.name.casefold(), one.id)))
