"""The commands of the page: serve it, and make a sign-in link for it."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable
from typing import Annotated

import typer

from dropwatch import exits, journal
from dropwatch.cli.command import config_of, refuse


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Running")(web)
    app.command("web-link", rich_help_panel="Running")(web_link)


_Admin = Annotated[bool, typer.Option("--admin", help="Who comes by that link is an admin.")]
_LACKING = 'The page needs more than is installed here ({}). Run: pip install "dropwatch[web]".'


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
    admin: _Admin = False,
) -> None:
    """Serve the page: submit batches and watch them from a browser. It runs beside the daemon, until stopped.

    It prints `ready http://HOST:PORT` when it listens.
    """
    settings = config_of(ctx)
    try:
        from dropwatch.web.app import listen, serve
        from dropwatch.web.house import build
        from dropwatch.web.links import at
    except ImportError as err:
        refuse(_LACKING.format(err))
    journal.log_to_stderr()
    house = build(settings, time.time)

    def ready(here: str, address: str) -> None:
        typer.echo(f"ready {here}")
        if link_for is not None:
            typer.echo(f"sign in {at(address, house.doorkeeper.links.make(link_for, admin=admin))}")

    host = host or settings.web.host
    with _told(host, settings.web.port if port is None else port, listen) as listening:
        try:
            serve(house, host, listening, ready)
        finally:
            house.close()


def _told(host: str, port: int, listen: Callable[[str, int], socket.socket]) -> socket.socket:
    """What listens there; where nobody can, that is said."""
    try:
        return listen(host, port)
    except OSError as err:
        refuse(*_cannot_listen(err, host, port), code=exits.FAILED)


def _cannot_listen(err: OSError, host: str, port: int) -> list[str]:
    """What is in the way, and what to do about it."""
    if err.errno == errno.EADDRINUSE:
        return [
            f"Something listens at {host}, port {port}, already: a page that runs, or another program.",
            "Stop it, or take another port: --port, or web.port in the configuration.",
        ]
    why = (err.strerror or str(err)).partition(" (while")[0]  # the address again
    return [
        f"The page cannot listen at {host}, port {port}: {why}.",
        "Name an address of this machine and a port that you may use: --host and --port, or web.host and web.port.",
    ]


def web_link(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What OMERO calls the person.")],
    admin: _Admin = False,
) -> None:
    """Make a link that signs a person in to the page, without a password: once, within 15 minutes.

    Whoever has the link comes in by it. Give it to that person only.
    """
    settings = config_of(ctx)
    try:
        from dropwatch.web.house import build
    except ImportError as err:
        refuse(_LACKING.format(err))
    try:
        link = build(settings, time.time).doorkeeper.links.leave(name, admin=admin)
    except FileNotFoundError:
        refuse(
            "The page was never started with this configuration. Start it first: dropwatch web",
            code=exits.FAILED,
        )
    typer.echo(link)
