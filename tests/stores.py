"""The image stores that the contract of an importer is tried on, each looked into from outside the importer.

A store that is shared with others (a real OMERO server) is left as it was found: what a story made there is
removed by its own marks, the ids of its batches and the names of its datasets.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from dropwatch.importers.base import Importer
from dropwatch.importers.folder import FolderImporter
from dropwatch.importers.folder_index import Index
from dropwatch.model import Order

VARIABLE = "DROPWATCH_TEST_OMERO"  #: host[:port] of a real server; the others begin with it


class Store(Protocol):
    """owner -- somebody whom images may be imported for; group -- None: the owner's default group"""

    owner: str
    group: str | None

    def connect(self) -> Importer:
        """A new importer. Whoever asks closes it."""
        ...

    def held(self, order: Order) -> int:
        """How many filesets of the batch there are, half ones included."""
        ...

    def password(self) -> str | None:
        """The owner's own; None where the store knows none, or this test does not."""
        ...

    def targets(self, order: Order) -> int:
        """How many datasets there are of the name that *order* wants."""
        ...

    def remove(self, orders: Sequence[Order]) -> None:
        """Remove whatever is there of these batches, their datasets and tags too."""
        ...


class FolderStore:
    owner, group = "alice", None

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        (root / ".dropwatch-archive").touch()

    def connect(self) -> Importer:
        return FolderImporter(self.root)

    def password(self) -> str | None:
        return None

    def held(self, order: Order) -> int:
        return len(Index(self.root).of_batch(order.owner, order.batch))

    def targets(self, order: Order) -> int:
        return len(list((self.root / order.owner).glob(str(order.target.name))))

    def remove(self, orders: Sequence[Order]) -> None:
        pass  # it goes with the story's own folder


class OmeroStore:
    """The native importer and its server; *settings* are what OmeroImporter takes.

    shared -- others use the server too, so nothing may stay
    """

    def __init__(self, owner: str, group: str | None, shared: bool, **settings: Any) -> None:
        self.owner, self.group, self._shared = owner, group, shared
        self._settings = settings

    def connect(self) -> Importer:
        from dropwatch.importers.omero import OmeroImporter

        return OmeroImporter(**self._settings)

    def password(self) -> str | None:
        file = os.environ.get(f"{VARIABLE}_OWNER_PASSWORD_FILE")
        return self.owner if not self._shared else Path(file).read_text("utf-8").strip() if file else None

    def held(self, order: Order) -> int:
        from dropwatch.importers import omero_inventory

        with self._session(order) as session:
            return len(omero_inventory.look(session, order.batch))

    def targets(self, order: Order) -> int:
        with self._session(order) as session:
            return len(self._datasets(session, order))

    def remove(self, orders: Sequence[Order]) -> None:
        if not self._shared:
            return
        for order in orders:
            with self._session(order) as session:
                self._remove_images(session, order)
        for order in orders:
            with self._session(order) as session:
                self._remove_rest(session, order)

    def _remove_images(self, session: Any, order: Order) -> None:
        from dropwatch.importers import omero_handles, omero_inventory

        omero_handles.delete_filesets(session, [one.id for one in omero_inventory.look(session, order.batch)])

    def _remove_rest(self, session: Any, order: Order) -> None:
        """What is still there when the images have gone: a dataset takes all along that is in it."""
        from dropwatch.importers import omero_attachments
        from dropwatch.importers import omero_queries as queries

        if order.target.name is not None:
            _delete(session, "Dataset", self._datasets(session, order))
        attached = omero_attachments.take_stock(session, order.batch).values()
        _delete(session, "FileAnnotation", [one.annotation for one in attached])
        if order.tags:
            rows = session.ask(queries.TAGS_BY_NAME, owner=session.owner_id, names=list(order.tags))
            _delete(session, "TagAnnotation", [row[0] for row in rows])

    @contextmanager
    def _session(self, order: Order) -> Iterator[Any]:
        from dropwatch.importers.omero_login import Login, Server

        login = Login(Server(**self._settings))
        session = login.open(order.owner, order.group)
        try:
            yield session
        finally:
            session.end()
            login.close()

    def _datasets(self, session: Any, order: Order) -> list[int]:
        from dropwatch.importers import omero_queries as queries

        rows = session.ask(queries.DATASETS_BY_NAME, owner=session.owner_id, name=order.target.name)
        return [row[0] for row in rows]


class OmeroCliStore(OmeroStore):
    """The same server, reached by `omero import`: *program* says how to call it."""

    def __init__(self, program: Any, owner: str, group: str | None, **settings: Any) -> None:
        super().__init__(owner, group, **settings)
        self._program = program

    def connect(self) -> Importer:
        from dropwatch.importers.omero_cli import OmeroCliImporter

        return OmeroCliImporter(self._program, lambda order: None, **self._settings)


def _delete(session: Any, kind: str, ids: list[int]) -> None:
    import omero.cmd

    from dropwatch.importers.omero_handles import run

    if ids:
        run(session, omero.cmd.Delete2(targetObjects={kind: ids}), "a test was being cleaned up after")


def sandbox_store(sandbox: Any) -> OmeroStore:
    return OmeroStore("alice", None, shared=False, **_of_sandbox(sandbox))


def stand_in_store(sandbox: Any, folder: Path) -> OmeroStore:
    """The sandbox, by a stand-in for `omero import` that is put below *folder*."""
    from stand_in_omero import stand_in

    program = stand_in(folder, trouble="slow")
    return OmeroCliStore(program, "alice", None, shared=False, **_of_sandbox(sandbox))


def _of_sandbox(sandbox: Any) -> dict[str, Any]:
    return {
        "host": "127.0.0.1", "port": sandbox.server.omero_port, "secure": False,
        "user": "dropwatch", "password": lambda: "dropwatch",
    }  # fmt: skip


def real_store(environ: Mapping[str, str] = os.environ) -> OmeroStore:
    """The server that the environment names; README says how."""
    return OmeroStore(**_named(environ))


def real_cli_store(folder: Path, environ: Mapping[str, str] = os.environ) -> OmeroStore:
    """The same server, by the `omero` in the PATH and the OMERO.java that the environment names."""
    from dropwatch.importers.omero_cli_program import Program

    program = Program("omero", Path(environ[f"{VARIABLE}_CLIENTDIR"]), (), environ, folder)
    return OmeroCliStore(program, **_named(environ))


def _named(environ: Mapping[str, str]) -> dict[str, Any]:
    """DROPWATCH_TEST_OMERO=host[:port], and with _USER, _PASSWORD_FILE, _OWNER, _GROUP appended: the service account
    and the file with its password, whom to import for, and in which group (their default group if not given).
    _OWNER_PASSWORD_FILE: to sign in as that person."""
    host, _, port = environ[VARIABLE].partition(":")
    file = Path(environ[f"{VARIABLE}_PASSWORD_FILE"])
    return {
        "owner": environ[f"{VARIABLE}_OWNER"],
        "group": environ.get(f"{VARIABLE}_GROUP") or None,
        "shared": True,
        "host": host,
        "port": int(port or 4064),
        "secure": True,
        "user": environ.get(f"{VARIABLE}_USER", "dropwatch"),
        "password": lambda: file.read_text("utf-8").strip(),
    }
