"""Imports into OMERO over Ice, as the person a batch belongs to: the contract of base.py, kept with omero-py.

Only this room (omero*.py) and the sandbox speak Ice. It was written against omero-py 5.23 and the sources of
omero-blitz 5.8, omero-server and omero-model; the modules beside this one name theirs.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

from dropwatch.importers import omero_attachments as attachments
from dropwatch.importers import omero_duplicates as duplicates
from dropwatch.importers import omero_inventory as inventory
from dropwatch.importers import omero_targets as targets
from dropwatch.importers import omero_tidying as tidying
from dropwatch.importers.base import Account, Finding
from dropwatch.importers.omero_attachments import Attacher
from dropwatch.importers.omero_doctor import Doctor
from dropwatch.importers.omero_handles import delete_containers, delete_filesets
from dropwatch.importers.omero_keeper import Keeper
from dropwatch.importers.omero_line import Line
from dropwatch.importers.omero_login import Login, Server
from dropwatch.importers.omero_people import Person
from dropwatch.importers.omero_process import Carrier
from dropwatch.importers.omero_sending import Reporter
from dropwatch.importers.omero_session import Session
from dropwatch.importers.omero_sign_in import sign_in
from dropwatch.importers.omero_thumbnails import thumbnails
from dropwatch.importers.omero_tree import containers
from dropwatch.model import (
    Answers,
    Attached,
    Attachment,
    Container,
    Fileset,
    Imported,
    Order,
    Progress,
    Running,
    Skipped,
    Tidied,
    Tree,
)

_REMEMBERED = 256  # containers we made, for discard()


class OmeroImporter:
    """An Importer for one OMERO server; close() it.

    host, port, secure, user -- the server and the service account (not secure: plain TCP, the sandbox)
    password -- called for each login of the service account
    idle     -- seconds after which OMERO may end an unused session; each is kept alive four times as often
    connect_wait, call_wait -- seconds that connecting, and one call, may take
    reconnect -- seconds that a connection lost in mid-upload is given to come back
    patience -- seconds that the server may work on one fileset after its upload
    clock, wall_clock -- seconds that only ever grow; seconds since 1970
    """

    def __init__(
        self,
        host: str,
        port: int,
        secure: bool,
        user: str,
        password: Callable[[], str | None],
        *,
        idle: float = 600.0,
        connect_wait: float = 10.0,
        call_wait: float = 120.0,
        reconnect: float = 60.0,
        patience: float = 43200.0,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._server = Server(host, port, secure, user, password, idle, connect_wait, call_wait)
        self._login = Login(self._server)
        self._keeper = Keeper(self._login, clock)
        self._reconnect = reconnect
        self._patience = patience
        self._clock = clock
        self._wall_clock = wall_clock
        self._made: deque[tuple[str, Container]] = deque(maxlen=_REMEMBERED)

    def ask(self, order: Order, filesets: Sequence[Fileset]) -> Answers:
        """See base.Importer.ask."""
        with self._keeper.session(order.owner, order.group, f"it was asked about {order.source}") as session:
            container = self._container(session, order)
            files = [one for one in filesets if isinstance(one, Attachment)]
            images = [one for one in filesets if not isinstance(one, Attachment)]
            found = {
                **_found(session, order, container, images),
                **_found_attached(session, order, container, files),
            }
            return Answers(container, session.email, session.group, found)

    def _container(self, session: Session, order: Order) -> Container:
        container = targets.resolve(session, order.target)
        if container.created:
            self._made.append((order.batch, container))
        return container

    def import_(
        self,
        order: Order,
        fileset: Fileset,
        answers: Answers,
        *,
        progress: Callable[[Progress], None],
        stopped: Callable[[], bool],
    ) -> Imported:
        """See base.Importer.import_."""
        doing = f"{fileset.name} was being imported"
        with self._line(order, doing, stopped) as line:
            return Carrier(
                line=line,
                order=order,
                fileset=fileset,
                container=answers.container,
                progress=progress,
                stopped=stopped,
                call_wait=self._server.call_wait,
                patience=self._patience,
                clock=self._clock,
            ).carry()

    def attach(
        self,
        order: Order,
        attachment: Attachment,
        answers: Answers,
        *,
        progress: Callable[[Progress], None],
        stopped: Callable[[], bool],
    ) -> Attached:
        """See base.Importer.attach."""
        doing = f"{attachment.name} was being attached"
        with self._line(order, doing, stopped) as line:
            return Attacher(
                line=line,
                order=order,
                attachment=attachment,
                container=answers.container,
                reporter=Reporter(progress, self._clock),
                stopped=stopped,
                call_wait=self._server.call_wait,
            ).attach()

    @contextmanager
    def _line(self, order: Order, doing: str, stopped: Callable[[], bool]) -> Iterator[Line]:
        opening = self._keeper.session(order.owner, order.group, doing)
        with opening as session, closing(Line(session, stopped, self._reconnect, self._clock)) as line:
            yield line

    def tidy(self, owner: str, keep: Collection[str], older: float) -> Tidied:
        """See base.Importer.tidy."""
        with self._keeper.session(owner, None, "what is left of broken imports was looked for") as session:
            return tidying.tidy(session, keep, older)

    def account(self, owner: str) -> Account:
        """See base.Importer.account."""
        return _account(self._login.person(owner))

    def accounts(self) -> list[Account]:
        """See base.Importer.accounts."""
        return [_account(person) for person in self._login.people()]

    def containers(self, owner: str, group: str | None) -> Tree:
        """See base.Importer.containers."""
        person = self._login.person(owner)
        with self._keeper.session(owner, group, f"it was asked what {owner} has") as session:
            return containers(session, person.groups)

    def thumbnails(
        self, owner: str, ids: Sequence[int], size: int, *, kind: str = "Image"
    ) -> Mapping[int, bytes]:
        """See base.Importer.thumbnails."""
        with self._keeper.session(owner, None, "pictures of images were asked for") as session:
            return thumbnails(session, kind, ids, size)

    def sign_in(self, name: str, password: str) -> Account | None:
        """See base.Importer.sign_in."""
        person = sign_in(self._login, name, password)
        return None if person is None else _account(person)

    def diagnose(self, owner: str | None) -> list[Finding]:
        """See base.Importer.diagnose."""
        return Doctor(self._login, self._keeper, self._wall_clock).examine(owner)

    def discard(self, order: Order, fileset: Fileset, imported: Imported) -> None:
        """See base.Importer.discard."""
        with self._keeper.session(
            order.owner, order.group, f"{fileset.name} was being removed again"
        ) as session:
            delete_filesets(session, [imported.fileset])
            for batch, container in list(self._made):
                if batch == order.batch and targets.is_empty(session, container):
                    delete_containers(session, container.kind, [container.id])
                    self._made.remove((batch, container))

    def close(self) -> None:
        """See base.Importer.close."""
        self._keeper.close()


def _found(
    session: Session, order: Order, container: Container, filesets: Sequence[Fileset]
) -> dict[str, Imported | Skipped | Running]:
    """What there is of *filesets*, by their ids; leftovers of the batch are gone."""
    stock = inventory.take_stock(session, order, container.kind)
    found: dict[str, Imported | Skipped | Running] = {
        one.id: stock[one.id] for one in filesets if one.id in stock
    }
    if order.duplicates == "skip":
        own = [one.fileset for one in stock.values()]
        missing = [one for one in filesets if one.id not in found]
        # Before what is there already: an import that ends in between is found there.
        found |= duplicates.find_running(session, container, order, missing)
        missing = [one for one in filesets if one.id not in found]
        found |= duplicates.find(session, container, order, missing, own)
    return found


def _found_attached(
    session: Session, order: Order, container: Container, files: Sequence[Attachment]
) -> dict[str, Attached]:
    """The same of attachments. Where there are none, nothing is asked."""
    if not files:
        return {}
    stock = attachments.take_stock(session, order.batch)
    found = {one.id: stock[one.id] for one in files if one.id in stock}
    if order.duplicates == "skip":
        missing = [one for one in files if one.id not in found]
        found |= duplicates.find_attached(session, container, order, missing)
    return found


def _account(person: Person) -> Account:
    default = person.groups[0] if person.groups else ""
    return Account(person.name, person.email, person.active, person.groups, default, person.admin)
