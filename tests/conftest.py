"""Shared by all tests: a sandbox with a real OMERO and mail server on the loopback, fresh for each test."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import settings

if TYPE_CHECKING:
    from dropwatch.sandbox.server import Sandbox
    from tests.world import SandboxProcess


# How long an example takes says how busy the machine is; what takes long for ever meets the time limit of its test.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


@pytest.fixture(autouse=True, scope="session")
def no_width_from_outside() -> None:
    """How wide somebody's terminal is must not decide what a test sees."""
    os.environ.pop("COLUMNS", None)


@pytest.fixture(autouse=True, scope="session")
def signals_as_at_a_terminal() -> None:
    """A shell starts what runs in its background deaf to Ctrl-C, and so would be each process that a test starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def compiled_once() -> None:
    """Each of the hundreds of processes that tests start would compile dropwatch anew, where nothing may be kept."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@dataclass
class Running:
    """A sandbox that runs, and its *folder*."""

    server: Sandbox
    folder: Path

    def set_faults(self, **faults: object) -> None:
        """Order trouble from the OMERO server, e.g. ``busy=3``; nothing ends all trouble."""
        new = self.folder / "faults.new"
        new.write_text(yaml.safe_dump({"omero": faults}))
        new.replace(self.folder / "faults.yaml")


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Running]:
    """A running sandbox below a folder of its own."""
    # Only tests that ask for it need omero-py.
    from dropwatch.sandbox.server import Sandbox

    folder = tmp_path / "sandbox"
    server = Sandbox(folder)
    server.start()
    try:
        yield Running(server, folder)
    finally:
        server.stop()


@pytest.fixture(scope="module")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """A sandbox in a process of its own, for all stories of a module."""
    from tests.world import running_sandbox

    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as made:
        yield made
