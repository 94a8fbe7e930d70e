"""The importer that copies into folders: what people find there, and what no crash and no name may do to it.

What it shares with the other importers is told in test_importers.py.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from orders import OTHER_STAMP, Batch, attach, make_batch, run

from dropwatch.errors import (
    Interrupted,
    OperatorError,
    PermanentError,
    TemporaryError,
    Unavailable,
)
from dropwatch.importers.folder import FolderImporter
from dropwatch.importers.folder_errors import sort
from dropwatch.model import Attached, Imported, Kind, Progress, Skipped, Target

POSIX = pytest.mark.skipif(os.name != "posix", reason="modes, links and fork are of POSIX")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    made = tmp_path / "archive"
    made.mkdir()
    (made / ".dropwatch-archive").touch()
    return made


@pytest.fixture
def importer(archive: Path) -> FolderImporter:
    return FolderImporter(archive)


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    return make_batch(tmp_path / "HeLa day 3")


def tree(archive: Path) -> list[str]:
    """The files that people see."""
    found = (path.relative_to(archive).as_posix() for path in archive.rglob("*") if path.is_file())
    return sorted(path for path in found if not path.startswith(".dropwatch"))


def state(archive: Path) -> list[str]:
    """What kinds of things the index holds: ``json``, ``staging``."""
    found = (archive / ".dropwatch").rglob("*.*")
    return sorted(path.suffix[1:] for path in found if path.suffix in (".json", ".staging", ".part"))


def entries(archive: Path) -> list[dict[str, object]]:
    return [json.loads(path.read_text()) for path in sorted((archive / ".dropwatch").rglob("*.json"))]


# -- what people find ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "home"),
    [
        ({}, "alice/day 3"),
        ({"target": Target(Kind.DATASET, name="day 3", project="HeLa")}, "alice/HeLa/day 3"),
        ({"group": "imaging-lab"}, "alice/imaging-lab/day 3"),
        ({"target": Target(Kind.SCREEN, name="plates"), "group": "lab"}, "alice/lab/plates"),
    ],
)
def test_a_copy_lies_where_its_owner_looks_for_it(
    archive: Path, importer: FolderImporter, batch: Batch, asked: dict[str, object], home: str
) -> None:
    batch = batch.but(**asked)
    fileset = batch.image("run 1/a.ome.tif")
    answers = importer.ask(batch.order, [fileset])
    imported = run(importer, batch, fileset, answers)
    copy = archive / home / "run 1/a.ome.tif"

    assert answers.container.name == home and answers.container.created
    assert tree(archive) == [f"{home}/run 1/a.ome.tif"]
    assert copy.read_bytes() == (batch.folder / "run 1/a.ome.tif").read_bytes()
    assert copy.stat().st_mtime_ns == fileset.files[0].mtime_ns
    assert copy.stat().st_ino != fileset.files[0].inode
    assert [image.name for image in imported.images] == ["run 1/a.ome.tif"] and imported.warning == ""
    assert state(archive) == ["json"]


def test_the_entry_tells_other_programs_what_the_batch_said(
    archive: Path, importer: FolderImporter, batch: Batch
) -> None:
    batch = batch.but(tags=("confocal",), key_values=(("objective", "63x"),), description="free text")
    fileset = batch.image()
    run(importer, batch, fileset, importer.ask(batch.order, [fileset]))
    (entry,) = entries(archive)
    about = entry["about"]

    assert isinstance(about, dict)
    assert about["tags"] == ["confocal"] and about["key_values"] == {"objective": "63x"}
    assert (about["description"], about["owner"], about["target"]) == ("free text", "alice", "Dataset:day 3")
    assert entry["files"] == [
        {
            "path": "a.ome.tif",
            "place": "alice/day 3/a.ome.tif",
            "size": fileset.bytes,
            "sha256": hashlib.sha256((batch.folder / "a.ome.tif").read_bytes()).hexdigest(),
        }
    ]


@POSIX
def test_copies_get_what_the_umask_leaves(archive: Path, importer: FolderImporter, batch: Batch) -> None:
    fileset = batch.image("run 1/a.ome.tif")
    (batch.folder / "run 1/a.ome.tif").chmod(0o600)
    before = os.umask(0o027)
    try:
        run(importer, batch, fileset, importer.ask(batch.order, [fileset]))
    finally:
        os.umask(before)
    copy = archive / "alice/day 3/run 1/a.ome.tif"

    assert (oct(copy.stat().st_mode & 0o777), oct(copy.parent.stat().st_mode & 0o777)) == ("0o640", "0o750")


# -- names that are taken ----------------------------------------------------------------------------------


def test_nothing_is_overwritten_and_no_file_is_called_anew(
    archive: Path, importer: FolderImporter, tmp_path: Path
) -> None:
    for number in range(3):
        batch = make_batch(tmp_path / f"drop {number}", batch=f"20261124-14035{number}-k3f9")
        fileset = batch.image("run 1/a.ome.tif", seed=number)
        imported = run(importer, batch, fileset, importer.ask(batch.order, [fileset]))
    one = (tmp_path / "drop 0/run 1/a.ome.tif").read_bytes()

    assert tree(archive) == [
        "alice/day 3/HeLa day 3 (2)/run 1/a.ome.tif",
        "alice/day 3/HeLa day 3 (3)/run 1/a.ome.tif",
        "alice/day 3/run 1/a.ome.tif",
    ]
    assert (archive / "alice/day 3/run 1/a.ome.tif").read_bytes() == one
    assert "lies in the archive as alice/day 3/HeLa day 3 (3)/run 1/a.ome.tif" in imported.warning


def test_files_that_refer_to_one_another_stay_together(
    archive: Path, importer: FolderImporter, tmp_path: Path
) -> None:
    first = make_batch(tmp_path / "first")
    alone = first.image("run 1/a.ome.tif")
    run(importer, first, alone, importer.ask(first.order, [alone]))
    second = make_batch(tmp_path / "second", batch=OTHER_STAMP)
    second.image("run 1/a.ome.tif", seed=1)
    second.text("run 1/a.log")
    second.text("notes/b.txt")
    both = second.fileset("run 1/a.ome.tif", "run 1/a.log", "notes/b.txt")
    run(importer, second, both, importer.ask(second.order, [both]))

    assert tree(archive) == [
        "alice/day 3/HeLa day 3 (2)/notes/b.txt",
        "alice/day 3/HeLa day 3 (2)/run 1/a.log",
        "alice/day 3/HeLa day 3 (2)/run 1/a.ome.tif",
        "alice/day 3/run 1/a.ome.tif",
    ]


def test_a_file_where_a_folder_is_needed_is_left_alone(
    archive: Path, importer: FolderImporter, batch: Batch
) -> None:
    (archive / "alice/day 3").mkdir(parents=True)
    (archive / "alice/day 3/run 1").write_text("somebody's")
    fileset = batch.image("run 1/a.ome.tif")
    run(importer, batch, fileset, importer.ask(batch.order, [fileset]))

    assert tree(archive) == ["alice/day 3/HeLa day 3 (2)/run 1/a.ome.tif", "alice/day 3/run 1"]
    assert (archive / "alice/day 3/run 1").read_text() == "somebody's"


def test_a_name_taken_while_the_copy_was_made_is_left_to_the_other(
    archive: Path, importer: FolderImporter, batch: Batch
) -> None:
    fileset = batch.image("a.ome.tif")
    answers = importer.ask(batch.order, [fileset])
    place = archive / "alice/day 3/a.ome.tif"

    def intrude(progress: Progress) -> None:
        place.write_text("somebody's")

    run(importer, batch, fileset, answers, progress=intrude)

    assert tree(archive) == ["alice/day 3/HeLa day 3 (2)/a.ome.tif", "alice/day 3/a.ome.tif"]
    assert place.read_text() == "somebody's"


def test_many_at_once_with_one_name_all_get_a_place(archive: Path, tmp_path: Path) -> None:
    """Two importers, as two worker processes have, and four batches that want the same name."""
    importers = [FolderImporter(archive), FolderImporter(archive)]
    together = threading.Barrier(4)
    wrong: list[BaseException] = []
    batches = [
        make_batch(tmp_path / f"{number}", batch=f"20261124-14035{number}-k3f9") for number in range(4)
    ]
    filesets = [batch.image("a.ome.tif", seed=number) for number, batch in enumerate(batches)]

    def work(number: int) -> None:
        batch, fileset, importer = batches[number], filesets[number], importers[number % 2]
        try:
            answers = importer.ask(batch.order, [fileset])
            together.wait(60)
            run(importer, batch, fileset, answers)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    copies = {(archive / path).read_bytes() for path in tree(archive)}

    assert wrong == []
    assert copies == {(batch.folder / "a.ome.tif").read_bytes() for batch in batches}
    assert len(tree(archive)) == 4


# -- names from elsewhere ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "home"),
    [
        (Target(Kind.DATASET, name="../../etc"), "alice/%2E.%2F..%2Fetc"),
        (Target(Kind.DATASET, name=".."), "alice/%2E%2E"),
        (Target(Kind.DATASET, name="a/b", project="..\\x"), "alice/%2E.%5Cx/a%2Fb"),
        (Target(Kind.DATASET, name="con. "), "alice/con%2E%20"),
        (Target(Kind.DATASET, name="con"), "alice/%63on"),
        (Target(Kind.DATASET, name="line\nend\x00"), "alice/line%0Aend%00"),
        (Target(Kind.DATASET, name=".dropwatch"), "alice/%2Edropwatch"),
        (Target(Kind.DATASET, name="50% of 100%41"), "alice/50% of 100%2541"),
    ],
)
def test_no_name_of_a_dataset_leads_out_of_the_archive(
    archive: Path, importer: FolderImporter, batch: Batch, target: Target, home: str
) -> None:
    batch = batch.but(target=target)
    fileset = batch.image()
    run(importer, batch, fileset, importer.ask(batch.order, [fileset]))

    assert tree(archive) == [f"{home}/a.ome.tif"]


@pytest.mark.parametrize("owner", [".dropwatch", "..", "a/../../b", "C:"])
def test_no_name_of_an_owner_leads_out_of_the_archive(
    archive: Path, importer: FolderImporter, batch: Batch, owner: str
) -> None:
    batch = batch.but(owner=owner)
    fileset = batch.image()
    run(importer, batch, fileset, importer.ask(batch.order, [fileset]))
    (found,) = tree(archive)

    assert found.endswith("/day 3/a.ome.tif") and found.count("/") == 2
    assert sorted(path.name for path in archive.parent.iterdir()) == ["HeLa day 3", "archive"]


@POSIX
def test_names_of_files_that_not_every_system_carries(
    archive: Path, importer: FolderImporter, batch: Batch
) -> None:
    names = [
        "a:b?.tif",
        "con.tif",
        "dot.",
        os.fsdecode(b"caf\xe9.tif"),
        "x" * 251 + ".tif",
        "\u00e9" * 125 + ".tif",
    ]
    for name in names:
        (batch.folder / name).write_bytes(name.encode("utf-8", "surrogateescape"))
        fileset = batch.fileset(name)
        imported = run(importer, batch, fileset, importer.ask(batch.order, [fileset]))

        assert isinstance(importer.ask(batch.order, [fileset]).found[fileset.id], Imported)

    assert tree(archive) == sorted(
        f"alice/day 3/{name}"
        for name in (
            "a%3Ab%3F.tif",
            "%63on.tif",
            "dot%2E",
            "caf%E9.tif",
            "x" * 251 + ".tif",
            "\u00e9" * 125 + ".tif",
        )
    )
    assert imported.warning == ""


@POSIX
def test_a_path_that_is_too_long_leaves_nothing_behind(
    archive: Path, importer: FolderImporter, batch: Batch
) -> None:
    here = os.open(batch.folder, os.O_RDONLY)
    for _ in range(16):  # step by step: the whole path would be too long here, too
        os.mkdir("x" * 250, dir_fd=here)
        below = os.open("x" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    file = os.open("a.tif", os.O_WRONLY | os.O_CREAT, dir_fd=here)
    os.write(file, b"data")
    info = os.fstat(file)
    os.close(file)
    os.close(here)
    fact = replace(
        batch.image().files[0], path="/".join(["x" * 250] * 16 + ["a.tif"]), size=4, mtime_ns=info.st_mtime_ns
    )
    fileset = replace(batch.fileset("a.ome.tif"), files=(fact,))
    answers = importer.ask(batch.order, [fileset])
    with pytest.raises(PermanentError, match="cannot hold a file of this name or path") as caught:
        run(importer, batch, fileset, answers)

    assert "Shorten" in caught.value.remedy
    assert tree(archive) == [] and state(archive) == []


@POSIX
def test_a_link_in_the_archive_is_not_followed(
    archive: Path, importer: FolderImporter, batch: Batch, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (archive / "alice").mkdir()
    (archive / "alice/day 3").symlink_to(tmp_path / "elsewhere")
    fileset = batch.image("run 1/a.ome.tif")
    with pytest.raises(PermanentError, match="is a link or no folder"):
        importer.ask(batch.order, [fileset])
    (archive / "alice/day 3").unlink()
    answers = importer.ask(batch.order, [fileset])
    (archive / "alice/day 3/run 1").symlink_to(tmp_path / "elsewhere")
    run(importer, batch, fileset, answers)

    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert (archive / "alice/day 3/HeLa day 3 (2)/run 1/a.ome.tif").is_file()


# -- what is there already ---------------------------------------------------------------------------------


def test_a_copy_that_was_taken_away_is_made_again(
    archive: Path, importer: FolderImporter, batch: Batch
) -> None:
    fileset = batch.image()
    run(importer, batch, fileset, importer.ask(batch.order, [fileset]))
    (archive / "alice/day 3/a.ome.tif").unlink()
    answers = importer.ask(batch.order, [fileset])

    assert answers.found == {} and state(archive) == []
    run(importer, batch, fileset, answers)
    assert tree(archive) == ["alice/day 3/a.ome.tif"]


def test_a_file_of_somebody_elses_or_of_another_dataset_is_no_duplicate(
    importer: FolderImporter, tmp_path: Path
) -> None:
    first = make_batch(tmp_path / "first")
    fileset = first.image()
    imported = run(importer, first, fileset, importer.ask(first.order, [fileset]))
    again = make_batch(tmp_path / "again", batch=OTHER_STAMP)
    same = again.copy(first, "a.ome.tif", "a.ome.tif")

    assert importer.ask(again.order, [same]).found == {same.id: Skipped(imported.images, imported.fileset)}
    assert importer.ask(again.but(owner="bob").order, [same]).found == {}
    elsewhere = again.but(target=Target(Kind.DATASET, name="day 4"))
    assert importer.ask(elsewhere.order, [same]).found == {}


def test_a_batch_id_of_somebody_elses_shows_nothing(importer: FolderImporter, batch: Batch) -> None:
    fileset = batch.image()
    run(importer, batch, fileset, importer.ask(batch.order, [fileset]))
    forged = batch.but(owner="bob", user="bob", duplicates="import")

    assert importer.ask(forged.order, [fileset]).found == {}
    assert isinstance(importer.ask(batch.order, [fileset]).found[fileset.id], Imported)


def test_an_entry_that_leads_out_of_the_archive_counts_for_nothing(
    archive: Path, importer: FolderImporter, batch: Batch
) -> None:
    fileset = batch.image()
    imported = run(importer, batch, fileset, importer.ask(batch.order, [fileset]))
    (path,) = (archive / ".dropwatch").rglob("*.json")
    entry = json.loads(path.read_text())
    entry["files"][0]["place"] = "../HeLa day 3/a.ome.tif"
    path.write_text(json.dumps(entry))
    importer.discard(batch.order, fileset, imported)

    assert importer.ask(batch.order, [fileset]).found == {}
    assert (batch.folder / "a.ome.tif").is_file()


def test_an_attachment_lies_beside_the_images(
    archive: Path, importer: FolderImporter, tmp_path: Path
) -> None:
    found = []
    for stamp in ("20261124-140355-k3f9", OTHER_STAMP):
        batch = make_batch(tmp_path / stamp, batch=stamp)
        notes = batch.attachment(batch.text("notes.pdf"))
        answers = importer.ask(batch.order, [notes])
        if notes.id not in answers.found:
            attach(importer, batch, notes, answers)
        found.append(importer.ask(batch.order, [notes]).found[notes.id])

    assert tree(archive) == ["alice/day 3/notes.pdf"]
    assert isinstance(found[0], Attached) and found[0] == found[1]


# -- the archive as a disk ---------------------------------------------------------------------------------


def test_an_archive_that_is_not_mounted_is_never_filled(
    archive: Path, importer: FolderImporter, batch: Batch
) -> None:
    fileset = batch.image()
    answers = importer.ask(batch.order, [fileset])
    (archive / ".dropwatch-archive").rename(archive.parent / "away")
    (archive / "alice/day 3").rmdir()
    (archive / "alice").rmdir()
    for call in (
        lambda: importer.ask(batch.order, [fileset]),
        lambda: run(importer, batch, fileset, answers),
    ):
        with pytest.raises(Unavailable, match=r"is not there: its file \.dropwatch-archive cannot be seen"):
            call()

    assert list(archive.iterdir()) == []
    assert str(archive / ".dropwatch-archive") in importer.diagnose(None)[0].remedy


def test_a_full_archive_is_for_the_admins_and_is_not_filled_to_the_brim(
    archive: Path, importer: FolderImporter, batch: Batch
) -> None:
    with (batch.folder / "huge.tif").open("wb") as file:
        file.truncate(12 * 2**40)  # a hole: it takes no space where it lies
    fileset = batch.fileset("huge.tif")
    answers = importer.ask(batch.order, [fileset])
    with pytest.raises(OperatorError, match="is full") as caught:
        run(importer, batch, fileset, answers)

    assert caught.value.concerns == "omero" and str(archive) in caught.value.message
    assert tree(archive) == [] and state(archive) == []


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, OperatorError, "is full"),
        (errno.EDQUOT, OperatorError, "is full"),
        (errno.EACCES, OperatorError, "may not write /archive/alice"),
        (errno.EROFS, OperatorError, "may not write"),
        (errno.ENAMETOOLONG, PermanentError, "cannot hold"),
        (errno.EFBIG, PermanentError, "cannot hold"),
        (errno.ESTALE, TemporaryError, "failed while a.tif was being copied"),
        (errno.EIO, TemporaryError, "failed while"),
    ],
)
def test_what_the_disk_says_is_sorted_by_who_has_to_act(number: int, kind: type, words: str) -> None:
    error = sort(
        Path("/archive"), "a.tif was being copied", OSError(number, os.strerror(number), "/archive/alice")
    )

    assert type(error) is kind and words in error.message


def test_a_copy_that_reads_otherwise_than_it_was_written_never_gets_a_place(
    archive: Path, importer: FolderImporter, batch: Batch
) -> None:
    fileset = batch.image()

    def rot(progress: Progress) -> None:
        if progress.stage == "upload" and progress.done == progress.total:
            (copy,) = (archive / ".dropwatch").rglob("*.staging/0")
            with copy.open("r+b") as file:
                file.seek(100)
                file.write(b"rot")

    answers = importer.ask(batch.order, [fileset])
    with pytest.raises(TemporaryError, match="reads otherwise than it was written"):
        run(importer, batch, fileset, answers, progress=rot)

    assert tree(archive) == [] and state(archive) == []


def test_a_stop_while_the_copy_is_verified_leaves_nothing(
    archive: Path, importer: FolderImporter, batch: Batch
) -> None:
    fileset = batch.image(size=1500)
    told: list[Progress] = []
    answers = importer.ask(batch.order, [fileset])
    with pytest.raises(Interrupted, match="verified"):
        run(
            importer, batch, fileset, answers, progress=told.append,
            stopped=lambda: any(one.stage == "server" for one in told),
        )  # fmt: skip

    assert tree(archive) == [] and state(archive) == []


# -- crashes -----------------------------------------------------------------------------------------------

CRASHING = """
    # Let a process die before its first, second, third ... look at or change of the disk; then ask, and import
    # what is missing. Prints for each death what was found and what there is in the end.
    import json, os, sys
    from pathlib import Path
    from dropwatch.importers.folder import FolderImporter
    from orders import make_batch, run

    top = Path(sys.argv[1])
    EVENTS = {"open", "os.mkdir", "os.link", "os.rename", "os.remove", "os.rmdir", "os.utime", "shutil.rmtree"}

    def die_at(number):
        seen = 0
        def hook(event, args):
            nonlocal seen
            if event in EVENTS:
                seen += 1
                if seen > number:
                    os._exit(9)
        sys.addaudithook(hook)

    for number in range(1000):
        archive = top / str(number)
        archive.mkdir()
        (archive / ".dropwatch-archive").touch()
        batch = make_batch(top / "batch")
        for name in ("set/a.tif", "set/b.tif", "c.tif"):
            batch.text(name, name * 100)
        filesets = [batch.fileset("set/a.tif", "set/b.tif"), batch.fileset("c.tif")]
        child = os.fork()
        if child == 0:
            die_at(number)
            importer = FolderImporter(archive)
            answers = importer.ask(batch.order, filesets)
            for fileset in filesets:
                run(importer, batch, fileset, answers)
            os._exit(0)
        died = os.waitpid(child, 0)[1] != 0
        seen = [str(path.relative_to(archive)) for path in archive.rglob("*.tif")]
        importer = FolderImporter(archive)
        answers = importer.ask(batch.order, filesets)
        for fileset in filesets:
            if fileset.id not in answers.found:
                run(importer, batch, fileset, answers)
        again = importer.ask(batch.order, filesets).found
        files = sorted(str(path.relative_to(archive)) for path in archive.rglob("*") if path.is_file())
        print(json.dumps({"died": died, "found": len(answers.found), "seen": seen, "again": len(again),
                          "files": [f for f in files if not f.startswith(".")],
                          "state": sorted(f.rpartition(".")[2] for f in files if f.startswith(".dropwatch/")),
                          "bytes": [(archive / f).stat().st_size for f in files if not f.startswith(".")]}))
        if not died:
            break
"""


@POSIX
def test_a_process_killed_at_any_moment_leaves_each_fileset_once_and_whole(tmp_path: Path) -> None:
    tests = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CRASHING), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(tests.parent), str(tests)))},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    deaths = [json.loads(line) for line in done.stdout.splitlines()]

    assert done.returncode == 0, done.stderr
    assert len(deaths) > 40 and not deaths[-1]["died"]
    for number, death in enumerate(deaths):
        assert death["files"] == ["alice/day 3/c.tif", "alice/day 3/set/a.tif", "alice/day 3/set/b.tif"], (
            number
        )
        assert death["bytes"] == [500, 900, 900] and death["again"] == 2, number
        assert death["state"] == ["json", "json"], number
    assert {death["found"] for death in deaths} == {0, 1, 2}
