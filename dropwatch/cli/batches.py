"""The commands that do to batches what a person could do by hand in the folders: retry, cancel, hold, release."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from dropwatch.cli.choice import Batch, InSpool, choose
from dropwatch.cli.command import config_of, hand_out, refuse, say
from dropwatch.config import Config
from dropwatch.durable import write_durably
from dropwatch.durable_memory import inside
from dropwatch.model import Place
from dropwatch.pipeline.oversight import CANCEL
from dropwatch.spool.folders import MEMORY, Spool
from dropwatch.spool.moves import make_directory
from dropwatch.spool.presence import hold_marker
from dropwatch.status.presence import EVERYBODY, Presence, presence
from dropwatch.status.rows import Reader

_PANEL = "Batches"

User = Annotated[str | None, typer.Argument(help="A user's drop folder; nobody named means everybody.")]


def register(app: typer.Typer) -> None:
    for command in (retry, cancel, hold, release):
        app.command(rich_help_panel=_PANEL)(command)


def retry(ctx: typer.Context, batch: Batch, spool: InSpool = None) -> None:
    """Move a batch from failed (or done) back to the inbox; what is missing in OMERO is imported."""
    config = config_of(ctx)
    found = choose(config, batch, spool)
    envelope = found.envelope
    if found.place is Place.PROCESSING and envelope is not None:
        row = Reader(config, _presence(config), time.time()).envelope(found.spool.root, envelope)
        refuse(f"{found.name} is in processing and goes on by itself: {row.reason}.")
    if envelope is None or found.place is Place.INBOX:
        refuse(f"{found.name} lies in the inbox already and will be taken up from there: {found.path}")
    if not envelope.folder:
        refuse(f"There is no folder of {found.user} left in {found.path}: nothing could be imported.")
    path = found.spool.give_back(envelope)
    hand_out(path)
    say(f"{found.name} is back in the inbox of {found.user}. {_when_taken_up(config, found.user)}")


def cancel(ctx: typer.Context, batch: Batch, spool: InSpool = None) -> None:
    """Stop a batch that is in processing; what OMERO already has of it stays there."""
    config = config_of(ctx)
    found = choose(config, batch, spool)
    envelope = found.envelope
    if found.place is Place.INBOX or envelope is None:
        refuse(
            f"{found.name} was not taken up yet: move it out of the inbox, and nothing will be imported: {found.path}"
        )
    record = Reader(config, _presence(config), time.time()).record(envelope)
    if record.verdict is not None:
        refuse(f"There is nothing to cancel: {found.name} came to its end already ({record.verdict.value}).")
    if found.place is not Place.PROCESSING:
        refuse(f"There is nothing to cancel: {found.name} lies in {found.place.value}.")
    with inside(envelope.path, MEMORY, make=True) as folder:
        folder.put(CANCEL, envelope.claim.encode("ascii"))
    when = "within seconds" if _presence(config).running else "when dropwatch runs again"
    say(f"{found.name} will be cancelled {when}. Image files that OMERO already has stay there.")


def hold(ctx: typer.Context, user: User = None) -> None:
    """Take up and begin nothing more, of one user or of everybody; what runs is finished."""
    config = config_of(ctx)
    marker = hold_marker(config.state, _known(config, user))
    if not marker.parent.is_dir():
        config.state.mkdir(parents=True, exist_ok=True)
        make_directory(marker.parent)
    if not marker.exists():
        write_durably(marker, b"")
    _tell_holds(config)


def release(ctx: typer.Context, user: User = None) -> None:
    """End a hold: of one user, or the one on everybody."""
    config = config_of(ctx)
    hold_marker(config.state, _known(config, user)).unlink(missing_ok=True)
    _tell_holds(config)


def _tell_holds(config: Config) -> None:
    """Say who is on hold now."""
    now = _presence(config)
    if EVERYBODY in now.holds:
        say(
            "On hold: everybody. What is being imported is finished; nothing else begins until `dropwatch release`."
        )
    users = [user for user in now.holds if user != EVERYBODY]
    if users:
        say(f"On hold: {', '.join(users)}. `dropwatch release USER` lets one go.")
    if not now.holds:
        what = "What was held goes on within seconds." if now.running else "dropwatch is not running."
        say(f"Nobody is on hold. {what}")


def _known(config: Config, user: str | None) -> str | None:
    """*user* as the folder spells it. Ends the command when no spool has such a folder."""
    if user is None:
        return None
    names = [name for settings in config.spools for name in Spool(settings.path).users().names]
    match = next((name for name in names if name.casefold() == user.casefold()), None)
    if match is None:
        refuse(f"No spool has a folder for {user}. There are: {', '.join(sorted(set(names))) or 'none'}.")
    return match


def _presence(config: Config) -> Presence:
    return presence(config.state, time.time())


def _when_taken_up(config: Config, user: str) -> str:
    now = _presence(config)
    if not now.running:
        return "dropwatch is not running: it is taken up when it does."
    return (
        "On hold: it is taken up after `dropwatch release`."
        if now.held(user)
        else "It is taken up when it has settled."
    )
