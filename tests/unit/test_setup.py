"""Set-up says what it cannot do, and does nothing twice. It is run in a copy, with programs that stand for others."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

ROOT = Path(__file__).parents[2]
NOBODY = 65534

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="set-up is a shell script")


@pytest.fixture
def clone() -> Iterator[Path]:
    """A clone in which nothing was set up, with a PATH of its own in bin/. Other accounts may read it."""
    with TemporaryDirectory(prefix="dropwatch-clone-") as folder:
        clone = Path(folder)
        clone.chmod(0o755)
        for name in ("pyproject.toml", "package.json", "Makefile"):
            shutil.copy(ROOT / name, clone)
        for name in (".ci", "service/ice"):
            shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
        (clone / "bin").mkdir()
        for tool in ("bash", "env", "dirname", "cat", "cksum", "mkdir", "flock"):
            if found := shutil.which(tool):
                (clone / "bin" / tool).symlink_to(found)
        (clone / "home").mkdir()
        (clone / "home").chmod(0o777)
        yield clone


def program(clone: Path, name: str, script: str) -> None:
    path = clone / "bin" / name
    path.write_text(f"#!{shutil.which('bash')}\n{script}\n")
    path.chmod(0o755)


def set_up(clone: Path, *, user: int | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run set-up in *clone*, as *user* where we may choose."""
    return subprocess.run(
        [clone / ".ci/setup"],
        env={"PATH": str(clone / "bin"), "HOME": str(clone / "home"), **environment},
        user=user if os.geteuid() == 0 else None,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_without_a_good_python_it_names_the_packages(clone: Path) -> None:
    program(clone, "python3", "exit 1")  # too old, or a shim that starts nothing

    said = set_up(clone)

    assert said.returncode == 1
    assert "no Python 3.11, 3.12 or 3.13 is here" in said.stderr
    assert "apt-get install python3.11" in said.stderr


def test_a_python_asked_for_is_not_quietly_replaced(clone: Path) -> None:
    program(clone, "python2", "exit 1")
    (clone / "bin/python3").symlink_to(sys.executable)

    said = set_up(clone, PYTHON="python2")

    assert said.returncode == 1
    assert "PYTHON=python2 is not Python 3.11, 3.12 or 3.13" in said.stderr


def test_who_may_not_install_is_told_the_whole_command(clone: Path) -> None:
    # As Debian ships it: a good Python, but without venv and without headers.
    program(
        clone,
        "python3",
        """
        case "$*" in
            *"import venv"*) exit 1 ;;
            *"%d.%d"*) echo 3.11 ;;
            *get_path*) echo /nowhere ;;
        esac
        """,
    )
    program(clone, "apt-get", "echo must not be called >&2; exit 9")

    said = set_up(clone, user=NOBODY)

    command = said.stderr.partition("Run this, then make again:  sudo apt-get install ")[2].split()
    assert said.returncode == 1
    assert {"python3.11-venv", "python3.11-dev", "g++", "acl"} <= set(command), said.stderr


def test_the_second_time_it_does_nothing(clone: Path) -> None:
    venv = clone / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin/python").symlink_to(sys.executable)
    (venv / "set-up").write_text(stamp(clone))
    program(clone, "python3", "echo must not be called >&2; exit 1")

    again = set_up(clone)
    with (clone / "pyproject.toml").open("a") as project:
        project.write("# one more dependency\n")
    changed = set_up(clone)

    assert (again.returncode, again.stderr) == (0, "")
    assert changed.returncode != 0


def stamp(clone: Path) -> str:
    """What .ci/setup itself would write: its own functions say so."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    ask = f"source <(sed -n '/^wanted()/p' .ci/setup); wanted {version}"
    return subprocess.run(
        ["bash", "-c", ask], cwd=clone, capture_output=True, text=True, timeout=200, check=True
    ).stdout
