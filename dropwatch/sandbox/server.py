"""The sandbox: an OMERO server and a mail server on the loopback, with their state below one folder.

How a client finds it: plain TCP at ``omero_port``, so ``omero.client`` needs a router of its own::

    omero.client(host="127.0.0.1", port=PORT, pmap={
        "Ice.Default.Router": f"OMERO.Glacier2/router:tcp -p {PORT} -h 127.0.0.1"})

or, in short, ``omero.client(host=f"tcp://127.0.0.1:{PORT}")``. TLS with a self-signed certificate is at
``omero_tls_port``; there ``omero.client(host="127.0.0.1", port=TLS_PORT)`` is enough, and so is ``omero login -s
127.0.0.1 -p TLS_PORT -u alice``. ``FOLDER/ports.json`` tells all ports.

Trouble on order, section ``omero`` of ``FOLDER/faults.yaml`` (see faults.py; for ``smtp`` see smtp.py):
``refuse: true`` nobody gets in or is answered; ``busy: n`` logins and importFileset; ``internal: n`` and
``disk_full: true`` importFileset (``disk_full`` writing too); ``expire: n`` the session is gone at
importFileset or a write; ``drop_after_bytes: n`` the connection is cut; ``checksum: n`` verifyUpload, or saving an
attachment, finds a difference; ``lose_reply: n`` imported, and the client cut off; ``lose_saved: n`` the same
after IUpdate.saveAndReturnObject, ``lose_closed: n`` after closing a raw file store; ``slow_upload: 5s`` after
a file's first block, ``slow_after_verify: 30s``; ``hold_upload: true`` after each block, and ``hold_after_verify:
true``, for as long as they are set.

Only this module puts the parts together.
"""

from __future__ import annotations

import gc
import json
import signal
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

import Glacier2
import Ice
import omero
import omero.api
import omero.grid

from dropwatch.sandbox.accounts import GROUPS, USERS
from dropwatch.sandbox.certificate import self_signed
from dropwatch.sandbox.containers import ContainerService
from dropwatch.sandbox.deletion import submitter
from dropwatch.sandbox.faults import Faults
from dropwatch.sandbox.handles import Works
from dropwatch.sandbox.journal import Journal
from dropwatch.sandbox.queries import QueryService
from dropwatch.sandbox.rawfiles import RawFiles
from dropwatch.sandbox.readers import bio_formats
from dropwatch.sandbox.router import ROUTER, Client, Clients, Opened, Router
from dropwatch.sandbox.services import AdminService, ConfigService, Opener, ServiceFactory, SessionService
from dropwatch.sandbox.sessions import Session, Sessions
from dropwatch.sandbox.shared import Shared
from dropwatch.sandbox.smtp import MailServer
from dropwatch.sandbox.store import Store, insert
from dropwatch.sandbox.thumbnails import ThumbnailStore
from dropwatch.sandbox.update import UpdateService
from dropwatch.sandbox.uploads import ManagedRepository, Processes
from dropwatch.sandbox.wire import Wire, communicator

_TICK = 0.05  #: seconds between two looks at the fault "refuse" and at idle sessions


