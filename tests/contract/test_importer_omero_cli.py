"""The importer that runs `omero import`: what is its own beside the contract of test_importers.py.

The program is a stand-in (tests/stand_ins) that speaks and misbehaves as the real one does and really imports.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("omero")
if os.name != "posix":
    pytest.skip("omero-cli works on Linux and macOS only", allow_module_level=True)

import fcntl

import Glacier2
import images
import omero.clients
from omero_site import KEY, completed, fails, filesets, rows, wait_until
from orders import OTHER_STAMP, STAMP, Batch, make_batch, run
from stand_in_omero import stand_in

from dropwatch.errors import (
    ConfigError,
    DropwatchError,
    Interrupted,
    OperatorError,
    PermanentError,
    TemporaryError,
    Unavailable,
)
from dropwatch.formats import Readable
from dropwatch.importers import omero_keys
from dropwatch.importers.omero_cli import OmeroCliImporter
from dropwatch.importers.omero_cli_program import Beside, Leashed
from dropwatch.importers.omero_cli_room import HOLDS, Room
from dropwatch.model import Answers, Fileset, Imported, Kind, Progress, Running, Skipped, Target
from dropwatch.sandbox.samples import corrupt_tiff

pytestmark = pytest.mark.usefixtures("no_secret_in_logs")
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")

Cli = Callable[..., OmeroCliImporter]


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    return make_batch(tmp_path / "HeLa day 3")


@pytest.fixture
def memory(tmp_path: Path) -> Beside:
    """What an envelope keeps beside the batch."""
    folder = tmp_path / "memory"
    folder.mkdir()
    (folder / "lock").touch()
    return Beside(folder / "cli", folder / "lock")


@pytest.fixture
def cli(sandbox: Any, tmp_path: Path, memory: Beside) -> Iterator[Cli]:
    """Makes importers for the sandbox, and closes them. Trouble and arguments are those of stand_in()."""
    made: list[OmeroCliImporter] = []

    def importer(*arguments: str, tls: bool = False, **trouble: Any) -> OmeroCliImporter:
        server = sandbox.server
        port = server.omero_tls_port if tls else server.omero_port
        program = stand_in(tmp_path, *arguments, STAND_IN_MARK=str(tmp_path / "mark"), **trouble)
        made.append(
            OmeroCliImporter(
                program, lambda order: memory, "127.0.0.1", port, tls, "dropwatch", lambda: "dropwatch"
            )
        )
        return made[-1]

    yield importer
    for each in made:
        each.close()


class InTheBackground:
    """An import that is under way in a thread; *stop* it, and see how it ended."""

    def __init__(self, importer: OmeroCliImporter, batch: Batch, fileset: Fileset, answers: Answers) -> None:
        self.stop = threading.Event()
        self.told: list[Progress] = []
        self._end: Imported | BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(importer, batch, fileset, answers))
        self._thread.start()

    def _run(self, importer: OmeroCliImporter, batch: Batch, fileset: Fileset, answers: Answers) -> None:
        try:
            self._end = run(
                importer, batch, fileset, answers, progress=self.told.append, stopped=self.stop.is_set
            )
        except DropwatchError as error:
            self._end = error

    def ended(self) -> Any:
        self._thread.join(200)
        assert not self._thread.is_alive()
        if isinstance(self._end, BaseException):
            raise self._end
        return self._end


def client_paths(sandbox: Any) -> list[str]:
    return [path for (path,) in rows(sandbox, "select client_path from entry order by id")]


def processes(tmp_path: Path) -> dict[int, list[str]]:
    """The processes that have to do with the test's own folder, this one excepted: their arguments."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                arguments = os.fsdecode((entry / "cmdline").read_bytes()).split("\0")
            except OSError:
                continue
            if any(str(tmp_path) in argument for argument in arguments):
                found[int(entry.name)] = arguments
    return found


def rooms(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "rooms").iterdir())


def kept(memory: Beside, part: str = "err") -> str:
    """What was kept of what the program said last."""
    return max(memory.logs.glob(f"*.{part}"), key=lambda path: path.stat().st_mtime_ns).read_text()


def lets_in(sandbox: Any, key: str) -> bool:
    """Whether the server still lets somebody in with *key*."""
    client = omero.client(host="127.0.0.1", port=sandbox.server.omero_tls_port)
    try:
        client.joinSession(key)
    except Glacier2.PermissionDeniedException:
        return False
    finally:
        client.__del__()
    return True


