"""What Bio-Formats says of files before they are submitted, asked in a process beside the page.

A file that hangs or crashes the reader ends that process, never the page. What was said of a file is remembered as long
as neither it nor what was chosen with it changes.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from dropwatch import journal
from dropwatch.config import Config
from dropwatch.errors import DropwatchError, Interrupted, TemporaryError
from dropwatch.model import Preview, PreviewJob, Progress
from dropwatch.task import open_workshop, previewing
from dropwatch.workers import Bug, Done, Perform, Squad, Work, Workers

MOST = 2_000  #: files that one preview looks at
SECONDS = 90.0  #: that it looks for
PATIENCE = 30.0  #: seconds for one file; an import gives it more
_DEATHS = 3  # of the reader in one preview; who chose so many bad files learns of them by mail
_LIMIT = 600.0  # seconds: listing on a slow share comes on top
_UNUSED = 120.0  # seconds after which the process is ended, and its Java with it
_TENDING = 15.0  # seconds
_GOODBYE = 3.0  # seconds
_REMEMBERED = 100  # previews


@dataclass(eq=False)
class Asking:
    """A preview under way."""

    _answer: Future[Preview]
    _work: Work | None = None
    _stopped: bool = False

    @property
    def progress(self) -> Progress | None:
        """How many files of how many have been looked at; None while it waits for its turn."""
        work = self._work
        return work.progress() if work is not None else None

    def cancel(self) -> None:
        """Nobody wants it any more: answer() raises Interrupted soon."""
        self._stopped = True
        if self._work is not None:
            self._work.stop()

    async def answer(self) -> Preview:
        """The preview. Who stops waiting for it cancels it.

        Raises PermanentError (not there, a link, too many files), Unavailable (the place is away), TemporaryError (the
        reader died again and again), OperatorError (it cannot be had), Interrupted (cancelled).
        """
        try:
            return await asyncio.shield(asyncio.wrap_future(self._answer))
        except asyncio.CancelledError:
            self.cancel()
            raise


class Previews:
    """Asks one worker process, started when it is first needed and ended when nobody needs it.

    folder -- ours, for what is remembered of looks; what is in it when we begin is removed
    make   -- makes the worker; a Workshop if not given
    """

    def __init__(
        self, config: Config, folder: Path, *, patience: float = PATIENCE, make: Perform | None = None
    ) -> None:
        self._folder = folder
        self._make = make or partial(open_workshop, config)
        self._squad = Squad("previewing", 1, timeout=_LIMIT, patience=patience, unused=_UNUSED)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._workers: Workers | None = None
        self._memories: dict[Path, None] = {}  # the oldest first

    async def preview(self, name: str, folder: Path, paths: Sequence[str] = ("",)) -> Preview:
        """What would be imported of *paths* below *folder*, which people know as *name*. See Asking.answer."""
        return await self.ask(name, folder, paths).answer()

    def ask(
        self,
        name: str,
        folder: Path,
        paths: Sequence[str] = ("",),
        *,
        most: int = MOST,
        seconds: float = SECONDS,
    ) -> Asking:
        """The same, to be watched and cancelled. *most*: files to look at, *seconds*: for how long."""
        memory = self._remember(folder, paths)
        asking = Asking(Future())
        self._submit(asking, PreviewJob(name, folder, tuple(paths), memory, most, seconds), 0)
        return asking

    def close(self) -> None:
        """End the process, whatever it does, and forget. Never raises."""
        self._closing.set()
        with self._lock:
            workers, self._workers = self._workers, None
        if workers is not None:
            # Not waited for longer: a process that hangs sees by itself that the page is gone.
            end = threading.Thread(target=workers.close, args=(0.0,), name="previews-close", daemon=True)
            end.start()
            end.join(_GOODBYE)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _submit(self, asking: Asking, job: PreviewJob, deaths: int) -> None:
        workers = self._workers_here()
        if workers is None:
            asking._answer.set_exception(Interrupted("The page is being stopped."))
            return
        work = workers.submit(job, partial(self._done, asking, job, deaths))
        asking._work = work
        if asking._stopped:
            work.stop()

    def _done(self, asking: Asking, job: PreviewJob, deaths: int, done: Done) -> None:
        """Runs in a thread of the workers."""
        if not done.died:
            _settle(asking._answer, done)
        elif asking._stopped:
            _settle(asking._answer, Done(error=Interrupted("The preview was cancelled.")))
        elif not _was_looking(asking):
            _settle(asking._answer, Done(error=previewing.no_answer(job.name)))
        elif deaths + 1 >= _DEATHS:
            _settle(asking._answer, Done(error=_stubborn()))
        else:
            self._submit(asking, replace(job, died=True), deaths + 1)

    def _workers_here(self) -> Workers | None:
        with self._lock:
            if self._workers is None and not self._closing.is_set():
                self._workers = Workers({PreviewJob: self._squad}, self._make)
                threading.Thread(target=self._tend, name="previews", daemon=True).start()
            return self._workers

    def _tend(self) -> None:
        while not self._closing.wait(_TENDING):
            workers = self._workers
            if workers is not None:
                workers.tend()

    def _remember(self, folder: Path, paths: Sequence[str]) -> Path:
        """A folder for the looks of these files, the same one each time."""
        told = "\0".join((str(folder), *sorted(paths)))
        memory = self._folder / hashlib.sha256(os.fsencode(told)).hexdigest()[:20]
        with self._lock:
            if not self._memories:
                shutil.rmtree(self._folder, ignore_errors=True)
            self._memories.pop(memory, None)
            self._memories[memory] = None
            while len(self._memories) > _REMEMBERED:
                oldest = next(iter(self._memories))
                del self._memories[oldest]
                shutil.rmtree(oldest, ignore_errors=True)
            with suppress(OSError):  # a full disk: then nothing is remembered, and that is all
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                memory.mkdir(mode=0o700, exist_ok=True)
        return memory


def _was_looking(asking: Asking) -> bool:
    """Whether its process had got as far as the first file, or died while it listed them."""
    ended = asking._work.ended if asking._work is not None else None
    return ended is not None and ended.total > 0


def _settle(answer: Future[Preview], done: Done) -> None:
    if done.error is None:
        answer.set_result(done.value)
    elif isinstance(done.error, DropwatchError):
        answer.set_exception(done.error)
    else:
        detail = done.error.detail if isinstance(done.error, Bug) else ""
        logging.getLogger("dropwatch").error(journal.line("bug", error=str(done.error), trace=detail))
        answer.set_exception(_our_own())


def _stubborn() -> TemporaryError:
    return TemporaryError(
        "Bio-Formats hangs or crashes at several of these files, so they cannot be looked at beforehand.",
        remedy="Submit them all the same: each is tried alone then, and the mail tells what became of it.",
        code="preview-died",
    )


def _our_own() -> TemporaryError:
    return TemporaryError(
        "dropwatch made a mistake of its own when it looked at these files.",
        remedy="Submit them all the same, and tell the facility.",
        code="preview-bug",
    )
