"""What is left in OMERO when a batch was taken away and nobody asks about it any more: removed, images never."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("omero")

import omero.clients
import omero.model
from omero.rtypes import rstring
from omero_site import completed, fails, filesets, left_to_the_server, wait_until
from orders import OTHER_STAMP, STAMP, Batch, make_batch, run

from dropwatch.errors import TemporaryError
from dropwatch.importers.omero import OmeroImporter
from dropwatch.importers.omero_attachments import half
from dropwatch.importers.omero_login import Login, Server
from dropwatch.model import Fileset, Imported, Tidied
from dropwatch.sandbox.samples import corrupt_tiff

pytestmark = pytest.mark.usefixtures("no_secret_in_logs")

DAY = 86400.0


def half_an_upload(sandbox: Any, connect: Callable[..., OmeroImporter], batch: Batch) -> Fileset:
    """A fileset of *batch* of which the connection was lost in the middle, and is not joined again."""
    importer = connect(reconnect=0)
    fileset = batch.image("half.ome.tif", size=1500)
    answers = importer.ask(batch.order, [fileset])
    sandbox.set_faults(drop_after_bytes=1_000_000)
    fails(TemporaryError, lambda: run(importer, batch, fileset, answers))
    sandbox.set_faults()
    return fileset


def end_all_sessions(sandbox: Any) -> None:
    """As time does it; an idle session lives for ten minutes."""
    sandbox.server.stop()
    sandbox.server.start()


def stored(sandbox: Any) -> list[str]:
    """What lies in the managed repository, but for import logs."""
    below = sandbox.folder / "omero" / "ManagedRepository"
    return [path.name for path in below.rglob("*") if path.is_file() and path.suffix != ".log"]


def test_half_an_upload_that_nobody_goes_on_with_is_removed(
    sandbox: Any, connect: Callable[..., OmeroImporter], batch: Batch, tmp_path: Path
) -> None:
    importer, good = connect(), make_batch(tmp_path / "good", batch=OTHER_STAMP)
    whole = good.image("whole.ome.tif")
    run(importer, good, whole, importer.ask(good.order, [whole]))
    half_an_upload(sandbox, connect, batch)

    alive = importer.tidy("alice", frozenset(), 0)
    end_all_sessions(sandbox)
    importer = connect()
    of_others = importer.tidy("bob", frozenset(), 0)
    young = importer.tidy("alice", frozenset(), DAY)
    in_work = importer.tidy("alice", {STAMP}, 0)
    before = filesets(sandbox)
    with closing(sqlite3.connect(sandbox.folder / "omero" / "omero.db")) as base, base:
        base.execute(f"update fileset set created = created - {4 * DAY * 1000:.0f}")
    told = [one for one in importer.diagnose("alice") if one.subject == "leftovers of alice"]
    dead = importer.tidy("alice", {OTHER_STAMP}, 0)

    # An uploader that is in a living session may be somebody's who is still at it.
    assert alive == Tidied(0, (2,))
    assert of_others == young == in_work == Tidied(0) and before == 2
    assert [(one.ok, one.text) for one in told] == [
        (False, "half imports older than three days: 1 (Fileset:2)")
    ]
    assert dead == Tidied(1) and filesets(sandbox) == 1
    assert stored(sandbox) == ["whole.ome.tif"]
    assert isinstance(importer.ask(good.order, [whole]).found[whole.id], Imported)
    assert importer.tidy("alice", frozenset(), 0) == Tidied(0)


def test_what_the_server_still_imports_is_left_and_what_failed_there_is_removed(
    sandbox: Any, importer: OmeroImporter, batch: Batch
) -> None:
    good = batch.image("a.ome.tif")
    sandbox.set_faults(slow_after_verify="1s")
    left_to_the_server(importer, batch, good)
    while_it_runs = importer.tidy("alice", frozenset(), 0)
    wait_until(lambda: completed(sandbox))
    afterwards = importer.tidy("alice", frozenset(), 0)
    corrupt_tiff(batch.folder / "bad.tif")
    bad = batch.fileset("bad.tif")
    left_to_the_server(importer, batch, bad)
    failing = importer.tidy("alice", frozenset(), 0)
    wait_until(lambda: importer.tidy("alice", frozenset(), 0) == Tidied(1))

    assert while_it_runs == Tidied(0, (completed(sandbox)[0]["fileset"],))
    assert afterwards == Tidied(0)
    assert failing.removed == 0 and len(failing.left) == 1
    assert filesets(sandbox) == 1 and stored(sandbox) == ["a.ome.tif"]


def test_what_nobody_can_be_asked_about_is_left_until_its_log_says_that_it_ended(
    sandbox: Any, connect: Callable[..., OmeroImporter], batch: Batch
) -> None:
    """Neither process nor session is there any more; the image of a real import may come all the same."""
    fileset = batch.image()
    sandbox.set_faults(slow_after_verify="60s")
    left_to_the_server(connect(), batch, fileset)
    end_all_sessions(sandbox)
    (log,) = (sandbox.folder / "omero" / "ManagedRepository").rglob("*.log")
    log.write_text("IMPORT_STARTED\n")  # the sandbox notes that it was stopped; a machine that fails does not
    importer = connect()
    unknown = importer.tidy("alice", frozenset(), 0)
    with log.open("a") as file:
        file.write("Cleaning up import.\n")

    assert unknown == Tidied(0, (1,))
    assert importer.tidy("alice", frozenset(), 0) == Tidied(1)
    assert filesets(sandbox) == 0


def test_half_an_attachment_is_removed_and_a_whole_one_is_not(
    sandbox: Any, importer: OmeroImporter, batch: Batch
) -> None:
    from orders import attach

    whole = batch.attachment(batch.text("notes.txt"))
    attach(importer, batch, whole, importer.ask(batch.order, [whole]))
    login = Login(Server("127.0.0.1", sandbox.server.omero_port, False, "dropwatch", lambda: "dropwatch"))
    session = login.open("alice", None)
    with closing(login):
        file = omero.model.OriginalFileI()
        file.name, file.path = rstring("half.txt"), rstring(f"dropwatch/{STAMP}/half/")
        file.size = omero.rtypes.rlong(10)
        session.update.saveAndReturnObject(file)
        seen = [one.batch for one in half(session)]
        removed = importer.tidy("alice", frozenset(), 0)
        left = half(session)
        session.end()

    assert (seen, removed, left) == ([STAMP], Tidied(1), [])
    assert whole.id in importer.ask(batch.order, [whole]).found
