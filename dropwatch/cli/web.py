"""The command that serves the page."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from dropwatch import journal
from dropwatch.cli.command import config_of, refuse, say


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Running")(web)


def web(
    ctx: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen at; web.host if not given.")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port; web.port if not given, 0 takes any free one.", min=0, max=65535)
    ] = None,
    link_for: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Print a link that signs this person in, once, without a password."
        ),
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="Who comes by that link is an admin.")] = False,
) -> None:
    """Serve the page: submit batches and watch them from a browser. It runs beside the daemon, until stopped.

    It prints `ready http://HOST:PORT` when it listens.
    """
    settings = config_of(ctx)
    try:
        from dropwatch.web.app import serve
        from dropwatch.web.house import build
    except ImportError as err:
        refuse(f"The page needs more than is installed here ({err}). Install dropwatch[web].")
    journal.log_to_stderr()
    house = build(settings, time.time)

    def ready(address: str) -> None:
        typer.echo(f"ready {address}")
        if link_for is not None:
            key = house.doorkeeper.make_link(link_for, admin=admin)
            typer.echo(f"sign in {address}/enter?key={key}")

    try:
        serve(house, host or settings.web.host, settings.web.port if port is None else port, ready)
    except OSError as err:
        say(f"Nobody can listen at {host or settings.web.host}: {err.strerror or err}.")
        raise typer.Exit(1) from None