class Sandbox:
    """Both servers below *folder*. Port 0 is any free one; it is kept in the folder and used again if free.

    start() after stop() is a restart: data stay, sessions and running imports are lost. *clock* tells the seconds
    after which sessions end.
    """

    def __init__(
        self,
        folder: Path,
        *,
        omero_port: int = 0,
        smtp_port: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._asked = {"omero": omero_port, "smtp": smtp_port, "omero-tls": 0}
        self._ports: dict[str, int] = {}
        self._faults = Faults(folder / "faults.yaml")
        self._omero: _Omero | None = None
        self._mail: MailServer | None = None

    @property
    def omero_port(self) -> int:
        return self._ports["omero"]

    @property
    def omero_tls_port(self) -> int:
        return self._ports["omero-tls"]

    @property
    def smtp_port(self) -> int:
        return self._ports["smtp"]

    def start(self) -> None:
        """Listen. Raises OSError when a port that was asked for is in use, OperatorError without Bio-Formats."""
        self._folder.mkdir(parents=True, exist_ok=True)
        ports = self._folder / "ports.json"
        kept = json.loads(ports.read_text()) if ports.exists() else {}
        wanted = {name: port or kept.get(name, 0) for name, port in self._asked.items()}
        self._omero = _Omero(self._folder / "omero", self._faults, self._clock)
        try:
            self._ports = self._omero.start(wanted, fixed=bool(self._asked["omero"]))
            self._mail = self._start_mail(wanted["smtp"])
        except BaseException:
            self.stop()
            raise
        self._ports["smtp"] = self._mail.port
        ports.write_text(json.dumps(self._ports))

    def stop(self) -> None:
        """Go down as a server that is switched off: nobody is told, running imports are lost."""
        if self._omero:
            self._omero.stop()
        if self._mail:
            self._mail.stop()
        self._omero = self._mail = None

    def _start_mail(self, port: int) -> MailServer:
        server = MailServer(self._folder, port, self._faults)
        try:
            server.start()
        except OSError:
            if self._asked["smtp"] or not port:
                raise
            server = MailServer(self._folder, 0, self._faults)
            server.start()
        return server


def serve(folder: Path, omero_port: int = 0, smtp_port: int = 0) -> None:
    """Run the sandbox until SIGTERM or SIGINT; say on standard output when both servers listen."""
    asked_to_stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked_to_stop.set())
    sandbox = Sandbox(folder, omero_port=omero_port, smtp_port=smtp_port)
    sandbox.start()
    # Each time that Java collects its garbage, Python must; OMERO's hundred thousand objects never go.
    gc.freeze()
    print(f"ready omero=127.0.0.1:{sandbox.omero_port} smtp=127.0.0.1:{sandbox.smtp_port}", flush=True)
    try:
        # With a time limit, or Windows would not deliver Ctrl-C while we wait.
        while not asked_to_stop.wait(1.0):
            pass
    finally:
        sandbox.stop()