def is_free(memory: Beside) -> bool:
    """Whether nobody holds the envelope's lock."""
    with memory.lock.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


# -- the key ---------------------------------------------------------------------------------------------


def test_key_is_in_omero_before_the_last_byte(sandbox: Any, cli: Cli, batch: Batch, tmp_path: Path) -> None:
    importer = cli(trouble="hang-in-upload")
    fileset = batch.image("run 1/a.ome.tif")
    under_way = InTheBackground(importer, batch, fileset, importer.ask(batch.order, [fileset]))
    wait_until((tmp_path / "mark").exists)
    (path,) = client_paths(sandbox)
    under_way.stop.set()
    fails(Interrupted, under_way.ended)

    assert path.endswith(f"/dropwatch/{STAMP}/{fileset.id}/run 1/a.ome.tif")
    assert omero_keys.fileset_of(path) == fileset.id


def test_names_end_as_those_that_the_native_importer_writes(sandbox: Any, cli: Cli, batch: Batch) -> None:
    importer = cli()
    names = [os.fsdecode(b"caf\xe9.ome.tif"), "a:b?.ome.tif", "con.ome.tif", "50%41.ome.tif", "Übung.ome.tif"]
    for seed, name in enumerate(names):
        fileset = batch.image(name, seed=seed)
        imported = run(importer, batch, fileset, importer.ask(batch.order, [fileset]))
        path = client_paths(sandbox)[-1]

        assert path.endswith("/" + omero_keys.client_path(STAMP, fileset.id, name))
        assert isinstance(importer.ask(batch.order, [fileset]).found[fileset.id], Imported)
        if name.isprintable():
            assert imported.images[0].name == name


def test_importers_find_what_the_other_one_imported(
    sandbox: Any, cli: Cli, batch: Batch, connect: Any
) -> None:
    with_program, native = cli(), connect()
    one, two = batch.image("a.ome.tif"), batch.image("b.ome.tif", seed=1)
    run(with_program, batch, one, with_program.ask(batch.order, [one, two]))
    run(native, batch, two, native.ask(batch.order, [one, two]))

    for importer in (with_program, native):
        assert sorted(importer.ask(batch.order, [one, two]).found) == sorted([one.id, two.id])


def test_bio_formats_itself_keeps_the_way_through_the_links(batch: Batch, tmp_path: Path) -> None:
    """The client paths are made of the paths that its readers name; the real ones would have no key in them."""
    folder = batch.folder
    images.ome_set(folder / "set", ["one.ome.tif", "two.ome.tif", "three.ome.tif"])
    images.companion_set(folder / "set", "all.companion.ome", ["c1.ome.tif", "c2.ome.tif"])
    images.pair(folder, "brain")
    images.plain_tiff(folder / "plain.tif")
    sets = (
        ("set/one.ome.tif", "set/two.ome.tif", "set/three.ome.tif"),
        ("set/all.companion.ome", "set/c1.ome.tif", "set/c2.ome.tif"),
        ("brain.hdr", "brain.img"),
        ("plain.tif",),
    )
    for paths in sets:
        room = Room(tmp_path)
        with ExitStack() as open_files:
            held = {
                path: open_files.enter_context((folder / path).open("rb")).fileno() for path in paths if HOLDS
            }
            shown = list(room.show(batch.order, batch.fileset(*paths), held))
            # Not in the room alone: our own Bio-Formats may open nothing outside of the folder that it is given.
            look = images.bioformats().look(Path(shown[0]), tmp_path)

        assert isinstance(look, Readable), look
        assert sorted(look.used) == sorted(shown)


@LINUX
def test_file_that_takes_the_name_of_another_is_not_read(
    sandbox: Any, cli: Cli, batch: Batch, tmp_path: Path
) -> None:
    """Between our look at it and Java's there is time enough to put a link into its place."""
    importer = cli(trouble="slow")
    fileset = batch.image(size=700)
    secret = make_batch(tmp_path / "outside").image(size=700, seed=1)
    path = batch.folder / "a.ome.tif"
    sha1 = hashlib.sha1(path.read_bytes()).hexdigest()
    answers = importer.ask(batch.order, [fileset])
    looked = itertools.count()

    def replace_it() -> bool:
        if next(looked) == 1:  # it was looked at, and the program is being started
            path.unlink()
            path.symlink_to(tmp_path / "outside" / secret.name)
        return False

    run(importer, batch, fileset, answers, stopped=replace_it)
    (line,) = completed(sandbox)

    assert path.is_symlink()
    assert line["files"][0]["sha1"] == sha1


