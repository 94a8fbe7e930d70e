"""The yard in which Bio-Formats works: a thread of its own for each folder, fenced in with it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from dropwatch.durable_steps import STEP_BY_STEP, open_steps
from dropwatch.formats import runtime
from dropwatch.formats.fence import fence_in
from dropwatch.formats.installation import Installation

T = TypeVar("T")
_Work = tuple[Callable[[], Any], Future[Any]]


class Yard:
    """One thread at a time, kept as long as the folder is the same. Not for several threads at once."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._folder: tuple[int, int] | None = None
        self._work: SimpleQueue[_Work | None] = SimpleQueue()

    def within(self, folder: Path, do: Callable[[], T]) -> T:
        """What *do* returns, done where no file outside of *folder* can be opened.

        Raises OSError when *folder* cannot be opened or is a link, and whatever *do* raises.
        """
        if not STEP_BY_STEP:
            return do()
        handle = open_steps(folder)
        try:
            info = os.fstat(handle)
            if self._folder != (info.st_dev, info.st_ino):
                self._enter(handle)
                self._folder = info.st_dev, info.st_ino
        finally:
            os.close(handle)
        return self._ask(do)

    def _enter(self, handle: int) -> None:
        """Have a new thread, fenced in with the folder *handle*; let the one before go."""
        self._work.put(None)
        self._work = SimpleQueue()
        # Nobody waits for it at the end: a file may make Bio-Formats hang.
        threading.Thread(target=_serve, args=(self._work,), name="bioformats", daemon=True).start()
        self._ask(lambda: fence_in(handle, self._installation))

    def _ask(self, do: Callable[[], T]) -> T:
        answer: Future[T] = Future()
        self._work.put((do, answer))
        return answer.result()


def _serve(work: SimpleQueue[_Work | None]) -> None:
    while (one := work.get()) is not None:
        do, answer = one
        try:
            answer.set_result(do())
        except BaseException as err:  # outermost guard of a thread: whoever asked gets it
            answer.set_exception(err)
        del one, do, answer  # what they hold may be Java's
    runtime.detach()
