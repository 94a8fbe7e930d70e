"""The commands that run something: the daemon, the sandbox, the demo."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dropwatch import exits, journal, storage
from dropwatch.cli.command import config_of, refuse, with_remedy
from dropwatch.config import Config
from dropwatch.errors import ConfigError, OperatorError
from dropwatch.formats import Installation, Missing
from dropwatch.model import Verdict
from dropwatch.outbox import Shelf
from dropwatch.pipeline import glance
from dropwatch.status import Most, snapshot

if TYPE_CHECKING:
    from dropwatch.daemon import Daemon


log = logging.getLogger("dropwatch")

_PANEL = "Running"
_LACKING = 'The {} needs more than is installed here ({}). Run: pip install "dropwatch[sandbox]".'


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=_PANEL)(run)
    app.command(rich_help_panel=_PANEL)(sandbox)
    app.command(rich_help_panel=_PANEL)(demo)


def run(
    ctx: typer.Context,
    once: Annotated[
        bool, typer.Option("--once", help="End when nothing moves by itself any more; see the exit codes.")
    ] = False,
) -> None:
    """Watch the drop folders and import what lies in them, until stopped.

    The log goes to standard error, one line for each thing that happens. One signal (Ctrl-C, SIGTERM) stops in
    good order, a second one at once; nothing is lost either way. With --once it ends with 0 when all
    batches were imported, 1 when a batch or a letter was given up, 75 when something is left waiting.
    """
    from dropwatch.daemon import Daemon, on_signals
    from dropwatch.task import check_installed, staff

    settings = config_of(ctx)
    try:
        found = check_installed(settings, os.environ)
    except ConfigError as err:
        refuse(*err.problems)
    journal.log_to_stderr()
    log.info(journal.line("formats", **_reader(found)))
    try:
        daemon = Daemon(settings, staff(settings), os.environ)
        on_signals(_Stopper(daemon.stop))
        daemon.run(once=once)
    except OperatorError as err:  # another daemon runs
        refuse(*with_remedy(err))
    except OSError as err:  # the state folder is full, or may not be written to
        fault = storage.sort(err, f"The state folder {settings.state}", "state")
        refuse(*(with_remedy(fault) if fault else [f"{type(err).__name__}: {err}"]))
    code = _came_to(daemon, settings) if once else exits.GOOD
    if (
        daemon.stuck
    ):  # all is put away but what a share that hangs has; Python would wait for the workers there
        logging.shutdown()
        os._exit(code)
    raise typer.Exit(code)


def _reader(found: Installation | Missing) -> dict[str, str]:
    """What looks at the files, for the log."""
    if isinstance(found, Missing):
        names = "file names only: formats of several files are refused"
        return {"reader": names, "lacking": found.what, "remedy": found.remedy}
    return {"reader": str(found)}


class _Stopper:
    """Stops in good order when called first, at once when called again: workers may hang in a dead server."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._asked = False

    def __call__(self) -> None:
        if self._asked:
            os._exit(exits.FAILED)  # like a crash, which harms nothing
        self._asked = True
        self._stop()


def _came_to(daemon: Daemon, settings: Config) -> int:
    """The exit code of ``run --once``."""
    line, mailroom = daemon.line, daemon.mailroom
    bad = set(line.desk.concluded) - {Verdict.IMPORTED.value}
    if bad or (mailroom is not None and mailroom.died):
        return exits.FAILED
    queued = mailroom.outbox.counts()[Shelf.QUEUED] if mailroom else 0
    left = snapshot(settings, time.time(), glance.inbox, Most(together=0)).rows
    return exits.WAITING if left or queued or line.desk.pauses.all() else exits.GOOD


def sandbox(
    folder: Annotated[Path, typer.Option("--dir", help="Where mails, images and faults.yaml are kept.")],
    omero_port: Annotated[int, typer.Option(help="Port of the OMERO server; 0 takes any free one.")] = 0,
    smtp_port: Annotated[int, typer.Option(help="Port of the mail server; 0 takes any free one.")] = 0,
) -> None:
    """Run an OMERO server and a mail server on this machine, for trying and testing.

    It prints `ready omero=127.0.0.1:PORT smtp=127.0.0.1:PORT` when both listen, and runs until stopped.
    """
    try:
        from dropwatch.sandbox.server import serve
    except ImportError as err:
        refuse(_LACKING.format("sandbox", err))
    serve(folder, omero_port, smtp_port)


def demo(
    once: Annotated[
        bool,
        typer.Option("--once", help="End when the story is told, instead of going on for your own files."),
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option("--dir", help="Where the demo keeps its files; a temporary folder if not given."),
    ] = None,
) -> None:
    """See batches dropped, imported and mailed, a mail server that is down, a daemon that is killed, and the page.

    It needs neither OMERO nor a configuration, and ends with 0 only when everything came out as told.
    """
    try:
        from dropwatch.sandbox.demo import run_demo
    except ImportError as err:
        refuse(_LACKING.format("demo", err))
    raise typer.Exit(run_demo(folder, once=once))
