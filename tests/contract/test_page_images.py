"""What the page keeps of OMERO's answers, how often it asks, and how long it waits. A server that speaks real Ice."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("omero")
pytest.importorskip("nicegui")

import omero.model
from omero_people import begin, end_every_client, logged_in, response

from dropwatch.errors import OperatorError, PermanentError, Unavailable
from dropwatch.importers.omero import OmeroImporter
from dropwatch.model import Tree
from dropwatch.sandbox.samples import ome_tiff
from dropwatch.web.images import KEPT, Images
from dropwatch.web.shelf import Shelf
from tests.world import PATIENCE, awaited, wait_until


class Watched(OmeroImporter):
    """The importer, and what it was asked; while *gate* is shut its answers are held back."""

    def __init__(self, port: int) -> None:
        super().__init__("127.0.0.1", port, False, "dropwatch", lambda: "dropwatch")
        self.asked: list[tuple[Any, ...]] = []
        self.gate = threading.Event()
        self.gate.set()

    def containers(self, owner: str, group: str | None) -> Tree:
        self.asked.append(("containers", owner, group))
        assert self.gate.wait(PATIENCE)
        return super().containers(owner, group)

    def thumbnails(
        self, owner: str, ids: Sequence[int], size: int, *, kind: str = "Image"
    ) -> Mapping[int, bytes]:
        self.asked.append(("thumbnails", owner, *ids))
        assert self.gate.wait(PATIENCE)
        return super().thumbnails(owner, ids, size, kind=kind)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def importer(sandbox: Any) -> Iterator[Watched]:
    with closing(Watched(sandbox.server.omero_port)) as made:
        yield made
    end_every_client()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def page(importer: Watched, clock: Clock) -> Iterator[Images]:
    with closing(Images(lambda: importer, clock)) as made:
        yield made


def test_containers_are_asked_for_once_a_minute_for_each_person_and_group(
    sandbox: Any, importer: Watched, page: Images, clock: Clock
) -> None:
    assert awaited(page.containers("bob")).datasets == ()
    with logged_in(sandbox.server.omero_port, "bob") as bob:
        bob.make(omero.model.DatasetI(), "day 3")

    assert awaited(page.containers("bob")).datasets == ()
    assert [one.name for one in awaited(page.containers("bob", fresh=True)).datasets] == ["day 3"]
    assert awaited(page.containers("bob", "lab-b")).group == "lab-b"
    assert awaited(page.containers("alice")).datasets == ()
    clock.now += KEPT
    assert [one.name for one in awaited(page.containers("bob")).datasets] == ["day 3"]
    assert [one[1:] for one in importer.asked] == [
        ("bob", None), ("bob", None), ("bob", "lab-b"), ("alice", None), ("bob", None)
    ]  # fmt: skip
    assert awaited(page.account("bob")).email == "bob@example.org"


def test_what_many_visitors_want_at_once_is_asked_for_once(importer: Watched, page: Images) -> None:
    async def all_at_once() -> list[Tree]:
        importer.gate.clear()
        asking = [asyncio.ensure_future(page.containers("alice")) for _ in range(50)]
        await asyncio.to_thread(wait_until, lambda: importer.asked)
        importer.gate.set()
        return await asyncio.gather(*asking)

    assert len(awaited(all_at_once())) == 50
    assert len(importer.asked) == 1


def test_refusal_comes_through_in_its_own_words_and_is_not_kept(importer: Watched, page: Images) -> None:
    with pytest.raises(PermanentError, match="not a member"):
        awaited(page.containers("alice", "lab-b"))
    with pytest.raises(OperatorError, match="nobody-here"):
        awaited(page.account("nobody-here"))
    with pytest.raises(PermanentError):
        awaited(page.containers("alice", "lab-b"))

    assert len(importer.asked) == 2


def test_pictures_are_kept_for_who_saw_them_and_for_nobody_else(
    sandbox: Any, importer: Watched, page: Images, clock: Clock, tmp_path: Path
) -> None:
    """lab-a is private: what alice has seen a moment ago is not bob's to see."""
    ome_tiff(tmp_path / "a.ome.tif", series=3)
    with logged_in(sandbox.server.omero_port, "alice") as alice:
        ids = [each.image.id.val for each in response(begin(alice, tmp_path / "a.ome.tif")).pixels]
    seen = awaited(page.thumbnails("alice", [*ids, 2**40], 16))

    assert sorted(seen) == ids and all(picture.startswith(b"\xff\xd8") for picture in seen.values())
    assert awaited(page.thumbnails("bob", ids, 16)) == {}
    before = len(importer.asked)
    assert awaited(page.thumbnails("alice", [*ids, 2**40], 16)) == seen
    assert len(importer.asked) == before
    clock.now += 100
    assert awaited(page.thumbnails("alice", [*ids, 2**40], 16)) == seen
    assert importer.asked[before:] == [("thumbnails", "alice", 2**40)]  # it may have come meanwhile


def test_pictures_wanted_together_are_asked_for_together(importer: Watched, page: Images) -> None:
    def wanted() -> list[int]:
        return sorted(id for one in list(importer.asked) for id in one[2:])

    async def a_page_of_pictures() -> None:
        importer.gate.clear()
        asking = [asyncio.ensure_future(page.thumbnail("alice", id)) for id in range(1, 101) for _ in (1, 2)]
        await asyncio.to_thread(wait_until, lambda: len(importer.asked) == 4 or len(wanted()) == 100)
        importer.gate.set()
        await asyncio.gather(*asking)

    awaited(a_page_of_pictures())

    assert wanted() == list(range(1, 101))
    assert len(importer.asked) <= 6


def test_server_that_accepts_and_never_answers_holds_up_nobody(clock: Clock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        page = Images(lambda: Watched(silent.getsockname()[1]), clock, seconds=0.3)
        for asking in (page.containers("alice"), page.thumbnails("alice", [1, 2, 3]), page.account("alice")):
            with pytest.raises(Unavailable, match=r"OMERO does not answer\. Try again"):
                awaited(asking)
        page.close()


def test_page_that_ends_answers_whoever_waits(importer: Watched, clock: Clock) -> None:
    page = Images(lambda: importer, clock)

    async def ended_meanwhile() -> list[Any]:
        importer.gate.clear()
        asking = [page.containers("alice", str(number)) for number in range(6)]
        asking = [asyncio.ensure_future(one) for one in asking]
        await asyncio.to_thread(wait_until, lambda: len(importer.asked) == 4)
        page.close()
        importer.gate.set()
        return await asyncio.gather(*asking, page.account("alice"), return_exceptions=True)

    answers = awaited(ended_meanwhile())

    assert [type(one) for one in answers[4:]] == [Unavailable] * 3


def test_shelf_never_takes_more_room_than_it_has() -> None:
    shelf: Shelf[bytes] = Shelf(100, Clock())
    for number in range(10):
        shelf.put(number, b"x", 60, 30)
        shelf.get(0)
    shelf.put("too large", b"x", 60, 101)

    assert shelf.taken == 0 and shelf.get("too large") is None
    for number in (1, 2, 3):
        shelf.put(number, b"x", 60, 30)
    shelf.get(1)
    shelf.put(4, b"x", 60, 30)
    assert [number for number in (1, 2, 3, 4) if shelf.get(number)] == [1, 3, 4]
