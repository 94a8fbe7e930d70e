"""The commands for letters: which wait and which were given up, what they say, send them again."""

from __future__ import annotations

import os
import time
from typing import Annotated

import typer

from dropwatch import actions, report
from dropwatch.cli.command import answer, config_of, refuse, say
from dropwatch.cli.tables import show, table, text
from dropwatch.daemon.mailroom import make_outbox
from dropwatch.outbox import Letter, Outbox, Shelf
from dropwatch.report.words import clean_lines, moment, moment_beside
from dropwatch.status.plain import plain_letter


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="List, read and send again the letters in the outbox.", no_args_is_help=True)
    group.command("list")(list_)
    group.command("show")(show_)
    group.command()(retry)
    app.add_typer(group, name="mail", rich_help_panel="Mail")


Id = Annotated[str, typer.Argument(metavar="ID", help="The letter, as `dropwatch mail list` calls it.")]


def list_(
    ctx: typer.Context,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write JSON to standard output; times in UTC.")
    ] = False,
) -> None:
    """List the letters that wait to be sent and those that were given up."""
    outbox = _outbox(ctx)
    shelves = {Shelf.QUEUED: outbox.queued(), Shelf.DEAD: outbox.dead()}
    if as_json:
        answer(
            {
                shelf.value: [plain_letter(letter, shelf) for letter in there]
                for shelf, there in shelves.items()
            }
        )
    elif any(shelves.values()):
        _show_list(shelves, config_of(ctx).site.timezone)
    else:
        say("No letter waits, and none was given up.")


def _show_list(shelves: dict[Shelf, list[Letter]], zone: str) -> None:
    now, made = time.time(), table("", "To", "About", "Written", "Tries", "What")
    for column in made.columns[:5]:
        column.no_wrap = True
    for shelf, letters in shelves.items():
        for letter in letters:
            dead = shelf is Shelf.DEAD
            due = (
                "due now"
                if letter.due_at(now) <= now
                else f"next {moment_beside(letter.not_before, now, zone)}"
            )
            made.add_row(
                text("given up" if dead else "waits", "red" if dead else "yellow"),
                text(letter.to, "bold"),
                text(f"{letter.kind} {letter.user}".strip()),
                text(moment_beside(letter.created, now, zone) if letter.created else "", "dim"),
                text(str(letter.attempts), "dim"),
                text(letter.error if dead else f"{due}{f': {letter.error}' if letter.error else ''}"),
            )
            made.add_row("", text(letter.id, "dim"))
    show(made)


def show_(ctx: typer.Context, letter: Id) -> None:
    """Show one letter: to whom, how it stands, and its text."""
    outbox, zone = _outbox(ctx), config_of(ctx).site.timezone
    found = outbox.find(letter)
    if found is None:
        refuse(f"There is no letter {letter}. `dropwatch mail list` lists them.")
    shelf = outbox.where(letter) or Shelf.DEAD
    state = {Shelf.QUEUED: "waits to be sent", Shelf.SENT: "sent", Shelf.DEAD: "given up"}[shelf]
    head = {
        "To": found.to,
        "Subject": found.subject,
        "About": found.batch or found.kind,
        "Written": moment(found.created, zone) if found.created else "",
        "State": f"{state}, {report.count(found.attempts, 'attempt')}",
        "Error": found.error,
    }
    for key, value in head.items():
        if value:
            typer.echo(f"{key}: {report.clean(value)}")
    typer.echo()
    for line in clean_lines(found.text):
        typer.echo(line)


def retry(
    ctx: typer.Context,
    letter: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="One letter; every one if none is named.", show_default=False),
    ] = None,
) -> None:
    """Make letters due now with a fresh schedule, those that were given up too."""
    try:
        say(actions.send_again(config_of(ctx), _outbox(ctx), letter, time.time()))
    except actions.Refused as err:
        refuse(err.message)


def _outbox(ctx: typer.Context) -> Outbox:
    outbox = make_outbox(config_of(ctx), os.environ, time.time)
    if outbox is None:
        refuse("No mail is sent: mail is switched off in the configuration.")
    return outbox
