"""Opens sessions in OMERO: the service account's own, and through its Sudo privilege those of other people.

It alone handles the service account's password, which it reads anew for each login, and session keys, which
never leave it. Sources: omero-py ``clients.py`` and ``util/sessions.py``, omero-server ``SessionBean.java``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Event, Lock
from typing import Any, TypeVar

import omero
import omero.clients
import omero.sys
from omero.constants import CLIENTUUID

from dropwatch.errors import OperatorError, PermanentError
from dropwatch.importers.omero_errors import DEAD, connecting, explain
from dropwatch.importers.omero_people import Person, importable, person_of
from dropwatch.importers.omero_session import Session, end_references, hang_up, log_out

AGENT = "dropwatch"  #: how the sessions are marked in OMERO

T = TypeVar("T")


@dataclass(frozen=True)
class Server:
    """Where OMERO is and who we are there.

    password     -- called for each login, so that a changed password is used at once
    idle         -- seconds after which OMERO ends a session that nobody uses or keeps alive
    connect_wait -- seconds that opening a connection may take
    call_wait    -- seconds that one call may take
    """

    host: str
    port: int
    secure: bool
    user: str
    password: Callable[[], str | None]
    idle: float = 600.0
    connect_wait: float = 10.0
    call_wait: float = 120.0


class Login:
    """The way in. Safe for several threads: they share the service session; people's are not kept here."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.closing = Event()
        self._lock = Lock()
        self._service: Any = None

    def person(self, name: str) -> Person:
        """Look *name* up. Raises OperatorError(concerns="user") when OMERO does not know it; Unavailable."""
        with connecting(self.server.host):
            try:
                found = self._ask_service(lambda client: client.sf.getAdminService().lookupExperimenter(name))
            except omero.ApiUsageException as error:
                raise _unknown(name, explain(error)) from None
        return person_of(found)

    def people(self) -> list[Person]:
        """Everybody for whom a batch may be imported, by name. Raises Unavailable, OperatorError."""
        return self.service(lambda client: importable(client, self.server.user))

    def open(self, name: str, group: str | None) -> Session:
        """A new session of *name* in *group* (None: the person's default group).

        Raises Unavailable, OperatorError (service login, Sudo privilege, unknown or inactive person),
        PermanentError (not a member of the group).
        """
        person = self.person(name)
        _check(person, group)
        with connecting(self.server.host), ExitStack() as undo:
            client = self._joined(self._sudo(person.name, group))
            undo.callback(hang_up, client)
            now = client.sf.getAdminService().getEventContext()
            undo.pop_all()
        return Session(
            client,
            owner=person.name,
            owner_id=now.userId,
            group=now.groupName,
            group_id=now.groupId,
            email=person.email,
            closing=self.closing,
            join=self._joined,
        )

    def service(self, question: Callable[[Any], T]) -> T:
        """What *question* makes of the service account's omero.client. Raises Unavailable, OperatorError."""
        with connecting(self.server.host):
            return self._ask_service(question)

    def keep_alive(self, wait: float) -> None:
        """Tell the server that the service session is in use; forget it when it has ended. Never raises."""
        with self._lock:
            client = self._service
        if client is None:
            return
        try:
            client.getSession().ice_invocationTimeout(int(wait * 1000)).keepAlive(None)
        except DEAD:
            self._forget(client)

    def close(self) -> None:
        """Log the service account out. Never raises."""
        with self._lock:
            client, self._service = self._service, None
        if client is not None:
            try:
                end_references(client)
            except (*DEAD, omero.ServerError):
                hang_up(client)
            else:
                log_out(client)

    def _joined(self, key: str, client_id: str = "") -> Any:
        """A client of the session with *key*; *client_id* makes it the one it was before. Raises what OMERO throws."""
        with ExitStack() as undo:
            client = self.new_client()
            undo.callback(hang_up, client)
            if client_id:
                client.getImplicitContext().put(CLIENTUUID, client_id)
            client.joinSession(key)
            undo.pop_all()
        return client

    def _sudo(self, name: str, group: str | None) -> str:
        """The key of a new session of *name*."""
        principal = omero.sys.Principal(name=name, group=group or "", eventType="User")
        idle = int(self.server.idle * 1000)
        try:
            made = self._ask_service(
                lambda client: client.sf.getSessionService().createSessionWithTimeouts(principal, 0, idle)
            )
        except omero.SecurityViolation as error:
            raise OperatorError(
                f"OMERO does not let dropwatch's service account {self.server.user} act for other people.",
                concerns="omero",
                remedy="Make it an admin with the Sudo privilege (nothing more is needed).",
                detail=explain(error),
                code="no-sudo",
            ) from None
        except (omero.AuthenticationException, omero.ApiUsageException) as error:
            raise OperatorError(
                f"OMERO would not open a session for {name}.",
                concerns="user",
                remedy="Check that the account is active and has a default group.",
                detail=explain(error),
                code="no-session",
            ) from None
        return str(made.uuid.val)

    def _ask_service(self, question: Callable[[Any], T]) -> T:
        client = self._logged_in()
        try:
            return question(client)
        except DEAD:
            # The session was ended or the connection lost since its last use: once more with a new one.
            self._forget(client)
        return question(self._logged_in())

    def _logged_in(self) -> Any:
        with self._lock:
            if self._service is None:
                password = self.server.password()
                if not password:
                    raise _no_password(self.server.user)
                with ExitStack() as undo:
                    client = self.new_client()
                    undo.callback(hang_up, client)
                    client.createSession(self.server.user, password)
                    undo.pop_all()
                self._service = client
            return self._service

    def _forget(self, client: Any) -> None:
        with self._lock:
            if self._service is client:
                self._service = None
        hang_up(client)

    def new_client(self) -> Any:
        """A client that is not connected yet. Whoever asks closes it."""
        server = self.server
        properties = {
            "Ice.Override.ConnectTimeout": str(int(server.connect_wait * 1000)),
            "Ice.Default.InvocationTimeout": str(int(server.call_wait * 1000)),
        }
        if not server.secure:
            properties["Ice.Default.Router"] = f"OMERO.Glacier2/router:tcp -p {server.port} -h {server.host}"
        client = omero.client(host=server.host, port=server.port, pmap=properties)
        client.setAgent(AGENT)
        return client


def _no_password(user: str) -> OperatorError:
    return OperatorError(
        f"There is no password for dropwatch's service account {user} in OMERO.",
        concerns="omero",
        remedy="Put it into omero.password_file, or into DROPWATCH_OMERO_PASSWORD.",
        code="no-password",
    )


def _check(person: Person, group: str | None) -> None:
    if not person.active:
        raise OperatorError(
            f"The account {person.name} in OMERO is not active.",
            concerns="user",
            remedy="Activate it in OMERO.web, or remove the drop folder.",
            code="inactive-user",
        )
    if group is not None and group not in person.groups:
        raise PermanentError(
            f"{person.name} is not a member of the OMERO group {group}.",
            remedy=f"Use one of {', '.join(person.groups) or 'none'}, or ask the owner of the group.",
            code="not-a-member",
        )


def _unknown(name: str, detail: str) -> OperatorError:
    return OperatorError(
        f"OMERO knows nobody called {name}.",
        concerns="user",
        remedy="Create the account in OMERO, or name the right one in the configuration (users: omero).",
        detail=detail,
        code="unknown-user",
    )
