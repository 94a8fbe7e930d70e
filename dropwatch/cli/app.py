"""The command line. It puts the commands together; each room of commands registers its own."""

from __future__ import annotations

import sys
import traceback
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from dropwatch import __version__, exits
from dropwatch.cli import batches, check, mail, manifest, run, show, status, submit, users, web
from dropwatch.cli.command import VARIABLE, Commands, Options, say, usual_place


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"dropwatch {__version__}")
        raise typer.Exit()


def _options(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", envvar=VARIABLE, help=f"The configuration; {usual_place()} when none is named."
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """Import microscopy images into OMERO from watched drop folders.

    Exit codes: 0 good, 1 something failed, 2 usage or configuration, 75 something is left waiting.
    """
    ctx.obj = Options(config)


def _make() -> typer.Typer:
    made = typer.Typer(
        name="dropwatch",
        cls=Commands,
        callback=_options,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,  # a bug shows a plain traceback, without values that may be secret
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for room in (run, web, status, show, batches, submit, users, check, manifest, mail):
        room.register(made)
    return made


app = _make()


def main() -> None:
    """Run the command that the arguments name."""
    # File names may hold what the terminal cannot show; a table must not die of it.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except Exception as err:  # outermost guard: a bug is told in full, and names in it act on no terminal
        say(*(part for text in traceback.format_exception(err) for part in text.rstrip("\n").split("\n")))
        sys.exit(exits.FAILED)
