"""Submitting a batch: it arrives whole or not at all, and harms nothing that is there."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropwatch import manifest, submit, submit_from
from dropwatch.errors import ManifestError, PermanentError, TemporaryError, Unavailable
from dropwatch.model import Place
from facility import Facility

POSIX = pytest.mark.skipif(os.name != "posix", reason="links, pipes and such names are of POSIX")


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    root = tmp_path / "spool"
    for place in Place:
        (root / "alice" / place).mkdir(parents=True)
    (root / ".dropwatch-spool").write_text("{}")
    return root


@pytest.fixture
def day3(tmp_path: Path) -> Path:
    """A folder as acquisition software leaves it."""
    folder = tmp_path / "HeLa day 3"
    (folder / "raw").mkdir(parents=True)
    (folder / "a.tif").write_bytes(b"image a")
    (folder / "raw" / "b.tif").write_bytes(b"image b" * 1000)
    (folder / ".DS_Store").write_bytes(b"left by a desktop")
    os.utime(folder / "a.tif", ns=(10**18, 10**18 + 123456700))
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def inbox(spool: Path) -> list[str]:
    return sorted(path.name for path in (spool / "alice" / "inbox").iterdir())


# -- what arrives ------------------------------------------------------------------------------------------


def test_a_folder_arrives_as_it_is_with_a_manifest_that_proves_itself_whole(spool: Path, day3: Path) -> None:
    made = submit(
        [day3], spool=spool, user="alice", target="Dataset:day 3", tags=["x"], key_values={"a": "b"}
    )

    assert made == spool / "alice" / "inbox" / "HeLa day 3"
    assert inbox(spool) == ["HeLa day 3"]
    found = files_of(made)
    data = found.pop("batch.json")
    assert found == {"a.tif": b"image a", "raw/b.tif": b"image b" * 1000}
    assert (made / "a.tif").stat().st_mtime_ns == (day3 / "a.tif").stat().st_mtime_ns
    assert manifest.whole(data)
    read = manifest.parse(data)
    assert (str(read.target), read.name, read.tags) == ("Dataset:day 3", "HeLa day 3", ("x",))
    assert {(file.path, file.size, file.sha256) for file in read.files} == {
        (path, len(image), hashlib.sha256(image).hexdigest()) for path, image in found.items()
    }


def test_what_the_daemon_is_to_fetch_is_one_small_manifest(spool: Path) -> None:
    folder = submit_from("confocal1-disk", ["2026/run 7"], spool=spool, user="alice", target="Dataset:day 3")
    files = submit_from("confocal1-disk", ["a/x.czi", "a/\udcff.czi"], spool=spool, user="alice", name="mine")

    data = (folder / "batch.json").read_bytes()
    read = manifest.parse(data)
    assert manifest.whole(data)
    assert (folder.name, files.name, list(files_of(folder))) == ("run 7", "mine", ["batch.json"])
    assert read.from_ is not None
    assert (read.from_.place, read.from_.paths) == ("confocal1-disk", ("2026/run 7",))
    second = manifest.parse((files / "batch.json").read_bytes()).from_
    assert second is not None
    assert second.paths == ("a/x.czi", "a/\udcff.czi")


@pytest.mark.parametrize("paths", [[], ["../x"], ["/etc"], ["a\0b"]])
def test_what_cannot_be_fetched_is_refused_before_anything_is_dropped(spool: Path, paths: list[str]) -> None:
    with pytest.raises(ManifestError):
        submit_from("confocal1-disk", paths, spool=spool, user="alice")

    assert inbox(spool) == []


def test_beside_other_files_a_folder_stays_a_folder(spool: Path, day3: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("read me")

    made = submit(
        [day3, tmp_path / "notes.txt"], spool=str(spool), user="alice", name="Day 3", checksums=False
    )

    assert set(files_of(made)) == {"HeLa day 3/a.tif", "HeLa day 3/raw/b.tif", "notes.txt", "batch.json"}
    listed = json.loads((made / "batch.json").read_text())["files"]
    assert all("sha256" not in one for one in listed)
    assert made.name == "Day 3"


@pytest.mark.parametrize(
    ("paths", "name"),
    [
        (["a.tif"], "a"),
        (["a.tif", "raw/b.tif"], "a"),
        (["raw/b.tif", "raw/c.tif"], "raw"),
        (["x.ome.tif"], "x"),
    ],
)
def test_files_without_a_name_are_called_as_people_would(
    spool: Path, day3: Path, paths: list[str], name: str
) -> None:
    for path in paths:
        (day3 / path).write_bytes(b"image")

    made = submit([day3 / path for path in paths], spool=spool, user="alice")

    assert made.name == name


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("a/b: c", "a_b_ c"),
        ("..", "batch"),
        ("run.tmp", "batch run_tmp"),
        (".x", "x"),
        ("é" * 300, "é" * 100),
    ],
)
def test_a_name_that_no_folder_can_have_stays_the_name_of_the_batch(
    spool: Path, day3: Path, name: str, folder: str
) -> None:
    made = submit([day3], spool=spool, user="alice", name=name)

    assert made.name == folder
    assert manifest.parse((made / "batch.json").read_bytes()).name == name


@POSIX
def test_names_that_are_no_text_come_through(spool: Path, day3: Path) -> None:
    odd = [os.fsdecode(b"caf\xe9.tif"), "two\nlines.tif", "e\u0301.tif", "n" * 251 + ".tif"]
    for name in odd:
        (day3 / name).write_bytes(b"image")

    made = submit([day3], spool=spool, user="alice")

    assert set(odd) < set(files_of(made))
    assert set(odd) < {file.path for file in manifest.parse((made / "batch.json").read_bytes()).files}


def test_a_manifest_that_the_files_bring_is_kept_as_it_is(spool: Path, day3: Path) -> None:
    (day3 / "batch.yaml").write_text("target: Dataset:mine\n")

    made = submit([day3], spool=spool, user="alice", name="mine")

    assert made.name == "mine"
    assert "batch.json" not in files_of(made)
    with pytest.raises(PermanentError, match=r"batch\.yaml says already what tags, target would say"):
        submit([day3], spool=spool, user="alice", target="Dataset:other", tags=["x"])


def test_the_user_is_found_whatever_the_case(spool: Path, day3: Path) -> None:
    made = submit([day3], spool=spool, user="ALICE")

    assert made.parent == spool / "alice" / "inbox"


def test_progress_goes_from_nothing_to_everything(spool: Path, day3: Path) -> None:
    told: list[tuple[str, int, int]] = []

    submit([day3], spool=spool, user="alice", progress=lambda *at: told.append(at))

    assert told[0][1] == 0
    assert told[-1][1:] == (7007, 7007)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


# -- what is there stays as it is --------------------------------------------------------------------------


def test_a_second_batch_of_the_same_name_gets_a_number(spool: Path, day3: Path) -> None:
    first = submit([day3], spool=spool, user="alice")
    before = files_of(first)
    (day3 / "a.tif").write_bytes(b"another image")

    second = submit([day3], spool=spool, user="alice")

    assert second.name == "HeLa day 3 (2)"
    assert files_of(first) == before
    assert manifest.parse((second / "batch.json").read_bytes()).name == "HeLa day 3"


def test_a_drop_that_takes_the_name_meanwhile_is_not_overwritten(spool: Path, day3: Path) -> None:
    theirs = spool / "alice" / "inbox" / "HeLa day 3"

    def somebody_is_faster(file: str, done: int, total: int) -> None:
        theirs.mkdir(exist_ok=True)

    made = submit([day3], spool=spool, user="alice", progress=somebody_is_faster)

    assert made.name == "HeLa day 3 (2)"
    assert files_of(theirs) == {}


# -- what is refused, before anything is copied ------------------------------------------------------------


@POSIX
def test_what_is_no_file_is_refused_by_name_all_at_once(spool: Path, day3: Path, tmp_path: Path) -> None:
    (day3 / "link.tif").symlink_to("/etc/passwd")
    os.mkfifo(day3 / "raw" / "pipe.tif")
    (day3 / "c.tif.part").write_bytes(b"half")
    (day3 / "back\\slash.tif").write_bytes(b"image")
    (tmp_path / "shortcut").symlink_to(day3)

    with pytest.raises(PermanentError) as refused:
        submit([day3, tmp_path / "shortcut", tmp_path / "nowhere.tif"], spool=spool, user="alice")

    told = str(refused.value)
    assert f"{day3}/link.tif is a link" in told
    assert f"{day3}/raw/pipe.tif is a pipe" in told
    assert f"{day3}/c.tif.part is still being written" in told
    assert "back\\slash.tif: a name with \\ in it cannot be listed" in told
    assert f"{tmp_path}/shortcut is a link" in told
    assert f"{tmp_path}/nowhere.tif is not there" in told
    assert inbox(spool) == []


def test_two_files_that_would_meet_are_refused(spool: Path, day3: Path) -> None:
    (day3 / "raw" / "A.TIF").write_bytes(b"image")

    with pytest.raises(PermanentError, match=r"A\.TIF and .*a\.tif would both be A\.TIF in the batch"):
        submit([day3 / "a.tif", day3 / "raw" / "A.TIF"], spool=spool, user="alice")


def test_a_slip_in_the_wishes_costs_no_copying(spool: Path, day3: Path) -> None:
    with pytest.raises(ManifestError, match="expected Dataset:NAME"):
        submit([day3], spool=spool, user="alice", target="Datset:x", progress=never)
    (day3 / "batch.yaml").write_text("taget: Dataset:x\n")
    with pytest.raises(ManifestError, match=r"batch\.yaml line 1: taget: unknown key; did you mean target"):
        submit([day3], spool=spool, user="alice", progress=never)

    assert inbox(spool) == []


def never(file: str, done: int, total: int) -> None:
    pytest.fail("something was copied")


@pytest.mark.parametrize("user", ["bob", "../alice", ".", "", "alice/inbox"])
def test_a_user_without_a_drop_folder_is_refused(spool: Path, day3: Path, user: str) -> None:
    with pytest.raises(PermanentError, match="drop folder"):
        submit([day3], spool=spool, user=user)


def test_a_spool_that_is_not_mounted_is_no_spool(spool: Path, day3: Path) -> None:
    (spool / ".dropwatch-spool").unlink()

    with pytest.raises(Unavailable, match="not there"):
        submit([day3], spool=spool, user="alice")


def test_more_than_fits_is_refused_before_it_is_copied(spool: Path, day3: Path) -> None:
    with (day3 / "huge.tif").open("wb") as file:
        file.truncate(8 * 2**40)

    with pytest.raises(PermanentError, match=r"need 8796\.1 GB"):
        submit([day3], spool=spool, user="alice", progress=never)


@pytest.mark.parametrize("files", [[], ["empty"]])
def test_nothing_is_no_batch(spool: Path, tmp_path: Path, files: list[str]) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(PermanentError, match=r"No files|no file"):
        submit([tmp_path / name for name in files], spool=spool, user="alice")


# -- what ends in the middle -------------------------------------------------------------------------------


def test_a_file_that_changes_while_it_is_copied_is_not_dropped(spool: Path, day3: Path) -> None:
    def somebody_writes(file: str, done: int, total: int) -> None:
        with (day3 / "raw" / "b.tif").open("ab") as growing:
            growing.write(b"more")

    with pytest.raises(TemporaryError, match=r"b\.tif changed while it was being copied"):
        submit([day3], spool=spool, user="alice", progress=somebody_writes)

    assert inbox(spool) == []


def test_ctrl_c_leaves_nothing_behind(spool: Path, day3: Path) -> None:
    def ctrl_c(file: str, done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        submit([day3], spool=spool, user="alice", progress=ctrl_c)

    assert inbox(spool) == []


# -- with a daemon on the other side -----------------------------------------------------------------------


@pytest.fixture
def facility(tmp_path: Path) -> Iterator[Facility]:
    made = Facility(tmp_path, {"spools": []})
    made.settings["spools"] = [{"path": str(made.spool), "settle": "1h", "sweep": "300ms"}]
    yield made
    made.close()


def test_the_daemon_takes_a_submitted_batch_at_once(facility: Facility, tmp_path: Path) -> None:
    from dropwatch.sandbox.samples import ome_tiff

    (tmp_path / "run" / "below").mkdir(parents=True)
    ome_tiff(tmp_path / "run" / "a.ome.tif")
    ome_tiff(tmp_path / "run" / "below" / "b.ome.tif", seed=1)
    facility.start()

    submit([tmp_path / "run"], spool=facility.spool, user="alice", target="Dataset:from afar")

    facility.until(lambda: facility.retired("alice"))
    assert facility.imported() == ["a.ome.tif", "below/b.ome.tif"]
    assert facility.ask_server("select name from dataset") == [("from afar",)]


KILLED = """
import sys, time
from dropwatch import submit
def progress(file, done, total):
    if done:
        print("copying", flush=True)
        time.sleep(60)