def test_program_is_shown_the_files_of_the_set_and_no_others(sandbox: Any, cli: Cli, batch: Batch) -> None:
    importer = cli()
    batch.image("set/b.ome.tif")
    batch.image("set/a.ome.tif", seed=1)
    batch.text("set/b.log")
    batch.text("set/deep/b.settings")
    fileset = batch.fileset("set/b.ome.tif", "set/b.log", "set/deep/b.settings")
    imported = run(importer, batch, fileset, importer.ask(batch.order, [fileset]))
    (line,) = completed(sandbox)

    assert [file["client_path"].partition(f"{fileset.id}/")[2] for file in line["files"]] == [
        "set/b.ome.tif",
        "set/b.log",
        "set/deep/b.settings",
    ]
    assert imported.warning == ""


def test_set_of_which_the_client_takes_less_is_told(cli: Cli, batch: Batch) -> None:
    importer = cli(trouble="fewer")
    batch.image("a.ome.tif")
    batch.text("a.log")
    fileset = batch.fileset("a.ome.tif", "a.log")
    imported = run(importer, batch, fileset, importer.ask(batch.order, [fileset]))

    assert "OMERO took only 1 of its 2 files" in imported.warning and "keep the originals" in imported.warning


# -- what is asked of it ---------------------------------------------------------------------------------


def test_images_bear_what_those_of_the_native_importer_bear(
    sandbox: Any, cli: Cli, batch: Batch, connect: Any
) -> None:
    batch = batch.but(
        tags=("confocal", "day3"), key_values=(("objective", "63x"),), description="two lines\n-- of text"
    )
    native, with_program = connect(), cli()
    borne = []
    for seed, importer in enumerate((native, with_program)):
        fileset = batch.image(f"{seed}.ome.tif", seed=seed)
        (image,) = run(importer, batch, fileset, importer.ask(batch.order, [fileset])).images
        sql = (
            "select a.kind, a.ns, a.text, a.pairs from link l join annotation a on a.id = l.child"
            f" where l.kind = 'ImageAnnotationLink' and l.parent = {image.id} order by a.kind, a.ns, a.text"
        )
        found = str(rows(sandbox, sql)).replace(fileset.id, "ID").replace(f"{seed}.ome.tif", "NAME")
        borne.append((found, rows(sandbox, f"select description from image where id = {image.id}")))

    assert borne[0] == borne[1]
    assert "confocal" in borne[0][0] and "63x" in borne[0][0] and "HeLa day 3" in borne[0][0]
    assert borne[0][1] == [("two lines\n-- of text",)]
    assert rows(sandbox, "select count(*) from annotation where kind = 'TagAnnotation'") == [(2,)]


def test_plate_goes_to_a_screen(cli: Cli, batch: Batch) -> None:
    importer = cli()
    batch = batch.but(target=Target(Kind.SCREEN, name="plates"))
    name = "plate&plates=1&plateRows=2&plateCols=2.fake"
    (batch.folder / name).touch()
    fileset = batch.fileset(name)
    imported = run(importer, batch, fileset, importer.ask(batch.order, [fileset]))
    found = importer.ask(batch.order, [fileset]).found[fileset.id]

    assert [image.kind for image in imported.images] == ["Plate"]
    assert isinstance(found, Imported) and found.images == imported.images


def test_arguments_of_the_facility_are_handed_on(cli: Cli, batch: Batch) -> None:
    importer = cli("--skip", "checksum", "--parallel-upload=2", "--", "--keep-alive=60")
    fileset = batch.image()
    answers = importer.ask(batch.order, [fileset])

    assert run(importer, batch, fileset, answers).warning == ""
    assert isinstance(importer.ask(batch.order, [fileset]).found[fileset.id], Imported)


def test_arguments_that_link_or_delete_are_refused_when_the_importer_is_made(cli: Cli) -> None:
    with pytest.raises(ConfigError) as caught:
        cli("--transfer=ln_s", "-c")

    assert len(caught.value.problems) == 2 and "only upload is allowed" in caught.value.problems[0]


