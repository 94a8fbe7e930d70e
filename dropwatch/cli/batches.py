"""The commands that do to batches what a person could do by hand in the folders: retry, cancel, hold, release."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from dropwatch import actions
from dropwatch.actions import Refused
from dropwatch.cli.choice import Batch, InSpool, choose
from dropwatch.cli.command import config_of, hand_out, refuse, say

_PANEL = "Batches"

User = Annotated[str | None, typer.Argument(help="A user's drop folder; nobody named means everybody.")]


def register(app: typer.Typer) -> None:
    for command in (retry, cancel, hold, release):
        app.command(rich_help_panel=_PANEL)(command)


def retry(ctx: typer.Context, batch: Batch, spool: InSpool = None) -> None:
    """Move a batch from failed (or done) back to the inbox; what is missing in OMERO is imported."""
    config = config_of(ctx)
    try:
        done = actions.retry(config, choose(config, batch, spool), time.time())
    except Refused as err:
        refuse(err.message)
    hand_out(done.path)
    say(done.told)


def cancel(ctx: typer.Context, batch: Batch, spool: InSpool = None) -> None:
    """Stop a batch, also one just dropped: its files go to failed; what OMERO already has of it stays there."""
    config = config_of(ctx)
    try:
        say(actions.cancel(config, choose(config, batch, spool), time.time()))
    except Refused as err:
        refuse(err.message)


def hold(ctx: typer.Context, user: User = None) -> None:
    """Take up and begin nothing more, of one user or of everybody; what runs is finished."""
    config = config_of(ctx)
    try:
        actions.hold(config, user)
    except Refused as err:
        refuse(err.message)
    say(*actions.tell_holds(config, time.time()))


def release(ctx: typer.Context, user: User = None) -> None:
    """End a hold: of one user, or the one on everybody."""
    config = config_of(ctx)
    try:
        actions.release(config, user)
    except Refused as err:
        refuse(err.message)
    say(*actions.tell_holds(config, time.time()))
