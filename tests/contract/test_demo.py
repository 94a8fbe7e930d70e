"""The demo, as a newcomer starts it: in a process of its own, with its own sandbox and its own daemon."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from dropwatch import exits
from dropwatch.sandbox.demo import conclude
from dropwatch.sandbox.demo_drops import DROPS
from dropwatch.sandbox.demo_mails import received
from dropwatch.sandbox.demo_scene import Scene
from dropwatch.sandbox.demo_screen import PlainScreen
from dropwatch.sandbox.demo_stage import Stage
from tests.world import wait_until

LONGEST = 280.0  #: seconds; it takes about 30


@dataclass(frozen=True)
class Told:
    """A demo that has ended."""

    scene: Scene
    code: int
    text: str


@contextmanager
def started(folder: Path, *, once: bool = True) -> Iterator[subprocess.Popen[str]]:
    """The demo in *folder*, ended with the block if it has not ended itself."""
    command = [sys.executable, "-m", "dropwatch", "demo", *(["--once"] if once else []), "--dir", str(folder)]
    environ = {**os.environ, "COLUMNS": "80", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", env=environ
    ) as demo:
        try:
            yield demo
        finally:
            demo.terminate()


def at_work(folder: Path) -> dict[int, list[str]]:
    """The processes that work in *folder*: their arguments by process id."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_bytes().decode("utf-8", "replace").split("\0")
        except OSError:  # it ended just now
            continue
        if any(str(folder) in argument for argument in arguments):
            found[int(path.parent.name)] = arguments
    return found


def until_it_runs(demo: subprocess.Popen[str]) -> None:
    assert demo.stdout is not None
    assert any("runs, and watches" in line for line in demo.stdout)


# -- as told -------------------------------------------------------------------------------------------


@pytest.mark.timeout(240)
def test_demo_comes_out_as_told_and_whatever_is_not_as_told_fails_it(tmp_path: Path) -> None:
    """One story, so that the demo is played once and not by each process that runs some of the tests."""
    with started(tmp_path / "demo") as demo:
        text, _ = demo.communicate(timeout=LONGEST)
    told = Told(Scene(tmp_path / "demo"), demo.returncode, text)

    assert told.code == exits.GOOD, told.text
    assert at_work(told.scene.folder) == {}
    its_text_passes_all_stations_and_has_no_control_codes(told)
    killed_daemon_imported_every_good_file_once(told)
    letters_arrive_after_the_mail_server_is_back(told)
    files_that_belong_together_are_one_image_or_one_plate(told)
    page_was_signed_in_to_once(told)
    for trouble in TROUBLES:
        whatever_is_not_as_told_fails_the_demo(told, trouble)


def its_text_passes_all_stations_and_has_no_control_codes(told: Told) -> None:
    stations = [
        "drop images",
        "is killed (SIGKILL)",
        "half uploaded",
        "is started again",
        "each one once",
        "letters wait on disk",
        "is up again",
        "Subject: 2 of 3 imported: mouse brain",
        "as told",
        "its list",
        "Where to look",
    ]

    places = [told.text.find(station) for station in stations]

    assert -1 not in places, dict(zip(stations, places, strict=True))
    assert places == sorted(places)
    assert all(char.isprintable() or char == "\n" for char in told.text)


def killed_daemon_imported_every_good_file_once(told: Told) -> None:
    lines = [json.loads(line) for line in told.scene.imports.read_text().splitlines()]

    times = Counter(file["client_path"].split("/")[-1] for line in lines for file in line["files"])

    assert times == Counter(name for drop in DROPS for name in drop.good)
    assert told.scene.log.read_text().count(" start version=") == 2


def letters_arrive_after_the_mail_server_is_back(told: Told) -> None:
    mails = received(told.scene.mails)

    assert Counter(mail.to for mail in mails) == Counter(to for drop in DROPS for to in drop.recipients)
    assert "target=mail" in told.scene.log.read_text()  # it was down


def files_that_belong_together_are_one_image_or_one_plate(told: Told) -> None:
    lines = {line["key"]: line for line in map(json.loads, told.scene.imports.read_text().splitlines())}
    shapes = Counter(
        (len(line["files"]), len(line["images"]), len(line["plates"])) for line in lines.values()
    )
    letters = {mail.subject: mail.text for mail in received(told.scene.mails)}

    assert shapes == {(1, 1, 0): 7, (3, 1, 0): 1, (1, 3, 0): 1, (3, 3, 1): 1}
    assert "beat 1.ome.tif (with 2 more files)" in letters["1 image file imported: zebrafish heart"]
    assert "1 plate" in letters["1 image file imported: plate 42"]


def page_was_signed_in_to_once(told: Told) -> None:
    said = told.scene.page_log.read_text()

    assert said.count("sign-in name=root by=link") == 1
    assert "key=" not in said  # links are handed to people, and lie in no log


