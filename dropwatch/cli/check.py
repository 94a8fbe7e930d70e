"""The command check: what the doctor finds, as it is found."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from rich.table import Table

from dropwatch import exits
from dropwatch.cli.command import answer, config_of, file_of
from dropwatch.cli.tables import show, text
from dropwatch.config import Config
from dropwatch.errors import ConfigError

if TYPE_CHECKING:
    from dropwatch.doctor import Finding  # it takes a while to import, which no other command shall wait for

#: By the values of doctor.State.
_MARKS = {
    "ok": ("✓", "ok", "green"),
    "not ok": ("✗", "NO", "red"),
    "unknown": ("?", "?", "yellow"),
}


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Site")(check)


def check(
    ctx: typer.Context,
    import_user: Annotated[
        str | None,
        typer.Option(
            "--import-as", metavar="USER", help="Import one tiny image as this user, and remove it."
        ),
    ] = None,
    test_mail: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Send one test mail to this address.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")] = False,
) -> None:
    """Check the site from end to end, and name the remedy for whatever is not well.

    Best as root: then a probe batch is dropped in the name of each user and claimed in the name of the daemon.
    Nothing of it stays. Ends with 1 when something is not well.
    """
    from dropwatch.doctor import State

    config = config_of(ctx)
    found = []
    for one in _findings(config, file_of(ctx), import_user, test_mail):
        found.append(one)
        if not as_json:
            show(picture(one))
    bad = sum(one.state is State.NOT_OK for one in found)
    if as_json:
        answer({"ok": not bad, "findings": [asdict(one) for one in found]})
    else:
        show(text(f"{bad} of {len(found)} need attention." if bad else "All is well.", "bold"))
    raise typer.Exit(exits.FAILED if bad else exits.GOOD)


def _findings(
    config: Config, file: Path, import_user: str | None, test_mail: str | None
) -> Iterator[Finding]:
    from dropwatch.daemon.mailroom import make_outbox
    from dropwatch.doctor import examine, import_as
    from dropwatch.task import make_importer

    outbox = make_outbox(config, os.environ, time.time)
    try:
        importer = make_importer(config, os.environ)
    except ConfigError as err:
        yield from examine(
            config,
            os.environ,
            importer="; ".join(err.problems),
            outbox=outbox,
            test_mail=test_mail,
            file=file,
        )
        return
    with closing(importer):
        yield from examine(
            config, os.environ, importer=importer, outbox=outbox, test_mail=test_mail, file=file
        )
        if import_user is not None:
            yield from import_as(config, importer, import_user, time.time, random.Random())


# -- the picture ---------------------------------------------------------------------------------------------


def picture(found: Finding) -> RenderableType:
    """One finding as a person reads it: mark, what it is about, what was seen; below it the remedy."""
    sign, plain, style = _MARKS[found.state]
    grid = Table.grid(padding=(0, 1), expand=False)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(text(sign if _can_show(sign) else plain, style), text(f"{found.subject}: {found.text}"))
    if found.remedy:
        grid.add_row("", text(f"{'→' if _can_show('→') else '->'} {found.remedy}", "bold"))
    return grid


def _can_show(sign: str) -> bool:
    try:
        sign.encode(sys.stdout.encoding or "ascii")
    except (UnicodeError, LookupError):
        return False
    return True
