"""What all commands share: the configuration, the two consoles, errors told in words.

Answers go to standard output, everything else to standard error. No other module of the command line opens
the configuration.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Never

import typer
from typer.core import TyperGroup

from dropwatch import config, exits, report
from dropwatch.config import Config
from dropwatch.errors import ConfigError, DropwatchError, ManifestError
from dropwatch.spool.copying import NoBatch

VARIABLE = "DROPWATCH_CONFIG"


@dataclass(frozen=True)
class Options:
    """What stands before the command. *config*: the file that was named, or None."""

    config: Path | None


def usual_place() -> Path:
    """Where the configuration lies when none is named, the place that the service files use."""
    if sys.platform == "win32":
        return Path(os.environ.get("PROGRAMDATA", r"C:\ProgramData"), "dropwatch", "dropwatch.yaml")
    if sys.platform == "darwin":
        return Path("/usr/local/etc/dropwatch/dropwatch.yaml")
    return Path("/etc/dropwatch/dropwatch.yaml")


def file_of(ctx: typer.Context) -> Path:
    """Where the configuration of this call lies."""
    options: Options = ctx.find_object(Options) or Options(None)
    return options.config or usual_place()


def config_of(ctx: typer.Context) -> Config:
    """The configuration of this call, read and checked. Raises ConfigError with every problem."""
    options: Options = ctx.find_object(Options) or Options(None)
    path = file_of(ctx)
    if options.config is None and not path.exists():
        raise ConfigError([f"There is no {path}. Name your configuration: dropwatch --config FILE ..."])
    return config.load(path)


# -- the two consoles ----------------------------------------------------------------------------------


def say(*lines: str) -> None:
    """Tell the reader something that is no answer: on standard error, made harmless.

    A line end inside of a line is somebody else's, and shown as one: a file name writes no lines of its own.
    """
    for line in lines:
        typer.echo(report.clean(line), err=True)


def hand_out(path: Path) -> None:
    """Write a path to standard output: its bytes as they are for a program, made harmless for a terminal."""
    if sys.stdout.isatty():
        typer.echo(report.clean(str(path)))
    else:
        typer.echo(os.fsencode(path))


def answer(value: Any) -> None:
    """Write JSON to standard output. ASCII, so that undecodable file names come through as escapes."""
    typer.echo(json.dumps(value, indent=2))


def refuse(*lines: str, code: int = exits.USAGE) -> Never:
    """Say why not, and end the command."""
    say(*lines)
    raise typer.Exit(code)


# -- errors, in one place ------------------------------------------------------------------------------


class Commands(TyperGroup):
    """A group of commands whose expected errors become words and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigError as err:
            refuse(*err.problems)
        except (ManifestError, NoBatch) as err:
            refuse(*err.problems, code=exits.FAILED)
        except DropwatchError as err:
            refuse(*with_remedy(err), code=exits.FAILED)
        except BrokenPipeError:
            raise  # `dropwatch status | head`: click ends quietly
        except OSError as err:
            where = f"{_text(err.filename)}: " if err.filename else ""
            refuse(f"{where}{err.strerror or err}", code=exits.FAILED)
        except _Misused as err:
            raise _harmless(err) from None

    def make_context(self, *args: Any, **more: Any) -> Any:
        try:
            return super().make_context(*args, **more)
        except _Misused as err:
            raise _harmless(err) from None


#: What typer raises about arguments that it does not understand; it quotes them, and `*` fills in any file name.
_Misused: Any = typer.BadParameter.__base__


def _harmless(err: Any) -> Any:
    err.message = report.clean(err.message)
    return err


def with_remedy(err: DropwatchError) -> list[str]:
    """What happened, and on the next line what to do."""
    return [part for part in (err.message, err.remedy) if part]


def _text(name: str | bytes | int) -> str:
    return os.fsdecode(name) if isinstance(name, (str, bytes)) else str(name)
