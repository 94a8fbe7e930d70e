"""How the command line shows things on a terminal: quiet tables, harmless names, times as people say them."""

from __future__ import annotations

import os
import sys

import typer
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from dropwatch import report
from dropwatch.model import Place

_PIPE_WIDTH = 1000  #: columns when nobody said how wide the output is: a file or a pipe wants no broken lines
_STYLES = {Place.INBOX: "yellow", Place.PROCESSING: "cyan", Place.DONE: "green", Place.FAILED: "red"}


def stdout() -> Console:
    """The console for answers."""
    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return Console(highlight=False, markup=False, emoji=False, width=wide)


def show(what: RenderableType) -> None:
    """Write *what* to standard output; without the blanks that fill a terminal's lines when it is none."""
    console = stdout()
    if console.is_terminal:
        console.print(what)
        return
    with console.capture() as captured:
        console.print(what)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())


def text(words: str, style: str = "") -> Text:
    """*words* made harmless, taken as they are: what looks like markup is none."""
    return Text(report.clean(words), style=style)


def place(where: Place) -> Text:
    return Text(where.value, style=_STYLES[where])


def table(*headings: str) -> Table:
    """A table without lines: a dim head, two blanks between columns."""
    made = Table(
        box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", show_header=any(headings)
    )
    for heading in headings:
        made.add_column(heading, overflow="fold")
    return made
