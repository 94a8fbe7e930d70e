"""The sandbox's OMERO server, seen through a real omero.client: it must behave as a real server would."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

pytest.importorskip("omero")

import Glacier2
import Ice
import omero
import omero.clients
import omero.cmd
import omero.gateway
import omero.grid
from omero.rtypes import rstring, unwrap
from omero_people import (
    ALICE,
    BOB,
    EVERYWHERE,
    GONE,
    Person,
    begin,
    fileset,
    logged_in,
    new_client,
    response,
    settings,
    told,
    upload,
    wait_for,
)

from dropwatch.importers import omero_queries
from dropwatch.sandbox.queries import KNOWN
from dropwatch.sandbox.samples import corrupt_tiff, ome_tiff
from dropwatch.sandbox.server import Sandbox
from tests.conftest import Running

pytestmark = pytest.mark.usefixtures("every_client_ends")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "cells.ome.tif"
    ome_tiff(path, seed=1, series=2)
    return path


# -- logging in ----------------------------------------------------------------------------------------


def test_people_log_in_to_their_default_group(sandbox: Running) -> None:
    for name, group in (("alice", "lab-a"), ("bob", "lab-a"), ("carol", "lab-b")):
        with logged_in(sandbox.server.omero_port, name) as person:
            context = person.sf.getAdminService().getEventContext()

            assert (context.userName, context.groupName, context.isAdmin) == (name, group, False)


def test_wrong_password_and_unknown_user_are_denied_alike(sandbox: Running) -> None:
    for name in ("alice", "nobody"):
        with pytest.raises(Glacier2.PermissionDeniedException) as error:
            new_client(sandbox.server.omero_port).createSession(name, "wrong")

        assert error.value.reason.startswith(f"Password check failed for '{name}'")


def test_plain_client_gets_in_by_tls_and_so_does_the_gateway(sandbox: Running) -> None:
    gateway = omero.gateway.BlitzGateway("bob", "bob", host="127.0.0.1", port=sandbox.server.omero_tls_port)

    assert gateway.connect()
    assert gateway.getUser().getName() == "bob"
    gateway.close()


def test_inactive_user_gets_in_and_may_do_nothing(sandbox: Running) -> None:
    refused = pytest.raises(omero.SecurityViolation, match="No matching roles")
    with logged_in(sandbox.server.omero_port, "mallory") as mallory, refused:
        mallory.sf.getAdminService().getEventContext()
    with logged_in(sandbox.server.omero_port, "dropwatch") as service:
        admin = service.sf.getAdminService()
        groups = [
            group.name.val for group in admin.containedGroups(admin.lookupExperimenter("mallory").id.val)
        ]

        assert "user" not in groups


def test_idle_session_ends_and_keep_alive_holds_it(tmp_path: Path) -> None:
    now = 0.0
    server = Sandbox(tmp_path / "sandbox", clock=lambda: now)
    server.start()
    try:
        with logged_in(server.omero_port, "dropwatch") as service:
            made, kept = sudo(service, "alice"), sudo(service, "alice")
            with logged_in(server.omero_port, kept) as person:
                for _ in range(2):
                    now += 40.0
                    person.sf.keepAlive(None)

                assert person.sf.getAdminService().getEventContext().userName == "alice"
            with pytest.raises(Glacier2.PermissionDeniedException):
                new_client(server.omero_port).joinSession(made)
    finally:
        server.stop()


def test_session_of_a_dead_client_ends_but_a_sudo_session_waits_for_another(sandbox: Running) -> None:
    with logged_in(sandbox.server.omero_port, "dropwatch") as service:
        key = sudo(service, "alice")
        with joined(sandbox, key):
            pass
        with joined(sandbox, key) as person:
            assert person.client.killSession() > 0
        with pytest.raises(Glacier2.PermissionDeniedException):
            new_client(sandbox.server.omero_port).joinSession(key)
    other = new_client(sandbox.server.omero_port)
    other.createSession("alice", "alice")
    own = other.getSessionId()
    assert not denied(sandbox, own)
    hang_up(other)
    wait_for(lambda: denied(sandbox, own))


def hang_up(client: Any) -> None:
    """Drop the connection without goodbye: with no router, omero.client has nobody to tell."""
    client.getCommunicator().setDefaultRouter(None)
    with suppress(omero.ClientError):
        client.closeSession()


def denied(sandbox: Running, key: str) -> bool:
    client = new_client(sandbox.server.omero_port)
    try:
        client.joinSession(key)
    except Glacier2.PermissionDeniedException:
        return True
    finally:
        client.closeSession()
    return False


# -- acting for others -----------------------------------------------------------------------------------


def sudo(person: Person, name: str, group: str = "", idle: int = 60_000) -> str:
    principal = omero.sys.Principal(name=name, group=group, eventType="User")
    made = person.sf.getSessionService().createSessionWithTimeouts(principal, 0, idle)
    return str(made.uuid.val)


@contextmanager
def joined(sandbox: Running, key: str) -> Iterator[Person]:
    with logged_in(sandbox.server.omero_port, key) as person:
        yield person


def test_admin_with_sudo_acts_as_a_user_in_a_group(sandbox: Running) -> None:
    with logged_in(sandbox.server.omero_port, "dropwatch") as service:
        privileges = [each.value.val for each in service.sf.getAdminService().getCurrentAdminPrivileges()]
        with joined(sandbox, sudo(service, "bob", "lab-b")) as bob:
            context = bob.sf.getAdminService().getEventContext()

    assert privileges == ["Sudo"]
    assert (context.userName, context.groupName, context.isAdmin) == ("bob", "lab-b", False)
    assert unwrap(context.sudoerName) == "dropwatch"


@pytest.mark.parametrize("name", ["alice", "nosudo"])
def test_nobody_else_may_sudo(sandbox: Running, name: str) -> None:
    refused = pytest.raises(omero.SecurityViolation, match="Group sudo is not permitted")

    with logged_in(sandbox.server.omero_port, name) as person, refused:
        sudo(person, "bob")


@pytest.mark.parametrize(
    ("name", "group", "error"),
    [
        ("nobody", "", omero.AuthenticationException),
        ("alice", "lab-b", omero.SecurityViolation),
        ("alice", "no-lab", omero.RemovedSessionException),
    ],
)
def test_sudo_to_what_is_not_there_is_refused(sandbox: Running, name: str, group: str, error: type) -> None:
    with logged_in(sandbox.server.omero_port, "dropwatch") as service:
        with pytest.raises(error):
            sudo(service, name, group)
        with pytest.raises(omero.ApiUsageException):
            service.sf.getAdminService().lookupExperimenter("nobody")


# -- importing -------------------------------------------------------------------------------------------


# omero.callbacks calls the event's isSet().
@pytest.mark.filterwarnings("ignore:isSet:DeprecationWarning")
def test_whole_import_makes_images_in_the_dataset_with_annotations(
    sandbox: Running, alice: Person, image: Path
) -> None:
    dataset = alice.make(omero.model.DatasetI(), "day 3")
    note = omero.model.MapAnnotationI()
    note.ns = rstring("dropwatch")
    note.setMapValue([omero.model.NamedValue("batch", "b1")])
    tag = omero.model.TagAnnotationI()
    tag.textValue = rstring("confocal")
    tag = alice.sf.getUpdateService().saveAndReturnObject(tag)
    chosen = settings(target=omero.model.DatasetI(dataset, False), annotations=[note, tag])
    names = ["dropwatch/b1/f1/run/cells.ome.tif", "dropwatch/b1/f1/notes.txt"]

    process = alice.repository.importFileset(fileset(*names), chosen)
    hashes = [upload(process, 0, image.read_bytes()), upload(process, 1, b"notes")]
    handle = process.verifyUpload(hashes)
    callback = omero.callbacks.CmdCallbackI(alice.client, handle)

    assert callback.loop(90, 1000)  # times, milliseconds: a busy machine takes a while
    answer, status = callback.getResponse(), handle.getStatus()
    assert isinstance(answer, omero.grid.ImportResponse)
    images = [each.id.val for each in answer.objects]
    assert len(images) == len(answer.pixels) == 2
    assert (status.currentStep, status.steps, status.flags) == (5, 5, [])
    fileset_id = handle.getRequest().activity.parent.id.val
    assert alice.batch("b1") == [
        [fileset_id, names[1], images[0], "cells.ome.tif [cells 1]"],
        [fileset_id, names[1], images[1], "cells.ome.tif [cells 2]"],
    ]
    assert alice.ask(omero_queries.IMAGES_IN_DATASET, id=dataset) == [[2]]
    assert told(sandbox) == [
        {
            "fileset": fileset_id,
            "user": "alice",
            "group": "lab-a",
            "target": f"Dataset:{dataset}",
            "key": "dropwatch/b1/f1",
            "images": images,
            "plates": [],
            "files": [
                {"client_path": names[0], "size": image.stat().st_size, "sha1": hashes[0]},
                {"client_path": names[1], "size": 5, "sha1": hashes[1]},
            ],
        }
    ]
    assert b"METADATA_IMPORTED" in read_file(alice, handle.getRequest().logFile.id.val)
    assert alice.ask(omero_queries.LOG_OF_FILESET, owner=ALICE, id=fileset_id)[0][0] == (
        handle.getRequest().logFile.id.val
    )
    callback.close(True)
    process.close()


def read_file(person: Person, id: int) -> bytes:
    store = person.sf.createRawFileStore()
    try:
        store.setFileId(id)
        return bytes(store.read(0, store.size()))
    finally:
        store.close()


def test_fileset_is_there_before_the_first_byte_and_stays_without_images(alice: Person) -> None:
    process = alice.repository.importFileset(fileset("dropwatch/b1/f1/a.tif"), settings())
    before = alice.batch("b1")
    process.close()

    assert [row[1:] for row in before] == [["dropwatch/b1/f1/a.tif", None, None]]
    assert alice.batch("b1") == before


def test_nothing_appears_before_the_import_has_finished(sandbox: Running, alice: Person, image: Path) -> None:
    sandbox.set_faults(hold_after_verify=True)
    handle = begin(alice, image)
    during = alice.batch("b1"), told(sandbox), handle.getResponse()
    finished = alice.ask(omero_queries.UPLOADS_FINISHED, owner=ALICE, ids=[during[0][0][0]])
    listed = [
        process.getHandle().getRequest().activity.parent.id.val for process in alice.repository.listImports()
    ]
    sandbox.set_faults()

    assert [row[2] for row in during[0]] == [None]
    assert during[1:] == ([], None)
    assert [row[0] for row in finished] == listed == [during[0][0][0]]
    assert abs(finished[0][1] - alice.sf.getConfigService().getServerTime().val) < 60_000
    assert isinstance(response(handle), omero.grid.ImportResponse)
    assert len(alice.batch("b1")) == 2


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("SHA1-160", hashlib.sha1(b"abc").hexdigest()),
        ("MD5-128", hashlib.md5(b"abc").hexdigest()),
        # omero-common's own test vectors
        ("CRC-32", "c2412435"),
        ("Adler-32", "27014d02"),
        ("File-Size-64", "0300000000000000"),
    ],
)
def test_server_hashes_what_it_stored(alice: Person, algorithm: str, expected: str) -> None:
    process = alice.repository.importFileset(fileset("a.txt"), settings(algorithm))
    upload(process, 0, b"abc")

    with pytest.raises(omero.ChecksumValidationException) as error:
        process.verifyUpload(["something else"])
    assert error.value.failingChecksums == {0: expected}
    assert algorithm in [each.value.val for each in alice.repository.listChecksumAlgorithms()]
    assert zlib.crc32(b"abc").to_bytes(4, "little").hex() == "c2412435"


def test_upload_is_refused_when_it_is_not_as_agreed(alice: Person) -> None:
    repository = alice.repository
    two_jobs = fileset("a.tif")
    two_jobs.linkJob(omero.model.UploadJobI())
    no_algorithm = settings()
    no_algorithm.checksumAlgorithm = None

    with pytest.raises(omero.ApiUsageException, match="No paths provided"):
        repository.importFileset(fileset(), settings())
    with pytest.raises(omero.ApiUsageException, match="must specify checksum algorithm"):
        repository.importFileset(fileset("a.tif"), no_algorithm)
    with pytest.raises(omero.ValidationException, match="more than one job link"):
        repository.importFileset(two_jobs, settings())
    process = repository.importFileset(fileset("a.tif", "b.tif"), settings())
    with pytest.raises(omero.ApiUsageException, match="hashes size should be 2 not 1"):
        process.verifyUpload(["x"])


def test_broken_off_upload_tells_its_offset(alice: Person) -> None:
    process = alice.repository.importFileset(fileset("a.tif"), settings())
    uploader = process.getUploader(0)
    uploader.write(b"12345", 0, 5)

    assert process.getUploadOffset(0) == 5
    again = process.getUploader(0)
    again.write(b"678", 5, 3)
    assert again.read(0, 8) == b"12345678"
    again.close()
    assert process.getUploadOffset(0) == 0


@pytest.mark.parametrize(
    ("name", "content", "java"),
    [
        ("empty.tif", b"", "loci.formats.FormatException"),
        ("notes.txt", b"just words", "loci.formats.UnknownFormatException"),
        ("corrupt.tif", None, "loci.formats.FormatException"),
        ("cut.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "java.io.EOFException"),
    ],
)
def test_file_that_cannot_be_opened_answers_err_with_the_real_name(
    sandbox: Running, alice: Person, tmp_path: Path, name: str, content: bytes | None, java: str
) -> None:
    file = tmp_path / name
    if content is None:
        corrupt_tiff(file)
    else:
        file.write_bytes(content)
    handle = begin(alice, file)
    answer = response(handle)

    assert isinstance(answer, omero.cmd.ERR)
    assert (answer.category, answer.name) == ("::omero::grid::ImportRequest", "error-on-init")
    assert answer.parameters["stacktrace"].startswith(f"{java}: ")
    assert "loci.formats" in answer.parameters["stacktrace"]
    assert [row[2] for row in alice.batch("b1")] == [None]
    assert told(sandbox) == []
    assert java.encode() in read_file(alice, handle.getRequest().logFile.id.val)


def test_fake_names_make_images_and_a_screen_gets_a_plate(alice: Person, tmp_path: Path) -> None:
    screen = alice.make(omero.model.ScreenI(), "plates")
    three, plate = tmp_path / "x&series=3.fake", tmp_path / "p&plates=1&plateRows=2&plateCols=3.fake"
    three.touch()
    plate.touch()
    images = response(begin(alice, three, "b1"))
    wells = response(begin(alice, plate, "b2", omero.model.ScreenI(screen, False)))
    fileset_id = alice.batch("b2")[0][0]

    assert len(images.objects) == 3
    assert [each.ice_id() for each in wells.objects].count("::omero::model::Plate") == 1
    assert len(wells.pixels) == 6
    assert len(alice.ask(omero_queries.PLATES_OF_FILESETS, owner=ALICE, ids=[fileset_id])) == 1
    assert alice.ask(omero_queries.PLATES_IN_SCREEN, id=screen) == [[1]]


def test_import_into_a_dataset_that_is_not_there_fails_in_the_server(alice: Person, image: Path) -> None:
    answer = response(begin(alice, image, target=omero.model.DatasetI(999, False)))

    assert answer.name == "import-request-failure"
    assert "Dataset#999" in answer.parameters["message"]
    assert [row[2] for row in alice.batch("b1")] == [None]


# -- who sees what ---------------------------------------------------------------------------------------


def test_private_data_is_seen_by_its_owner_and_admins_only(
    sandbox: Running, alice: Person, image: Path
) -> None:
    dataset = alice.make(omero.model.DatasetI(), "mine")
    response(begin(alice, image))

    for name, rows in (("bob", 0), ("carol", 0), ("root", 2)):
        with logged_in(sandbox.server.omero_port, name, "omero" if name == "root" else name) as other:
            found = other.sf.getQueryService().find("Dataset", dataset, EVERYWHERE)
            assert len(other.batch("b1")) == rows
            assert (found is not None) == (name == "root")


def test_readable_group_shows_data_that_others_may_not_link_to(sandbox: Running, image: Path) -> None:
    with logged_in(sandbox.server.omero_port, "carol") as carol:
        dataset = carol.make(omero.model.DatasetI(), "hers")
    with logged_in(sandbox.server.omero_port, "bob", omero_group="4") as bob:
        found = bob.sf.getQueryService().get("Dataset", dataset)
        answer = response(begin(bob, image, target=omero.model.DatasetI(dataset, False)))

        assert found.name.val == "hers"
        assert not found.details.permissions.canLink()
        assert answer.name == "import-request-failure"


def test_group_one_is_not_in_is_refused(alice: Person) -> None:
    with pytest.raises(omero.SecurityViolation, match="not a member"):
        alice.sf.getQueryService().find("Dataset", 1, {"omero.group": "4"})


def test_one_session_does_not_reach_the_processes_of_another(sandbox: Running, alice: Person) -> None:
    alice.repository.importFileset(fileset("dropwatch/b1/f1/a.tif"), settings())
    with logged_in(sandbox.server.omero_port, "alice") as again:
        listed = again.repository.listImports()

        assert len(listed) == 1
        with pytest.raises(Ice.ObjectNotExistException):
            listed[0].getHandle()


def test_importers_questions_are_all_known_and_others_are_refused_by_name(alice: Person) -> None:
    texts = [
        value
        for value in vars(omero_queries).values()
        if isinstance(value, str) and value.startswith("select ")
    ]
    known = {" ".join(each.hql.split()) for each in KNOWN}

    assert len(texts) > 10
    assert [text for text in texts if " ".join(text.split()) not in known] == []
    for text, unknown in (
        ("select max(i.id) from Image i", r"select max\(i.id\)"),
        ("select i.colour from Image i", "colour of image"),
        ("select i from Image i join i.rois r", "join rois of Image"),
        ("select r from Roi r", "from Roi"),
    ):
        with pytest.raises(omero.QueryException, match=f"does not know this part of a query: {unknown}"):
            alice.ask(text)


def test_containers_and_tags_are_found_by_name_newest_first(alice: Person) -> None:
    datasets = [alice.make(omero.model.DatasetI(), name) for name in ("a", "b", "a")]
    link = omero.model.ProjectDatasetLinkI()
    link.parent, link.child = omero.model.ProjectI(), omero.model.DatasetI()
    link.parent.name, link.child.name = rstring("p"), rstring("inside")
    saved = alice.sf.getUpdateService().saveAndReturnObject(link)

    assert alice.ask(omero_queries.DATASETS_BY_NAME, owner=ALICE, name="a") == [[datasets[2]], [datasets[0]]]
    assert alice.ask(omero_queries.DATASETS_IN_PROJECT, owner=ALICE, name="inside", project="p") == [
        [saved.child.id.val, saved.parent.id.val]
    ]
    assert alice.ask(omero_queries.PROJECTS_BY_NAME, owner=BOB, name="p") == []


# -- deletion --------------------------------------------------------------------------------------------


def delete(person: Person, **targets: list[int]) -> Any:
    handle = person.sf.submit(omero.cmd.Delete2(targetObjects=targets), EVERYWHERE)
    answer = response(handle)
    handle.close()
    return answer


def test_deleted_fileset_takes_images_and_files_along(sandbox: Running, alice: Person, image: Path) -> None:
    dataset = alice.make(omero.model.DatasetI(), "day 3")
    response(begin(alice, image, target=omero.model.DatasetI(dataset, False)))
    fileset_id = alice.batch("b1")[0][0]
    answer = delete(alice, Fileset=[fileset_id])

    assert answer.deletedObjects == {"ome.model.fs.Fileset": [fileset_id]}
    assert alice.batch("b1") == []
    assert alice.ask(omero_queries.IMAGES_IN_DATASET, id=dataset) == [[0]]
    assert not [
        path for path in (sandbox.folder / "omero" / "ManagedRepository").rglob("*") if path.is_file()
    ]
    assert isinstance(delete(alice, Dataset=[dataset]), omero.cmd.OK)


def test_container_that_holds_images_is_not_deleted(alice: Person, image: Path) -> None:
    dataset = alice.make(omero.model.DatasetI(), "day 3")
    response(begin(alice, image, target=omero.model.DatasetI(dataset, False)))

    assert delete(alice, Dataset=[dataset]).name == "graph-fail"
    assert alice.ask(omero_queries.IMAGES_IN_DATASET, id=dataset) == [[2]]


def test_what_is_not_ones_own_is_not_deleted(sandbox: Running, alice: Person, image: Path) -> None:
    response(begin(alice, image))
    fileset_id = alice.batch("b1")[0][0]
    for name in ("bob", "dropwatch"):
        with logged_in(sandbox.server.omero_port, name) as other:
            answer = delete(other, Fileset=[fileset_id])

            assert answer.name == "graph-fail"
    assert len(alice.batch("b1")) == 2


# -- clients and servers that die ------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["password", "sudo"])
def test_import_goes_on_when_its_client_dies(sandbox: Running, alice: Person, image: Path, by: str) -> None:
    sandbox.set_faults(hold_after_verify=True)
    with logged_in(sandbox.server.omero_port, "dropwatch") as service:
        key = sudo(service, "alice")
        other = new_client(sandbox.server.omero_port)
        other.createSession(*(("alice", "alice") if by == "password" else (key, key)))
        begin(Person(other), image)
        hang_up(other)
    sandbox.set_faults()

    wait_for(lambda: told(sandbox))
    assert len(alice.batch("b1")) == 2


def test_closing_an_unanswered_handle_cancels_the_import(
    sandbox: Running, alice: Person, image: Path
) -> None:
    sandbox.set_faults(hold_after_verify=True)
    handle = begin(alice, image)
    handle.close()
    with pytest.raises(Ice.ObjectNotExistException):
        handle.getResponse()
    wait_for(lambda: "INTERNAL_EXCEPTION" in import_log(sandbox) or told(sandbox))

    assert [row[2] for row in alice.batch("b1")] == [None]
    assert told(sandbox) == []


def import_log(sandbox: Running) -> str:
    return "".join(log.read_text() for log in (sandbox.folder / "omero" / "ManagedRepository").rglob("*.log"))


def test_session_that_is_killed_takes_its_import_along(sandbox: Running, alice: Person, image: Path) -> None:
    sandbox.set_faults(hold_after_verify=True)
    with logged_in(sandbox.server.omero_port, "alice") as other:
        begin(other, image)
        other.client.killSession()
    wait_for(lambda: "INTERNAL_EXCEPTION" in import_log(sandbox) or told(sandbox))

    assert [row[2] for row in alice.batch("b1")] == [None]


def test_restart_keeps_data_and_loses_running_imports(tmp_path: Path, image: Path) -> None:
    server = Sandbox(tmp_path / "sandbox")
    running = Running(server, tmp_path / "sandbox")
    server.start()
    port = server.omero_port
    with logged_in(port, "alice") as alice:
        response(begin(alice, image, "b1"))
        running.set_faults(hold_after_verify=True)
        begin(alice, image, "b2")
        server.stop()
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("sandbox")]
        with pytest.raises(GONE):
            alice.batch("b1")
    running.set_faults()
    server.start()
    try:
        with logged_in(server.omero_port, "alice") as alice:
            assert server.omero_port == port
            assert [row[2] is not None for row in alice.batch("b1")] == [True, True]
            assert [row[2] for row in alice.batch("b2")] == [None]
            assert alice.repository.listImports() == []
            assert len(told(running)) == 1
    finally:
        server.stop()


def test_killed_server_tells_of_each_import_that_it_committed(
    sandbox: Running, alice: Person, image: Path
) -> None:
    response(begin(alice, image, "b1"))
    response(begin(alice, image, "b2"))
    journal = sandbox.folder / "omero" / "imports.jsonl"
    whole = journal.read_bytes()
    sandbox.server.stop()
    # Killed while the second line was being written.
    journal.write_bytes(whole[:-20])
    sandbox.server.start()

    assert journal.read_bytes() == whole


# -- trouble on order ------------------------------------------------------------------------------------


def test_lost_reply_cuts_the_client_off_after_the_import(
    sandbox: Running, alice: Person, image: Path
) -> None:
    sandbox.set_faults(lose_reply=1)
    with logged_in(sandbox.server.omero_port, "alice") as other:
        handle = begin(other, image)
        with pytest.raises(GONE):
            wait_for(lambda: handle.getResponse() is not None)

    assert len(alice.batch("b1")) == 2
    assert len(told(sandbox)) == 1
    assert isinstance(response(begin(alice, image, "b2")), omero.grid.ImportResponse)


def test_session_that_expires_is_gone_with_its_unverified_upload(sandbox: Running, alice: Person) -> None:
    with logged_in(sandbox.server.omero_port, "alice") as other:
        process = other.repository.importFileset(fileset("dropwatch/b1/f1/a.tif"), settings())
        uploader = process.getUploader(0)
        sandbox.set_faults(expire=1)
        with pytest.raises(omero.SessionTimeoutException):
            uploader.write(b"123", 0, 3)
        with pytest.raises((Ice.ObjectNotExistException, omero.RemovedSessionException)):
            process.getUploadOffset(0)

    assert [row[2] for row in alice.batch("b1")] == [None]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"busy": 1}, omero.ConcurrencyException),
        ({"internal": 1}, omero.InternalException),
        ({"disk_full": True}, omero.ResourceError),
        ({"expire": 1}, omero.SessionException),
    ],
)
def test_import_is_refused_on_order(
    sandbox: Running, alice: Person, fault: dict[str, object], error: type
) -> None:
    sandbox.set_faults(**fault)
    with pytest.raises(error):
        alice.repository.importFileset(fileset("a.tif"), settings())
    sandbox.set_faults()

    with logged_in(sandbox.server.omero_port, "alice") as again:
        again.repository.importFileset(fileset("a.tif"), settings())


def test_busy_server_turns_logins_away(sandbox: Running) -> None:
    sandbox.set_faults(busy=3)  # omero.client itself tries three times
    with pytest.raises(omero.ClientError):
        new_client(sandbox.server.omero_port).createSession("alice", "alice")

    assert yaml.safe_load((sandbox.folder / "faults.yaml").read_text()) == {"omero": {"busy": 0}}
    with logged_in(sandbox.server.omero_port, "alice"):
        pass


def test_checksum_mismatch_on_order_is_over_after_it(sandbox: Running, alice: Person, image: Path) -> None:
    sandbox.set_faults(checksum=1)
    process = alice.repository.importFileset(fileset("dropwatch/b1/f1/a.ome.tif"), settings())
    hashes = [upload(process, 0, image.read_bytes())]
    with pytest.raises(omero.ChecksumValidationException) as error:
        process.verifyUpload(hashes)

    assert error.value.failingChecksums.keys() == {0}
    assert isinstance(response(process.verifyUpload(hashes)), omero.grid.ImportResponse)


def test_connection_is_cut_once_so_many_bytes_have_come(sandbox: Running, image: Path) -> None:
    sandbox.set_faults(drop_after_bytes=1000)
    with logged_in(sandbox.server.omero_port, "alice") as alice:
        process = alice.repository.importFileset(fileset("a.ome.tif"), settings())
        with pytest.raises(Ice.LocalException):
            upload(process, 0, image.read_bytes())
    with logged_in(sandbox.server.omero_port, "alice") as alice:
        assert isinstance(response(begin(alice, image)), omero.grid.ImportResponse)


def test_refusing_server_looks_as_if_it_were_down(sandbox: Running, alice: Person) -> None:
    sandbox.set_faults(refuse=True)
    with pytest.raises(Ice.LocalException):
        alice.batch("b1")
    wait_for(lambda: isinstance(trying_to_log_in(sandbox), Ice.ConnectionRefusedException))
    sandbox.set_faults()

    wait_for(lambda: trying_to_log_in(sandbox) is None)


def trying_to_log_in(sandbox: Running) -> Exception | None:
    client = new_client(sandbox.server.omero_port)
    try:
        client.createSession("alice", "alice")
    except Ice.LocalException as error:
        return error
    finally:
        client.closeSession()
    return None


def test_slow_upload_and_quick_others_do_not_wait_for_each_other(
    sandbox: Running, alice: Person, image: Path
) -> None:
    sandbox.set_faults(slow_upload="10m")
    process = alice.repository.importFileset(fileset("slow.tif"), settings())
    uploader = process.getUploader(0)

    def write() -> None:
        with suppress(*GONE):
            uploader.write(b"123", 0, 3)

    writing = Thread(target=write)
    writing.start()
    wait_for(lambda: process.getUploadOffset(0) == 3)
    sandbox.set_faults()
    with logged_in(sandbox.server.omero_port, "bob") as bob:
        assert isinstance(response(begin(bob, image)), omero.grid.ImportResponse)
        assert writing.is_alive()
    sandbox.server.stop()  # nobody waits for ten minutes
    writing.join()


# -- many at once, and as a process ------------------------------------------------------------------------


def test_many_clients_import_at_once(sandbox: Running, image: Path) -> None:
    def work(name: str) -> None:
        with logged_in(sandbox.server.omero_port, name) as person:
            for number in range(5):
                handle = begin(person, image, f"{name}-{number}")
                assert isinstance(response(handle), omero.grid.ImportResponse)

    threads = [Thread(target=work, args=(name,)) for name in ("alice", "bob", "carol") * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(200)

    lines = told(sandbox)
    assert len(lines) == 30
    assert len({id for line in lines for id in line["images"]}) == 60
    assert len({line["fileset"] for line in lines}) == 30


@pytest.mark.long  # how quick it is, a busy machine cannot tell
def test_small_import_is_quick(alice: Person, image: Path) -> None:
    response(begin(alice, image))  # starts Java
    took = []
    for number in range(10):
        started = time.monotonic()
        response(begin(alice, image, f"b{number}"))
        took.append(time.monotonic() - started)

    assert min(took) < 0.1


def test_port_in_use_is_an_error_only_when_it_was_asked_for(sandbox: Running, tmp_path: Path) -> None:
    taken = sandbox.server.omero_port
    with pytest.raises(OSError, match="in use"):
        Sandbox(tmp_path / "asked", omero_port=taken).start()
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "ports.json").write_text(json.dumps({"omero": taken}))
    other = Sandbox(tmp_path / "kept")
    other.start()

    assert other.omero_port not in (0, taken)
    other.stop()


def test_sandbox_runs_as_a_process_until_it_is_told_to_stop(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dropwatch.sandbox", "--dir", str(tmp_path / uuid.uuid4().hex)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ})
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        port = int(line.split("omero=127.0.0.1:")[1].split()[0])
        with logged_in(port, "alice"):
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()

    assert line.startswith("ready omero=127.0.0.1:")
    assert " smtp=127.0.0.1:" in line


def test_sandbox_without_bio_formats_says_what_to_install(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dropwatch.sandbox", "--dir", str(tmp_path / "box")]
    environ = {**os.environ, "DROPWATCH_BIOFORMATS_JAR": str(tmp_path / "none.jar")}
    refused = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=200, check=False)

    assert refused.returncode == 1
    assert refused.stdout == ""
    assert "none.jar does not exist" in refused.stderr
    assert "Traceback" not in refused.stderr
