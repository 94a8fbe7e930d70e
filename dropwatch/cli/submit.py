"""The command submit: people hand files over, and see them copied."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from dropwatch import report
from dropwatch.cli.choice import SpoolOption, spool_of
from dropwatch.cli.command import hand_out, refuse, say
from dropwatch.spool import copying
from dropwatch.spool.submit import submit as drop
from dropwatch.spool.submit import submit_from

_WIDTH = 40  #: characters of a file name beside the bar

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
Place = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="PLACE",
        help="FILES lie in this place of the daemon's configuration; it fetches them itself.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(rich_help_panel="Dropping")(submit)


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
    place: Place = None,
) -> None:
    """Drop files for import: copy them into your drop folder, so that you can log out.

    They are imported as soon as all of them are there; a mail tells how it went. It prints the batch's folder.
    With --from, nothing is copied here: the daemon fetches the files, however large they are.
    """
    wishes: dict[str, Any] = {
        "spool": spool_of(ctx, spool),
        "user": user or getpass.getuser(),
        "name": name,
        "target": target,
        "group": group,
        "description": description,
        "tags": tag or (),
        "key_values": dict(map(_pair, key_value or ())),
        "notify": notify or (),
    }
    if place is not None:
        folder = submit_from(place, [path.as_posix() for path in files], **wishes)
    else:
        with _bar() as progress:
            folder = drop(files, checksums=checksums, progress=progress, **wishes)
    hand_out(folder)
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


@contextmanager
def _bar() -> Iterator[copying.Progress]:
    """A bar on standard error while files are copied; nothing where nobody looks."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}", markup=False),
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
            bar.update(task, description=short, completed=done, total=total)

        yield progress
