"""The commands for those who write manifests: check one, and the schema for editors. They need no configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dropwatch import manifest, report
from dropwatch.cli.command import answer, say
from dropwatch.manifest import LARGEST, Manifest


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Check a manifest, or get its JSON Schema.", no_args_is_help=True)
    group.command()(check)
    group.command()(schema)
    app.add_typer(group, name="manifest", rich_help_panel="Dropping")


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The manifest, usually batch.yaml.")],
) -> None:
    """Say whether a manifest is right, or everything that is wrong with it (exit code 1)."""
    with file.open("rb") as opened:
        # A file that was named by mistake may be a hundred gigabytes of pixels.
        data = opened.read(LARGEST + 1)
    read = manifest.parse(data, source=file.name)
    say(f"{file.name} is right.")
    for line in _told(read, whole=manifest.whole(data)):
        say(line)
    if not manifest.is_manifest_name(file.name) and manifest.loose_stem(file.name) is None:
        say("In a batch it must be called batch.yaml, batch.yml or batch.json, or it is not seen.")


def _told(read: Manifest, *, whole: bool) -> list[str]:
    """What the manifest says, in sentences."""
    lines = []
    if read.name:
        lines.append(f"The batch is called {read.name}.")
    if read.target:
        lines.append(f"The images go to {read.target}.")
    if not read.files:
        lines.append("It lists no files: every file of the folder is imported when it has settled.")
    elif whole and all(file.size is not None for file in read.files):
        lines.append(
            f"It lists {report.count(len(read.files), 'file')}: the batch is taken up as soon as all are there."
        )
    else:
        lines.append(
            f"It lists {report.count(len(read.files), 'file')}; the batch is taken up when it has settled."
        )
    return lines


def schema() -> None:
    """Write the JSON Schema of the manifest to standard output, for editors that check while you type."""
    answer(manifest.schema())
