"""The way in: Glacier2's router and the clients that came through it.

A client is one connection with one session. When the connection goes, the client goes, as with the real
router; its session goes with the last client, or stays for its idle time (omero-blitz ``omero.cmd.SessionI``).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from threading import RLock
from typing import Any

import Glacier2
import Ice
import omero
import omero.cmd

from dropwatch.sandbox.accounts import group_with, user_named
from dropwatch.sandbox.handles import Handle, Work
from dropwatch.sandbox.sessions import Session
from dropwatch.sandbox.shared import Shared
from dropwatch.sandbox.wire import proxy, when_closed

ROUTER = ("OMERO.Glacier2", "router")

Opened = tuple[Any, Any, object]  #: Slice interface, proxy class, what answers


@dataclass
class Client:
    """A connection with its session. *stays* means that the session outlives its last client."""

    session: Session
    category: str
    connection: Any
    stays: bool = False


class Clients:
    """The connected clients."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._lock = RLock()
        self._connected: dict[str, Client] = {}

    def check(self, current: Any) -> None:
        """Before each call: the caller is connected, its session lives; it is touched.

        Raises ObjectNotExistException on a connection without a session, as Glacier2 does.
        """
        self._refuse(current)
        client = self.of(current)
        if current.id.category not in (client.category, client.session.uuid):
            # Glacier2 lets a session reach its own objects only (categories in SessionManagerI.create).
            raise Ice.ObjectNotExistException()
        self._shared.sessions.use(client.session.uuid)

    def check_user(self, current: Any) -> None:
        """Before each call of a service: as check, and the user is active (BasicMethodSecurity)."""
        self.check(current)
        session = self.of(current).session
        if not session.user.active:
            text = f"No matching roles found in [] for session {session.uuid} (allowed: [user])"
            raise omero.SecurityViolation(None, None, text)

    def give(self, session: Session, name: str, opened: Opened, current: Any) -> Any:
        """Make an object reachable as *name* for as long as *session* lives; a proxy for it."""
        interface, kind, answers = opened
        self._shared.wire.add(session.uuid, name, interface, answers, self.check_user)
        return proxy(kind, session.uuid, name, current)

    def check_door(self, current: Any) -> None:
        """Before each call of the router, which is open to strangers."""
        self._refuse(current)

    def of(self, current: Any) -> Client:
        with self._lock:
            client = self._connected.get(_key(current.con))
        if client is None:
            raise Ice.ObjectNotExistException()
        return client

    def knows(self, current: Any) -> bool:
        with self._lock:
            return _key(current.con) in self._connected

    def joined(self, session: Session, category: str) -> bool:
        """Whether the client that calls itself *category* is connected with *session*."""
        with self._lock:
            return any(
                (client.session, client.category) == (session, category)
                for client in self._connected.values()
            )

    def add(self, session: Session, current: Any) -> Client:
        """Raises WrappedCreateSessionException while the client's old connection is not known to be gone."""
        category = current.ctx.get("omero.client.uuid") or str(uuid.uuid4())
        if self.joined(session, category):
            text = f"id = session-{category}/{session.uuid}"
            raise omero.WrappedCreateSessionException(text, False, -1, "Ice.AlreadyRegisteredException")
        client = Client(session, category, current.con)
        key = _key(current.con)
        with self._lock:
            self._connected[key] = client
        session.ends.append(lambda: self._shared.wire.remove(category, session.uuid))
        current.con.setCallback(when_closed(lambda: self.leave(key)))
        return client

    def leave(self, key: str) -> None:
        """The client at *key* is gone; its session is closed or, if it stays, detached."""
        with self._lock:
            client = self._connected.pop(key, None)
        if client is None:
            return
        self._shared.wire.remove(client.category, client.session.uuid)
        if client.stays:
            self._shared.sessions.detach(client.session.uuid)
        else:
            self._shared.sessions.close(client.session.uuid)

    def leave_now(self, current: Any) -> None:
        self.leave(_key(current.con))

    def cut(self, session: Session) -> None:
        """Cut the connections of all clients of *session*, without a word."""
        with self._lock:
            cut = [client for client in self._connected.values() if client.session is session]
        for client in cut:
            client.connection.close(True)

    def _refuse(self, current: Any) -> None:
        if self._shared.fault("refuse"):
            current.con.close(True)
            raise Ice.ConnectionLostException()


def give_handle(shared: Shared, clients: Clients, session: Session, work: Work, current: Any) -> Any:
    """A HandlePrx for *work*, for as long as *session* lives or until it is closed."""
    name = str(uuid.uuid4())
    handle = Handle(work, lambda: shared.wire.remove(session.uuid, name))
    return clients.give(session, name, (omero.cmd.Handle, omero.cmd.HandlePrx, handle), current)


class Router:
    """Glacier2::Router."""

    def __init__(self, shared: Shared, clients: Clients, factory: Callable[[Client], object]) -> None:
        self._shared = shared
        self._clients = clients
        self._factory = factory

    def createSession(self, user: str, password: str, current: Any) -> Any:
        if self._shared.fault("busy"):
            text = "ConcurrencyException: the database is busy\nPlease retry in 1000ms."
            raise omero.WrappedCreateSessionException(
                text, True, 1000, "ome.conditions.DatabaseBusyException"
            )
        if self._clients.knows(current):
            raise Glacier2.CannotCreateSessionException("session exists")
        client = self._clients.add(self._session(user, password, current), current)
        wire, name = self._shared.wire, client.session.uuid
        wire.add(client.category, name, omero.api.ServiceFactory, self._factory(client), self._clients.check)
        return proxy(Glacier2.SessionPrx, client.category, name, current)

    def getCategoryForClient(self, current: Any) -> str:
        return self._clients.of(current).category

    def getClientProxy(self, current: Any) -> None:
        """None, as Glacier2 by default: the client goes on calling where it reached the router."""

    def getServerProxy(self, current: Any) -> Any:
        return proxy(Ice.ObjectPrx, *ROUTER, current)

    def addProxies(self, proxies: list[Any], current: Any) -> list[Any]:
        return []

    def getSessionTimeout(self, current: Any) -> int:
        return 600

    def getACMTimeout(self, current: Any) -> int:
        return 0

    def refreshSession(self, current: Any) -> None:
        self._clients.check(current)

    def destroySession(self, current: Any) -> None:
        self._clients.leave_now(current)

    def _session(self, user: str, password: str, current: Any) -> Session:
        """As PermissionsVerifierI and SessionManagerI: a session's uuid stands for both name and password."""
        sessions = self._shared.sessions
        joined = sessions.find(password) or sessions.find(user)
        if joined is not None:
            if user != password:
                raise Glacier2.PermissionDeniedException(
                    "username and password must be equal; use joinSession"
                )
            sessions.attach(joined)
            return joined
        known = user_named(user)
        if known is None or known.password != password:
            data = f"[id={known.id}]" if known else "[]"
            raise Glacier2.PermissionDeniedException(f"Password check failed for '{user}': {data}")
        return self._login(user, current.ctx.get("omero.group"))

    def _login(self, user: str, asked: str | None) -> Session:
        group = group_with(int(asked)) if asked and asked.isdigit() else None
        try:
            return self._shared.sessions.login(user, group.name if group else asked)
        except omero.ServerError as error:
            kind = type(error).__name__
            raise omero.WrappedCreateSessionException(error.message, False, -1, kind) from error


def _key(connection: Any) -> str:
    """Local and remote address: what tells two live connections apart."""
    return str(connection.toString())