submit([sys.argv[1]], spool=sys.argv[2], user="alice", progress=progress)
"""


def test_a_submit_that_is_killed_leaves_nothing_that_is_imported(facility: Facility, tmp_path: Path) -> None:
    from dropwatch.sandbox.samples import ome_tiff

    (tmp_path / "run").mkdir()
    for number in range(3):
        ome_tiff(tmp_path / "run" / f"{number}.ome.tif", seed=number)
    facility.settings["spools"][0]["settle"] = "100ms"
    facility.start()
    command = [sys.executable, "-c", KILLED, str(tmp_path / "run"), str(facility.spool)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as dying:
        assert dying.stdout is not None
        assert dying.stdout.readline() == "copying\n"
        dying.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
    threading.Event().wait(1.5)  # several sweeps, and fifteen times the settle time

    left = [path.name for path in (facility.spool / "alice" / "inbox").iterdir()]
    assert left == [".run.part"]
    assert facility.imports() == []
    submit([tmp_path / "run"], spool=facility.spool, user="alice")
    facility.until(lambda: len(facility.envelopes("alice", "done")) == 1)
    assert facility.imported() == ["0.ome.tif", "1.ome.tif", "2.ome.tif"]


def test_submitting_needs_neither_omero_nor_the_command_line() -> None:
    ask = "import sys; from dropwatch import submit; print(*{'omero', 'Ice', 'typer', 'rich'} & set(sys.modules))"

    done = subprocess.run(
        [sys.executable, "-c", ask], capture_output=True, text=True, timeout=200, check=True
    )

    assert done.stdout.split() == []


# -- the command -------------------------------------------------------------------------------------------


def command(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dropwatch", *map(str, words)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_the_command_says_where_it_is_and_that_you_can_log_out(spool: Path, day3: Path) -> None:
    done = command(
        "submit", day3.name, "--user", "alice", "--spool", spool, "--key-value", "a=b", cwd=day3.parent
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(spool / "alice" / "inbox" / "HeLa day 3")]
    assert done.stderr.splitlines()[-1].startswith("HeLa day 3 is in the inbox of alice. You can log out now")


def test_the_command_tells_what_is_wrong_in_words(spool: Path, day3: Path) -> None:
    done = command("submit", "nothing.tif", "--user", "alice", "--spool", spool, cwd=day3)
    wrong = command("submit", "a.tif", "--user", "alice", "--spool", spool, "--key-value", "a", cwd=day3)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{day3}/nothing.tif is not there.\n"
    assert (wrong.returncode, wrong.stderr) == (2, "'a' is no KEY=VALUE.\n")
