"""Sessions of the sandbox's OMERO server and what each may see. It knows no Ice adapter and no database.

The rules and messages follow omero-server's ``SessionManagerImpl``, ``SessionBean`` and ``SessionCache``: a
session counts its clients, is removed with the last one, and times out when idle.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import RLock

import omero

from dropwatch.sandbox.accounts import GROUPS, Group, User, group_named, group_with, user_named

IDLE_DEFAULT = 600_000  #: milliseconds, ``omero.sessions.timeout``


@dataclass
class Session:
    """One login. *references* counts the clients; times are in milliseconds, 0 meaning no limit.

    imports -- how many imports run in it: they keep it alive, as ManagedImportRequestI does
    ends    -- called when the session ends, however that comes
    kills   -- called when it is closed by request, after *ends*: that stops even what runs
    """

    id: int
    uuid: str
    user: User
    group: Group
    sudoer: User | None
    to_live: int
    to_idle: int
    started: float
    used: float
    references: int = 1
    imports: int = 0
    ends: list[Callable[[], None]] = field(default_factory=list)
    kills: list[Callable[[], None]] = field(default_factory=list)

    @property
    def sees_all(self) -> bool:
        """Whether the data of other people in private groups is visible."""
        return self.user.admin and (self.sudoer is None or self.sudoer.admin)


@dataclass(frozen=True)
class View:
    """What a call may see: rows of *groups*, in private ones only those of *user* unless *all*."""

    user: User
    group: Group
    groups: tuple[int, ...]
    all: bool

    def sees(self, owner: int, group: int) -> bool:
        found = group_with(group)
        shared = self.all or owner == self.user.id or (found is not None and found.readable)
        return group in self.groups and shared

    def edits(self, owner: int) -> bool:
        """Whether a row of *owner* may be changed, linked to or deleted."""
        return owner == self.user.id or (self.all and "WriteOwned" in self.user.privileges)

    def clause(self, alias: str) -> str:
        """The same as SQL over the columns ``owner`` and ``grp`` of *alias*."""
        groups = ", ".join(str(id) for id in self.groups) or "null"
        readable = ", ".join(str(group.id) for group in GROUPS if group.readable)
        mine = f"({alias}.owner = {self.user.id} or {alias}.grp in ({readable}))"
        return f"{alias}.grp in ({groups})" + ("" if self.all else f" and {mine}")


def view(session: Session, context: Mapping[str, str]) -> View:
    """The view of a call with Ice *context*: the session's group, ``omero.group``, or all groups (-1)."""
    asked = context.get("omero.group") or str(session.group.id)
    member = {group.id for group in session.user.memberships}
    if session.sees_all:
        member = {group.id for group in GROUPS}
    if asked == "-1":
        return View(session.user, session.group, tuple(sorted(member)), session.sees_all)
    group = group_with(int(asked)) if asked.isdigit() else None
    if group is None:
        raise omero.ApiUsageException(None, None, f"No such group: {asked}")
    if group.id not in member:
        raise omero.SecurityViolation(None, None, _not_a_member(session.user, group))
    return View(session.user, group, (group.id,), session.sees_all)


