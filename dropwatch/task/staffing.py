"""Who does the work: the importer that the configuration names, and the worker processes that use it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from dropwatch import credentials
from dropwatch.config import Config
from dropwatch.errors import ConfigError
from dropwatch.formats import Installation, Missing
from dropwatch.importers.base import Importer
from dropwatch.importers.omero_cli_program import Beside, Program
from dropwatch.model import AskJob, ClearJob, FetchJob, ImportJob, LookUpJob, Order, PlanJob, TidyJob
from dropwatch.spool.folders import LOCK, MEMORY
from dropwatch.task.eyes import find_reader, looker
from dropwatch.task.workshop import Workshop
from dropwatch.workers import Perform, Squad, Workers

LOGS = "cli"  #: in an envelope's memory: what `omero import` said
_SILENCE = 600.0  #: seconds without a byte, after which a fetch ends: the share of its place hangs
OMERO_PASSWORD = "DROPWATCH_OMERO_PASSWORD"
PLANNERS, ASKERS, FETCHERS = 2, 2, 2  #: processes; a batch that hangs one of them leaves the others the other
_LEAST_GRACE = 5.0  #: seconds between the end of an import's time and the end of its process, at least


def make_importer(config: Config, environ: Mapping[str, str]) -> Importer:
    """The importer that the configuration names. Raises ConfigError when it cannot be had here."""
    if config.importer == "folder":
        return _folder_importer(config)
    if config.omero is None:
        raise ConfigError(["omero: missing"])
    try:
        from dropwatch.importers.omero import OmeroImporter
    except ImportError as err:
        raise ConfigError([_LACKING.format(err)]) from err
    settings = config.omero

    def password() -> str | None:
        return credentials.read(settings.password_file, OMERO_PASSWORD, environ, concerns="omero")

    server = (settings.host, settings.port, settings.secure, settings.user, password)
    if config.importer == "omero":
        return OmeroImporter(*server)
    from dropwatch.importers.omero_cli import OmeroCliImporter  # it needs omero-py too, for asking

    return OmeroCliImporter(_program(config, environ), _beside, *server)


def _program(config: Config, environ: Mapping[str, str]) -> Program:
    told = config.omero_cli
    return Program(told.command, told.clientdir, told.arguments, environ)


def _beside(order: Order) -> Beside | None:
    """Where the envelope of *order* keeps logs and its lock; None for a folder that lies in no envelope."""
    envelope = Path(order.folder).parent
    if not envelope.name.startswith(order.claim):
        return None  # `check --import-as` imports from a temporary folder
    return Beside(envelope / MEMORY / LOGS, envelope / MEMORY / LOCK)


def _folder_importer(config: Config) -> Importer:
    if config.folder is None:
        raise ConfigError(["folder: missing"])
    from dropwatch.importers.folder import FolderImporter  # a process has one importer, and loads no other

    return FolderImporter(config.folder.path)


_LACKING = (
    'importer: omero needs omero-py, which is not installed here ({}). Run: pip install "dropwatch[omero]".'
)


def check_installed(config: Config, environ: Mapping[str, str]) -> Installation | Missing:
    """What will look at the files. Loads nothing of what it looks for.

    Raises ConfigError when what is configured is not installed, or cannot be called as configured.
    """
    if config.importer != "folder" and (find_spec("omero") is None or find_spec("Ice") is None):
        raise ConfigError([_LACKING.format("there is no module omero or Ice")])
    if config.importer == "omero-cli":
        _program(config, {}).check()
    found = find_reader(config, environ)
    if isinstance(found, Missing) and (config.bioformats.jar or config.bioformats.java):
        raise ConfigError([f"bioformats: {found.what} {found.remedy}"])
    return found


def open_workshop(config: Config) -> Workshop:
    """The workshop of this process. Runs in a worker, which has the environment of the daemon."""
    return Workshop(config, partial(make_importer, config, os.environ), partial(looker, config, os.environ))


def squads(config: Config) -> dict[type, Squad]:
    """Who does which job: planners know Bio-Formats, askers and importers the image store."""
    longest = config.workers.timeout + max(_LEAST_GRACE, config.workers.grace)
    planners = Squad("planning", PLANNERS, timeout=longest, patience=config.bioformats.timeout)
    askers = Squad("asking", ASKERS, timeout=longest)
    importers = Squad("importing", config.workers.imports, timeout=longest)
    fetchers = Squad("fetching", FETCHERS, timeout=longest, patience=_SILENCE)
    return {
        PlanJob: planners,
        FetchJob: fetchers,
        ClearJob: fetchers,
        AskJob: askers,
        LookUpJob: askers,
        TidyJob: askers,
        ImportJob: importers,
    }


def staff(config: Config, make: Perform | None = None) -> Workers:
    """The worker processes. *make*: makes what does the work, in its process; a Workshop if not given."""
    return Workers(squads(config), make or partial(open_workshop, config))