def test_progress_is_told_by_whole_files(cli: Cli, batch: Batch) -> None:
    importer = cli(trouble="slow")
    batch.image("a.ome.tif", size=700)
    batch.image("b.ome.tif", size=700, seed=1)
    fileset = batch.fileset("a.ome.tif", "b.ome.tif")
    told: list[Progress] = []
    run(importer, batch, fileset, importer.ask(batch.order, [fileset]), progress=told.append)
    sent = [one.done for one in told if one.stage == "upload"]

    assert sent == sorted(sent) and sent[-1] == fileset.bytes
    assert {*sent} <= {0, fileset.files[0].size, fileset.bytes}
    assert told[-1] == Progress("server", 5, 5)


# -- secrets ---------------------------------------------------------------------------------------------


@LINUX
@pytest.mark.parametrize("real_python", [False, True])
def test_what_can_be_seen_in_the_list_of_processes(
    sandbox: Any, cli: Cli, batch: Batch, tmp_path: Path, real_python: bool
) -> None:
    """The key of the one session, of the one import, among the arguments of Java, and that is all."""
    importer = cli(
        trouble="hang-in-upload", real_python=real_python, tls=True,
        DROPWATCH_OMERO_PASSWORD="dropwatch", OMERO_PASSWORD="other",
    )  # fmt: skip
    fileset = batch.image()
    under_way = InTheBackground(importer, batch, fileset, importer.ask(batch.order, [fileset]))
    wait_until((tmp_path / "mark").exists)
    seen = processes(tmp_path)
    environments = [Path(f"/proc/{pid}/environ").read_bytes() for pid in seen]
    keys = {found[0] for arguments in seen.values() for found in re.finditer(KEY, " ".join(arguments))}
    with_key = [arguments for arguments in seen.values() if KEY.search(" ".join(arguments))]
    (room,) = rooms(tmp_path)
    mode = room.stat().st_mode & 0o777
    under_way.stop.set()
    fails(Interrupted, under_way.ended)

    assert len(seen) == 3  # the leash, omero, java
    assert len(with_key) == len(keys) == 1 and any("CommandLineImporter" in one for one in with_key[0])
    for environment in environments:
        assert not KEY.search(environment.decode("utf-8", "replace"))
        assert b"DROPWATCH_" not in environment and b"OMERO_PASSWORD" not in environment
    assert mode == 0o700
    assert not rooms(tmp_path)
    assert not lets_in(sandbox, keys.pop())


def test_what_the_program_says_is_kept_in_the_envelope_without_keys(
    cli: Cli, batch: Batch, memory: Beside
) -> None:
    importer = cli(trouble="tell-key")
    fileset = batch.image()
    run(importer, batch, fileset, importer.ask(batch.order, [fileset]))

    assert "session <key>" in kept(memory, "out") and "session <key>" in kept(memory, "err")
    assert "- Fileset: " in kept(memory, "out") and "==> Summary" in kept(memory, "err")
    assert not KEY.search(kept(memory, "out") + kept(memory, "err"))
    assert {path.name.partition("-")[0] for path in memory.logs.iterdir()} == {fileset.id}


def test_what_is_kept_is_bounded(tmp_path: Path, memory: Beside) -> None:
    memory.logs.mkdir()
    for number in range(250):
        (memory.logs / f"{number}.err").touch()
        os.utime(memory.logs / f"{number}.err", (number, number))
    room = Room(tmp_path)
    line = f"here is {uuid.uuid4()}"
    script = f"yes '{line}' | head -n 70000; echo the end"
    with Leashed(["sh", "-c", script], os.environ, room, memory, "new") as leashed:
        code = leashed.ended(60)
        heard = list(leashed.said(last=True))
    told = kept(memory, "out")

    assert code == 0 and len(heard) > 60_000 and heard[-1].endswith("the end")
    assert not KEY.search(told) and not re.search(r"[0-9a-f]{8}-", told)
    assert len(told) < 300_000 and "bytes left out ...]" in told and told.endswith("the end\n")
    assert len(list(memory.logs.iterdir())) == 200
    assert not (memory.logs / "0.err").exists() and (memory.logs / "249.err").exists()


# -- ends that are not what they seem ----------------------------------------------------------------------


