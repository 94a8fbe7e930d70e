"""The OMERO importer against a server that speaks real Ice. What is promised is in importers/base.py.

The stories need a sandbox for its faults; those without faults would run against any server with its accounts.
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("omero")

from omero_site import (
    KEY,
    SECRET,
    completed,
    fails,
    filesets,
    left_to_the_server,
    open_below,
    rows,
    wait_until,
)
from orders import OTHER_STAMP, STAMP, Batch, make_batch, run

from dropwatch.errors import (
    Interrupted,
    OperatorError,
    PermanentError,
    TemporaryError,
    Unavailable,
)
from dropwatch.importers import omero_inventory as inventory
from dropwatch.importers.omero import OmeroImporter
from dropwatch.importers.omero_login import Login, Server
from dropwatch.importers.omero_settings import annotations_of
from dropwatch.model import (
    Answers,
    Fileset,
    Imported,
    Kind,
    Progress,
    Running,
    Skipped,
    Target,
)
from dropwatch.sandbox.samples import corrupt_tiff

OTHER = Target(Kind.DATASET, name="another")

pytestmark = pytest.mark.usefixtures("no_secret_in_logs")


# -- the way it goes when nothing goes wrong -------------------------------------------------------------


def test_file_is_imported_as_its_owner_into_a_new_dataset(
    sandbox: Any, importer: OmeroImporter, batch: Batch
) -> None:
    fileset = batch.image("run 1/a.ome.tif")
    answers = importer.ask(batch.order, [fileset])
    told: list[Progress] = []
    imported = run(importer, batch, fileset, answers, progress=told.append)
    (line,) = completed(sandbox)
    sha1 = hashlib.sha1((batch.folder / "run 1/a.ome.tif").read_bytes()).hexdigest()

    assert answers.container.created and answers.container.name == "day 3"
    assert (answers.email, answers.group, answers.found) == ("alice@example.org", "lab-a", {})
    assert (line["user"], line["group"]) == ("alice", "lab-a")
    assert line["target"] == f"Dataset:{answers.container.id}"
    assert line["key"] == f"dropwatch/{STAMP}/{fileset.id}"
    assert line["files"] == [
        {
            "client_path": f"dropwatch/{STAMP}/{fileset.id}/run 1/a.ome.tif",
            "size": fileset.bytes,
            "sha1": sha1,
        }
    ]
    assert [image.id for image in imported.images] == line["images"]
    assert imported.images[0].name == "a.ome.tif" and imported.log is not None and imported.warning == ""
    assert told[0] == Progress("upload", fileset.bytes, fileset.bytes)


def test_asking_again_says_imported_and_makes_no_second_dataset(
    importer: OmeroImporter, batch: Batch
) -> None:
    one, two = batch.image("a.ome.tif"), batch.image("b.ome.tif", seed=1)
    first = importer.ask(batch.order, [one, two])
    imported = run(importer, batch, one, first)
    second = importer.ask(batch.order, [one, two])

    assert second.container == replace(first.container, created=False)
    assert list(second.found) == [one.id]
    found = second.found[one.id]
    assert isinstance(found, Imported)
    assert (found.images, found.fileset) == (imported.images, imported.fileset)


def test_annotations_tell_people_where_the_images_came_from(
    sandbox: Any, importer: OmeroImporter, batch: Batch
) -> None:
    order = replace(
        batch.order, tags=("confocal", "day3"), key_values=(("objective", "63x"),), description="free text"
    )
    batch = Batch(batch.folder, order)
    for name in ("a.ome.tif", "b.ome.tif"):
        fileset = batch.image(name)
        run(importer, batch, fileset, importer.ask(order, [fileset]))
    tags = rows(sandbox, "select text from annotation where kind = 'TagAnnotation' order by text")
    links = rows(sandbox, "select count(*) from link where kind = 'ImageAnnotationLink'")
    pairs = str(rows(sandbox, "select * from annotation where ns = 'dropwatch'"))
    keys = str(rows(sandbox, "select * from annotation where ns like '%mapAnnotation'"))

    assert tags == [("confocal",), ("day3",)]
    assert links == [(2 * 4,)]
    assert "HeLa day 3" in pairs and STAMP in pairs and "2026-11-24 14:03:55 UTC" in pairs
    assert "objective" in keys and "63x" in keys
    assert rows(sandbox, "select distinct description from image") == [("free text",)]


def test_fileset_of_several_files_is_one_import(sandbox: Any, importer: OmeroImporter, batch: Batch) -> None:
    batch.image("set/a.ome.tif")
    (batch.folder / "set" / "a.log").write_bytes(b"settings")
    (batch.folder / "set" / "empty.txt").write_bytes(b"")
    fileset = batch.fileset("set/a.ome.tif", "set/a.log", "set/empty.txt")
    answers = importer.ask(batch.order, [fileset])
    run(importer, batch, fileset, answers)
    (line,) = completed(sandbox)

    assert [file["size"] for file in line["files"]] == [fact.size for fact in fileset.files]
    assert isinstance(importer.ask(batch.order, [fileset]).found[fileset.id], Imported)


def test_plate_goes_to_a_screen(importer: OmeroImporter, batch: Batch) -> None:
    order = replace(batch.order, target=Target(Kind.SCREEN, name="plates"))
    name = "plate&plates=1&plateRows=2&plateCols=2.fake"
    (batch.folder / name).touch()
    batch = Batch(batch.folder, order)
    fileset = batch.fileset(name)
    imported = run(importer, batch, fileset, importer.ask(order, [fileset]))
    found = importer.ask(order, [fileset]).found[fileset.id]

    assert [image.kind for image in imported.images] == ["Plate"]
    assert isinstance(found, Imported) and found.images == imported.images


def test_dataset_in_a_project_is_found_again(sandbox: Any, importer: OmeroImporter, batch: Batch) -> None:
    order = replace(batch.order, target=Target(Kind.DATASET, name="day 3", project="HeLa"))
    first = importer.ask(order, []).container
    second = importer.ask(order, []).container
    in_no_project = importer.ask(replace(order, target=Target(Kind.DATASET, name="day 4")), []).container
    third = importer.ask(
        replace(order, target=Target(Kind.DATASET, name="day 4", project="HeLa")), []
    ).container

    assert first.id == second.id
    assert third.id != in_no_project.id
    assert rows(sandbox, "select count(*) from project") == [(1,)]


def test_several_datasets_of_one_name_lead_to_the_newest_and_a_note(
    sandbox: Any, importer: OmeroImporter, batch: Batch
) -> None:
    in_projects = [
        importer.ask(replace(batch.order, target=Target(Kind.DATASET, name="day 3", project=project)), [])
        for project in ("one", "two")
    ]
    answers = importer.ask(batch.order, [])

    assert answers.container.id == max(each.container.id for each in in_projects)
    assert not answers.container.created
    assert "2 of your datasets are called 'day 3'" in answers.container.note


def test_dataset_by_its_number(importer: OmeroImporter, batch: Batch) -> None:
    made = importer.ask(batch.order, []).container
    by_number = importer.ask(replace(batch.order, target=Target(Kind.DATASET, id=made.id)), []).container

    assert (by_number.id, by_number.name, by_number.created) == (made.id, "day 3", False)


def test_file_names_that_omero_cannot_carry(sandbox: Any, importer: OmeroImporter, batch: Batch) -> None:
    names = [os.fsdecode(b"caf\xe9.ome.tif"), "a:b?.ome.tif", "con.ome.tif", "50%41.ome.tif", "Übung.ome.tif"]
    told = []
    for seed, name in enumerate(names):
        fileset = batch.image(name, seed=seed)
        run(importer, batch, fileset, importer.ask(batch.order, [fileset]))
        told.append(completed(sandbox)[-1]["files"][0]["client_path"].rpartition("/")[2])

        assert isinstance(importer.ask(batch.order, [fileset]).found[fileset.id], Imported)

    assert told == [
        "caf%E9.ome.tif",
        "a%3Ab%3F.ome.tif",
        "%63on.ome.tif",
        "50%2541.ome.tif",
        "Übung.ome.tif",
    ]
    images = [name for (name,) in rows(sandbox, "select name from image order by id")]
    assert images == ["caf%E9.ome.tif", "a:b?.ome.tif", "con.ome.tif", "50%41.ome.tif", "Übung.ome.tif"]


def test_two_users_at_once_in_two_threads(sandbox: Any, importer: OmeroImporter, tmp_path: Path) -> None:
    batches = [
        make_batch(
            tmp_path / owner, owner=owner, user=owner, batch=f"20261124-140355-{owner[:4].ljust(4, '0')}"
        )
        for owner in ("alice", "bob")
    ]
    wrong: list[BaseException] = []

    def work(batch: Batch) -> None:
        try:
            for seed in range(5):
                fileset = batch.image(f"{seed}.ome.tif", seed=seed)
                run(importer, batch, fileset, importer.ask(batch.order, [fileset]))
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(batch,)) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(200)

    assert wrong == []
    assert sorted(line["user"] for line in completed(sandbox)) == ["alice"] * 5 + ["bob"] * 5


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """What they answer when they begin in the same moment, each in a thread of its own."""
    together = threading.Barrier(len(acts))

    def act(one: Callable[[], Any]) -> Any:
        together.wait(60)
        return one()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(act, acts))


@pytest.mark.parametrize("project", [None, "HeLa"])
def test_same_dataset_wanted_by_several_processes_at_once_is_made_once(
    sandbox: Any, connect: Callable[..., OmeroImporter], batch: Batch, project: str | None
) -> None:
    importers = [connect() for _ in range(4)]  # as in processes of their own: they share nothing
    for each in importers:
        each.ask(replace(batch.order, target=OTHER), [])  # opens its session
    order = replace(batch.order, target=Target(Kind.DATASET, name="day 3", project=project))

    def ask(importer: OmeroImporter) -> int:
        """As the line does it: what is Temporary is tried again. One may see a project that another takes back."""
        for _ in range(3):
            with suppress(TemporaryError):
                return importer.ask(order, []).container.id
        return importer.ask(order, []).container.id

    found = at_once(*(lambda each=each: ask(each) for each in importers))

    assert len(set(found)) == 1
    assert rows(sandbox, "select id from dataset where name = 'day 3'") == [(found[0],)]
    assert len(rows(sandbox, "select id from project")) == (0 if project is None else 1)


def test_same_new_tag_wanted_by_several_processes_at_once_is_made_once(sandbox: Any, batch: Batch) -> None:
    server = Server("127.0.0.1", sandbox.server.omero_port, False, "dropwatch", lambda: "dropwatch")
    login = Login(server)
    sessions = [login.open("alice", None) for _ in range(5)]
    words = tuple(f"word {number}" for number in range(8))
    order, fileset = replace(batch.order, tags=words), batch.image()
    made = at_once(*(lambda each=each: annotations_of(each, order, fileset) for each in sessions))
    for session in sessions:
        session.end()
    login.close()
    told = [[each.id.val for each in annotations if each.id is not None] for annotations in made]

    assert [len(ids) for ids in told] == [len(words)] * len(sessions)
    assert len({tuple(ids) for ids in told}) == 1
    assert len(rows(sandbox, "select id from annotation where kind = 'TagAnnotation'")) == len(words)


# -- files that are there already ------------------------------------------------------------------------


def test_file_that_is_there_already_is_skipped(importer: OmeroImporter, tmp_path: Path) -> None:
    first = make_batch(tmp_path / "first")
    imported = [
        run(importer, first, fileset, importer.ask(first.order, [fileset]))
        for fileset in (first.image("a.ome.tif", seed=1), first.image("b.ome.tif", seed=2))
    ]
    again = make_batch(tmp_path / "again", batch=OTHER_STAMP)
    same = again.copy(first, "a.ome.tif", "sub/a.ome.tif")
    other = again.image("b.ome.tif", seed=3)  # the same name and size, other pixels
    answers = importer.ask(again.order, [same, other])

    assert other.bytes == first.fileset("b.ome.tif").bytes
    assert answers.found == {same.id: Skipped(imported[0].images, imported[0].fileset)}


def test_same_file_is_imported_again_where_the_manifest_says_so(
    importer: OmeroImporter, tmp_path: Path
) -> None:
    first = make_batch(tmp_path / "first")
    fileset = first.image()
    run(importer, first, fileset, importer.ask(first.order, [fileset]))
    again = make_batch(tmp_path / "again", batch=OTHER_STAMP, duplicates="import")

    assert importer.ask(again.order, [again.copy(first, "a.ome.tif", "a.ome.tif")]).found == {}


def test_copies_within_one_batch_are_all_imported(importer: OmeroImporter, batch: Batch) -> None:
    one = batch.image("left/a.ome.tif")
    two = batch.copy(batch, "left/a.ome.tif", "right/a.ome.tif")
    run(importer, batch, one, importer.ask(batch.order, [one, two]))

    assert list(importer.ask(batch.order, [one, two]).found) == [one.id]


def test_part_of_a_fileset_is_no_duplicate_of_it(importer: OmeroImporter, tmp_path: Path) -> None:
    first = make_batch(tmp_path / "first")
    first.image("a.ome.tif")
    (first.folder / "a.log").write_bytes(b"settings")
    both = first.fileset("a.ome.tif", "a.log")
    run(importer, first, both, importer.ask(first.order, [both]))
    again = make_batch(tmp_path / "again", batch=OTHER_STAMP)
    (again.folder / "a.log").write_bytes(b"settings")
    alone = again.copy(first, "a.ome.tif", "a.ome.tif")
    whole = again.fileset("a.ome.tif", "a.log")

    assert importer.ask(again.order, [alone]).found == {}
    assert list(importer.ask(again.order, [alone, whole]).found) == [whole.id]


def test_set_with_equal_names_in_several_folders_is_known_again(
    sandbox: Any, importer: OmeroImporter, tmp_path: Path
) -> None:
    first, again = make_batch(tmp_path / "first"), make_batch(tmp_path / "again", batch=OTHER_STAMP)
    sets = []
    first.image("a.ome.tif")
    again.copy(first, "a.ome.tif", "a.ome.tif")
    for batch in (first, again):
        names = [f"pos {number}/settings.txt" for number in range(3)]
        for name in names:
            (batch.folder / name).parent.mkdir()
            (batch.folder / name).write_bytes(b"the same in all of them")
        sets.append(batch.fileset("a.ome.tif", *names))
    imported = run(importer, first, sets[0], importer.ask(first.order, [sets[0]]))

    assert importer.ask(again.order, [sets[1]]).found == {
        sets[1].id: Skipped(imported.images, imported.fileset)
    }


def test_plate_that_is_there_already_is_skipped(importer: OmeroImporter, tmp_path: Path) -> None:
    name, target = "plate&plates=1&plateRows=2&plateCols=2.fake", Target(Kind.SCREEN, name="plates")
    first = make_batch(tmp_path / "first", target=target)
    again = make_batch(tmp_path / "again", batch=OTHER_STAMP, target=target)
    for batch in (first, again):
        (batch.folder / name).write_bytes(b"x" * 10)
    imported = run(importer, first, first.fileset(name), importer.ask(first.order, []))
    (found,) = importer.ask(again.order, [again.fileset(name)]).found.values()

    assert found == Skipped(imported.images, imported.fileset)
    assert [image.kind for image in imported.images] == ["Plate"]


def test_names_of_several_series_and_of_plates(sandbox: Any, importer: OmeroImporter, tmp_path: Path) -> None:
    series, plate = "a:b&series=2.fake", "c:d&plates=1&plateRows=1&plateCols=1.fake"
    batch = make_batch(tmp_path / "batch")
    screen = Batch(batch.folder, replace(batch.order, target=Target(Kind.SCREEN, name="plates")))
    for name in (series, plate):
        (batch.folder / name).touch()
    run(importer, batch, batch.fileset(series), importer.ask(batch.order, []))
    images = [name for (name,) in rows(sandbox, "select name from image order by id")]
    run(importer, screen, replace(batch.fileset(plate), plate=True), importer.ask(screen.order, []))
    (called,) = rows(sandbox, "select name from plate")

    assert [name.startswith("a:b&series=2.fake [") for name in images] == [True, True]
    assert not called[0].startswith("c:d")  # as the format calls it


# -- what breaks off, and what a later ask says of it ----------------------------------------------------


def test_connection_lost_in_mid_upload_leaves_nothing_after_the_next_ask(
    sandbox: Any, connect: Callable[..., OmeroImporter], batch: Batch
) -> None:
    importer = connect(reconnect=0)
    fileset = batch.image(size=1500)
    answers = importer.ask(batch.order, [fileset])
    sandbox.set_faults(drop_after_bytes=1_000_000)
    fails(TemporaryError, lambda: run(importer, batch, fileset, answers))
    left = filesets(sandbox)
    answers = importer.ask(batch.order, [fileset])

    assert left == 1  # the key was there before the first byte
    assert answers.found == {}
    assert filesets(sandbox) == 0

    run(importer, batch, fileset, answers)
    assert len(completed(sandbox)) == filesets(sandbox) == 1


def test_lost_reply_is_found_out_by_asking(sandbox: Any, importer: OmeroImporter, batch: Batch) -> None:
    fileset = batch.image()
    answers = importer.ask(batch.order, [fileset])
    sandbox.set_faults(lose_reply=1)
    fails(TemporaryError, lambda: run(importer, batch, fileset, answers))

    wait_until(lambda: fileset.id in importer.ask(batch.order, [fileset]).found)
    wait_until(lambda: isinstance(importer.ask(batch.order, [fileset]).found[fileset.id], Imported))
    assert len(completed(sandbox)) == filesets(sandbox) == 1


def test_import_that_finishes_while_leftovers_are_looked_for_is_none(
    sandbox: Any, importer: OmeroImporter, batch: Batch
) -> None:
    server = Server("127.0.0.1", sandbox.server.omero_port, False, "dropwatch", lambda: "dropwatch")
    login = Login(server)
    session = login.open("alice", None)
    fileset = batch.image()
    answers = importer.ask(batch.order, [fileset])
    told: list[Progress] = []
    seen: list[Any] = []

    def look(progress: Progress) -> None:
        told.append(progress)
        seen[:] = inventory.look(session, STAMP)

    sandbox.set_faults(slow_after_verify="500ms")
    run(importer, batch, fileset, answers, progress=look)
    seen[:] = [replace(one, images=()) for one in seen]  # what was seen while the server was importing
    left = inventory.settle(session, STAMP, seen)
    session.end()
    login.close()

    assert told[-1].stage == "server"
    assert [one.key for one in left] == [fileset.id] and left[0].images
    assert filesets(sandbox) == 1


def test_session_that_expires_is_made_anew(sandbox: Any, importer: OmeroImporter, batch: Batch) -> None:
    fileset = batch.image()
    answers = importer.ask(batch.order, [fileset])
    sandbox.set_faults(expire=1)
    error = fails(TemporaryError, lambda: run(importer, batch, fileset, answers))
    run(importer, batch, fileset, importer.ask(batch.order, [fileset]))

    assert error.code == "session-ended"
    assert len(completed(sandbox)) == filesets(sandbox) == 1


def test_restarted_server_is_only_a_new_login(
    sandbox: Any, connect: Callable[..., OmeroImporter], batch: Batch
) -> None:
    later = iter(range(0, 10_000, 60))  # a clock by which a minute passes between any two looks
    importer = connect(clock=lambda: next(later))
    fileset = batch.image()
    importer.ask(batch.order, [fileset])
    sandbox.server.stop()
    sandbox.server.start()
    run(importer, batch, fileset, importer.ask(batch.order, [fileset]))

    assert len(completed(sandbox)) == 1


def test_server_error_before_the_upload_is_temporary(
    sandbox: Any, importer: OmeroImporter, batch: Batch
) -> None:
    fileset = batch.image()
    answers = importer.ask(batch.order, [fileset])
    codes = []
    for fault in ("internal", "busy", "checksum"):
        sandbox.set_faults(**{fault: 1})
        codes.append(fails(TemporaryError, lambda: run(importer, batch, fileset, answers)).code)

        assert filesets(sandbox) == 0

    run(importer, batch, fileset, answers)
    assert codes == ["server-error", "server-busy", "checksum-differs"]
    assert len(completed(sandbox)) == 1


def test_full_disk_of_the_server_is_for_the_admins(
    sandbox: Any, importer: OmeroImporter, batch: Batch
) -> None:
    fileset = batch.image()
    answers = importer.ask(batch.order, [fileset])
    sandbox.set_faults(disk_full=1)
    error = fails(OperatorError, lambda: run(importer, batch, fileset, answers))

    assert error.concerns == "omero"
    assert "space" in error.remedy


def test_stop_in_the_middle_of_an_upload_leaves_nothing(
    sandbox: Any, importer: OmeroImporter, batch: Batch
) -> None:
    fileset = batch.image(size=1500)
    answers = importer.ask(batch.order, [fileset])
    told: list[Progress] = []
    fails(
        Interrupted,
        lambda: run(importer, batch, fileset, answers, progress=told.append, stopped=lambda: bool(told)),
    )

    assert told[0].done < fileset.bytes
    assert filesets(sandbox) == 0
    assert completed(sandbox) == []


def test_stop_while_the_server_imports_leaves_it_running(
    sandbox: Any, importer: OmeroImporter, batch: Batch
) -> None:
    fileset = batch.image()
    answers = importer.ask(batch.order, [fileset])
    sandbox.set_faults(hold_after_verify=True)
    told: list[Progress] = []
    at_server = lambda: any(progress.stage == "server" for progress in told)  # noqa: E731
    error = fails(
        Interrupted, lambda: run(importer, batch, fileset, answers, progress=told.append, stopped=at_server)
    )
    asked = importer.ask(batch.order, [fileset]).found[fileset.id]
    sandbox.set_faults()
    wait_until(lambda: isinstance(importer.ask(batch.order, [fileset]).found[fileset.id], Imported))

    assert "goes on" in error.message
    assert isinstance(asked, Running)
    assert len(completed(sandbox)) == filesets(sandbox) == 1


def test_closed_importer_does_not_cancel_what_the_server_imports(
    sandbox: Any, connect: Callable[..., OmeroImporter], batch: Batch
) -> None:
    fileset = batch.image()
    first, second = connect(), connect()
    answers = first.ask(batch.order, [fileset])
    sandbox.set_faults(hold_after_verify=True)
    told: list[Progress] = []
    with suppress(Interrupted):
        run(
            first, batch, fileset, answers, progress=told.append,
            stopped=lambda: any(progress.stage == "server" for progress in told),
        )  # fmt: skip
    first.close()
    asked = second.ask(batch.order, [fileset]).found[fileset.id]
    sandbox.set_faults()
    wait_until(lambda: isinstance(second.ask(batch.order, [fileset]).found[fileset.id], Imported))

    assert isinstance(asked, Running)
    assert len(completed(sandbox)) == 1


CHILD = """
    import sys
    from dropwatch.importers.omero import OmeroImporter
    from dropwatch.model import *

    port, order, fileset, answers = int(sys.argv[1]), *map(eval, sys.argv[2:5])
    importer = OmeroImporter("127.0.0.1", port, False, "dropwatch", lambda: "dropwatch")
    importer.import_(order, fileset, answers, progress=lambda told: None, stopped=lambda: False)
