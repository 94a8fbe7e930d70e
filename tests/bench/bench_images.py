"""What the page asks of OMERO: the tree of somebody with 5,000 datasets, and 200 thumbnails on one page.

The peer of the tree: omero-py's BlitzGateway listing the same datasets, as a script does (names only, no numbers of
images). The peer of the thumbnails: one picture after the other from one thumbnail store, in the same session.
The server is the sandbox, in a process of its own; a real one keeps thumbnails ready, so there is a second round,
when ours are kept too. Run: make bench
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import omero
import omero.clients
import omero.gateway
import omero.model
from omero.rtypes import rint, rstring

sys.path.insert(0, str(Path(__file__).parents[1]))
from omero_people import Person, begin, logged_in, response

from dropwatch.importers.omero import OmeroImporter
from dropwatch.sandbox.samples import ome_tiff
from dropwatch.web.images import Images

DATASETS, PROJECTS, PICTURES = 5_000, 50, 200


@contextmanager
def sandbox(folder: Path) -> Iterator[int]:
    """A sandbox in a process of its own; the port of its OMERO."""
    command = [sys.executable, "-m", "dropwatch", "sandbox", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        found = re.search(r"omero=127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert found is not None
        yield int(found[1])
    finally:
        process.terminate()
        process.wait()


def fill(person: Person) -> None:
    """The projects, and datasets of which half are in one of them."""
    update = person.sf.getUpdateService()
    projects = [person.make(omero.model.ProjectI(), f"project {number}") for number in range(PROJECTS)]
    datasets = []
    for number in range(DATASETS):
        datasets.append(omero.model.DatasetI())
        datasets[-1].name = rstring(f"HeLa knockdown, day {number}")
    ids = [made.id.val for made in update.saveAndReturnArray(datasets)]
    links = []
    for number, id in enumerate(ids[::2]):
        links.append(omero.model.ProjectDatasetLinkI())
        links[-1].parent = omero.model.ProjectI(projects[number % PROJECTS], False)
        links[-1].child = omero.model.DatasetI(id, False)
    update.saveCollection(links)


def pictures_to_show(person: Person, folder: Path) -> list[tuple[int, int]]:
    """Image and pixels ids."""
    ome_tiff(folder / "many.ome.tif", series=PICTURES)
    pixels = response(begin(person, folder / "many.ome.tif")).pixels
    return [(each.image.id.val, each.id.val) for each in pixels]


def timed(do: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    answer = do()
    return time.perf_counter() - began, answer


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as name,
        sandbox(Path(name) / "sandbox") as port,
        logged_in(port, "alice") as alice,
    ):
        fill(alice)
        shown = pictures_to_show(alice, Path(name))
        trees(port)
        thumbnails(port, alice, shown)


def importer(port: int) -> OmeroImporter:
    return OmeroImporter("127.0.0.1", port, False, "dropwatch", lambda: "dropwatch")


def trees(port: int) -> None:
    with closing(Images(lambda: importer(port), time.monotonic)) as page:
        asyncio.run(page.account("alice"))
        tracemalloc.start()
        took, tree = timed(lambda: asyncio.run(page.containers("alice")))
        kept = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        again, tree = timed(lambda: asyncio.run(page.containers("alice", fresh=True)))
        cached, _ = timed(lambda: asyncio.run(page.containers("alice")))
    assert sum(project.count for project in tree.projects) + len(tree.datasets) == DATASETS
    client = omero.client(host=f"tcp://127.0.0.1:{port}")
    client.createSession("alice", "alice")
    gateway = omero.gateway.BlitzGateway(client_obj=client)
    peer, names = timed(lambda: [one.getName() for one in gateway.getObjects("Dataset", opts={"owner": 4})])
    client.closeSession()
    assert len(names) == DATASETS
    print(
        f"tree of {DATASETS:,} datasets: {again:.2f} s, with a new session {took:.2f} s, kept {cached * 1e3:.1f} ms"
    )
    print(
        f"  {kept / 2**20:.1f} MiB kept; BlitzGateway, names only: {peer:.2f} s ({peer / again:.1f} times as long)"
    )


def thumbnails(port: int, alice: Person, shown: list[tuple[int, int]]) -> None:
    with closing(Images(lambda: importer(port), time.monotonic, seconds=60)) as page:
        asyncio.run(page.account("alice"))
        ids = [image for image, _ in shown]
        took, found = timed(lambda: asyncio.run(page.thumbnails("alice", ids)))
        cached, _ = timed(lambda: asyncio.run(page.thumbnails("alice", ids)))
    assert len(found) == PICTURES
    store = alice.sf.createThumbnailStore()

    def one_by_one() -> None:
        for _, pixels in shown:
            store.setPixelsId(pixels)
            store.getThumbnailByLongestSide(rint(96))

    peer, _ = timed(one_by_one)
    store.close()
    size = sum(map(len, found.values())) / PICTURES
    print(f"{PICTURES} thumbnails, {size:,.0f} bytes each: {took:.2f} s, kept {cached * 1e3:.1f} ms")
    print(f"  one by one: {peer:.2f} s ({peer / took:.1f} times as long)")


if __name__ == "__main__":
    main()
