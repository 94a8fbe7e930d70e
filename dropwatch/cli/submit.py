"""The commands that serve people: submit and user add; check has a module of its own."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from dropwatch import report
from dropwatch.cli import check
from dropwatch.cli.command import Options, config_of, refuse, say, usual_place
from dropwatch.cli.tables import show
from dropwatch.config import Config
from dropwatch.doctor import look_at_user, on_duty
from dropwatch.spool import copying
from dropwatch.spool.accounts import find_account, parse_owner
from dropwatch.spool.folders import IDENTITY, Spool
from dropwatch.spool.identity import planned_mounts
from dropwatch.spool.permissions import Made, add_user, find_setfacl
from dropwatch.spool.presence import read_heartbeat
from dropwatch.spool.submit import submit as drop

_PANEL = "Dropping"
_WIDTH = 40  #: characters of a file name beside the bar

SpoolOption = Annotated[
    Path | None,
    typer.Option("--spool", metavar="PATH", help="The spool; needed where the configuration has several."),
]

Files = Annotated[list[Path], typer.Argument(help="Image files and folders; one folder is a batch as it is.")]
Target = Annotated[
    str | None, typer.Option(help='Where in OMERO, e.g. "Project:HeLa/Dataset:day 3" or Dataset:123.')
]
KeyValues = Annotated[
    list[str] | None,
    typer.Option("--key-value", metavar="KEY=VALUE", help="A key-value pair; may be given several times."),
]
Notify = Annotated[
    list[str] | None, typer.Option(metavar="ADDRESS", help="Who else gets the mail about the outcome.")
]
Checksums = Annotated[
    bool, typer.Option(help="List a checksum for each file, so that OMERO surely gets what was copied.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    app.command(rich_help_panel=_PANEL)(submit)
    user = typer.Typer(help="Drop folders of people and instruments.", no_args_is_help=True)
    user.command("add")(user_add)
    user.callback()(_user)  # with one command only, typer would take `user` itself for that command
    app.add_typer(user, name="user", rich_help_panel="Site")
    check.register(app)


def _user() -> None:
    """Drop folders of people and instruments."""


# -- submit ------------------------------------------------------------------------------------------------


def submit(
    ctx: typer.Context,
    files: Files,
    user: Annotated[str | None, typer.Option(help="Whose drop folder; your login name if not given.")] = None,
    target: Target = None,
    name: Annotated[str | None, typer.Option(help="What the batch is called; else as its folder.")] = None,
    spool: SpoolOption = None,
    group: Annotated[str | None, typer.Option(help="OMERO group; else your default group.")] = None,
    description: Annotated[str, typer.Option(help="Free text for the images.")] = "",
    tag: Annotated[list[str] | None, typer.Option(help="A tag; may be given several times.")] = None,
    key_value: KeyValues = None,
    notify: Notify = None,
    checksums: Checksums = True,
) -> None:
    """Drop files for import: copy them into your drop folder, so that you can log out.

    They are imported as soon as all of them are there; a mail tells how it went. It prints the batch's folder.
    """
    with _bar() as progress:
        folder = drop(
            files,
            spool=_spool(ctx, spool),
            user=user or getpass.getuser(),
            name=name,
            target=target,
            group=group,
            description=description,
            tags=tag or (),
            key_values=dict(map(_pair, key_value or ())),
            notify=notify or (),
            checksums=checksums,
            progress=progress,
        )
    typer.echo(folder)
    _farewell(folder)


def _farewell(folder: Path) -> None:
    name, home = folder.name, folder.parent.parent
    say(f"When it has been imported, {name} lies in {home / 'done'}; what failed, in {home / 'failed'}.")
    say(f"{name} is in the inbox of {home.name}. You can log out now; you get a mail when it is imported.")


def _pair(words: str) -> tuple[str, str]:
    key, equals, value = words.partition("=")
    if not equals:
        refuse(f"{words!r} is no KEY=VALUE.")
    return key.strip(), value.strip()


def _spool(ctx: typer.Context, named: Path | None) -> Path:
    """The spool that is meant. One that is named needs no configuration: workstations have none."""
    if named is not None:
        return named.absolute()
    spools = config_of(ctx).spools
    if len(spools) > 1:
        refuse(f"Which spool? Say --spool with one of {', '.join(str(spool.path) for spool in spools)}.")
    return spools[0].path


@contextmanager
def _bar() -> Iterator[copying.Progress]:
    """A bar on standard error while files are copied; nothing where nobody looks."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as bar:
        task = bar.add_task("", total=None)

        def progress(file: str, done: int, total: int) -> None:
            label = report.clean(file)
            short = label if len(label) <= _WIDTH else "…" + label[-_WIDTH + 1 :]
            bar.update(task, description=short.replace("[", r"\["), completed=done, total=total)

        yield progress


# -- user add ----------------------------------------------------------------------------------------------


def user_add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the drop folder, best the login name.")],
    spool: SpoolOption = None,
    owner: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[:GROUP]",
            help="The account that runs the daemon; whoever owns the spool if not given.",
        ),
    ] = None,
) -> None:
    """Make a drop folder with its permissions, or mend them; makes the spool too where there is none yet.

    Run it as root: only root can give folders to the account of the daemon. Running it again does no harm.
    """
    config = _config_if_any(ctx, spool)
    root = _spool(ctx, spool)
    made = add_user(
        root,
        name,
        owner=parse_owner(owner) if owner else None,
        person=find_account(name),
        served=config is not None and str(root) in read_heartbeat(config.state).get("spools", {}),
        mounts=planned_mounts(),
        setfacl=find_setfacl(),
    )
    typer.echo(made.folder)
    _tell(root, name, made)
    if config is not None:
        for found in look_at_user(Spool(root), name, on_duty(config.state), os.environ):
            show(check.picture(found))


def _config_if_any(ctx: typer.Context, spool: Path | None) -> Config | None:
    options = ctx.find_object(Options)
    needed = spool is None or (options is not None and options.config is not None)
    return config_of(ctx) if needed or usual_place().exists() else None


def _tell(root: Path, name: str, made: Made) -> None:
    if made.new_spool:
        say(f"{root} is a spool now, by its identity file {IDENTITY}.")
    owner = f", owner {made.owner}" if made.owner else ""
    say(f"{'Made' if made.new_user else 'Mended'} the drop folder of {name}: {made.folder}{owner}.")
    for note in made.notes:
        say(f"- {note}")
    if sys.platform != "win32":
        say(
            "- As a Samba share it needs `inherit permissions = yes` and `inherit acls = yes`: "
            "service/samba/dropwatch.conf has both."
        )
