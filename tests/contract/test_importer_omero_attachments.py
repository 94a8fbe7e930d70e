"""Files that are attached to the dataset or screen of a batch, against a server that speaks real Ice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("omero")

from omero_site import fails, rows
from orders import OTHER_STAMP, STAMP, Batch, make_batch, run

from dropwatch.errors import DropwatchError, Interrupted, PermanentError, TemporaryError
from dropwatch.importers.omero import OmeroImporter
from dropwatch.model import Answers, Attached, Attachment, Kind, Progress, Target

pytestmark = pytest.mark.usefixtures("no_secret_in_logs")


def attachment(batch: Batch, path: str = "notes.pdf", size: int = 10_000_000, sha256: str = "") -> Attachment:
    file = batch.folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        file.write_bytes(hashlib.shake_128(path.encode()).digest(size))
    made = batch.fileset(path, listed={path: sha256} if sha256 else {})
    return Attachment(made.id, made.files, made.listed)


def attach(importer: OmeroImporter, batch: Batch, one: Attachment, answers: Answers, **more: Any) -> Attached:
    told: dict[str, Any] = {"progress": lambda progress: None, "stopped": lambda: False, **more}
    return importer.attach(batch.order, one, answers, **told)


def files(sandbox: Any) -> list[Path]:
    """The bytes that the server keeps outside the managed repository."""
    return sorted((sandbox.folder / "omero" / "Files").glob("*"))


def counted(sandbox: Any) -> tuple[int, int, int]:
    """How many files of ours, annotations with a file, and links to them."""
    questions = (
        "select count(*) from originalfile where path like 'dropwatch/%'",
        "select count(*) from annotation where kind = 'FileAnnotation'",
        "select count(*) from link l join annotation a on a.id = l.child where a.kind = 'FileAnnotation'",
    )
    one, two, three = (int(rows(sandbox, question)[0][0]) for question in questions)
    return one, two, three


def test_attached_file_is_the_owners_and_hangs_at_the_dataset(
    sandbox: Any, importer: OmeroImporter, batch: Batch
) -> None:
    one = attachment(batch, "sub/notes.pdf")
    answers = importer.ask(batch.order, [one])
    told: list[Progress] = []
    attached = attach(importer, batch, one, answers, progress=told.append)
    (file,) = rows(sandbox, "select id, owner, path, name, size, hash, hasher, mimetype from originalfile")
    (annotation,) = rows(sandbox, "select id, owner, ns, file from annotation")
    links = rows(sandbox, "select kind, parent, child from link")
    content = (batch.folder / "sub/notes.pdf").read_bytes()

    assert file[1:] == (
        4,
        f"dropwatch/{STAMP}/{one.id}/",
        "notes.pdf",
        len(content),
        hashlib.sha1(content).hexdigest(),
        "SHA1-160",
        "application/pdf",
    )
    assert annotation == (attached.annotation, 4, "dropwatch", attached.file) and attached.file == file[0]
    assert links == [("DatasetAnnotationLink", answers.container.id, attached.annotation)]
    assert [path.read_bytes() for path in files(sandbox)] == [content]
    assert told[-1] == Progress("upload", one.bytes, one.bytes)
    assert importer.ask(batch.order, [one]).found == {one.id: attached}


def test_file_attached_twice_is_there_once(sandbox: Any, importer: OmeroImporter, batch: Batch) -> None:
    one = attachment(batch)
    answers = importer.ask(batch.order, [one])
    first, second = attach(importer, batch, one, answers), attach(importer, batch, one, answers)

    assert first == second
    assert counted(sandbox) == (1, 1, 1)


def test_file_is_attached_to_a_screen(sandbox: Any, importer: OmeroImporter, batch: Batch) -> None:
    batch = Batch(batch.folder, replace(batch.order, target=Target(Kind.SCREEN, name="plates")))
    one = attachment(batch, "layout.csv", 0)
    answers = importer.ask(batch.order, [one])
    attached = attach(importer, batch, one, answers)

    assert rows(sandbox, "select kind, parent from link") == [("ScreenAnnotationLink", answers.container.id)]
    assert rows(sandbox, "select mimetype, size from originalfile") == [("text/csv", 0)]
    assert importer.ask(batch.order, [one]).found == {one.id: attached}


def after_the_first_block(act: Callable[[], None]) -> Callable[[Progress], None]:
    """Progress that does something once, in mid-upload."""
    done: list[Progress] = []

    def progress(told: Progress) -> None:
        if not done:
            done.append(told)
            act()

    return progress


def at_the_end(act: Callable[[], None]) -> Callable[[Progress], None]:
    return lambda told: act() if told.done == told.total else None


@pytest.mark.parametrize(
    "broken", ["at the first save", "in mid-upload", "at the last save", "other checksum"]
)
def test_whatever_breaks_it_is_attached_once_in_the_end(
    sandbox: Any, connect: Callable[..., OmeroImporter], batch: Batch, broken: str
) -> None:
    importer = connect(reconnect=0)
    one = attachment(batch)
    answers = importer.ask(batch.order, [one])
    if broken == "at the first save":
        sandbox.set_faults(lose_saved=1)
    elif broken == "in mid-upload":
        sandbox.set_faults(drop_after_bytes=5_000_000)
    elif broken == "other checksum":
        sandbox.set_faults(checksum=1)
    late = at_the_end(lambda: sandbox.set_faults(lose_saved=1) if broken == "at the last save" else None)
    fails(TemporaryError, lambda: attach(importer, batch, one, answers, progress=late))
    asked = importer.ask(batch.order, [one]).found
    halves = len(files(sandbox)) - len(asked)
    attached = attach(importer, batch, one, answers)

    assert bool(asked) == (broken == "at the last save")
    assert halves == 0  # ask left no half one behind
    assert counted(sandbox) == (1, 1, 1) and len(files(sandbox)) == 1
    assert importer.ask(batch.order, [one]).found == {one.id: attached}


def test_cut_connection_is_made_anew_and_the_attachment_goes_on(
    sandbox: Any, importer: OmeroImporter, batch: Batch
) -> None:
    one = attachment(batch)
    answers = importer.ask(batch.order, [one])
    sandbox.set_faults(drop_after_bytes=5_000_000)
    attach(importer, batch, one, answers)

    assert counted(sandbox) == (1, 1, 1)
    assert [path.read_bytes() for path in files(sandbox)] == [(batch.folder / one.name).read_bytes()]


def test_half_one_that_nobody_asked_about_is_cleared_by_the_next_attempt(
    sandbox: Any, connect: Callable[..., OmeroImporter], batch: Batch
) -> None:
    importer = connect(reconnect=0)
    one = attachment(batch)
    answers = importer.ask(batch.order, [one])
    sandbox.set_faults(drop_after_bytes=5_000_000)
    fails(TemporaryError, lambda: attach(importer, batch, one, answers))
    attach(importer, batch, one, answers)

    assert counted(sandbox) == (1, 1, 1)


def test_stopped_attachment_leaves_nothing(sandbox: Any, importer: OmeroImporter, batch: Batch) -> None:
    one = attachment(batch)
    answers = importer.ask(batch.order, [one])
    told: list[Progress] = []
    fails(
        Interrupted,
        lambda: attach(importer, batch, one, answers, progress=told.append, stopped=lambda: bool(told)),
    )

    assert told[0].done < one.bytes
    assert counted(sandbox) == (0, 0, 0) and files(sandbox) == []


def test_file_that_is_not_as_listed_is_not_attached(
    sandbox: Any, importer: OmeroImporter, batch: Batch
) -> None:
    good = attachment(batch, "good.txt", 10)
    listed = hashlib.sha256((batch.folder / "good.txt").read_bytes()).hexdigest()
    good, bad = (
        attachment(batch, "good.txt", 10, sha256=listed),
        attachment(batch, "bad.txt", sha256="0" * 64),
    )
    answers = importer.ask(batch.order, [good, bad])
    error = fails(PermanentError, lambda: attach(importer, batch, bad, answers))

    assert "bad.txt is not the file that the manifest lists" in error.message
    assert counted(sandbox) == (0, 0, 0)

    attach(importer, batch, good, answers)
    assert counted(sandbox) == (1, 1, 1)


def test_changed_file_and_link_are_not_attached(
    sandbox: Any, importer: OmeroImporter, batch: Batch, tmp_path: Path
) -> None:
    changed, link = attachment(batch), attachment(batch, "link.txt", 10)
    answers = importer.ask(batch.order, [])
    (batch.folder / "link.txt").rename(tmp_path / "outside.txt")
    (batch.folder / "link.txt").symlink_to(tmp_path / "outside.txt")

    def append() -> None:
        with (batch.folder / "notes.pdf").open("ab") as file:
            file.write(b"more")

    progress = after_the_first_block(append)
    errors = [
        fails(TemporaryError, lambda: attach(importer, batch, changed, answers, progress=progress)),
        fails(PermanentError, lambda: attach(importer, batch, link, answers)),
    ]

    assert [error.code for error in errors] == ["changed-while-read", "link"]
    assert counted(sandbox) == (0, 0, 0) and files(sandbox) == []


def test_half_attachment_of_somebody_else_is_left_alone(
    sandbox: Any, connect: Callable[..., OmeroImporter], batch: Batch
) -> None:
    importer = connect(reconnect=0)
    one = attachment(batch)
    bob = Batch(batch.folder, replace(batch.order, owner="bob", user="bob", group="lab-b"))
    sandbox.set_faults(drop_after_bytes=5_000_000)
    answers = importer.ask(bob.order, [one])
    with suppress(DropwatchError):
        attach(importer, bob, one, answers)
    found = importer.ask(replace(bob.order, owner="carol", user="carol"), [one]).found  # she can read it

    assert found == {}
    assert counted(sandbox) == (1, 0, 0)


def test_same_file_is_not_attached_by_a_second_batch(
    sandbox: Any, importer: OmeroImporter, batch: Batch, tmp_path: Path
) -> None:
    one = attachment(batch)
    attached = attach(importer, batch, one, importer.ask(batch.order, [one]))
    again = make_batch(tmp_path / "again", batch=OTHER_STAMP)
    same = attachment(again)
    changed = replace(same, id="another", files=(replace(same.files[0], size=same.bytes - 1),))
    found = importer.ask(again.order, [same, changed]).found
    wanted = importer.ask(replace(again.order, duplicates="import"), [same]).found

    assert found == {same.id: attached}
    assert wanted == {}


def test_attachment_is_no_image_and_an_image_no_attachment(
    sandbox: Any, importer: OmeroImporter, tmp_path: Path
) -> None:
    first = make_batch(tmp_path / "first")
    image = first.image("a.ome.tif")
    run(importer, first, image, importer.ask(first.order, [image]))
    again = make_batch(tmp_path / "again", batch=OTHER_STAMP)
    same = again.copy(first, "a.ome.tif", "a.ome.tif")
    as_file = Attachment(same.id, same.files)

    assert importer.ask(again.order, [as_file]).found == {}
    attach(importer, again, as_file, importer.ask(again.order, [as_file]))
    third = make_batch(
        tmp_path / "third", batch="20261124-150000-zz98", target=Target(Kind.DATASET, name="x")
    )
    attach(
        importer,
        third,
        Attachment(same.id, third.copy(first, "a.ome.tif", "a.ome.tif").files),
        importer.ask(third.order, []),
    )
    assert importer.ask(third.order, [third.fileset("a.ome.tif")]).found == {}
