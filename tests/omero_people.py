"""People with a real omero.client, and how they import: for tests of the sandbox's OMERO server."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import Glacier2
import Ice
import omero
import omero.clients
import omero.grid
from omero.rtypes import rlist, rlong, rstring, unwrap

from dropwatch.importers import omero_queries
from tests.conftest import Running

ALICE, BOB = 4, 5
EVERYWHERE = {"omero.group": "-1"}
ANSWERED = 90.0  # seconds within which the sandbox must have done whatever we wait for
GONE = (Ice.LocalException, Glacier2.SessionNotExistException, omero.ServerError)


class Person:
    """Somebody with an omero.client."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.sf = client.getSession()

    @property
    def repository(self) -> Any:
        return self.client.getManagedRepository()

    def ask(self, hql: str, **values: Any) -> list[list[Any]]:
        parameters = omero.sys.ParametersI()
        for name, value in values.items():
            parameters.add(name, rtype(value))
        return list(unwrap(self.sf.getQueryService().projection(hql, parameters, EVERYWHERE)))

    def batch(self, batch: str, owner: int = ALICE) -> list[list[Any]]:
        """Fileset, first client path, image, image name: one row for each image."""
        return self.ask(omero_queries.FILESETS_OF_BATCH, owner=owner, prefix=f"dropwatch/{batch}/%")

    def make(self, thing: Any, name: str) -> int:
        thing.name = rstring(name)
        return int(self.sf.getUpdateService().saveAndReturnObject(thing).id.val)


def rtype(value: Any) -> Any:
    if isinstance(value, list):
        return rlist([rtype(each) for each in value])
    return rlong(value) if isinstance(value, int) else rstring(value)


MADE: list[Any] = []  #: clients, also those whose login was refused: their communicators have to be destroyed


def end_every_client() -> None:
    while MADE:
        with suppress(*GONE):
            MADE.pop().closeSession()


def new_client(port: int) -> Any:
    MADE.append(omero.client(host=f"tcp://127.0.0.1:{port}"))
    return MADE[-1]


@contextmanager
def logged_in(port: int, name: str, password: str | None = None, **pmap: str) -> Iterator[Person]:
    client = new_client(port)
    for key, value in pmap.items():
        client.getImplicitContext().put(key.replace("_", "."), value)
    try:
        client.createSession(name, password or name)
        yield Person(client)
    finally:
        with suppress(*GONE):
            client.closeSession()


def fileset(*client_paths: str) -> Any:
    made = omero.model.FilesetI()
    for path in client_paths:
        entry = omero.model.FilesetEntryI()
        entry.clientPath = rstring(path)
        made.addFilesetEntry(entry)
    made.linkJob(omero.model.UploadJobI())
    return made


def settings(
    algorithm: str = "SHA1-160", target: Any = None, annotations: Any = None, name: str | None = None
) -> Any:
    made = omero.grid.ImportSettings()
    made.checksumAlgorithm = omero.model.ChecksumAlgorithmI()
    made.checksumAlgorithm.value = rstring(algorithm)
    made.userSpecifiedTarget = target
    made.userSpecifiedName = rstring(name) if name else None
    made.userSpecifiedAnnotationList = annotations
    return made


def upload(process: Any, index: int, content: bytes) -> str:
    """Send *content* in two blocks; its SHA-1."""
    uploader = process.getUploader(index)
    uploader.write(b"", 0, 0)
    half = len(content) // 2
    uploader.write(content[:half], 0, half)
    uploader.write(content[half:], half, len(content) - half)
    uploader.close()
    return hashlib.sha1(content).hexdigest()


def begin(person: Person, file: Path, batch: str = "b1", target: Any = None, **more: Any) -> Any:
    """The whole of an import of one file but its end: a handle."""
    return begin_all(person, file.parent, [file.name], batch, target, **more)


def begin_all(
    person: Person, folder: Path, names: list[str], batch: str = "b1", target: Any = None, **more: Any
) -> Any:
    """The same for a fileset of *names* below *folder*; the first is the one that the server opens."""
    paths = [f"dropwatch/{batch}/f1/{name}" for name in names]
    process = person.repository.importFileset(fileset(*paths), settings(target=target, **more))
    sent = [upload(process, index, (folder / name).read_bytes()) for index, name in enumerate(names)]
    return process.verifyUpload(sent)


def response(handle: Any) -> Any:
    """The handle's answer, once there is one."""
    wait_for(lambda: handle.getResponse() is not None)
    return handle.getResponse()


def wait_for(true: Callable[[], object]) -> None:
    end = time.monotonic() + ANSWERED
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def told(sandbox: Running) -> list[dict[str, Any]]:
    path = sandbox.folder / "omero" / "imports.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
