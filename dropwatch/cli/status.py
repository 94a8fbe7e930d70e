"""The command ``status``: everything at a glance, as a table or as JSON."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dropwatch import report
from dropwatch.cli.command import answer, config_of, refuse
from dropwatch.cli.tables import place, show, stdout, table, text
from dropwatch.config import Config
from dropwatch.pipeline import glance
from dropwatch.report import Store
from dropwatch.report.words import moment_beside, number
from dropwatch.status import EVERYTHING, Most, Row, Status, Target, plain_status, snapshot
from dropwatch.status.pace import FETCH, PLAN, in_words
from dropwatch.status.presence import EVERYBODY, SILENT

IN_TABLE = 20  #: retired batches that the table shows
IN_JSON = 200  #: retired batches of each user that the JSON has
REFRESH = 2.0  #: seconds


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Batches")(status)


def status(
    ctx: typer.Context,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write JSON to standard output; its times are in UTC.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it anew every two seconds, newest first, until Ctrl-C.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Show every retired batch, however many there are.")
    ] = False,
) -> None:
    """Show the daemon, what it waits for, the letters and the batches, newest last.

    Of the batches in done and failed the table shows the newest 20, the JSON the newest 200 of each user; with
    --all every record is opened, which takes a while where many thousands lie.
    """
    config = config_of(ctx)
    if as_json and watch:
        refuse("--json and --watch do not go together: run it again whenever you want to know.")
    if as_json:
        most = EVERYTHING if everything else Most(each=IN_JSON)
        answer(plain_status(snapshot(config, time.time(), glance.inbox, most)))
    elif watch:
        _watch(config)
    else:
        most = EVERYTHING if everything else Most(together=IN_TABLE)
        show(picture(config, snapshot(config, time.time(), glance.inbox, most)))


def _watch(config: Config) -> None:
    """Show the snapshot anew until somebody presses Ctrl-C."""
    wait, most = threading.Event(), Most(together=IN_TABLE)
    console = stdout()
    try:
        with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
            while True:
                seen = snapshot(config, time.time(), glance.inbox, most)
                live.update(picture(config, seen, newest_first=True), refresh=True)
                wait.wait(REFRESH)
    except KeyboardInterrupt:
        raise typer.Exit() from None


# -- the picture ---------------------------------------------------------------------------------------


def picture(config: Config, seen: Status, *, newest_first: bool = False) -> RenderableType:
    """A snapshot as a person reads it."""
    zone = config.site.timezone
    rows = list(reversed(seen.rows)) if newest_first else list(seen.rows)
    parts: list[RenderableType] = [
        _daemon(seen, zone),
        *_died(seen),
        *_overflows(seen),
        *_polled(config, seen),
        *_mail(config, seen),
    ]
    parts += [_target(seen, target, zone) for target in seen.targets]
    parts.append(Text())
    batches = "batch is" if seen.left_out == 1 else "batches are"
    more = f"{seen.left_out:,} older {batches} not shown: dropwatch status --all"
    left_out = [Text(more, style="dim")] if seen.left_out else []
    store = report.site_of(config).store
    shown: list[RenderableType] = (
        [_batches(rows, seen.at, zone, store)] if rows else [Text("No batches yet.", "dim")]
    )
    parts += [*shown, *left_out] if newest_first else [*left_out, *shown]
    return Group(*parts)


def _daemon(seen: Status, zone: str) -> Text:
    pulse, line = seen.pulse, Text()
    beat = float(pulse.get("beat", 0.0))
    if not beat:
        return line.append("dropwatch has never run here.", style="red")
    ago = report.duration(max(0.0, seen.at - beat))
    name = f"dropwatch {pulse.get('version', '')}"
    if not seen.running:
        how = "was stopped" if pulse.get("stopped") else "died"
        return line.append(f"{name} is not running: it {how} {ago} ago.", style="red")
    line.append(f"{name} runs", style="bold")
    since = moment_beside(float(pulse.get("started", seen.at)), seen.at, zone)
    silent = seen.at - beat > SILENT
    line.append(f" since {since}, pid {pulse.get('pid')}, ", style="dim")
    return line.append(f"last heartbeat {ago} ago", style="red" if silent else "dim")


def _died(seen: Status) -> Iterator[Text]:
    """Worker processes that a file, or the machine, took away. Older daemons do not tell."""
    died = (seen.pulse.get("workers") or {}).get("died", 0)
    if died and seen.running:
        how = "process has died since then; its" if died == 1 else "processes have died since then; their"
        yield Text(f"{number(died)} worker {how} work was tried again", style="yellow")


def _polled(config: Config, seen: Status) -> Iterator[Text]:
    """The spools whose drops are found by looking again and again, and why. Events need no word."""
    told = seen.pulse.get("spools") or {}
    for spool in config.spools if seen.running else ():
        why = (told.get(str(spool.path)) or {}).get("why")
        if why:
            yield text(f"{spool.path} is looked at every {spool.poll:g} s: {why}", "dim")


def _overflows(seen: Status) -> Iterator[Text]:
    """More came at once than the system keeps events of. Older daemons do not tell."""
    times = sum(spool.get("overflows", 0) for spool in seen.pulse.get("spools", {}).values())
    if times and seen.running:
        often = "once" if times == 1 else f"{number(times)} times"
        yield Text(f"Events were lost {often} since then; all inboxes were looked at anew", style="dim")


def _mail(config: Config, seen: Status) -> Iterator[Text]:
    """Letters and holds, where there is something to say."""
    box = seen.outbox
    if config.mail is None:
        yield Text("No mail is sent: mail is switched off in the configuration.", style="yellow")
    else:
        line = Text(f"Mail: {box['queued']} waiting, {box['sent']} sent", style="dim")
        if box["dead"]:
            line.append(f", {box['dead']} given up: see dropwatch mail list", style="red")
        yield line
    if seen.holds:
        who = "everybody" if EVERYBODY in seen.holds else ", ".join(seen.holds)
        yield text(f"On hold: {who}. Let go with dropwatch release.", "yellow")


def _target(seen: Status, target: Target, zone: str) -> RenderableType:
    style = "red" if target.operator else "yellow"
    lines = Text()
    lines.append_text(text(f"{target.name} {_left_alone(seen, target, zone)}: ", style))
    lines.append_text(text(target.reason))
    if target.remedy:
        lines.append("\n").append_text(text(target.remedy, "dim"))
    return Padding(lines, (1, 0, 0, 0))


def _left_alone(seen: Status, target: Target, zone: str) -> str:
    if target.until is None:
        return "cannot be served"
    if not seen.running:
        return "did not work when dropwatch ended"
    return f"is left alone until {moment_beside(target.until, seen.at, zone)}"


def _batches(rows: Iterable[Row], now: float, zone: str, store: Store) -> Table:
    made = table("Place", "User", "Batch", "Files", "Size", "Since", "What")
    for column in made.columns[:6]:
        column.no_wrap = True
    _, user, batch, files, size, _, what = made.columns
    user.max_width, batch.max_width, what.ratio = 12, 24, 1
    files.justify = size.justify = "right"
    user.overflow = batch.overflow = "ellipsis"
    for row in rows:
        when = moment_beside(row.since, now, zone) if row.since else ""
        made.add_row(
            place(row.place),
            text(row.user),
            text(row.name, "bold"),
            Text(number(row.files), style="dim"),
            Text(report.size(row.bytes), style="dim"),
            Text(when, style="dim"),
            text(_what(row, store)),
        )
    return made


def _what(row: Row, store: Store) -> str:
    """Why it is where it is, and how far; while it is looked at, that alone is the reason."""
    if row.progress is None or row.progress.stage in (PLAN, FETCH):
        return row.reason
    return f"{row.reason}; {in_words(row.progress, store)}"
