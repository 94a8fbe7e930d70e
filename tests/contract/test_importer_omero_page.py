"""What the page asks of OMERO, against a server that speaks real Ice: who signs in, their containers, thumbnails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("omero")

import omero.model
from images import fake
from omero_people import Person, begin, end_every_client, logged_in, response
from omero_site import SECRET, fails

from dropwatch.errors import PermanentError, Unavailable
from dropwatch.importers.base import Account
from dropwatch.importers.omero import OmeroImporter
from dropwatch.importers.omero_login import Login, Server
from dropwatch.importers.omero_tree import containers
from dropwatch.model import Kind, Own, Tree
from dropwatch.sandbox.samples import ome_tiff

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


# -- containers --------------------------------------------------------------------------------------------


def put_into(person: Person, project: int, dataset: int) -> None:
    link = omero.model.ProjectDatasetLinkI()
    link.parent, link.child = omero.model.ProjectI(project, False), omero.model.DatasetI(dataset, False)
    person.sf.getUpdateService().saveObject(link)


@pytest.fixture
def bob(sandbox: Any) -> Iterator[Person]:
    """bob in lab-b, whose members see each other's data."""
    with logged_in(sandbox.server.omero_port, "bob", omero_group="4") as person:
        yield person


def test_own_containers_of_a_group_are_shown_as_a_tree(
    sandbox: Any, importer: OmeroImporter, bob: Person, tmp_path: Path
) -> None:
    empty, hela = (bob.make(omero.model.ProjectI(), name) for name in ("empty", "HeLa"))
    day1, day3, loose = (bob.make(omero.model.DatasetI(), name) for name in ("day 1", "Day 3", "loose"))
    screen = bob.make(omero.model.ScreenI(), "plates")
    for dataset in (day3, day1):
        put_into(bob, hela, dataset)
    with logged_in(sandbox.server.omero_port, "carol") as carol:
        for kind in (omero.model.ProjectI, omero.model.DatasetI, omero.model.ScreenI):
            carol.make(kind(), "of carol, in the same group")
    ome_tiff(tmp_path / "a.ome.tif", series=2)
    response(begin(bob, tmp_path / "a.ome.tif", target=omero.model.DatasetI(day1, False)))
    days = (Own(Kind.DATASET, day1, "day 1", 2), Own(Kind.DATASET, day3, "Day 3"))

    assert importer.containers("bob", "lab-b") == Tree(
        group="lab-b",
        groups=("lab-a", "lab-b"),
        projects=(Own(Kind.PROJECT, empty, "empty"), Own(Kind.PROJECT, hela, "HeLa", 2, days)),
        datasets=(Own(Kind.DATASET, loose, "loose"),),
        screens=(Own(Kind.SCREEN, screen, "plates"),),
    )
    assert importer.containers("bob", None) == Tree("lab-a", ("lab-a", "lab-b"))


def test_more_containers_than_fit_into_an_answer_are_told(sandbox: Any, bob: Person) -> None:
    first, second = (bob.make(omero.model.DatasetI(), name) for name in ("first", "second"))
    server = Server("127.0.0.1", sandbox.server.omero_port, False, "dropwatch", lambda: "dropwatch")
    login = Login(server)
    session = login.open("bob", "lab-b")
    newest, all_ = containers(session, (), most=1), containers(session, (), most=2)
    session.end()
    login.close()

    assert newest.cut and [one.id for one in newest.datasets] == [second]
    assert not all_.cut and [one.id for one in all_.datasets] == [first, second]


# -- thumbnails ----------------------------------------------------------------------------------------------


def test_nobody_sees_a_picture_of_what_they_may_not_read(
    sandbox: Any, importer: OmeroImporter, bob: Person, tmp_path: Path
) -> None:
    """lab-a is private, in lab-b members see each other's images."""
    file = tmp_path / "a.ome.tif"
    ome_tiff(file)
    with logged_in(sandbox.server.omero_port, "alice") as alice:
        private = response(begin(alice, file)).pixels[0].image.id.val
    shared = response(begin(bob, file, "b2")).pixels[0].image.id.val
    seen = {
        owner: set(importer.thumbnails(owner, [private, shared], 16)) for owner in ("alice", "bob", "carol")
    }

    assert seen == {"alice": {private}, "bob": {shared}, "carol": {shared}}


def test_plate_shows_its_first_field(importer: OmeroImporter, bob: Person, tmp_path: Path) -> None:
    name = "p&plates=1&plateRows=2&plateCols=2&fields=2&sizeX=60&sizeY=30.fake"
    fake(tmp_path, name)
    screen = omero.model.ScreenI(bob.make(omero.model.ScreenI(), "plates"), False)
    answer = response(begin(bob, tmp_path / name, target=screen))
    (plate,) = [each.id.val for each in answer.objects if isinstance(each, omero.model.PlateI)]
    images = [each.id.val for each in answer.objects if isinstance(each, omero.model.ImageI)]
    pictures = importer.thumbnails("bob", images, 60)

    assert len(set(pictures.values())) == len(images) == 8
    assert importer.thumbnails("bob", [plate, 2**40], 60, kind="Plate") == {plate: pictures[min(images)]}
    assert importer.thumbnails("alice", [plate], 20, kind="Plate") == {}
    assert importer.thumbnails("bob", [], 20) == {}


def test_image_that_cannot_be_drawn_has_no_picture(
    sandbox: Any, importer: OmeroImporter, bob: Person, tmp_path: Path
) -> None:
    ome_tiff(tmp_path / "a.ome.tif")
    image = response(begin(bob, tmp_path / "a.ome.tif")).pixels[0].image.id.val
    for stored in (sandbox.folder / "omero" / "ManagedRepository").rglob("a.ome.tif"):
        stored.write_bytes(b"no image any more")

    assert importer.thumbnails("bob", [image], 20) == {}
