"""Who may log in to the sandbox: groups and people, fixed and made up. It holds no state.

The passwords are for trying and testing only; the server listens on loopback.
"""

from __future__ import annotations

from dataclasses import dataclass

#: omero.model.enums.AdminPrivilege values of OMERO 5.6
PRIVILEGES = (
    "Chgrp",
    "Chown",
    "DeleteFile",
    "DeleteManagedRepo",
    "DeleteOwned",
    "DeleteScriptRepo",
    "ModifyGroup",
    "ModifyGroupMembership",
    "ModifyUser",
    "ReadSession",
    "Sudo",
    "WriteFile",
    "WriteManagedRepo",
    "WriteOwned",
    "WriteScriptRepo",
)


@dataclass(frozen=True)
class Group:
    """An OMERO group; *readable* means that members see each other's data (``rwr---``)."""

    id: int
    name: str
    readable: bool = False


@dataclass(frozen=True)
class User:
    """An OMERO experimenter. The first of *groups* is the default group.

    privileges -- what an admin may do; empty for people who are no admins
    active     -- an inactive user is not in the group "user": he can log in and do nothing
    """

    id: int
    name: str
    first_name: str
    last_name: str
    groups: tuple[Group, ...]
    email: str | None = None
    privileges: tuple[str, ...] = ()
    active: bool = True

    @property
    def password(self) -> str:
        return "omero" if self.name == "root" else self.name

    @property
    def admin(self) -> bool:
        return SYSTEM in self.groups

    @property
    def memberships(self) -> tuple[Group, ...]:
        """All groups, the default group first, as ``IAdmin.containedGroups`` tells them."""
        return (*self.groups, USER) if self.active else self.groups


SYSTEM = Group(0, "system")
USER = Group(1, "user", readable=True)
GUEST = Group(2, "guest")
LAB_A = Group(3, "lab-a")
LAB_B = Group(4, "lab-b", readable=True)

GROUPS = (SYSTEM, USER, GUEST, LAB_A, LAB_B)

USERS = (
    User(0, "root", "root", "root", (SYSTEM,), privileges=PRIVILEGES),
    User(2, "dropwatch", "Drop", "Watch", (SYSTEM,), privileges=("Sudo",)),
    User(3, "nosudo", "No", "Sudo", (SYSTEM,), privileges=("ReadSession",)),
    User(4, "alice", "Alice", "Adams", (LAB_A,), "alice@example.org"),
    User(5, "bob", "Bob", "Brown", (LAB_A, LAB_B), "bob@example.org"),
    User(6, "carol", "Carol", "Clark", (LAB_B,), "carol@example.org"),
    User(7, "mallory", "Mallory", "Moore", (LAB_A,), "mallory@example.org", active=False),
    User(8, "dave", "Dave", "Davis", (LAB_A,)),
)


def user_named(name: str) -> User | None:
    return next((user for user in USERS if user.name == name), None)


def user_with(id: int) -> User | None:
    return next((user for user in USERS if user.id == id), None)


def group_named(name: str) -> Group | None:
    return next((group for group in GROUPS if group.name == name), None)


def group_with(id: int) -> Group | None:
    return next((group for group in GROUPS if group.id == id), None)