@pytest.mark.parametrize("trouble", ["no-yaml", "one-error", "code-2", "import-twice"])
def test_images_that_are_there_count_whatever_the_program_says(
    sandbox: Any, cli: Cli, batch: Batch, trouble: str
) -> None:
    importer = cli(trouble=trouble)
    fileset = batch.image()
    imported = run(importer, batch, fileset, importer.ask(batch.order, [fileset]))

    assert imported.images and "`omero import` did not end well" in imported.warning
    assert importer.ask(batch.order, [fileset]).found[fileset.id].fileset == imported.fileset


def test_fileset_said_twice_is_one(cli: Cli, batch: Batch) -> None:
    importer = cli(trouble="yaml-twice")
    fileset = batch.image()

    assert run(importer, batch, fileset, importer.ask(batch.order, [fileset])).warning == ""


@pytest.mark.parametrize(
    ("trouble", "kind", "code"),
    [
        ("due-to-errors", PermanentError, "import-file-exception"),  # exit code 0
        ("nothing-made", TemporaryError, "omero-cli-nothing"),  # exit code 0, and 0 errors
        ("local-error", TemporaryError, "read-error"),
        ("out-of-memory", TemporaryError, "java-memory"),
        ("cannot-link", PermanentError, "not-allowed"),
        ("lost-before", Unavailable, "ConnectionLostException"),
        ("refused", Unavailable, "omero-cli-unreached"),
        ("bad-key", OperatorError, "omero-cli-login"),
        ("root", OperatorError, "omero-cli"),
        ("no-jars", OperatorError, "omero-cli"),
        ("no-java", OperatorError, "omero-cli"),
        ("die-in-upload", TemporaryError, "omero-cli-died"),
    ],
)
def test_failure_is_sorted_and_leaves_nothing(
    sandbox: Any, cli: Cli, batch: Batch, tmp_path: Path, trouble: str, kind: type[DropwatchError], code: str
) -> None:
    importer = cli(trouble=trouble)
    fileset = batch.image()
    answers = importer.ask(batch.order, [fileset])
    error = fails(kind, lambda: run(importer, batch, fileset, answers))

    assert error.code == code and "exit code" in error.detail
    assert filesets(sandbox) == (trouble == "nothing-made")  # all was sent: the server might have gone on
    assert importer.ask(batch.order, [fileset]).found == {}
    assert filesets(sandbox) == 0 and not rooms(tmp_path)


def test_file_that_the_server_cannot_read_comes_with_its_import_log(
    sandbox: Any, cli: Cli, batch: Batch
) -> None:
    importer = cli()
    corrupt_tiff(batch.folder / "bad.ome.tif")
    fileset = batch.fileset("bad.ome.tif")
    answers = importer.ask(batch.order, [fileset])
    error = fails(PermanentError, lambda: run(importer, batch, fileset, answers))

    assert error.message.startswith("OMERO could not read bad.ome.tif")
    assert error.code.startswith("import-") and error.log > 0
    assert "end of the import log" in error.detail and "exit code 2" in error.detail
    assert importer.ask(batch.order, [fileset]).found == {} and filesets(sandbox) == 0


def test_file_without_a_reader_is_refused(cli: Cli, batch: Batch) -> None:
    importer = cli()
    fileset = batch.fileset(batch.text("notes.txt"))
    answers = importer.ask(batch.order, [fileset])
    error = fails(PermanentError, lambda: run(importer, batch, fileset, answers))

    assert error.code == "import-unknown-format" and error.remedy


def test_checksum_that_differs_is_tried_again(sandbox: Any, cli: Cli, batch: Batch) -> None:
    importer = cli()
    sandbox.set_faults(checksum=1)
    fileset = batch.image()
    answers = importer.ask(batch.order, [fileset])

    assert fails(TemporaryError, lambda: run(importer, batch, fileset, answers)).code == "checksum-differs"
    run(importer, batch, fileset, importer.ask(batch.order, [fileset]))
    assert len(completed(sandbox)) == filesets(sandbox) == 1


