"""The stage of the demo: scene, programs and screen together, and time that passes while people watch.

It tells nothing and decides nothing; demo.py does.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from types import FrameType

from dropwatch import config
from dropwatch.config import Config
from dropwatch.doctor.page import lacking
from dropwatch.model import Place
from dropwatch.pipeline.glance import inbox
from dropwatch.sandbox.demo_mails import Postbox
from dropwatch.sandbox.demo_page import PageProgram
from dropwatch.sandbox.demo_programs import DaemonProgram, SandboxProgram, await_
from dropwatch.sandbox.demo_scene import Scene, furnish, set_faults
from dropwatch.sandbox.demo_screen import Screen
from dropwatch.status import Status, snapshot

_LOOK = 0.15  #: seconds between two looks


class Stage:
    """One demo in *scene*, shown on *screen*. close() ends what runs."""

    def __init__(self, scene: Scene, screen: Screen) -> None:
        self.scene = scene
        self.screen = screen
        self.sandbox = SandboxProgram(scene)
        self.daemon = DaemonProgram(scene)
        self.page = PageProgram(scene) if not lacking() else None
        self.postbox = Postbox(scene.mails)

    def build(self) -> tuple[int, int]:
        """Start the sandbox, its mail server down, and make what the daemon needs; the sandbox's ports."""
        set_faults(self.scene, smtp={"refuse": True})
        ports = self.sandbox.open()
        furnish(self.scene, *ports)
        return ports

    @cached_property
    def _config(self) -> Config:
        return config.load(self.scene.config)

    def status(self) -> Status:
        """How things are now."""
        return snapshot(self._config, time.time(), inbox)

    def wait(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Keep the screen alive until *condition* holds. Raises Stuck when it never does, or a program ends."""
        await_(condition, seconds, what, self._tick)
        self.screen.watch(self.status())

    def let_pass(self, seconds: float) -> None:
        """Keep the screen alive so long: somebody works, or reads."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._tick()

    def all_retired(self, batches: int) -> bool:
        """Whether *batches* batches lie in done or failed, and nothing anywhere else."""
        rows = self.status().rows
        return len(rows) == batches and all(row.place in (Place.DONE, Place.FAILED) for row in rows)

    def letters_waiting(self) -> int:
        return self.status().outbox["queued"]

    def close(self) -> None:
        """Take the table away and end all programs, even where the terminal is gone."""
        with ExitStack() as last_first:
            last_first.callback(self.sandbox.stop)
            last_first.callback(self.daemon.stop)
            if self.page is not None:
                last_first.callback(self.page.stop)
            last_first.callback(self.screen.rest)

    def _tick(self) -> None:
        self.sandbox.check()
        self.daemon.check()
        if self.page is not None:
            self.page.check()
        self.screen.watch(self.status())
        time.sleep(_LOOK)


@contextmanager
def raised(stage: Stage) -> Iterator[None]:
    """For the time of the block, every signal to end is a KeyboardInterrupt; then the stage is closed in peace."""
    numbers = [number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None))]
    before = {number: signal.signal(number, _interrupt) for number in numbers}
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        try:
            stage.close()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
