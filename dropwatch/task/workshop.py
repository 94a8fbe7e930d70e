"""What runs in a worker: plan, ask, import, look up an address. Values in, values out.

A Workshop builds its hands once for its process; nothing of it is known to the line but these methods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dropwatch import credentials
from dropwatch.config import Config
from dropwatch.errors import ConfigError, PermanentError, TemporaryError
from dropwatch.importers.base import Account, Importer, Progress
from dropwatch.model import Answers, Attached, Attachment, Batch, Fileset, Imported, Order, Plan
from dropwatch.spool.folders import LOCK, MEMORY
from dropwatch.spool.locks import locked
from dropwatch.task import planning

OMERO_PASSWORD = "DROPWATCH_OMERO_PASSWORD"


class Workshop:
    """The hands of one worker process. May be used by its threads at once."""

    def __init__(self, config: Config, importer: Importer) -> None:
        self._config = config
        self._importer = importer

    def plan(self, batch: Batch) -> Plan:
        """List what *batch* consists of. Raises TemporaryError when its folder cannot be read."""
        try:
            return planning.plan(self._config, batch)
        except OSError as err:
            raise TemporaryError(
                f"The folder {batch.name} cannot be read: {err.strerror or err}.",
                remedy="Check the permissions of the folder.",
                detail=f"{type(err).__name__}: {err}",
            ) from err

    def ask(self, envelope: Path, plan: Plan) -> Answers:
        """Ask the server what it has of the batch. The errors are those of Importer.ask."""
        order = _order(plan)
        with _held(envelope):
            self._check_instrument(order, plan.in_groups)
            return self._importer.ask(order, plan.filesets)

    def import_(
        self,
        envelope: Path,
        order: Order,
        fileset: Fileset,
        answers: Answers,
        progress: Callable[[Progress], None],
        stopped: Callable[[], bool],
    ) -> Imported | Attached:
        """Import one fileset while holding the envelope's lock. The errors are those of Importer.import_."""
        with _held(envelope):
            if isinstance(fileset, Attachment):
                return self._importer.attach(order, fileset, answers, progress=progress, stopped=stopped)
            return self._importer.import_(order, fileset, answers, progress=progress, stopped=stopped)

    def account(self, owner: str) -> Account:
        """What the server knows of *owner*."""
        return self._importer.account(owner)

    def close(self) -> None:
        self._importer.close()

    def _check_instrument(self, order: Order, groups: tuple[str, ...]) -> None:
        if groups and not set(groups) & set(self._importer.account(order.owner).groups):
            raise PermanentError(
                f"{order.sender} may not import for {order.owner}.",
                remedy=f"It may for members of these OMERO groups: {', '.join(groups)}.",
            )


def make_importer(config: Config, environ: Mapping[str, str]) -> Importer:
    """The importer that the configuration names. Raises ConfigError when it cannot be had here."""
    if config.omero is None:
        raise ConfigError(["omero: missing"])
    try:
        from dropwatch.importers.omero import OmeroImporter
    except ImportError as err:
        raise ConfigError(
            [
                f"importer: omero needs omero-py, which is not installed here ({err}). Install dropwatch[omero]."
            ]
        ) from err
    settings = config.omero

    def password() -> str | None:
        return credentials.read(settings.password_file, OMERO_PASSWORD, environ, concerns="omero")

    return OmeroImporter(settings.host, settings.port, settings.secure, settings.user, password)


def _order(plan: Plan) -> Order:
    if plan.order is None:
        raise PermanentError("The batch has no order: its manifest could not be read.")
    return plan.order


@contextmanager
def _held(envelope: Path) -> Iterator[None]:
    """Hold the envelope's lock, so that after a crash of the daemon nobody acts on it while we still do."""
    with locked(envelope / MEMORY / LOCK, shared=True) as got:
        if not got:
            raise TemporaryError("Somebody else is working on this batch.")
        yield
