"""How the demo looks: a story above, a live table below; plain lines where nobody sits at a terminal.

Only this module draws. It decides nothing of the story.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dropwatch.model import Place
from dropwatch.report import clean, named
from dropwatch.sandbox.demo_check import Seen
from dropwatch.sandbox.demo_mails import Mail
from dropwatch.status import Row, Status

_SPEAKERS = {
    "dropwatch": "green",
    "OMERO": "blue",
    "mail": "yellow",
    "page": "magenta",
    "trouble": "bold red",
}
_PERSON = "cyan"
_PLACES = {Place.INBOX: "yellow", Place.PROCESSING: "blue", Place.DONE: "green", Place.FAILED: "red"}
_BAR = 8
_LETTER = 28  #: lines of a letter to show
_FRAME = 7  #: lines that the live table needs beside its rows, and a few to breathe


class Screen(Protocol):
    """Where the story is told."""

    console: Console

    def chapter(self, title: str) -> None: ...

    def say(self, who: str, text: str) -> None: ...

    def watch(self, status: Status) -> None:
        """Show how things are now, if that is news."""

    def rest(self) -> None:
        """Take the live table away: what is printed from here on stays."""


class LiveScreen:
    """For a terminal: the table moves."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live: Live | None = None

    def chapter(self, title: str) -> None:
        print_chapter(self.console, title)

    def say(self, who: str, text: str) -> None:
        print_line(self.console, who, text)

    def watch(self, status: Status) -> None:
        if self._live is None:
            self._live = Live(console=self.console, transient=True, auto_refresh=False)
            self._live.start()
        self._live.update(live_table(status, self.console.height - _FRAME), refresh=True)

    def rest(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


class PlainScreen:
    """For logs and pipes: one line for each thing that changed."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._told: dict[tuple[str, str], str] = {}

    def chapter(self, title: str) -> None:
        self.console.print(f"\n{title}", markup=False, soft_wrap=True)

    def say(self, who: str, text: str) -> None:
        self.console.print(f"  {who + ':' if who else '':<12}{text}", markup=False, soft_wrap=True)

    def watch(self, status: Status) -> None:
        for row in _in_order(status.rows):
            key, state = (row.user, row.claim or row.name), _state(row)
            if self._told.get(key) != state:
                self._told[key] = state
                self.say("", f"{row.user}/{named(row.name, 40)}: {state}")

    def rest(self) -> None:
        """Nothing moves here."""


def screen_for(console: Console) -> Screen:
    return LiveScreen(console) if console.is_terminal else PlainScreen(console)


# -- the story -----------------------------------------------------------------------------------------


def print_chapter(console: Console, title: str) -> None:
    console.print()
    console.print(Text(title, "bold"))


def print_line(console: Console, who: str, text: str) -> None:
    """Print who does something in a narrow column, and what beside it."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=12)
    grid.add_column()
    grid.add_row(Text(f"  {who}", _SPEAKERS.get(who, _PERSON)), Text(text))
    console.print(grid)


def print_point(console: Console, name: str, text: str) -> None:
    """Print where something is. Never broken into lines, so that it can be copied."""
    line = Text.assemble((f"  {name:<11}", "dim"), text)
    console.print(line, soft_wrap=True)


# -- how things are ------------------------------------------------------------------------------------


def live_table(status: Status, most: int) -> RenderableType:
    """The batches of *status*, the last *most* of them, and a line about daemon and letters."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), expand=True)
    for title, width in (("", 5), ("batch", 20), ("lies in", 10), ("image files", _BAR + 6), ("tries", 5)):
        table.add_column(title, width=width, no_wrap=True, overflow="ellipsis")
    table.add_column("", ratio=1, no_wrap=True, overflow="ellipsis")
    for row in _in_order(status.rows)[-max(3, most) :]:
        place = Text(str(row.place), _PLACES[row.place])
        tries = str(row.attempts) if row.attempts else ""
        table.add_row(row.user, named(row.name, 40), place, _bar(row), tries, Text(_news(row)))
    return Group(table, _foot(status))


def _foot(status: Status) -> RenderableType:
    dropwatch = Text("runs", "green") if status.running else Text("is dead", "bold red")
    waiting, sent = status.outbox.get("queued", 0), status.outbox.get("sent", 0)
    text = Text.assemble(
        " dropwatch ", dropwatch, f"   letters: {waiting} waiting, {sent} sent", _mail(status)
    )
    return Padding(text, (0, 0, 1, 0))


def _mail(status: Status) -> Text:
    """When the mail server is tried again, as far as the daemon said so yet."""
    until = next((target.until for target in status.targets if target.name == "mail"), None)
    if not status.running or until is None or until <= status.at:
        return Text()
    return Text(f"   mail is down, next try in {until - status.at:.0f} s", "dim")


def _bar(row: Row) -> RenderableType:
    if not row.tally.total:
        return Text(f"{row.files}" if row.files else "", "dim")
    over = row.tally.there + row.tally.failed
    grid = Table.grid(padding=(0, 1, 0, 0))
    colour = "red" if row.tally.failed else "green"
    bar = ProgressBar(
        total=row.tally.total, completed=over, width=_BAR, complete_style=colour, finished_style=colour
    )
    grid.add_row(bar, f"{row.tally.there}/{row.tally.total}")
    return grid


def _in_order(rows: Iterable[Row]) -> list[Row]:
    """By the first claim, so that rows keep their place while batches move on."""
    return sorted(rows, key=lambda row: (row.id is None, row.id or "", row.user, row.name))


def _news(row: Row) -> str:
    """What the other columns do not say."""
    return str(row.verdict) if row.verdict else clean(row.reason)


def _state(row: Row) -> str:
    """What is worth a line when it changes."""
    parts = [str(row.place)]
    if row.tally.total:
        parts.append(f"{row.tally.there} of {row.tally.total} image files imported")
    if row.attempts > 1:
        parts.append(f"try {row.attempts}")
    if row.verdict:
        parts.append(str(row.verdict))
    return ", ".join(parts)


# -- at the end ----------------------------------------------------------------------------------------


def print_mail(console: Console, mail: Mail) -> None:
    """Print a mail as its reader sees it who has no HTML."""
    head = Text.assemble(("To:      ", "dim"), mail.to, "\n", ("Subject: ", "dim"), (mail.subject, "bold"))
    lines = mail.text.rstrip().split("\n")
    body = Group(head, "", *(Text(clean(line)) for line in lines[:_LETTER]))
    rest = f"{len(lines) - _LETTER} more lines" if len(lines) > _LETTER else None
    width = min(80, console.width)
    console.print(Panel(body, box=box.ROUNDED, border_style="dim", width=width, subtitle=rest))


def print_check(console: Console, seen: Sequence[Seen], page: Sequence[str] | None) -> None:
    """Print for each batch what was expected and what was found. *page*: what is wrong on it; None: there is none."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("", "batch", "files", "images", "lies in", "letters", ""):
        table.add_column(title, no_wrap=title != "batch")
    for one in seen:
        drop = one.drop
        images = f"{one.images} of {drop.images}"
        letters = f"{len(one.letters)} of {len(drop.recipients)}"
        files = str(len(drop.samples))
        table.add_row(
            drop.user, drop.name, files, images, one.place or "nowhere", letters, _verdict(one.problems)
        )
    if page is not None:
        table.add_row("page", "its list", "", "", "", "", _verdict(page))
    console.print(Padding(table, (0, 0, 0, 1)))


def _verdict(problems: Sequence[str]) -> Text:
    return Text("NOT as told", "bold red") if problems else Text("as told", "green")
