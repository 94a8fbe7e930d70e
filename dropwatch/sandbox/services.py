"""The plain services of a session: ServiceFactory, IConfig, ISession and IAdmin. None touches data."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import omero
from omero.rtypes import rlong, rstring, rtime

from dropwatch.sandbox import objects
from dropwatch.sandbox.accounts import (
    GROUPS,
    PRIVILEGES,
    USER,
    USERS,
    Group,
    User,
    group_named,
    group_with,
    user_named,
    user_with,
)
from dropwatch.sandbox.router import Client, Clients, Opened
from dropwatch.sandbox.sessions import Session, view
from dropwatch.sandbox.shared import Shared

VERSION = "5.6.10"  #: the server version that IConfig tells

Opener = Callable[[Session], Opened]


class ServiceFactory:
    """omero.api.ServiceFactory of one client.

    services -- by the name of the operation that opens it; one object for the whole session
    fresh    -- the same for operations that make a new object at each call
    submit   -- runs an omero.cmd.Request; answers with what a Handle proxy is made of
    """

    def __init__(
        self,
        clients: Clients,
        client: Client,
        services: dict[str, Opener],
        fresh: dict[str, Opener],
        submit: Callable[[Session, Any, Any], Any],
    ) -> None:
        self._clients = clients
        self._client = client
        self._submit = submit
        for name, opener in services.items():
            setattr(self, name, self._opening(opener, name))
        for name, opener in fresh.items():
            setattr(self, name, self._opening(opener, None))

    def _opening(self, opener: Opener, name: str | None) -> Callable[[Any], Any]:
        give, session = self._clients.give, self._client.session
        return lambda current: give(session, name or str(uuid.uuid4()), opener(session), current)

    def submit(self, request: Any, current: Any) -> Any:
        return self._submit(self._client.session, request, current)

    def setCallback(self, callback: Any, current: Any) -> None:
        """The client's end for news. The sandbox has none to tell."""

    def subscribe(self, topic: str, listener: Any, current: Any) -> None:
        """As setCallback."""

    def closeOnDestroy(self, current: Any) -> None:
        self._client.stays = False

    def detachOnDestroy(self, current: Any) -> None:
        self._client.stays = True

    def destroy(self, current: Any) -> None:
        self._clients.leave_now(current)

    def activeServices(self, current: Any) -> list[str]:
        return []

    def keepAlive(self, service: Any, current: Any) -> bool:
        return True  # the session was touched on the way here

    def keepAllAlive(self, services: list[Any], current: Any) -> int:
        return -1

    def getSecurityContexts(self, current: Any) -> list[Any]:
        return [omero.model.ExperimenterGroupI(group.id, False) for group in self._client.session.user.groups]

    def setSecurityContext(self, context: Any, current: Any) -> Any:
        """Change the session's group. Raises SecurityViolation when the user is not a member."""
        session = self._client.session
        before = omero.model.ExperimenterGroupI(session.group.id, False)
        session.group = view(session, {"omero.group": str(context.id.val)}).group
        return before


class ConfigService:
    """omero.api.IConfig. *insecure_port* is where the server listens without TLS."""

    def __init__(self, shared: Shared, insecure_port: int) -> None:
        self._shared = shared
        self._values = {
            "omero.version": VERSION,
            # What omero.client.createClient(secure=False) asks for.
            "omero.router.insecure": f"OMERO.Glacier2/router:tcp -p {insecure_port} -h @omero.host@",
        }

    def getVersion(self, current: Any) -> str:
        return VERSION

    def getConfigValue(self, key: str, current: Any) -> str:
        return self._values.get(key, "")

    def getClientConfigDefaults(self, current: Any) -> dict[str, str]:
        return {}

    def getClientConfigValues(self, current: Any) -> dict[str, str]:
        return {}

    def getDatabaseUuid(self, current: Any) -> str:
        row = self._shared.store.row("select value from meta where key = 'database'")
        return str(row["value"]) if row else ""

    def getServerTime(self, current: Any) -> Any:
        return rtime(int(time.time() * 1000))

    def getDatabaseTime(self, current: Any) -> Any:
        return self.getServerTime(current)


