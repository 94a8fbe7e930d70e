"""Whatever README says is run: its commands, its configuration, its manifest, its tables."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropwatch import config, exits, lifecycle, manifest
from dropwatch.sandbox.samples import ome_tiff
from dropwatch.spool.permissions import add_user
from facility import Facility

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)

#: What a command may answer in this story, where that is not 0.
ANSWERS = {
    # The batch lies in the inbox again: it is not tried again, or there is nothing to stop.
    "dropwatch cancel": {exits.GOOD, exits.USAGE},
    "dropwatch mail retry": {0},
}
#: Said in README, done by people as root on their own machines; service/ and test_setup have their own tests.
NOT_HERE = ("sudo ",)


def lines(kind: str) -> list[str]:
    text = "".join(body for language, body in BLOCKS if language == kind)
    return [line.split("  #")[0].strip() for line in text.splitlines() if line.strip()]


def commands() -> list[str]:
    return [line for line in lines("sh") if line.startswith("dropwatch")]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Facility]:
    disk = tmp_path / "confocal1"
    (disk / "run7").mkdir(parents=True)
    ome_tiff(disk / "run7" / "b.ome.tif")
    places = {"confocal1-disk": {"path": str(disk), "users": ["*"]}}
    made = Facility(tmp_path, {"places": places, "workers": {"imports": 1}})
    for user in made.users:
        add_user(made.spool, user)
    made.config()
    ome_tiff(tmp_path / "a.ome.tif")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    yield made
    made.close()


def run(place: Facility, line: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "dropwatch", *shlex.split(line)[1:]]
    environ = {**os.environ, "DROPWATCH_CONFIG": str(place.folder / "dropwatch.yaml")}
    return subprocess.run(
        words, cwd=place.folder, env=environ, capture_output=True, text=True, timeout=200, check=False
    )


def run_until_stopped(place: Facility) -> int:
    """`dropwatch run`, stopped by SIGTERM once its heart beats."""
    environ = {**os.environ, "DROPWATCH_CONFIG": str(place.folder / "dropwatch.yaml")}
    daemon = subprocess.Popen(
        [sys.executable, "-m", "dropwatch", "run"], env=environ, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 90
    while not (place.folder / "state" / "heartbeat.json").exists() and time.monotonic() < deadline:
        assert daemon.poll() is None
    daemon.send_signal(signal.SIGTERM)
    return daemon.wait(60)


def serve_until_stopped(place: Facility) -> int:
    """`dropwatch web`, at a free port, stopped by SIGTERM once it listens."""
    command = [sys.executable, "-m", "dropwatch", "web", "--port", "0"]
    environ = {**os.environ, "DROPWATCH_CONFIG": str(place.folder / "dropwatch.yaml")}
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as page:
        assert page.stdout is not None
        assert page.stdout.readline().startswith("ready http://127.0.0.1:")
        page.send_signal(signal.SIGTERM)
        return page.wait(60)


def test_every_command_of_readme_runs_in_its_order(place: Facility) -> None:
    for line in commands():
        if line == "dropwatch run":
            assert run_until_stopped(place) == exits.GOOD
            continue
        if line == "dropwatch web":
            assert serve_until_stopped(place) in (exits.GOOD, -signal.SIGTERM)
            continue
        if line.startswith("dropwatch retry"):
            assert (
                run(place, "dropwatch run --once").returncode == exits.GOOD
            )  # so that there is one to retry
        answer = run(place, line)
        allowed = next((codes for start, codes in ANSWERS.items() if line.startswith(start)), {exits.GOOD})

        assert answer.returncode in allowed, f"{line}\n{answer.stdout}\n{answer.stderr}"


def test_every_other_line_is_a_make_target_or_a_command_of_the_system() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for line in lines("sh"):
        if line.startswith("make "):
            assert line.split()[1] in targets
        elif not line.startswith("dropwatch"):
            assert line.startswith(NOT_HERE), line


def test_the_contract_tests_run_against_a_server_that_is_named(place: Facility) -> None:
    """As README says it, but for the server, which is a sandbox here, and for the one story that is told."""
    told = dict(
        line.removeprefix("export ").split("=") for line in lines("console") if line.startswith("export ")
    )
    told["DROPWATCH_TEST_OMERO"] = f"127.0.0.1:{place.sandbox.omero_tls_port}"
    told["DROPWATCH_TEST_OMERO_PASSWORD_FILE"] = str(place.password)
    *_, command = lines("console")
    words = [
        sys.executable,
        *shlex.split(command)[1:-1],
        "real and one_file and not cli",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        words, cwd=ROOT, env={**os.environ, **told}, capture_output=True, text=True, timeout=200, check=False
    )

    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout
    assert len(place.imports()) == 1
    assert place.ask_server("select count(*) from fileset") == [(0,)]


def test_configuration_and_manifest_load() -> None:
    texts = [body for language, body in BLOCKS if language == "yaml"]
    settings = next(text for text in texts if "spools:" in text)
    example = next(text for text in texts if "target:" in text)

    assert config.parse(settings, source="/etc/dropwatch/dropwatch.yaml", read=lambda name: "").omero
    assert manifest.parse(example.encode()).target


def test_python_example_is_valid() -> None:
    for language, body in BLOCKS:
        if language == "python":
            compile(body, "README.md", "exec")


def test_state_table_is_the_one_in_lifecycle() -> None:
    shown = README.split("held by a test -->\n")[1].split("\n<!-- end")[0]

    assert shown == lifecycle.state_table()


def test_exit_codes_are_the_ones_of_the_command_line() -> None:
    shown = {name: int(code) for code, name in re.findall(r"^\| (\d+) \| (\w+) \|", README, re.MULTILINE)}

    assert shown == {name.lower(): value for name, value in vars(exits).items() if name.isupper()}


def test_every_link_into_the_repository_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if "://" not in target:
            assert (ROOT / target).exists(), target
