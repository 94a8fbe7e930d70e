"""The one batch or spool that a command is about: found by what people call it, or every candidate named."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dropwatch.cli.command import config_of, refuse
from dropwatch.config import Config
from dropwatch.pipeline import glance
from dropwatch.status import Found, find

#: The argument and the option that name a batch, alike for every command.
Batch = Annotated[
    str, typer.Argument(help="Id, claim stamp, name of the folder, or user/name.", show_default=False)
]
InSpool = Annotated[
    Path | None,
    typer.Option("--spool", metavar="PATH", help="Look in this spool only, where there are several."),
]
SpoolOption = Annotated[
    Path | None,
    typer.Option("--spool", metavar="PATH", help="The spool; needed where the configuration has several."),
]


def spool_of(ctx: typer.Context, named: Path | None) -> Path:
    """The spool that is meant. One that is named needs no configuration: workstations have none."""
    if named is not None:
        return named.absolute()
    spools = config_of(ctx).spools
    if len(spools) > 1:
        refuse(f"Which spool? Say --spool with one of {', '.join(str(spool.path) for spool in spools)}.")
    return spools[0].path


def choose(config: Config, batch: str, spool: Path | None) -> Found:
    """The batch that *batch* names. Ends the command where there is none, or more than one."""
    paths = [settings.path for settings in config.spools]
    spool = spool.absolute() if spool else None
    if spool is not None and spool not in paths:
        refuse(f"{spool} is none of the configured spools:", *(f"  {path}" for path in paths))
    found = find(config, batch, glance.inbox, spool)
    if not found:
        refuse(f"There is no batch called {batch}. `dropwatch status --all` lists them.")
    if len(found) > 1:
        heading = f"{len(found)} batches are called {batch}. Say which by its claim stamp, or as user/name:"
        refuse(heading, *map(_candidate, found))
    return found[0]


def _candidate(one: Found) -> str:
    stamp = one.envelope.claim if one.envelope and one.envelope.claim else "not claimed yet"
    return f"  {stamp:20}  {one.place.value:10}  {one.user}/{one.name}  {one.path}"
