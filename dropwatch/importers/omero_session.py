"""One open session in OMERO: the services the importer needs, and questions with bound parameters.

Whatever OMERO or Ice throws comes out as it is; whoever uses a session sorts it (omero_errors). A session
is used by one thread at a time; only its keep-alive, and the blocks of an upload, come from others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, suppress
from functools import cached_property
from threading import Event
from typing import Any

import omero
import omero.clients
import omero.model
import omero.sys
from omero.constants import CLIENTUUID
from omero.rtypes import rlist, rlong, rstring, unwrap

from dropwatch.importers.omero_errors import WIRE, refuses
from dropwatch.importers.omero_queries import ALL_GROUPS, NAMES_IN_A_PAGE

Bound = int | str | Sequence[int] | Sequence[str]
Row = list[Any]

_LAST_REFERENCES = 8  # closeSession counts down; nobody but us should hold more


class Session:
    """A session of *owner* (Experimenter *owner_id*) in *group*.

    closing    -- set when the importer is being closed: what waits gives up
    join       -- opens another client to a session by its key, as the client with this id ("": a new one)
    email      -- the owner's address, or None
    unfinished -- keys of imports that may go on in the server: they must not be ended with the session
    hung_up    -- it has no connection any more
    """

    def __init__(
        self,
        client: Any,
        *,
        owner: str,
        owner_id: int,
        group: str,
        group_id: int,
        email: str | None,
        closing: Event,
        join: Callable[[str, str], Any],
    ) -> None:
        self.client = client
        self.factory = client.getSession()
        self._key = str(client.getSessionId())
        self._client_id = str(client.getImplicitContext().get(CLIENTUUID))
        self.owner = owner
        self.owner_id = owner_id
        self.group = group
        self.group_id = group_id
        self.email = email
        self.closing = closing
        self._join = join
        self.unfinished: set[tuple[str, str]] = set()
        self.hung_up = False
        self._left: list[Any] = []

    # -- other connections -----------------------------------------------------------------------------

    def cut(self) -> None:
        """Close the connection, which is broken or does not answer; rejoin() or hang_up() follows."""
        self.hung_up = True
        with suppress(*WIRE):
            connection = self.factory.ice_getCachedConnection()
            if connection is not None:
                connection.close(True)

    def rejoin(self) -> None:
        """Go on through a new connection. Raises what OMERO throws."""
        client = self._join(self._key, self._client_id)
        for service in ("query", "update", "repository"):
            self.__dict__.pop(service, None)
        # Not destroyed at once: other threads may be about to call through it.
        self._left.append(self.client)
        self.factory = client.getSession()
        self.client = client
        self.hung_up = False

    def forget_left(self) -> None:
        """Destroy what was left for another connection. No other thread uses it any more."""
        left, self._left = self._left, []
        for client in left:
            hang_up(client)

    def living(self, keys: Collection[str]) -> list[str]:
        """Those of *keys* that are sessions of the same owner and still live, this one among them.

        The server names those that the same admin opened (omero-server SessionManagerImpl.findSameUser).
        """
        if not set(keys) - {self._key}:
            return list(keys)
        opened = self.factory.getSessionService().getMyOpenSessions()
        return [key for key in keys if key in {each.uuid.val for each in opened}]

    def reached(self, key: str, proxies: Sequence[Any], visits: ExitStack) -> list[Any]:
        """*proxies* of the session with *key*, to be called until *visits* ends; none if it ended just now."""
        if key == self._key:
            return list(proxies)
        try:
            client = self._join(key, "")
        except WIRE as error:
            if not refuses(error):
                raise
            return []
        visits.callback(log_out, client)
        return [through(client, proxy) for proxy in proxies]

    # Each of these is asked for once: it costs the server a servant and us a round trip.

    @cached_property
    def query(self) -> Any:
        return self.factory.getQueryService()

    @cached_property
    def update(self) -> Any:
        return self.factory.getUpdateService()

    @cached_property
    def repository(self) -> Any:
        """The managed repository. Raises omero.ResourceError when the server offers none."""
        found = self.client.getManagedRepository()
        if found is None:
            raise omero.ResourceError(message="the server offers no managed repository")
        return found

    @cached_property
    def algorithms(self) -> tuple[str, ...]:
        """Names of the checksum algorithms that the repository takes, in the server's order of preference."""
        return tuple(offered.value.val for offered in self.repository.listChecksumAlgorithms())

    def ask(
        self, question: str, *, everywhere: bool = False, limit: int | None = None, **bound: Bound
    ) -> list[Row]:
        """The rows that answer *question* (omero_queries), as plain values, the first *limit* of them.

        everywhere -- in all groups
        """
        parameters = omero.sys.ParametersI()
        if limit is not None:
            parameters.page(0, limit)
        for name, value in bound.items():
            parameters.add(name, _rtype(value))
        context = dict(ALL_GROUPS) if everywhere else {}
        rows: list[Row] = unwrap(self.query.projection(question, parameters, context))
        return rows

    def ask_in_pages(
        self,
        question: str,
        page: str,
        values: Sequence[int] | Sequence[str],
        *,
        everywhere: bool = False,
        **bound: Bound,
    ) -> list[Row]:
        """Like ask(), with *values* bound to *page* some at a time. No values, no question."""
        starts = range(0, len(values), NAMES_IN_A_PAGE)
        pages = [values[start : start + NAMES_IN_A_PAGE] for start in starts]
        return [
            row
            for part in pages
            for row in self.ask(question, everywhere=everywhere, limit=None, **bound, **{page: part})
        ]

    def end(self) -> None:
        """Log out. The session ends too, unless an import goes on in it; then it ends when it is idle."""
        with suppress(*WIRE):
            if not self.unfinished:
                end_references(self.client)
        log_out(self.client)

    def hang_up(self) -> None:
        """Leave without a word to a server that may not answer; the session ends when it is idle."""
        self.hung_up = True
        hang_up(self.client)


def through(client: Any, proxy: Any) -> Any:
    """*proxy*, to be called through the connection of *client*."""
    return type(proxy).uncheckedCast(client.getCommunicator().stringToProxy(str(proxy)))


def end_references(client: Any) -> None:
    """End the session of *client* in the server, whoever else refers to it.

    A session made by createSessionWithTimeouts starts with one reference that nobody gives back
    (omero-server SessionManagerImpl.createSession), so logging out alone would leave it until it is idle.
    """
    service = client.getSession().getSessionService()
    session = omero.model.SessionI()
    session.uuid = rstring(client.getSessionId())
    for _ in range(_LAST_REFERENCES):
        if service.closeSession(session) <= 0:
            return


def log_out(client: Any) -> None:
    """Close the connection politely. Never raises."""
    with suppress(*WIRE):
        communicator = client.getCommunicator()
        router = communicator.getDefaultRouter()
        communicator.setDefaultRouter(type(router).uncheckedCast(router.ice_invocationTimeout(5000)))
    with suppress(*WIRE):
        client.closeSession()


def hang_up(client: Any) -> None:
    """Close the connection without a word to a server that may not answer. Never raises."""
    with suppress(*WIRE):
        # Without a router closeSession has nobody to tell; it destroys the communicator all the same.
        client.getCommunicator().setDefaultRouter(None)
    with suppress(*WIRE):
        client.closeSession()


def _rtype(value: Bound) -> Any:
    if isinstance(value, int):
        return rlong(value)
    if isinstance(value, str):
        return rstring(value)
    return rlist([_rtype(one) for one in value])
