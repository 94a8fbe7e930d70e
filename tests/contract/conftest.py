"""For the tests of the OMERO importer: a batch, importers for the sandbox, no secret in any log, and people at it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from omero_people import Person
    from orders import Batch

    from dropwatch.importers.omero import OmeroImporter


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    from orders import make_batch

    return make_batch(tmp_path / "HeLa day 3")


@pytest.fixture
def no_secret_in_logs(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Whatever a story does, no log line shows a session key or a password, and nothing is printed."""
    from omero_site import KEY, SECRET

    caplog.set_level(logging.DEBUG)
    yield
    assert capfd.readouterr() == ("", "")
    logged = "\n".join(f"{record.getMessage()} {record.exc_text}" for record in caplog.records)

    assert not KEY.search(logged)
    assert SECRET not in logged


@pytest.fixture
def connect(sandbox: Any) -> Iterator[Callable[..., OmeroImporter]]:
    """Makes importers for the sandbox, and closes them."""
    from dropwatch.importers.omero import OmeroImporter

    made: list[OmeroImporter] = []

    def importer(
        user: str = "dropwatch", password: Callable[[], str] | None = None, **more: Any
    ) -> OmeroImporter:
        port, secure = more.pop("port", sandbox.server.omero_port), more.pop("secure", False)
        more.setdefault("connect_wait", 60.0)
        made.append(OmeroImporter("127.0.0.1", port, secure, user, password or (lambda: user), **more))
        return made[-1]

    yield importer
    for each in made:
        each.close()


@pytest.fixture
def importer(connect: Callable[..., OmeroImporter]) -> OmeroImporter:
    return connect()


# -- people at the sandbox ---------------------------------------------------------------------------------


@pytest.fixture
def every_client_ends() -> Iterator[None]:
    """So that no thread of one outlives its test."""
    from omero_people import end_every_client

    yield
    end_every_client()


@pytest.fixture
def alice(sandbox: Any) -> Iterator[Person]:
    """alice, logged in with omero-py's client."""
    from omero_people import logged_in

    with logged_in(sandbox.server.omero_port, "alice") as person:
        yield person


@pytest.fixture
def gateway(sandbox: Any) -> Iterator[Any]:
    """alice with omero-py's BlitzGateway."""
    import omero.gateway

    made = omero.gateway.BlitzGateway("alice", "alice", host="127.0.0.1", port=sandbox.server.omero_tls_port)
    assert made.connect()
    yield made
    made.close()
