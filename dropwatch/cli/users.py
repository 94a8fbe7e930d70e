"""The commands about drop folders of people and instruments: user add, user sync."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from dropwatch import exits
from dropwatch.cli import check
from dropwatch.cli.choice import SpoolOption, spool_of
from dropwatch.cli.command import Options, config_of, hand_out, refuse, say, usual_place
from dropwatch.cli.roster import Row, Standing, compare
from dropwatch.cli.tables import show, table, text
from dropwatch.config import Config
from dropwatch.errors import DropwatchError
from dropwatch.spool.accounts import Owner, find_account, parse_owner
from dropwatch.spool.folders import IDENTITY, Spool
from dropwatch.spool.identity import planned_mounts
from dropwatch.spool.permissions import Made, add_user, find_setfacl
from dropwatch.spool.presence import read_heartbeat

OwnerOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME[:GROUP]", help="The account that runs the daemon; whoever owns the spool if not given."
    ),
]

_STYLES = {
    Standing.TO_MAKE: "cyan",
    Standing.MADE: "green",
    Standing.NOT_MADE: "red",
    Standing.THERE: "green",
    Standing.ELSEWHERE: "green",
    Standing.NO_NAME: "yellow",
    Standing.STRANGER: "yellow",
}


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    user = typer.Typer(help="Drop folders of people and instruments.", no_args_is_help=True)
    user.command("add")(user_add)
    user.command("sync")(user_sync)
    app.add_typer(user, name="user", rich_help_panel="Site")


# -- user add ----------------------------------------------------------------------------------------------


def user_add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the drop folder, best the login name.")],
    spool: SpoolOption = None,
    owner: OwnerOption = None,
) -> None:
    """Make a drop folder with its permissions, or mend them; makes the spool too where there is none yet.

    Run it as root: only root can give folders to the account of the daemon. Running it again does no harm.
    """
    from dropwatch.doctor import look_at_user, on_duty  # as in check

    config = _config_if_any(ctx, spool)
    root = spool_of(ctx, spool)
    made = _make(config, root, name, parse_owner(owner) if owner else None)
    hand_out(made.folder)
    _tell(root, name, made)
    if config is not None:
        for found in look_at_user(Spool(root), name, on_duty(config.state), os.environ):
            show(check.picture(found))


def _config_if_any(ctx: typer.Context, spool: Path | None) -> Config | None:
    options = ctx.find_object(Options)
    needed = spool is None or (options is not None and options.config is not None)
    return config_of(ctx) if needed or usual_place().exists() else None


def _make(config: Config | None, root: Path, name: str, owner: Owner | None) -> Made:
    return add_user(
        root,
        name,
        owner=owner,
        person=find_account(name),
        served=config is not None and str(root) in read_heartbeat(config.state).get("spools", {}),
        mounts=planned_mounts(),
        setfacl=find_setfacl(),
    )


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


# -- user sync ---------------------------------------------------------------------------------------------


def user_sync(
    ctx: typer.Context,
    group: Annotated[
        str | None, typer.Option(metavar="GROUP", help="Only members of this OMERO group.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Make what is missing; else it is only shown.")] = False,
    spool: SpoolOption = None,
    owner: OwnerOption = None,
) -> None:
    """Compare the people in OMERO with the drop folders; with --yes make the folders that are missing.

    They are made as `user add` makes them, and nothing is ever removed. Ends with 1 when one could not be made.
    """
    config, root = config_of(ctx), spool_of(ctx, spool)
    theirs = parse_owner(owner) if owner else None
    rows, notes = _rows(config, root, group), list[str]()
    if yes:
        rows = [_made(config, root, theirs, row, notes) for row in rows]
    _show(rows)
    for note in notes:
        say(f"- {note}")
    _sum_up(root, rows)
    failed = any(row.standing is Standing.NOT_MADE for row in rows)
    raise typer.Exit(exits.FAILED if failed else exits.GOOD)


def _rows(config: Config, root: Path, group: str | None) -> list[Row]:
    from dropwatch.task import make_importer

    others = [settings.path for settings in config.spools if settings.path != root]
    elsewhere = {folder: str(path) for path in others for folder in _folders(path)}
    with closing(make_importer(config, os.environ)) as importer:
        accounts = importer.accounts()
        if group is not None and not any(group in account.groups for account in accounts):
            refuse(
                f"OMERO has no group {group} with people in it for whom images may be imported.",
                code=exits.FAILED,
            )
        return compare(config, accounts, _folders(root), elsewhere, group, importer.account)


def _folders(root: Path) -> list[str]:
    if not root.is_dir():
        return []
    users = Spool(root).users()
    return [*users.names, *users.clashing]


def _made(config: Config, root: Path, owner: Owner | None, row: Row, notes: list[str]) -> Row:
    """Make the folder of *row*, if it is to be made; what else is to be said of it is added to *notes*."""
    if row.standing is not Standing.TO_MAKE:
        return row
    try:
        made = _make(config, root, row.folder, owner)
    except DropwatchError as err:
        return replace(row, standing=Standing.NOT_MADE, remark=f"{err.message} {err.remedy}".strip())
    notes += [f"{row.folder}: {note}" for note in made.notes]
    return replace(row, standing=Standing.MADE)


def _show(rows: Sequence[Row]) -> None:
    made = table("", "DROP FOLDER", "IN OMERO", "E-MAIL", "")
    order = list(Standing)
    for row in sorted(rows, key=lambda row: (order.index(row.standing), row.folder)):
        made.add_row(
            text(row.standing, _STYLES[row.standing]),
            text(row.folder),
            text(row.owner),
            text(row.email or "-"),
            text(row.remark),
        )
    show(made)


def _sum_up(root: Path, rows: Sequence[Row]) -> None:
    counts = Counter(row.standing for row in rows)
    say(", ".join(f"{count} {standing}" for standing in Standing if (count := counts[standing])) + ".")
    if counts[Standing.TO_MAKE]:
        new = "" if Spool(root).identity.is_file() else f"{root} is no spool yet, or not mounted. "
        say(f"{new}Nothing was changed. With --yes the drop folders are made.")
