"""The demo's programs, each a real process: sandbox and daemon here, the page in demo_page.py.

Only this module starts, stops and kills.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from dropwatch.sandbox.demo_scene import Scene
from dropwatch.spool.presence import read_heartbeat

_START = 60.0  #: seconds that a program may take to start
_STOP = 15.0  #: seconds that it may take to stop in good order
_LOOK = 0.05
_LAST_WORDS = 2  #: lines of its log that are shown of a program that ended by itself
_READY = re.compile(r"^ready omero=127\.0\.0\.1:(\d+) smtp=127\.0\.0\.1:(\d+)$", re.MULTILINE)


class Stuck(Exception):
    """Something that had to happen did not. Its text says what."""


def await_(condition: Callable[[], bool], seconds: float, what: str, meanwhile: Callable[[], None]) -> None:
    """Return once *condition* holds, calling *meanwhile* all the time. Raises Stuck after *seconds*."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Stuck(f"{what}: not within {seconds:.0f} seconds.")
        meanwhile()


class Program:
    """``python -m`` *arguments*, what it says appended to *log*."""

    def __init__(self, name: str, arguments: list[str], log: Path) -> None:
        self._name = name
        self._command = [sys.executable, "-m", *arguments]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, ready: Callable[[], bool]) -> None:
        """Start it and wait until *ready*. Raises Stuck, also when it ends at once."""
        with self._log.open("ab") as log:
            # In a session of its own, or Ctrl-C would stop it behind our back.
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=without_ours(),
                start_new_session=True,
            )
        await_(lambda: self._ended() or ready(), _START, f"The {self._name} did not start", pause)
        self.check()

    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def check(self) -> None:
        """Raise Stuck when it ended by itself."""
        if self._ended():
            raise Stuck(f"The {self._name} ended by itself. {self._last_words()}(All of it: {self._log})")

    def stop(self) -> None:
        """Stop it in good order, or else at once. Does nothing when it does not run."""
        if self._process is None:
            return
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP)
        self.kill()

    def kill(self) -> None:
        """SIGKILL: no warning, no last words."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _last_words(self) -> str:
        lines = self._log.read_text("utf-8", "replace").splitlines()[-_LAST_WORDS:]
        return "".join(f"{line} " for line in lines)

    def _ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None


class SandboxProgram(Program):
    """The sandbox of *scene*."""

    def __init__(self, scene: Scene) -> None:
        super().__init__("sandbox", ["dropwatch.sandbox", "--dir", str(scene.sandbox)], scene.sandbox_log)
        self._said = scene.sandbox_log

    def open(self) -> tuple[int, int]:
        """Start it; the ports of OMERO and of the mail server."""
        self.start(lambda: self._ports() is not None)
        return self._ports() or (0, 0)

    def _ports(self) -> tuple[int, int] | None:
        found = _READY.search(self._said.read_text("utf-8", "replace"))
        return (int(found[1]), int(found[2])) if found else None


class DaemonProgram(Program):
    """The daemon of *scene*, started as anybody would."""

    def __init__(self, scene: Scene) -> None:
        super().__init__("daemon", ["dropwatch", "--config", str(scene.config), "run"], scene.log)
        self._state = scene.state

    def open(self) -> None:
        """Start it, and wait for its first heartbeat."""
        asked = time.time()
        self.start(lambda: float(read_heartbeat(self._state).get("started", 0.0)) >= asked)


def without_ours() -> dict[str, str]:
    """The environment of a program. Passwords that somebody set for another dropwatch are of no use here."""
    return {key: value for key, value in os.environ.items() if not key.startswith("DROPWATCH_")}


def pause() -> None:
    time.sleep(_LOOK)