@pytest.mark.parametrize("trouble", ["die-in-import", "lost-after"])
def test_lost_client_does_not_lose_the_import(sandbox: Any, cli: Cli, batch: Batch, trouble: str) -> None:
    """The server goes on by itself: it is asked, waited for, and the annotations are made up for."""
    batch = batch.but(tags=("day3",))
    importer = cli(trouble=trouble)
    sandbox.set_faults(hold_after_verify=True)
    fileset = batch.image()
    answers = importer.ask(batch.order, [fileset])
    fails(TemporaryError, lambda: run(importer, batch, fileset, answers))
    meanwhile = importer.ask(batch.order, [fileset]).found[fileset.id]
    sandbox.set_faults()
    wait_until(lambda: completed(sandbox))
    later = importer.ask(batch.order, [fileset]).found[fileset.id]
    importer.ask(batch.order, [fileset])

    assert isinstance(meanwhile, Running)
    assert isinstance(later, Imported) and later.warning == ""
    assert filesets(sandbox) == 1
    assert rows(sandbox, "select count(*) from annotation where ns = 'dropwatch'") == [(1,)]
    assert rows(sandbox, "select count(*) from annotation where kind = 'TagAnnotation'") == [(1,)]


# -- stopping, and dying -----------------------------------------------------------------------------------


@LINUX
@pytest.mark.parametrize("trouble", ["hang-in-upload", "hang-in-python"])
def test_stop_before_the_last_byte_leaves_nothing(
    sandbox: Any, cli: Cli, batch: Batch, tmp_path: Path, memory: Beside, trouble: str
) -> None:
    importer = cli(trouble=trouble)
    fileset = batch.image()
    under_way = InTheBackground(importer, batch, fileset, importer.ask(batch.order, [fileset]))
    wait_until(
        lambda: (
            (tmp_path / "mark").exists() or (trouble == "hang-in-python" and len(processes(tmp_path)) == 2)
        )
    )
    held = not is_free(memory)
    under_way.stop.set()
    fails(Interrupted, under_way.ended)

    assert held and is_free(memory)
    assert not processes(tmp_path) and not rooms(tmp_path)
    assert filesets(sandbox) == 0
    assert importer.ask(batch.order, [fileset]).found == {}


def test_stop_after_the_last_byte_lets_the_server_go_on(
    sandbox: Any, cli: Cli, batch: Batch, tmp_path: Path
) -> None:
    importer = cli(trouble="hang-in-import")
    sandbox.set_faults(hold_after_verify=True)
    fileset = batch.image()
    under_way = InTheBackground(importer, batch, fileset, importer.ask(batch.order, [fileset]))
    wait_until((tmp_path / "mark").exists)
    under_way.stop.set()
    error = fails(Interrupted, under_way.ended)
    meanwhile = importer.ask(batch.order, [fileset]).found[fileset.id]
    sandbox.set_faults()
    wait_until(lambda: completed(sandbox))

    assert "it goes on by itself" in error.message
    assert isinstance(meanwhile, Running)
    assert isinstance(importer.ask(batch.order, [fileset]).found[fileset.id], Imported)
    assert filesets(sandbox) == 1


def test_what_the_server_goes_on_with_for_another_batch_is_waited_for(
    sandbox: Any, cli: Cli, batch: Batch, tmp_path: Path
) -> None:
    importer, again = cli(trouble="hang-in-import"), batch.but(batch=OTHER_STAMP)
    sandbox.set_faults(hold_after_verify=True)
    fileset = batch.image()
    under_way = InTheBackground(importer, batch, fileset, importer.ask(batch.order, [fileset]))
    wait_until((tmp_path / "mark").exists)
    under_way.stop.set()
    fails(Interrupted, under_way.ended)
    meanwhile = importer.ask(again.order, [fileset]).found[fileset.id]
    sandbox.set_faults()
    wait_until(lambda: completed(sandbox))

    assert isinstance(meanwhile, Running)
    assert isinstance(importer.ask(again.order, [fileset]).found[fileset.id], Skipped)


WORKER = """
    import sys
    from pathlib import Path

    sys.path[:0] = [{tests!r}]
    from orders import make_batch, run
    from stand_in_omero import stand_in

    from dropwatch.importers.omero_cli import OmeroCliImporter
    from dropwatch.importers.omero_cli_program import Beside

    tmp_path = Path({folder!r})
    program = stand_in(tmp_path, trouble={trouble!r}, STAND_IN_MARK=str(tmp_path / "mark"))
    beside = Beside(tmp_path / "memory" / "cli", tmp_path / "memory" / "lock")
    importer = OmeroCliImporter(
        program, lambda order: beside, "127.0.0.1", {port}, False, "dropwatch", lambda: "dropwatch"
    )
    batch = make_batch(tmp_path / "HeLa day 3")
    fileset = batch.image()
    run(importer, batch, fileset, importer.ask(batch.order, [fileset]))
"""


