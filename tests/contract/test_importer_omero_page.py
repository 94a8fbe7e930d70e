"""What the page asks of OMERO, against a server that speaks real Ice: who signs in, their containers, thumbnails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("omero")

from omero_people import end_every_client, logged_in
from omero_site import SECRET, fails

from dropwatch.errors import PermanentError, Unavailable
from dropwatch.importers.base import Account
from dropwatch.importers.omero import OmeroImporter

pytestmark = pytest.mark.usefixtures("no_secret_in_logs")


@pytest.fixture(autouse=True)
def nobody_stays() -> Iterator[None]:
    yield
    end_every_client()


# -- sign in -----------------------------------------------------------------------------------------------


def test_who_signs_in_is_known_with_address_groups_and_rank(importer: OmeroImporter) -> None:
    bob = Account("bob", "bob@example.org", True, ("lab-a", "lab-b"), "lab-a")

    assert importer.sign_in("bob", "bob") == bob
    assert importer.sign_in("root", "omero") == Account("root", None, True, ("system",), "system", admin=True)
    assert importer.account("dropwatch").admin and not importer.account("bob").admin


def test_signing_in_leaves_no_session_whether_it_is_taken_or_refused(
    sandbox: Any, importer: OmeroImporter
) -> None:
    with logged_in(sandbox.server.omero_port, "alice") as alice:
        importer.sign_in("alice", "alice")
        importer.sign_in("alice", SECRET)
        sessions = alice.sf.getSessionService().getMyOpenSessions()

        assert [each.uuid.val for each in sessions] == [alice.client.getSessionId()]


def test_key_of_somebodys_session_is_no_way_in(sandbox: Any, importer: OmeroImporter) -> None:
    with logged_in(sandbox.server.omero_port, "alice") as alice:
        key = alice.client.getSessionId()

        assert importer.sign_in(key, key) is None
        assert importer.sign_in("alice", key) is None
        assert alice.sf.keepAlive(None)


def test_account_that_is_not_active_is_told_so(importer: OmeroImporter) -> None:
    error = fails(PermanentError, lambda: importer.sign_in("mallory", "mallory"))

    assert "mallory" in error.message and "activate" in error.remedy
    assert importer.sign_in("mallory", SECRET) is None  # a stranger learns nothing of it


def test_server_that_is_down_or_busy_refuses_nobody(
    sandbox: Any, connect: Callable[..., OmeroImporter]
) -> None:
    importer = connect(password=lambda: pytest.fail("the service account's password is not asked for"))
    sandbox.set_faults(busy=3)
    fails(Unavailable, lambda: importer.sign_in("alice", SECRET))
    sandbox.server.stop()
    fails(Unavailable, lambda: importer.sign_in("alice", SECRET))
    sandbox.server.start()

    assert importer.sign_in("alice", SECRET) is None


def test_signing_in_over_tls(sandbox: Any, connect: Callable[..., OmeroImporter]) -> None:
    importer = connect(port=sandbox.server.omero_tls_port, secure=True)

    assert importer.sign_in("alice", SECRET) is None
    assert importer.sign_in("alice", "alice") == importer.account("alice")