class SessionService:
    """omero.api.ISession. Where Sudo is checked: ``Sessions.sudo``."""

    def __init__(self, shared: Shared, session: Session) -> None:
        self._sessions = shared.sessions
        self._session = session

    def createSessionWithTimeouts(self, principal: Any, to_live: int, to_idle: int, current: Any) -> Any:
        return _session(self._sessions.sudo(self._session, principal, to_live, to_idle))

    def createSessionWithTimeout(self, principal: Any, to_live: int, current: Any) -> Any:
        return self.createSessionWithTimeouts(principal, to_live, 0, current)

    def getSession(self, uuid: str, current: Any) -> Any:
        return _session(self._sessions.use(uuid))

    def closeSession(self, session: Any, current: Any) -> int:
        return self._sessions.close(session.uuid.val)

    def getReferenceCount(self, uuid: str, current: Any) -> int:
        return self._sessions.use(uuid).references

    def getMyOpenSessions(self, current: Any) -> list[Any]:
        return [_session(each) for each in self._sessions.of_same_user(self._session)]


class AdminService:
    """omero.api.IAdmin, the reading half."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def getEventContext(self, current: Any) -> Any:
        session = self._session
        seen = view(session, current.ctx)
        made = omero.sys.EventContext()
        made.shareId = made.eventId = -1
        made.sessionId, made.sessionUuid = session.id, session.uuid
        made.userId, made.userName = session.user.id, session.user.name
        if session.sudoer:
            made.sudoerId, made.sudoerName = rlong(session.sudoer.id), rstring(session.sudoer.name)
        made.groupId, made.groupName = seen.group.id, seen.group.name
        made.groupPermissions = objects.permissions(seen.group)
        made.isAdmin = session.user.admin
        made.adminPrivileges = list(session.user.privileges)
        made.eventType = "User"
        made.memberOfGroups = [group.id for group in session.user.memberships]
        made.leaderOfGroups = []
        return made

    def lookupExperimenter(self, name: str, current: Any) -> Any:
        return objects.experimenter(_found(user_named(name), "experimenter", name))

    def getExperimenter(self, id: int, current: Any) -> Any:
        return objects.experimenter(_found(user_with(id), "experimenter", id))

    def lookupExperimenters(self, current: Any) -> list[Any]:
        return [objects.experimenter(user) for user in USERS]

    def lookupGroup(self, name: str, current: Any) -> Any:
        return objects.group(_found(group_named(name), "group", name))

    def getGroup(self, id: int, current: Any) -> Any:
        return objects.group(_found(group_with(id), "group", id))

    def lookupGroups(self, current: Any) -> list[Any]:
        return [objects.group(group) for group in GROUPS]

    def containedGroups(self, id: int, current: Any) -> list[Any]:
        return [objects.group(group) for group in _user(id).memberships]

    def containedExperimenters(self, id: int, current: Any) -> list[Any]:
        group: Group = _found(group_with(id), "group", id)
        return [objects.experimenter(user) for user in USERS if group in user.memberships]

    def getDefaultGroup(self, id: int, current: Any) -> Any:
        return objects.group(_user(id).groups[0])

    def getMemberOfGroupIds(self, experimenter: Any, current: Any) -> list[int]:
        return [group.id for group in _user(experimenter.id.val).memberships]

    def getLeaderOfGroupIds(self, experimenter: Any, current: Any) -> list[int]:
        return []

    def getCurrentAdminPrivileges(self, current: Any) -> list[Any]:
        return _privileges(self._session.user)

    def getAdminPrivileges(self, experimenter: Any, current: Any) -> list[Any]:
        return _privileges(_user(experimenter.id.val))

    def getSecurityRoles(self, current: Any) -> Any:
        return omero.sys.Roles(0, "root", 0, "system", USER.id, USER.name, 1, "guest", 2, "guest")


def _user(id: int) -> User:
    found: User = _found(user_with(id), "experimenter", id)
    return found


def _found(found: Any, kind: str, asked: object) -> Any:
    if found is None:
        raise omero.ApiUsageException(None, None, f"No such {kind}: {asked}")
    return found


def _privileges(user: User) -> list[Any]:
    made = []
    for at, name in enumerate(PRIVILEGES):
        if name in user.privileges:
            each = omero.model.AdminPrivilegeI(at + 1, True)
            each.value = rstring(name)
            made.append(each)
    return made


def _session(session: Session) -> Any:
    made = omero.model.SessionI(session.id, True)
    made.uuid = rstring(session.uuid)
    made.started = rtime(int((time.time() - time.monotonic() + session.started) * 1000))
    made.timeToLive, made.timeToIdle = rlong(session.to_live), rlong(session.to_idle)
    made.owner = omero.model.ExperimenterI(session.user.id, False)
    made.details.owner = omero.model.ExperimenterI(session.user.id, False)
    made.details.group = omero.model.ExperimenterGroupI(session.group.id, False)
    return made
