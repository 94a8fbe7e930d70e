"""What a worker does: plan, fetch, ask, import, attach, look up an address. Values in, values out.

A Workshop belongs to one process, makes its hands when they are first needed, and keeps them.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from dropwatch import places, storage
from dropwatch.config import Config
from dropwatch.errors import (
    DropwatchError,
    Interrupted,
    OperatorError,
    PermanentError,
    TemporaryError,
    Unavailable,
)
from dropwatch.importers.base import Importer
from dropwatch.model import (
    NOT_READ,
    Answers,
    AskJob,
    Attached,
    Attachment,
    ClearJob,
    Fetched,
    FetchJob,
    Imported,
    ImportJob,
    Job,
    LookUpJob,
    Order,
    Plan,
    PlanJob,
    Preview,
    PreviewJob,
    Progress,
    TidyJob,
)
from dropwatch.spool.fetched import Copies
from dropwatch.spool.folders import LOCK, MEMORY
from dropwatch.spool.locks import locked
from dropwatch.task import planning, previewing
from dropwatch.task.fetching import Fetching
from dropwatch.task.looking import Looker


class Workshop:
    """The hands of one worker process. May be used by its threads at once.

    make -- makes the importer, when it is first needed: a process that only plans never has one
    look -- makes who looks at files, likewise
    """

    def __init__(self, config: Config, make: Callable[[], Importer], look: Callable[[], Looker]) -> None:
        self._config = config
        self._make, self._look = make, look
        self._importer: Importer | None = None
        self._looker: Looker | None = None
        self._lock = threading.Lock()

    def perform(self, job: Job, progress: Callable[[Progress], None], stopped: Callable[[], bool]) -> Any:
        """Do *job*. The errors are those of importers/base.py."""
        match job:
            case PlanJob():
                return self._plan(job, progress)
            case FetchJob():
                return self._fetch(job, progress, stopped)
            case ClearJob():
                return self._clear(job.envelope)
            case AskJob():
                return self._ask(job.envelope, job.plan)
            case ImportJob():
                return self._import(job, progress, stopped)
            case PreviewJob():
                return self._preview(job, progress, stopped)
            case LookUpJob():
                return self._importer_here().account(job.owner).email or None
            case TidyJob():
                return self._importer_here().tidy(job.owner, job.keep, job.older)

    def close(self) -> None:
        """End all sessions. Never raises."""
        if self._importer is not None:
            self._importer.close()

    def _importer_here(self) -> Importer:
        with self._lock:
            if self._importer is None:
                self._importer = self._make()
            return self._importer

    def _looker_here(self) -> Looker:
        with self._lock:
            if self._looker is None:
                self._looker = self._look()
            return self._looker

    def _plan(self, job: PlanJob, progress: Callable[[Progress], None]) -> Plan:
        """List what the batch consists of. Raises TemporaryError when its folder cannot be read."""
        batch = job.batch

        def told(done: int, total: int) -> None:
            progress(Progress("plan", done, total))

        try:
            with _held(batch.envelope.path):
                return planning.plan(
                    self._config, batch, self._looker_here(), told, died=job.died, fetched=job.fetched
                )
        except OSError as err:
            fault = storage.sort(err, f"The folder {batch.envelope.path}", "spool")
            # A full disk or a share that is away is no fault of the batch; one file that gives errors may be.
            if fault is not None and err.errno not in (errno.EIO, errno.EACCES, errno.EPERM):
                raise fault from err
            raise TemporaryError(
                f"The folder {batch.name} cannot be read: {err.strerror or err}.",
                remedy="Check the permissions of the folder.",
                detail=f"{type(err).__name__}: {err}",
                code=NOT_READ,
            ) from err

    def _fetch(
        self, job: FetchJob, progress: Callable[[Progress], None], stopped: Callable[[], bool]
    ) -> Fetched:
        """Copy what the manifest wants from its place. Raises as Fetching.fetch(), with errors of the spool sorted."""
        envelope = job.batch.envelope.path
        source = places.find(self._config, job.wanted.place)
        with _held(envelope):
            self._check_use(source, job.order)
            run = Fetching(self._config, job, source, progress, lambda: stopped() or _is_refuted(job.proof))
            try:
                return run.fetch()
            except OSError as err:
                raise _spool_fault(envelope, err) from err

    def _check_use(self, source: places.Source, order: Order) -> None:
        """Raises PermanentError for who may not use the place: neither the sender nor whose images they become."""
        names = order.sender, order.user, order.owner
        if not source.may_use(*names):
            groups = self._importer_here().account(order.owner).groups if source.groups else ()
            source.check_use(*names, groups=groups)

    def _clear(self, envelope: Path) -> None:
        try:
            with _held(envelope):
                Copies(envelope).remove()
        except OSError as err:
            raise _spool_fault(envelope, err) from err

    def _preview(
        self, job: PreviewJob, progress: Callable[[Progress], None], stopped: Callable[[], bool]
    ) -> Preview:
        def told(done: int, total: int) -> None:
            progress(Progress("plan", done, total))

        told(0, 0)  # it begins: to list the files may take a while
        try:
            return previewing.preview(job, self._looker_here(), told, stopped, time.monotonic)
        except OSError as err:
            raise storage.sort(err, f"The folder {job.name}", "spool") or TemporaryError(
                f"The files in {job.name} cannot be read now: {err.strerror or err}.",
                remedy="Try again in a moment.",
                detail=f"{type(err).__name__}: {err}",
            ) from err

    def _ask(self, envelope: Path, plan: Plan) -> Answers:
        order = _order(plan)
        with _held(envelope):
            self._check_instrument(order, plan.in_groups)
            return self._importer_here().ask(order, plan.filesets)

    def _import(
        self, job: ImportJob, progress: Callable[[Progress], None], stopped: Callable[[], bool]
    ) -> Imported | Attached:
        end = time.monotonic() + job.seconds

        def is_stopped() -> bool:
            return stopped() or _is_refuted(job.proof)

        def is_over() -> bool:
            return is_stopped() or time.monotonic() > end

        importer = self._importer_here()
        with _held(job.envelope):
            try:
                if isinstance(job.fileset, Attachment):
                    return importer.attach(
                        job.order, job.fileset, job.answers, progress=progress, stopped=is_over
                    )
                return importer.import_(
                    job.order, job.fileset, job.answers, progress=progress, stopped=is_over
                )
            except Interrupted as err:
                if is_stopped():
                    raise
                raise TemporaryError(
                    f"It took longer than {job.seconds / 3600:g} hours and was stopped.", code="timeout"
                ) from err

    def _check_instrument(self, order: Order, groups: tuple[str, ...]) -> None:
        if groups and not set(groups) & set(self._importer_here().account(order.owner).groups):
            raise PermanentError(
                f"{order.sender} may not import for {order.owner}.",
                remedy=f"It may for members of these OMERO groups: {', '.join(groups)}.",
            )


def _spool_fault(envelope: Path, error: OSError) -> DropwatchError:
    return storage.sort(error, f"The folder {envelope}", "spool") or TemporaryError(
        f"Copies cannot be kept in {envelope}: {error.strerror or error}.",
        detail=f"{type(error).__name__}: {error}",
        code="no-copy",
    )


def _order(plan: Plan) -> Order:
    if plan.order is None:
        raise PermanentError("The batch has no order: its manifest could not be read.")
    return plan.order


def _is_refuted(proof: Path | None) -> bool:
    """Whether another daemon serves the spool now: ours woke from a long sleep, say, and we did as well. What cannot
    be looked at proves nothing."""
    if proof is None:
        return False
    try:
        proof.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


@contextmanager
def _held(envelope: Path) -> Iterator[None]:
    """Hold the envelope's lock, so that after a crash of the daemon nobody acts on it while we still do.

    Raises Unavailable when the spool does not give it: nothing was begun then.
    """
    stack = ExitStack()
    try:
        got = stack.enter_context(locked(envelope / MEMORY / LOCK, shared=True))
    except OSError as err:
        raise _no_lock(envelope, err) from err
    try:
        if not got:
            raise TemporaryError("Somebody else is working on this batch.")
        yield
    finally:
        with suppress(OSError):  # it is let go of all the same, and the answer must not be lost for it
            stack.close()


def _no_lock(envelope: Path, error: OSError) -> Unavailable | OperatorError:
    return storage.sort(error, f"The folder {envelope}", "spool") or Unavailable(
        f"{envelope} cannot be worked in.", concerns="spool", detail=f"{type(error).__name__}: {error}"
    )