@pytest.mark.long
def test_page_and_how_to_come_in_are_the_last_that_a_demo_says_which_stays(tmp_path: Path) -> None:
    with started(tmp_path / "demo", once=False) as demo:
        assert demo.stdout is not None
        lines = []
        for line in demo.stdout:
            lines.append(line)
            if "as admin" in line:
                break
        found = {line.split()[1]: line.split()[-1] for line in lines[-2:]}
        for link in found.values():
            with urllib.request.urlopen(link, timeout=200) as answer:
                assert answer.status == 200
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=LONGEST)

    assert set(found) == {"alice", "admin"}
    assert any("The page is open: http://127.0.0.1:" in line for line in lines)
    assert at_work(tmp_path) == {}


# -- not as told ---------------------------------------------------------------------------------------


@contextmanager
def changed(path: Path, data: bytes) -> Iterator[None]:
    before = path.read_bytes()
    path.write_bytes(data)
    try:
        yield
    finally:
        path.write_bytes(before)


@contextmanager
def moved(path: Path, target: Path) -> Iterator[None]:
    path.rename(target)
    try:
        yield
    finally:
        target.rename(path)


def imported_twice(scene: Scene) -> AbstractContextManager[None]:
    text = scene.imports.read_bytes()
    return changed(scene.imports, text + text.splitlines(keepends=True)[0])


def one_lost(scene: Scene) -> AbstractContextManager[None]:
    return changed(scene.imports, b"".join(scene.imports.read_bytes().splitlines(keepends=True)[1:]))


def other_bytes_imported(scene: Scene) -> AbstractContextManager[None]:
    first, *others = scene.imports.read_text().splitlines(keepends=True)
    line = json.loads(first)
    line["files"][0]["sha1"] = "0" * 40
    return changed(scene.imports, "".join([json.dumps(line) + "\n", *others]).encode())


def letter_missing(scene: Scene) -> AbstractContextManager[None]:
    mail = received(scene.mails)[0].path
    return moved(mail, mail.with_suffix(".gone"))


def batch_in_the_wrong_place(scene: Scene) -> AbstractContextManager[None]:
    envelope = next((scene.spool / "alice" / "done").iterdir())
    return moved(envelope, scene.spool / "alice" / "failed" / envelope.name)


def users_file_changed(scene: Scene) -> AbstractContextManager[None]:
    path = next((scene.spool / "alice" / "done").glob("*/*/cell 1.ome.tif"))
    return changed(path, path.read_bytes()[:-1] + b"!")


def half_a_file_in_omero(scene: Scene) -> AbstractContextManager[None]:
    path = next(scene.repository.rglob("cell 1.ome.tif"))
    return changed(path, path.read_bytes()[:1000])


TROUBLES = (
    imported_twice,
    one_lost,
    other_bytes_imported,
    letter_missing,
    batch_in_the_wrong_place,
    users_file_changed,
    half_a_file_in_omero,
)


def whatever_is_not_as_told_fails_the_demo(
    told: Told, trouble: Callable[[Scene], AbstractContextManager[None]]
) -> None:
    screen = PlainScreen(Console(file=io.StringIO()))
    stage = Stage(told.scene, screen)
    assert conclude(stage) == exits.GOOD

    with trouble(told.scene):
        code = conclude(stage)

    assert code == exits.FAILED, trouble.__name__
    assert conclude(stage) == exits.GOOD


def test_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()

    with started(tmp_path) as demo:
        text, _ = demo.communicate(timeout=LONGEST)

    assert demo.returncode == exits.USAGE
    assert "is not empty" in text
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_interrupted_demo_leaves_no_process(tmp_path: Path, number: int) -> None:
    with started(tmp_path / "demo") as demo:
        until_it_runs(demo)
        wait_until(lambda: len(at_work(tmp_path)) == 4, what="demo, sandbox, daemon, page")
        demo.send_signal(number)
        text, _ = demo.communicate(timeout=LONGEST)

    assert demo.returncode == exits.FAILED
    assert "The demo ends" in text
    assert at_work(tmp_path) == {}


def test_demo_ends_in_order_when_the_sandbox_dies(tmp_path: Path) -> None:
    with started(tmp_path / "demo") as demo:
        until_it_runs(demo)
        sandboxes = [number for number, line in at_work(tmp_path).items() if "dropwatch.sandbox" in line]
        os.kill(*sandboxes, signal.SIGKILL)
        text, _ = demo.communicate(timeout=LONGEST)

    assert demo.returncode == exits.FAILED
    assert "The sandbox ended by itself. " in text
    assert f"(All of it: {tmp_path}/demo/sandbox.log)" in text
    assert at_work(tmp_path) == {}