class Sessions:
    """The live sessions. *clock* tells monotonic seconds; *ended* is told the uuid of each that ends."""

    def __init__(self, clock: Callable[[], float], ended: Callable[[str], None]) -> None:
        self._clock = clock
        self._ended = ended
        self._lock = RLock()
        self._live: dict[str, Session] = {}
        self._made = 0

    def login(self, name: str, group: str | None) -> Session:
        """A session for a person whose password was right. Raises what the real server raises."""
        user = user_named(name)
        if user is None:
            raise omero.ApiUsageException(None, None, f"No such experimenter: {name}")
        return self._create(user, _group(user, group), None, 0, IDLE_DEFAULT)

    def sudo(self, asking: Session, principal: omero.sys.Principal, to_live: int, to_idle: int) -> Session:
        """A session for *principal* on behalf of *asking*, who must be an admin with the privilege Sudo.

        Raises SecurityViolation, AuthenticationException (unknown user), RemovedSessionException (no such group).
        """
        user = user_named(principal.name)
        if user is None:
            raise omero.AuthenticationException("Error creating session.")
        group = _group(user, principal.group)
        if "Sudo" not in asking.user.privileges:
            text = f"Group sudo is not permitted for group {group.name} (gid={group.id})"
            raise omero.SecurityViolation(None, None, text)
        return self._create(user, group, asking.sudoer or asking.user, to_live, to_idle)

    def find(self, uuid: str) -> Session | None:
        """The live session with *uuid*, touched; None when there is none any more."""
        try:
            return self.use(uuid)
        except omero.SessionException:
            return None

    def use(self, uuid: str) -> Session:
        """The same, but raise as a call within the session does: SessionTimeout or RemovedSession."""
        with self._lock:
            session = self._live.get(uuid)
            if session is None:
                raise omero.RemovedSessionException(None, None, f"No context for {uuid}")
            exceeded = self._exceeded(session)
            if not exceeded:
                session.used = self._clock()
                return session
        self.end(uuid)
        raise omero.SessionTimeoutException(None, None, f"Session {uuid} exceeded {exceeded}")

    def of_same_user(self, asking: Session) -> list[Session]:
        """The live sessions of the same user, opened by the same admin or by nobody else (findSameUser)."""
        with self._lock:
            live = list(self._live.values())
        return [each for each in live if (each.user, each.sudoer) == (asking.user, asking.sudoer)]

    def attach(self, session: Session) -> None:
        with self._lock:
            session.references += 1

    def detach(self, uuid: str) -> None:
        """A client leaves and the session stays, for its idle time."""
        with self._lock:
            session = self._live.get(uuid)
            if session:
                session.references -= 1

    def close(self, uuid: str) -> int:
        """A client leaves; the last one ends the session. As ISession.closeSession: -1 unknown, -2 ended."""
        with self._lock:
            session = self._live.get(uuid)
            if session is None:
                return -1
            session.references -= 1
            left = session.references
        if left >= 1:
            return left
        self.end(uuid)
        for kill in session.kills:
            kill()
        return -2

    def import_begins(self, session: Session) -> None:
        """An import runs in the session from now on: it is one more client, and never idle."""
        with self._lock:
            session.references += 1
            session.imports += 1

    def import_ended(self, session: Session) -> None:
        with self._lock:
            session.imports -= 1
            session.used = self._clock()
        self.close(session.uuid)

    def end(self, uuid: str) -> None:
        """End the session now, with all that belongs to it."""
        with self._lock:
            session = self._live.pop(uuid, None)
        if session is None:
            return
        for end in session.ends:
            end()
        self._ended(uuid)

    def expire(self, uuid: str) -> omero.SessionTimeoutException:
        """End the session as if it had been idle for too long; the exception that says so."""
        self.end(uuid)
        return omero.SessionTimeoutException(None, None, f"Session {uuid} exceeded timeToIdle")

    def end_all(self) -> None:
        """End what is left when the server goes down."""
        with self._lock:
            left = list(self._live)
        for each in left:
            self.end(each)

    def reap(self) -> None:
        """End the sessions that were idle for too long."""
        with self._lock:
            overdue = [session.uuid for session in self._live.values() if self._exceeded(session)]
        for each in overdue:
            self.end(each)

    def _create(self, user: User, group: Group, sudoer: User | None, to_live: int, to_idle: int) -> Session:
        if group not in user.memberships and not user.admin:
            raise omero.SecurityViolation(None, None, _not_a_member(user, group))
        now = self._clock()
        with self._lock:
            self._made += 1
            session = Session(self._made, str(uuid.uuid4()), user, group, sudoer, to_live, to_idle, now, now)
            self._live[session.uuid] = session
        return session

    def _exceeded(self, session: Session) -> str:
        now = self._clock()
        if 0 < session.to_live < (now - session.started) * 1000:
            return f"timeToLive ({session.to_live})"
        if not session.imports and 0 < session.to_idle < (now - session.used) * 1000:
            return f"timeToIdle ({session.to_idle})"
        return ""


def _group(user: User, name: str | None) -> Group:
    """The group of a new session: *name*, or the default group for none and for "user" (ticket 404)."""
    if not name or name == "user":
        return user.groups[0]
    group = group_named(name)
    if group is None:
        text = f"No info in database for Principal:{user.name},{name},User"
        raise omero.RemovedSessionException(None, None, text)
    return group


def _not_a_member(user: User, group: Group) -> str:
    return f"User {user.id} is not a member of group {group.id} and cannot login"
