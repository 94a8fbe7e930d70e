"""What OMERO knows of people, and for whom images may be imported. Whoever asks brings a client.

Source: omero-server ``AdminImpl.java`` (lookupExperimenters loads the groups along) and ``Roles.java``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_ADMINS = "system"  # restricted ones too: whoever is in it may see everything
_EVERYBODY = "user"  # the group of all active people; without it one cannot log in


@dataclass(frozen=True)
class Person:
    """What OMERO knows of somebody. The first of *groups* is the default group; admins are of OMERO's group system."""

    id: int
    name: str
    email: str | None
    active: bool
    groups: tuple[str, ...]
    admin: bool = False


def person_of(found: Any) -> Person:
    """The person that *found* (Experimenter, with groups) describes."""
    groups = tuple(link.parent.name.val for link in found.copyGroupExperimenterMap() if link is not None)
    return Person(
        id=found.id.val,
        name=found.omeName.val,
        email=(found.email.val.strip() or None) if found.email is not None else None,
        active=_EVERYBODY in groups,
        groups=tuple(group for group in groups if group != _EVERYBODY),
        admin=_ADMINS in groups,
    )


def importable(client: Any, service_account: str) -> list[Person]:
    """All active people with a group to work in, by name.

    OMERO's own accounts and *service_account* are left out, and whoever is in OMERO's own groups only.
    """
    admin = client.sf.getAdminService()
    roles = admin.getSecurityRoles()
    own_groups = {roles.systemGroupName, roles.userGroupName, roles.guestGroupName}
    people = [person_of(found) for found in admin.lookupExperimenters()]
    return sorted(
        (
            person
            for person in people
            if person.active
            and person.id not in (roles.rootId, roles.guestId)
            and person.name != service_account
            and not own_groups.issuperset(person.groups)
        ),
        key=lambda person: person.name,
    )
