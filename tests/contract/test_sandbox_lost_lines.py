"""What the sandbox does when a client's connection is lost and made anew, and what it stores for attachments."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("omero")

import Ice
import omero
import omero.clients
import omero.cmd
from omero.rtypes import rlong, rstring

from tests.conftest import Running
from tests.omero_people import (
    Person,
    end_every_client,
    fileset,
    logged_in,
    new_client,
    response,
    settings,
    wait_for,
)

CLIENT = "omero.client.uuid"


@pytest.fixture(autouse=True)
def no_client_left() -> Iterator[None]:
    yield
    end_every_client()


def sudo_key(sandbox: Running, name: str) -> str:
    """The key of a session of *name* that the service account opened."""
    with logged_in(sandbox.server.omero_port, "dropwatch") as person:
        principal = omero.sys.Principal(name=name, group="", eventType="User")
        service = person.sf.getSessionService()
        return str(service.createSessionWithTimeouts(principal, 0, 600_000).uuid.val)


def joined(sandbox: Running, key: str, client_id: str = "") -> Person:
    client = new_client(sandbox.server.omero_port)
    if client_id:
        client.getImplicitContext().put(CLIENT, client_id)
    client.joinSession(key)
    return Person(client)


def cut(person: Person) -> None:
    person.sf.ice_getCachedConnection().close(True)


def through(person: Person, proxy: Any) -> Any:
    return type(proxy).uncheckedCast(person.client.getCommunicator().stringToProxy(str(proxy)))


def test_process_opens_further_files_for_its_own_client_only(sandbox: Running) -> None:
    key = sudo_key(sandbox, "alice")
    first = joined(sandbox, key)
    client_id = str(first.client.getImplicitContext().get(CLIENT))
    process = first.repository.importFileset(fileset("a.tif", "b.tif"), settings())
    process.getUploader(0).write(b"abc", 0, 3)
    first.client.closeSession()
    other = through(joined(sandbox, key), process)

    assert other.getUploadOffset(0) == 3
    with pytest.raises(omero.InternalException):
        other.getUploader(1)

    same = joined(sandbox, key, client_id)
    through(same, process).getUploader(1).write(b"d", 0, 1)


def test_client_is_refused_while_its_old_connection_is_there(sandbox: Running) -> None:
    key = sudo_key(sandbox, "alice")
    first = joined(sandbox, key)
    client_id = first.client.getImplicitContext().get(CLIENT)
    with pytest.raises(omero.WrappedCreateSessionException) as error:
        joined(sandbox, key, client_id)

    assert "AlreadyRegistered" in error.value.type and not error.value.concurrency


def test_second_call_at_once_to_one_store_is_refused(sandbox: Running) -> None:
    sandbox.set_faults(hold_upload=True)
    with logged_in(sandbox.server.omero_port, "alice") as alice:
        store = alice.repository.importFileset(fileset("a.tif"), settings()).getUploader(0)
        first, second = store.begin_write(b"a", 0, 1), store.begin_write(b"b", 1, 1)
        wait_for(lambda: first.isCompleted() or second.isCompleted())
        sandbox.set_faults()
        failed = []
        for call in (first, second):
            try:
                store.end_write(call)
            except omero.InternalException as error:
                failed.append(error.message)

    assert len(failed) == 1 and failed[0].startswith("Hibernate session is not re-entrant.")


def test_own_living_sessions_are_told_and_those_of_others_not(sandbox: Running) -> None:
    one, two, bobs = (sudo_key(sandbox, name) for name in ("alice", "alice", "bob"))
    with logged_in(sandbox.server.omero_port, "alice") as herself:
        own = {each.uuid.val for each in herself.sf.getSessionService().getMyOpenSessions()}
    told = {each.uuid.val for each in joined(sandbox, one).sf.getSessionService().getMyOpenSessions()}

    assert told == {one, two} and bobs not in told
    assert not own & {one, two}


def test_file_is_stored_hashed_and_read_back(sandbox: Running) -> None:
    content = b"some notes" * 1000
    with logged_in(sandbox.server.omero_port, "alice") as alice:
        file = omero.model.OriginalFileI()
        file.name, file.path, file.size = rstring("notes.txt"), rstring("dropwatch/b/a/"), rlong(0)
        file.hasher = omero.model.ChecksumAlgorithmI()
        file.hasher.value = rstring("SHA1-160")
        id = alice.sf.getUpdateService().saveAndReturnObject(file).id.val
        store = alice.sf.createRawFileStore()
        store.setFileId(id)
        store.write(content, 0, len(content))
        saved = store.save()
        read = store.read(5, 10)
        store.close()
        unused = response(alice.sf.submit(omero.cmd.Delete2(targetObjects={"OriginalFile": [id]})))

    assert saved.hash.val == hashlib.sha1(content).hexdigest() and saved.size.val == len(content)
    assert read == content[5:15]
    assert isinstance(unused, omero.cmd.Delete2Response)
    assert list((sandbox.folder / "omero" / "Files").iterdir()) == []


def test_file_that_is_attached_is_not_deleted_and_nobody_else_writes_it(sandbox: Running) -> None:
    with logged_in(sandbox.server.omero_port, "bob", omero_group="4") as bob:
        file = omero.model.OriginalFileI()
        file.name, file.path = rstring("notes.txt"), rstring("dropwatch/b/a/")
        annotation = omero.model.FileAnnotationI()
        annotation.file = file
        saved = bob.sf.getUpdateService().saveAndReturnObject(annotation)
        id = saved.file.id.val
        refused = response(bob.sf.submit(omero.cmd.Delete2(targetObjects={"OriginalFile": [id]})))
    with logged_in(sandbox.server.omero_port, "carol") as carol:
        store = carol.sf.createRawFileStore()
        store.setFileId(id)
        with pytest.raises(omero.SecurityViolation):
            store.write(b"x", 0, 1)

    assert isinstance(refused, omero.cmd.ERR)


def test_plain_connection_that_is_cut_says_so(sandbox: Running) -> None:
    with logged_in(sandbox.server.omero_port, "alice") as alice:
        cut(alice)
        with pytest.raises(Ice.LocalException):
            alice.sf.keepAlive(None)