"""


def import_in_a_process_and_kill_it(
    sandbox: Any, batch: Batch, fileset: Fileset, answers: Answers, stage: str
) -> None:
    """Let another process import, and kill it in mid-*stage* ("upload", "verify"), in which the server holds it."""
    sandbox.set_faults(**{f"hold_{'after_' if stage == 'verify' else ''}{stage}": True})
    values = [
        re.sub(r"<Kind\.(\w+): '\w+'>", r"Kind.\1", repr(each)) for each in (batch.order, fileset, answers)
    ]
    child = subprocess.Popen(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            textwrap.dedent(CHILD),
            str(sandbox.server.omero_port),
            *values,
        ],
        cwd=Path(__file__).parents[2],
    )
    try:
        wait_until(lambda: has_come(sandbox, stage) or child.poll() is not None)
        assert child.poll() is None
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait(60)


def has_come(sandbox: Any, stage: str) -> bool:
    """Whether the server has some bytes of a file, or has begun to import."""
    files = [path for path in (sandbox.folder / "omero" / "ManagedRepository").rglob("*") if path.is_file()]
    if stage == "upload":
        return any(path.stat().st_size for path in files if path.suffix != ".log")
    return any("IMPORT_STARTED" in path.read_text() for path in files if path.suffix == ".log")


def test_process_killed_in_mid_upload_leaves_nothing_after_the_next_ask(
    sandbox: Any, importer: OmeroImporter, batch: Batch
) -> None:
    fileset = batch.image(size=3000)
    answers = importer.ask(batch.order, [fileset])
    import_in_a_process_and_kill_it(sandbox, batch, fileset, answers, "upload")
    left = filesets(sandbox)
    sandbox.set_faults()
    answers = importer.ask(batch.order, [fileset])

    assert open_below(sandbox.folder / "omero" / "ManagedRepository") == []  # its process is closed too
    assert left == 1 and filesets(sandbox) == 0

    run(importer, batch, fileset, answers)
    assert len(completed(sandbox)) == 1


def test_process_killed_while_the_server_imports_is_waited_for(
    sandbox: Any, importer: OmeroImporter, batch: Batch
) -> None:
    fileset = batch.image()
    answers = importer.ask(batch.order, [fileset])
    import_in_a_process_and_kill_it(sandbox, batch, fileset, answers, "verify")
    asked = importer.ask(batch.order, [fileset]).found[fileset.id]
    sandbox.set_faults()
    wait_until(lambda: isinstance(importer.ask(batch.order, [fileset]).found[fileset.id], Imported))

    assert isinstance(asked, Running)
    assert len(completed(sandbox)) == filesets(sandbox) == 1


def test_failed_import_of_a_killed_process_is_a_leftover_as_soon_as_it_has_failed(
    sandbox: Any, importer: OmeroImporter, batch: Batch
) -> None:
    corrupt_tiff(batch.folder / "a.tif")
    fileset = batch.fileset("a.tif")
    answers = importer.ask(batch.order, [fileset])
    import_in_a_process_and_kill_it(sandbox, batch, fileset, answers, "verify")
    asked = importer.ask(batch.order, [fileset]).found[fileset.id]
    sandbox.set_faults()
    wait_until(lambda: importer.ask(batch.order, [fileset]).found == {})

    assert isinstance(asked, Running)
    assert filesets(sandbox) == 0


def test_replaced_file_leaves_no_leftover_of_the_old_one(
    sandbox: Any, connect: Callable[..., OmeroImporter], batch: Batch
) -> None:
    importer = connect(reconnect=0)
    old = batch.image(size=1500)
    answers = importer.ask(batch.order, [old])
    sandbox.set_faults(drop_after_bytes=1_000_000)
    fails(TemporaryError, lambda: run(importer, batch, old, answers))
    new = batch.image(seed=1)
    found = importer.ask(batch.order, [new]).found

    assert old.id != new.id
    assert found == {} and filesets(sandbox) == 0


# -- what goes on, or was left, under another batch id: its folder was taken out and dropped anew --------------


def test_files_that_the_server_still_imports_for_another_batch_are_waited_for(
    sandbox: Any, importer: OmeroImporter, batch: Batch, tmp_path: Path
) -> None:
    fileset, again = batch.image(), batch.but(batch=OTHER_STAMP)
    for_bob = again.but(owner="bob", user="bob")
    copied = make_batch(tmp_path / "copied", batch=OTHER_STAMP)
    copied.copy(batch, "a.ome.tif", "a.ome.tif")
    another = copied.image("run 2/a.ome.tif", seed=1)
    os.utime(copied.folder / "a.ome.tif", (1e9, 1e9))
    later = copied.fileset("a.ome.tif")
    sandbox.set_faults(hold_after_verify=True)
    left_to_the_server(importer, batch, fileset)
    asked = importer.ask(again.order, [fileset]).found
    by_bytes = importer.ask(copied.order, [later, another]).found
    elsewhere = importer.ask(again.but(target=OTHER).order, [fileset]).found
    all_the_same = importer.ask(again.but(duplicates="import").order, [fileset]).found
    of_bob = importer.ask(for_bob.order, [fileset]).found
    still = importer.ask(again.order, [fileset]).found
    sandbox.set_faults()
    wait_until(lambda: isinstance(importer.ask(again.order, [fileset]).found[fileset.id], Skipped))
    (line,) = completed(sandbox)

    assert asked == still == {fileset.id: Running(line["fileset"])}
    assert later.id != fileset.id and by_bytes == {later.id: Running(line["fileset"])}
    assert (elsewhere, all_the_same, of_bob) == ({}, {}, {})
    assert [image.id for image in importer.ask(batch.order, [fileset]).found[fileset.id].images] == line[
        "images"
    ]


def test_files_whose_import_for_another_batch_has_failed_are_imported_anew(
    sandbox: Any, importer: OmeroImporter, batch: Batch
) -> None:
    corrupt_tiff(batch.folder / "a.tif")
    fileset, again = batch.fileset("a.tif"), batch.but(batch=OTHER_STAMP)
    sandbox.set_faults(hold_after_verify=True)
    left_to_the_server(importer, batch, fileset)
    asked = importer.ask(again.order, [fileset]).found
    sandbox.set_faults()

    assert isinstance(asked[fileset.id], Running)
    wait_until(lambda: importer.ask(again.order, [fileset]).found == {})


def test_half_an_upload_of_another_batch_is_not_waited_for(
    sandbox: Any, connect: Callable[..., OmeroImporter], batch: Batch
) -> None:
    importer = connect(reconnect=0)
    fileset, again = batch.image(size=1500), batch.but(batch=OTHER_STAMP)
    answers = importer.ask(batch.order, [fileset])
    sandbox.set_faults(drop_after_bytes=1_000_000)
    fails(TemporaryError, lambda: run(importer, batch, fileset, answers))

    assert importer.ask(again.order, [fileset]).found == {}
    assert filesets(sandbox) == 1  # it may be the upload of a batch that is under way


# -- connecting --------------------------------------------------------------------------------------------


def test_server_that_is_down_is_unavailable(sandbox: Any, importer: OmeroImporter, batch: Batch) -> None:
    sandbox.server.stop()
    error = fails(Unavailable, lambda: importer.ask(batch.order, []))
    sandbox.server.start()

    assert "127.0.0.1" in error.message
    assert importer.ask(batch.order, []).group == "lab-a"


def test_busy_server_is_unavailable_while_connecting(
    sandbox: Any, importer: OmeroImporter, batch: Batch
) -> None:
    sandbox.set_faults(busy=3)
    fails(Unavailable, lambda: importer.ask(batch.order, []))

    assert importer.ask(batch.order, []).group == "lab-a"


def test_unknown_host_is_unavailable() -> None:
    importer = OmeroImporter("no-such-host.invalid", 4064, True, "dropwatch", lambda: SECRET)
    error = fails(Unavailable, lambda: importer.account("alice"))
    importer.close()

    assert "no-such-host.invalid" in error.message


def test_login_over_tls(sandbox: Any, batch: Batch) -> None:
    port = sandbox.server.omero_tls_port
    importer = OmeroImporter("127.0.0.1", port, True, "dropwatch", lambda: "dropwatch")
    fileset = batch.image()
    with closing(importer):
        run(importer, batch, fileset, importer.ask(batch.order, [fileset]))

    assert len(completed(sandbox)) == 1


def test_wrong_password_of_the_service_account_is_for_the_admins(
    connect: Callable[..., OmeroImporter], batch: Batch
) -> None:
    passwords = iter([SECRET, "dropwatch"])
    importer = connect(password=lambda: next(passwords))
    error = fails(OperatorError, lambda: importer.ask(batch.order, []))

    assert error.concerns == "omero"
    assert "omero.password_file" in error.remedy
    assert importer.ask(batch.order, []).group == "lab-a"  # the new password is read at the next login


def test_account_without_sudo_is_for_the_admins(connect: Callable[..., OmeroImporter], batch: Batch) -> None:
    error = fails(OperatorError, lambda: connect(user="nosudo").ask(batch.order, []))

    assert error.concerns == "omero"
    assert "Sudo privilege" in error.remedy


@pytest.mark.parametrize("owner", ["nobody-here", "mallory"])
def test_unknown_or_inactive_user_concerns_that_user(
    importer: OmeroImporter, batch: Batch, owner: str
) -> None:
    error = fails(OperatorError, lambda: importer.ask(replace(batch.order, owner=owner), []))

    assert error.concerns == "user"
    assert owner in error.message


def test_sessions_are_kept_alive_and_a_dead_one_stops_no_other(
    sandbox: Any, connect: Callable[..., OmeroImporter], batch: Batch, tmp_path: Path
) -> None:
    passwords = iter(["dropwatch"])  # there is no second login
    importer = connect(password=lambda: next(passwords, SECRET), idle=3.0)
    bob = make_batch(tmp_path / "bob", owner="bob", user="bob")
    fileset = batch.image()
    answers = importer.ask(batch.order, [fileset])
    importer.ask(bob.order, [])
    sandbox.set_faults(expire=1)
    fails(TemporaryError, lambda: run(importer, batch, fileset, answers))
    threading.Event().wait(4.0)  # longer than an unused session would live

    assert importer.ask(bob.order, []).group == "lab-a"
    assert importer.ask(batch.order, []).group == "lab-a"


# -- targets and groups ------------------------------------------------------------------------------------


def test_unknown_dataset_is_told_in_words(importer: OmeroImporter, batch: Batch) -> None:
    order = replace(batch.order, target=Target(Kind.DATASET, id=4711))
    error = fails(PermanentError, lambda: importer.ask(order, []))

    assert error.message == "There is no dataset 4711 that alice can see in group lab-a."


def test_dataset_in_another_group_is_told_with_the_remedy(importer: OmeroImporter, batch: Batch) -> None:
    bob = replace(batch.order, owner="bob", user="bob")
    made = importer.ask(replace(bob, group="lab-b"), []).container
    error = fails(
        PermanentError, lambda: importer.ask(replace(bob, target=Target(Kind.DATASET, id=made.id)), [])
    )

    assert "group lab-a" in error.message
    assert "batch.yaml" in error.remedy


def test_dataset_of_somebody_else_is_refused(importer: OmeroImporter, batch: Batch) -> None:
    bob = replace(batch.order, owner="bob", user="bob", group="lab-b")
    made = importer.ask(bob, []).container
    carol = replace(bob, owner="carol", user="carol", target=Target(Kind.DATASET, id=made.id))
    error = fails(PermanentError, lambda: importer.ask(carol, []))

    assert "not add images" in error.message


def test_group_of_other_people_is_refused(importer: OmeroImporter, batch: Batch) -> None:
    errors = [
        fails(PermanentError, lambda group=group: importer.ask(replace(batch.order, group=group), []))
        for group in ("lab-b", "no-such-group")
    ]

    assert [error.message for error in errors] == [
        "alice is not a member of the OMERO group lab-b.",
        "alice is not a member of the OMERO group no-such-group.",
    ]
    assert "lab-a" in errors[0].remedy


def test_group_is_used_where_it_is_named(sandbox: Any, importer: OmeroImporter, batch: Batch) -> None:
    batch = Batch(batch.folder, replace(batch.order, owner="bob", user="bob", group="lab-b"))
    fileset = batch.image()
    answers = importer.ask(batch.order, [fileset])
    run(importer, batch, fileset, answers)

    assert answers.group == answers.container.group == "lab-b"
    assert completed(sandbox)[0]["group"] == "lab-b"


def test_file_is_found_again_when_the_manifest_names_another_group_now(
    importer: OmeroImporter, batch: Batch
) -> None:
    batch = Batch(batch.folder, replace(batch.order, owner="bob", user="bob", group="lab-a"))
    fileset = batch.image()
    run(importer, batch, fileset, importer.ask(batch.order, [fileset]))
    found = importer.ask(replace(batch.order, group="lab-b"), [fileset]).found

    assert isinstance(found[fileset.id], Imported)


def test_batch_id_of_somebody_else_shows_nothing(importer: OmeroImporter, batch: Batch) -> None:
    fileset = batch.image()
    run(importer, batch, fileset, importer.ask(batch.order, [fileset]))
    forged = replace(batch.order, owner="bob", user="bob", duplicates="import")

    assert importer.ask(forged, [fileset]).found == {}
    assert isinstance(importer.ask(batch.order, [fileset]).found[fileset.id], Imported)


def test_batch_id_with_a_wildcard_is_refused(importer: OmeroImporter, batch: Batch) -> None:
    fails(PermanentError, lambda: importer.ask(replace(batch.order, batch="20261124-14035_-k3f9"), []))


# -- files -------------------------------------------------------------------------------------------------


def bad_file(folder: Path, kind: str) -> str:
    path = folder / f"{kind}.{'notes' if kind == 'unknown' else 'tif'}"
    if kind == "corrupt":
        corrupt_tiff(path)
    else:
        path.write_bytes(b"" if kind == "empty" else b"just some words\n" * 20)
    return path.name


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        ("corrupt", "import-file-exception", "damaged"),
        ("unknown", "import-unknown-format", "no reader knows this format"),
        ("empty", "import-file-exception", "empty"),
    ],
)
def test_unreadable_file_is_told_in_words_with_the_servers_log(
    sandbox: Any, importer: OmeroImporter, batch: Batch, kind: str, code: str, words: str
) -> None:
    name = bad_file(batch.folder, kind)
    fileset = batch.fileset(name)
    error = fails(PermanentError, lambda: run(importer, batch, fileset, importer.ask(batch.order, [fileset])))

    assert error.message.startswith(f"OMERO could not read {name}:")
    assert words in error.message and error.remedy
    assert error.code == code
    assert isinstance(error.log, int)
    assert "loci.formats" in error.detail and "import log" in error.detail
    assert filesets(sandbox) == 1  # left for the admins, with its log
    assert completed(sandbox) == []


def test_file_changed_before_or_while_it_is_read_is_not_imported(
    sandbox: Any, importer: OmeroImporter, batch: Batch
) -> None:
    fileset = batch.image(size=1500)
    path = batch.folder / "a.ome.tif"
    answers = importer.ask(batch.order, [fileset])
    before = [lambda: os.utime(path, ns=(1, 1)), lambda: path.write_bytes(b"II*\0"), path.unlink]
    codes = []
    for change in before:
        current = batch.image(size=1500)
        change()
        codes.append(fails(TemporaryError, lambda: run(importer, batch, current, answers)).code)  # noqa: B023
    current = batch.image(size=1500)

    def append(progress: Progress) -> None:
        with path.open("ab") as file:
            file.write(b"more")

    codes.append(fails(TemporaryError, lambda: run(importer, batch, current, answers, progress=append)).code)

    assert codes == ["changed-while-read", "changed-while-read", "file-gone", "changed-while-read"]
    assert completed(sandbox) == [] and filesets(sandbox) == 0


def test_listed_checksum_is_compared_while_uploading(
    sandbox: Any, importer: OmeroImporter, batch: Batch
) -> None:
    batch.image("good.ome.tif")
    batch.image("bad.ome.tif")
    sha256 = hashlib.sha256((batch.folder / "good.ome.tif").read_bytes()).hexdigest()
    good = batch.fileset("good.ome.tif", listed={"good.ome.tif": sha256.upper()})
    bad = batch.fileset("bad.ome.tif", listed={"bad.ome.tif": "0" * 64})
    answers = importer.ask(batch.order, [good, bad])
    error = fails(PermanentError, lambda: run(importer, batch, bad, answers))

    assert "bad.ome.tif is not the file that the manifest lists" in error.message
    assert completed(sandbox) == [] and filesets(sandbox) == 0

    run(importer, batch, good, answers)
    assert len(completed(sandbox)) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX")
def test_nothing_but_regular_files_of_the_batch_is_read(
    sandbox: Any, importer: OmeroImporter, batch: Batch, tmp_path: Path
) -> None:
    outside = make_batch(tmp_path / "outside")
    secret = outside.image("secret.ome.tif")
    (batch.folder / "link.ome.tif").symlink_to(outside.folder / "secret.ome.tif")
    (batch.folder / "below").symlink_to(outside.folder)
    os.mkfifo(batch.folder / "pipe.ome.tif")
    facts = {
        path: replace(secret.files[0], path=path)
        for path in ("link.ome.tif", "below/secret.ome.tif", "../outside/secret.ome.tif", "pipe.ome.tif")
    }
    answers = importer.ask(batch.order, [])
    for path, fact in facts.items():
        error = fails(PermanentError, lambda fact=fact: run(importer, batch, Fileset("f1", (fact,)), answers))

        assert path in error.message

    assert completed(sandbox) == [] and filesets(sandbox) == 0


# -- the rest of the contract ------------------------------------------------------------------------------


def test_account_tells_what_omero_knows(importer: OmeroImporter) -> None:
    bob, dave = importer.account("bob"), importer.account("dave")

    assert (bob.name, bob.email, bob.active) == ("bob", "bob@example.org", True)
    assert (bob.groups, bob.default_group) == (("lab-a", "lab-b"), "lab-a")
    assert dave.email is None
    assert importer.account("mallory").active is False


def test_everybody_who_can_have_images_imported_is_told(importer: OmeroImporter) -> None:
    told = importer.accounts()

    assert [one.name for one in told] == ["alice", "bob", "carol", "dave"]  # mallory is inactive
    assert told[1] == importer.account("bob")
    assert [one.email for one in told] == ["alice@example.org", "bob@example.org", "carol@example.org", None]


def test_doctor_names_a_remedy_for_each_finding(sandbox: Any, connect: Callable[..., OmeroImporter]) -> None:
    good = connect().diagnose("alice")
    no_mail = [found for found in connect().diagnose("dave") if not found.ok]
    no_sudo = [found for found in connect(user="nosudo").diagnose("alice") if not found.ok]
    root = connect(user="root", password=lambda: "omero").diagnose(None)
    unknown = [found for found in connect().diagnose("nobody-here") if not found.ok]
    refused = connect(password=lambda: SECRET).diagnose("alice")
    sandbox.server.stop()
    down = connect().diagnose("alice")
    sandbox.server.start()

    assert any("others that it does not need: Chgrp" in found.text for found in root)
    assert len(good) > 5 and all(found.ok for found in good)
    assert [found.subject for found in no_mail] == ["e-mail of dave"]
    assert {found.subject for found in no_sudo} == {"OMERO privilege", "OMERO session as alice"}
    assert {found.subject for found in unknown} == {"OMERO user nobody-here", "OMERO session as nobody-here"}
    assert [found.ok for found in refused] == [found.ok for found in down] == [False]
    for found in (*no_mail, *no_sudo, *unknown, *refused, *down):
        assert found.remedy and not KEY.search(found.text) and SECRET not in found.text


def test_discard_removes_what_was_made(sandbox: Any, importer: OmeroImporter, batch: Batch) -> None:
    fileset = batch.image()
    imported = run(importer, batch, fileset, importer.ask(batch.order, [fileset]))
    importer.discard(batch.order, fileset, imported)

    assert filesets(sandbox) == 0
    assert rows(sandbox, "select count(*) from dataset") == [(0,)]


def test_discard_keeps_a_dataset_that_was_there_before(
    sandbox: Any, connect: Callable[..., OmeroImporter], batch: Batch
) -> None:
    connect().ask(batch.order, [])
    importer = connect()
    fileset = batch.image()
    imported = run(importer, batch, fileset, importer.ask(batch.order, [fileset]))
    importer.discard(batch.order, fileset, imported)

    assert rows(sandbox, "select count(*) from dataset") == [(1,)]


def test_closing_is_quick_and_quiet_when_the_server_is_gone(
    sandbox: Any, importer: OmeroImporter, batch: Batch
) -> None:
    importer.ask(batch.order, [])
    sandbox.server.stop()
    before = time.monotonic()
    importer.close()
    importer.close()
    took = time.monotonic() - before
    sandbox.server.start()

    assert took < 30