class _Omero:
    """The OMERO half, below *folder*."""

    def __init__(self, folder: Path, faults: Faults, clock: Callable[[], float]) -> None:
        formats = bio_formats()
        self._ice = communicator(_identity(folder))
        store = Store(folder / "omero.db")
        _name_database(store)
        _write_accounts(store)
        wire = Wire(self._ice)
        self._shared = Shared(
            store=store,
            sessions=Sessions(clock, wire.remove_category),
            faults=faults,
            wire=wire,
            repository=folder / "ManagedRepository",
            journal=Journal(folder / "imports.jsonl", store),
            formats=formats,
            stopping=Event(),
            works=Works(),
        )
        self._endpoints: dict[str, int] = {}
        self._processes = Processes()
        self._housekeeping = Thread(target=self._keep_house, name="sandbox-housekeeping", daemon=True)

    def start(self, wanted: dict[str, int], *, fixed: bool) -> dict[str, int]:
        """Listen; the ports. *fixed*: the OMERO port was asked for, another one will not do."""
        shared = self._shared
        shared.repository.mkdir(parents=True, exist_ok=True)
        shared.journal.repair()
        clients = Clients(shared)
        router = Router(shared, clients, lambda client: self._factory(clients, client))
        shared.wire.add(*ROUTER, Glacier2.Router, router, clients.check_door)
        self._endpoints["omero"] = self._listen("tcp", wanted["omero"], fixed)
        self._endpoints["omero-tls"] = self._listen("ssl", wanted["omero-tls"], fixed=False)
        self._housekeeping.start()
        return dict(self._endpoints)

    def stop(self) -> None:
        self._shared.stopping.set()
        if self._housekeeping.is_alive():
            self._housekeeping.join()
        self._shared.wire.shut()
        self._shared.works.stop()
        self._shared.sessions.end_all()
        self._ice.destroy()
        self._shared.store.close()

    def _listen(self, protocol: str, port: int, fixed: bool) -> int:
        try:
            return self._shared.wire.listen(f"{protocol} -h 127.0.0.1 -p {port}")
        except Ice.SocketException as error:
            if fixed or not port:
                raise OSError(error.error, f"port {port} of 127.0.0.1 is in use") from error
            return self._shared.wire.listen(f"{protocol} -h 127.0.0.1 -p 0")

    def _keep_house(self) -> None:
        """End idle sessions; be unreachable while the fault "refuse" is set."""
        reachable = True
        while not self._shared.stopping.wait(_TICK):
            self._shared.sessions.reap()
            refuse = bool(self._shared.faults.get("omero").get("refuse"))
            if refuse and reachable:
                self._shared.wire.shut()
                reachable = False
            elif not refuse and not reachable:
                self._listen("tcp", self._endpoints["omero"], fixed=True)
                self._listen("ssl", self._endpoints["omero-tls"], fixed=True)
                reachable = True

    def _factory(self, clients: Clients, client: Client) -> ServiceFactory:
        shared, api, port = self._shared, omero.api, self._endpoints["omero"]

        def repositories(session: Session) -> Opened:
            repository = ManagedRepository(shared, clients, session, self._processes)
            resources = _SharedResources(clients, session, repository)
            return omero.grid.SharedResources, omero.grid.SharedResourcesPrx, resources

        services: dict[str, Opener] = {
            "getConfigService": lambda session: (api.IConfig, api.IConfigPrx, ConfigService(shared, port)),
            "getSessionService": lambda session: (
                api.ISession,
                api.ISessionPrx,
                SessionService(shared, session),
            ),
            "getAdminService": lambda session: (api.IAdmin, api.IAdminPrx, AdminService(session)),
            "getQueryService": lambda session: (api.IQuery, api.IQueryPrx, QueryService(shared, session)),
            "getContainerService": lambda session: (
                api.IContainer,
                api.IContainerPrx,
                ContainerService(shared, session),
            ),
            "getUpdateService": lambda session: (api.IUpdate, api.IUpdatePrx, UpdateService(shared, session)),
            "sharedResources": repositories,
        }
        fresh: dict[str, Opener] = {
            "createRawFileStore": lambda session: (
                api.RawFileStore,
                api.RawFileStorePrx,
                RawFiles(shared, session),
            ),
            "createThumbnailStore": lambda session: (
                api.ThumbnailStore,
                api.ThumbnailStorePrx,
                ThumbnailStore(shared, session),
            ),
        }
        return ServiceFactory(clients, client, services, fresh, submitter(shared, clients))


class _SharedResources:
    """omero.grid.SharedResources: where the managed repository is found."""

    def __init__(self, clients: Clients, session: Session, repository: ManagedRepository) -> None:
        self._clients = clients
        self._session = session
        self._repository = repository

    def repositories(self, current: Any) -> Any:
        kinds = omero.grid.ManagedRepository, omero.grid.ManagedRepositoryPrx
        found = self._clients.give(self._session, "repository", (*kinds, self._repository), current)
        return omero.grid.RepositoryMap([self._repository.root(current)], [found])


def _identity(folder: Path) -> Path:
    """Certificate and key in one file, as Ice wants them."""
    certificate, key, both = folder / "certificate.pem", folder / "key.pem", folder / "identity.pem"
    self_signed(certificate, key)
    both.touch(mode=0o600)
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return both


def _name_database(store: Store) -> None:
    """Each sandbox has a database of its own name, for good."""
    with store.transaction() as db:
        db.execute("insert or ignore into meta values ('database', ?)", (str(uuid.uuid4()),))


def _write_accounts(store: Store) -> None:
    """The accounts as tables, for queries."""
    with store.transaction() as db:
        for table in ("experimenter", "experimentergroup", "membership"):
            db.execute(f"delete from {table}")
        for user in USERS:
            names = {"name": user.name, "first_name": user.first_name, "last_name": user.last_name}
            insert(db, "experimenter", id=user.id, email=user.email, **names)
            for group in user.memberships:
                insert(db, "membership", user=user.id, grp=group.id)
        for group in GROUPS:
            insert(db, "experimentergroup", id=group.id, name=group.name)
