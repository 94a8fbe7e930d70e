"""What the page says of files before they are submitted: real files, real Bio-Formats, real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest
from images import PLATE, THREE, fake, ome_set, pair, plain_tiff

from dropwatch import config
from dropwatch.errors import Interrupted, PermanentError, TemporaryError, Unavailable
from dropwatch.formats import Look, Readable, Unreadable
from dropwatch.model import Preview
from dropwatch.sandbox.samples import corrupt_tiff, ome_tiff
from dropwatch.task import Workshop
from dropwatch.web.previews import Previews
from tests.alive import is_alive
from tests.asker import visitor
from tests.faulty_mount import FaultyMount, can_fuse
from tests.page import running_page
from tests.world import World, awaited, running_sandbox, wait_until

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are of POSIX")


def settings(folder: Path) -> config.Config:
    text = f"""
    spools: [{{path: {folder / "spool"}}}]
    state: {folder / "state"}
    importer: folder
    folder: {{path: {folder / "archive"}}}
    mail: {{host: localhost, from: dropwatch@example.org, admins: [it@example.org]}}
    site: {{name: Test, contact: it@example.org}}
    """
    (folder / "dropwatch.yaml").write_text(text)
    return config.load(folder / "dropwatch.yaml")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    made = tmp_path / "confocal1"
    made.mkdir()
    return made


def names(preview: Preview) -> list[str]:
    return [one.name for one in preview.filesets]


def reasons(preview: Preview) -> dict[str, str]:
    return {one.name: one.reason for one in preview.refused}


# -- a reader that obeys, for what no file makes the real one do -------------------------------------------


class Obeying:
    """Does what the name of a file says. Its log tells which files it was asked about, and by which process."""

    name = "Obeying 1.0"

    def __init__(self, log: Path) -> None:
        self._log = log

    def look(self, path: Path, folder: Path) -> Look:
        with self._log.open("a") as log:
            log.write(f"{os.getpid()} {path.name}\n")
        if path.name.startswith("hang"):
            threading.Event().wait()
        if path.name.startswith("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        if path.name.startswith("slow"):
            threading.Event().wait(0.2)
        if path.suffix != ".tif":
            return Unreadable(True, "No image.")
        return Readable("TIFF", (str(path),), 1, False)


def obeying(settings: config.Config, log: Path) -> Workshop:
    return Workshop(settings, lambda: pytest.fail("nothing is imported"), lambda: Obeying(log))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def page(tmp_path: Path, log: Path) -> Iterator[Previews]:
    told = settings(tmp_path)
    make = partial(obeying, told, log)
    with closing(Previews(told, tmp_path / "state" / "previews", patience=2.0, make=make)) as made:
        yield made


def asked(log: Path) -> list[str]:
    return [line.split(" ", 1)[1] for line in log.read_text().splitlines()]


@contextmanager
def stopped(mount: FaultyMount) -> Iterator[None]:
    """Whoever touches the share waits."""
    assert mount._process is not None
    mount._process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        mount._process.send_signal(signal.SIGCONT)


# -- the stories ---------------------------------------------------------------------------------------------


def test_what_bio_formats_says_of_many_kinds_of_files(tmp_path: Path, place: Path) -> None:
    """The same files as in tests/faults/test_filesets.py, where they lie."""
    day = place / "day 3"
    day.mkdir()
    ome_set(day, [f"set_T{number:02}.ome.tif" for number in range(12)])
    ome_tiff(day / "single.ome.tif")
    for name in (THREE, PLATE):
        fake(day, name)
    pair(day, "brain")
    corrupt_tiff(day / "corrupt.tif")
    (day / "readme.txt").write_text("These are the files of day 3.")
    (day / "link.tif").symlink_to(day / "single.ome.tif")
    plain_tiff(tmp_path / "secret" / "secret.tif")
    ome_set(day, ["evil.ome.tif", "../../secret/secret.tif"])
    plain_tiff(place / "not chosen.tif")
    with closing(Previews(settings(tmp_path), tmp_path / "state" / "previews")) as page:
        whole = awaited(page.preview("confocal1", place, ["day 3"]))
        part = awaited(page.preview("confocal1", place, ["day 3/set_T03.ome.tif", "day 3/single.ome.tif"]))

    assert {one.name: (len(one.files), one.series, one.plate) for one in whole.filesets} == {
        "day 3/brain.hdr": (2, 1, False),
        "day 3/set_T00.ome.tif": (12, 1, False),
        "day 3/single.ome.tif": (1, 1, False),
        f"day 3/{THREE}": (1, 3, False),
        f"day 3/{PLATE}": (1, 6, True),
    }
    assert (whole.images, whole.plates, whole.unlooked, whole.files) == (12, 1, 0, 20)
    assert whole.bytes == sum(file.stat().st_size for file in day.iterdir() if not file.is_symlink())
    assert whole.by.startswith("Bio-Formats ")
    assert whole.aside == ("day 3/readme.txt",)
    assert "damaged" in reasons(whole)["day 3/corrupt.tif"]
    assert "secret.tif, which lies outside of the folder" in reasons(whole)["day 3/evil.ome.tif"]
    assert reasons(whole)["day 3/link.tif"] == "It is a link, and would not be imported."
    assert names(part) == ["day 3/single.ome.tif"]
    (no,) = part.refused
    assert "set_T00.ome.tif, which was not chosen" in no.reason and no.remedy == "Choose that file too."


def test_file_that_hangs_or_crashes_the_reader_is_told_and_the_others_are_looked_at(
    page: Previews, place: Path, log: Path
) -> None:
    for name in ("a.tif", "hang.tif", "kill.tif", "z.tif"):
        (place / name).touch()
    preview = awaited(page.preview("confocal1", place))

    assert names(preview) == ["a.tif", "z.tif"]
    assert list(reasons(preview)) == ["hang.tif", "kill.tif"]
    assert all("took too long" in reason for reason in reasons(preview).values())
    assert sorted(asked(log)) == ["a.tif", "hang.tif", "kill.tif", "z.tif"]  # each of them once
    assert awaited(page.preview("confocal1", place)) == preview
    assert len(asked(log)) == 4  # nothing has changed, so all is remembered
    (place / "b.tif").touch()
    assert names(awaited(page.preview("confocal1", place))) == ["a.tif", "b.tif", "z.tif"]


@pytest.mark.long
def test_too_many_bad_files_end_the_preview_in_words_and_no_more(
    page: Previews, place: Path, log: Path
) -> None:
    for number in range(9):
        (place / f"kill{number}.tif").touch()
    other = place.parent / "other"
    other.mkdir()
    (other / "a.tif").touch()
    with pytest.raises(TemporaryError, match=r"several of these files.*Submit them all the same"):
        awaited(page.preview("confocal1", place))

    assert len(asked(log)) == 3
    assert names(awaited(page.preview("other", other))) == ["a.tif"]


@pytest.mark.long
def test_only_so_many_files_are_looked_at_and_the_rest_is_counted(
    page: Previews, place: Path, log: Path
) -> None:
    for number in range(30):
        (place / f"slow{number:02}.tif").touch()
    few = awaited(page.ask("confocal1", place, most=5).answer())
    short = awaited(page.ask("confocal1", place, seconds=0.5).answer())

    assert (len(few.filesets), few.unlooked, few.files) == (5, 25, 30)
    assert 5 <= len(short.filesets) < 12 and len(short.filesets) + short.unlooked == 30


@pytest.mark.long
def test_preview_shows_how_far_it_is_and_can_be_cancelled(page: Previews, place: Path) -> None:
    for number in range(200):
        (place / f"slow{number:03}.tif").touch()

    async def seen_and_left() -> int:
        asking = page.ask("confocal1", place)
        told = asyncio.ensure_future(asking.answer())
        await asyncio.to_thread(wait_until, lambda: asking.progress is not None and asking.progress.done >= 2)
        assert asking.progress is not None
        asking.cancel()
        with pytest.raises(Interrupted):
            await told
        leaving = asyncio.ensure_future(page.preview("confocal1", place))
        await asyncio.sleep(0)
        leaving.cancel()  # the visitor closes the page
        with pytest.raises(asyncio.CancelledError):
            await leaving
        return asking.progress.total if asking.progress else 200

    assert awaited(seen_and_left()) == 200
    (place / "only.tif").touch()
    began = time.monotonic()
    assert names(awaited(page.preview("confocal1", place, ["only.tif"]))) == ["only.tif"]
    assert time.monotonic() - began < 10  # of the 40 seconds that those in front would have taken


def test_nothing_is_looked_at_that_does_not_lie_in_the_folder(page: Previews, place: Path, log: Path) -> None:
    (place.parent / "secret.tif").touch()
    (place / "a.tif").touch()
    (place / "behind").symlink_to(place.parent)
    for path in ("../secret.tif", "/etc/passwd", "behind/secret.tif", "gone.tif", "a\0.tif"):
        with pytest.raises(PermanentError):
            awaited(page.preview("confocal1", place, ["a.tif", path]))

    assert not log.exists()


def test_what_is_remembered_is_for_the_page_alone_and_goes_with_it(
    page: Previews, tmp_path: Path, place: Path, log: Path
) -> None:
    (place / "a.tif").touch()
    (place / "b.tif.part").touch()
    preview = awaited(page.preview("confocal1", place))
    ours = tmp_path / "state" / "previews"
    pid = int(log.read_text().split()[0])

    assert preview.unfinished == ("b.tif.part",)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (ours, *ours.iterdir())] == [0o700, 0o700]
    assert is_alive(pid)
    page.close()
    assert not ours.exists() and not is_alive(pid)
    with pytest.raises(Interrupted):
        awaited(page.preview("confocal1", place))
    assert sorted(path.name for path in place.iterdir()) == ["a.tif", "b.tif.part"]


@pytest.mark.long
@pytest.mark.skipif(bool(can_fuse()), reason=can_fuse() or "mounted")
def test_share_that_hangs_is_told_in_words_until_it_answers_again(
    page: Previews, tmp_path: Path, place: Path
) -> None:
    (place / "a.tif").touch()
    mount = FaultyMount(place, tmp_path / "mounted")
    mount.mountpoint.mkdir()
    mount.start()
    try:
        with stopped(mount):
            began = time.monotonic()
            with pytest.raises(Unavailable, match="confocal1 does not answer"):
                awaited(page.preview("confocal1", mount.mountpoint))
            took = time.monotonic() - began

        assert took < 10
        assert names(awaited(page.preview("confocal1", mount.mountpoint))) == ["a.tif"]
    finally:
        mount.close()


@pytest.mark.long
def test_programs_ask_about_the_places_of_their_person_only(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    ome_tiff(disk / "a.ome.tif", series=2)
    (disk / "notes.txt").write_text("notes")
    told = {"places": {"confocal1": {"path": str(disk), "users": ["alice"]}}}
    with running_sandbox(tmp_path / "sandbox") as sandbox:
        world = World(tmp_path / "world", sandbox, told, ("alice", "bob"))
        with running_page(world.config, tmp_path / "web.log") as site:
            alice, bob = visitor(site, "alice"), visitor(site, "bob")
            said = alice.post("/api/places/confocal1/preview", {"paths": [""]})
            no = bob.post("/api/places/confocal1/preview", {"paths": [""]})
            out = alice.post("/api/places/confocal1/preview", {"paths": ["../world"]})

    assert said.status == 200, said.text
    assert said.json["by"].startswith("Bio-Formats")
    assert [(one["name"], one["images"]) for one in said.json["image_files"]] == [("a.ome.tif", 2)]
    assert said.json["aside"] == ["notes.txt"]
    assert (no.status, out.status) == (404, 409)


@pytest.mark.long
def test_bio_formats_itself_hangs(tmp_path: Path, place: Path) -> None:
    fake(place, "hang&sleepInitFile=600000.fake")
    fake(place, "good.fake")
    with closing(Previews(settings(tmp_path), tmp_path / "state" / "previews", patience=8)) as page:
        preview = awaited(page.preview("confocal1", place))

    assert names(preview) == ["good.fake"]
    assert "took too long" in reasons(preview)["hang&sleepInitFile=600000.fake"]
