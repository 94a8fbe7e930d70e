"""Calls that may take long or hang for ever, sent away from the page in a few threads of their own.

Nobody waits for these threads: neither a visitor longer than a time limit, nor the page when it ends.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

from dropwatch.errors import Unavailable

T = TypeVar("T")
_Errand = tuple[Callable[[], Any], Future[Any]]
HANGS = 30.0  #: seconds; what takes longer may never come back
_MOST_WAITING = 200  #: errands; who comes when all these are in front would wait in vain


class Errands:
    """Runs errands, *size* at once. *what* they all ask, in words: "OMERO"."""

    def __init__(self, what: str, size: int) -> None:
        self._what, self._size = what, size
        self._begun: dict[int, float] = {}  # by thread: when it began what it is at (monotonic seconds)
        self._waiting: SimpleQueue[_Errand | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0
        self._closed = False

    def send(self, errand: Callable[[], T]) -> Future[T]:
        """Have *errand* run. The future has what it returns or raises, or Unavailable when there is no room."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed or self._waiting.qsize() >= _MOST_WAITING or self._all_hang():
                future.set_exception(self._no_answer())
                return future
            self._waiting.put((errand, future))
            if self._waiting.qsize() > self._idle and self._threads < self._size:
                self._threads += 1
                threading.Thread(target=self._run, name=f"errand-{self._what}", daemon=True).start()
        return future

    def _all_hang(self) -> bool:
        """Whether every thread has been at one errand for so long that who comes now would wait in vain."""
        before = time.monotonic() - HANGS
        return len(self._begun) >= self._size and all(begun < before for begun in self._begun.values())

    async def answer(self, future: Future[T], seconds: float) -> T:
        """What *future* has, in *seconds* at most; then Unavailable. Others may wait for it as well."""
        here = asyncio.wrap_future(future)
        here.add_done_callback(_looked_at)
        try:
            return await asyncio.wait_for(asyncio.shield(here), seconds)
        except TimeoutError:
            raise self._no_answer() from None

    def wait(self, future: Future[T], seconds: float) -> T:
        """As answer(), for a thread."""
        try:
            return future.result(seconds)
        except TimeoutError:
            raise self._no_answer() from None

    def close(self) -> None:
        """Answer whatever waits; what runs is left alone. Never raises."""
        with self._lock:
            self._closed = True
            waiting = [self._waiting.get() for _ in range(self._waiting.qsize())]
            for _ in range(self._threads):
                self._waiting.put(None)
        for one in waiting:
            if one is not None:
                one[1].set_exception(self._no_answer())

    def _no_answer(self) -> Unavailable:
        return Unavailable(
            f"{self._what} does not answer.", remedy="Try again in a moment.", code="no-answer"
        )

    def _run(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            one = self._waiting.get()
            with self._lock:
                self._idle -= 1
            if one is None:
                return
            errand, future = one
            mine = threading.get_ident()
            with self._lock:
                self._begun[mine] = time.monotonic()
            with suppress(InvalidStateError):  # nobody may want it any more
                try:
                    future.set_result(errand())
                except BaseException as error:  # outermost guard of a thread: whoever waits gets it
                    future.set_exception(error)
            with self._lock:
                del self._begun[mine]


def _looked_at(future: asyncio.Future[Any]) -> None:
    """An error that comes when nobody waits any more is no news for asyncio's log."""
    if not future.cancelled():
        future.exception()