def worker(sandbox: Any, tmp_path: Path, trouble: str) -> subprocess.Popen[bytes]:
    """A worker process with an import under way that hangs."""
    told = {"tests": str(Path(__file__).parents[1]), "folder": str(tmp_path), "trouble": trouble}
    code = textwrap.dedent(WORKER.format(**told, port=sandbox.server.omero_port))
    made = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    wait_until(lambda: (tmp_path / "mark").exists() or made.poll() is not None)
    assert made.poll() is None
    return made


@LINUX
@pytest.mark.parametrize("trouble", ["hang-in-upload", "hang-in-import"])
def test_killed_worker_takes_the_program_with_it(
    sandbox: Any, cli: Cli, batch: Batch, tmp_path: Path, memory: Beside, trouble: str
) -> None:
    died = worker(sandbox, tmp_path, trouble)
    held = not is_free(memory)
    died.kill()
    died.wait()
    wait_until(lambda: is_free(memory))
    wait_until(lambda: not processes(tmp_path))
    importer = cli()
    fileset = batch.fileset("a.ome.tif")
    if trouble == "hang-in-import":
        wait_until(lambda: completed(sandbox))
    answers = importer.ask(batch.order, [fileset])
    if fileset.id not in answers.found:
        run(importer, batch, fileset, answers)

    assert held
    assert not rooms(tmp_path)
    assert "FILE_UPLOAD_STARTED" in next(memory.logs.glob("*.err")).read_text()
    assert len(completed(sandbox)) == filesets(sandbox) == 1


@LINUX
def test_java_does_not_outlive_its_program(
    sandbox: Any, cli: Cli, batch: Batch, tmp_path: Path, memory: Beside
) -> None:
    importer = cli(trouble="hang-in-upload")
    fileset = batch.image()
    under_way = InTheBackground(importer, batch, fileset, importer.ask(batch.order, [fileset]))
    wait_until((tmp_path / "mark").exists)
    (program,) = (
        pid for pid, said in processes(tmp_path).items() if str(tmp_path / "bin" / "omero") in said[:3]
    )
    os.kill(program, signal.SIGKILL)
    error = fails(TemporaryError, under_way.ended)

    assert error.code == "omero-cli-died"
    assert not processes(tmp_path) and is_free(memory) and filesets(sandbox) == 0


@LINUX
def test_envelope_stays_locked_as_long_as_java_lives(
    sandbox: Any, tmp_path: Path, batch: Batch, memory: Beside
) -> None:
    """Whoever kills the leash has to live with Java; but nobody else touches the envelope meanwhile."""
    died = worker(sandbox, tmp_path, "hang-in-upload")
    (java,) = (
        pid for pid, said in processes(tmp_path).items() if any("CommandLineImporter" in one for one in said)
    )
    for pid in processes(tmp_path):
        if pid not in (java, died.pid):
            os.kill(pid, signal.SIGKILL)
    died.kill()
    died.wait()
    wait_until(lambda: list(processes(tmp_path)) == [java])
    held = not is_free(memory)
    os.kill(java, signal.SIGKILL)
    wait_until(lambda: is_free(memory))

    assert held


# -- the doctor --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("real_python", [False, True])
def test_doctor_lets_the_program_read_a_tiny_image(cli: Cli, real_python: bool) -> None:
    found = cli(real_python=real_python).diagnose(None)
    (about,) = [one for one in found if one.subject == "omero import"]

    assert about.ok and "OMERO 5.8.3" in about.text and "Bioformats 7.3.1" in about.text


@pytest.mark.parametrize(
    ("trouble", "remedy"),
    [
        ("root", "account of its own"),
        ("no-jars", "omero-cli.clientdir"),
        ("due-to-errors", "OMERO.java anew"),
        ("out-of-memory", "JAVA_OPTS"),
    ],
)
def test_doctor_names_the_remedy(cli: Cli, trouble: str, remedy: str) -> None:
    found = cli(trouble=trouble).diagnose(None)
    (about,) = [one for one in found if one.subject == "omero import"]

    assert not about.ok and remedy in about.remedy


def test_doctor_tells_of_a_program_that_is_not_there(cli: Cli, tmp_path: Path) -> None:
    importer = cli()
    importer._program = replace(importer._program, command=str(tmp_path / "no" / "omero"))
    (about,) = [one for one in importer.diagnose(None) if one.subject == "omero import"]

    assert not about.ok and "omero-cli.command" in about.remedy
