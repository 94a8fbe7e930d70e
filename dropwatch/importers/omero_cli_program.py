"""Starts `omero import` on its leash, and ends it. The only module that starts a process for an importer."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from dropwatch.errors import ConfigError, OperatorError
from dropwatch.importers import omero_cli_leash as leash
from dropwatch.importers.omero_cli_arguments import refused
from dropwatch.importers.omero_cli_room import Room

_GOODBYE = 30.0  # seconds in which the leash is gone, once the program was killed
_BLOCK = 1 << 20  # bytes
_LOGBACK = "logback-cli.xml"  # comes with OMERO.java, beside its jars


@dataclass(frozen=True)
class Beside:
    """What an envelope keeps beside the user's folder: a folder for *logs*, and the *lock* of its workers."""

    logs: Path
    lock: Path


@dataclass(frozen=True)
class Program:
    """How `omero import` is called here.

    command   -- its name, or its absolute path
    clientdir -- the folder of OMERO.java's jars; None: where the program looks by itself
    arguments -- the facility's own
    environ   -- the daemon's environment
    temporary -- where its private folders go; None: where temporary files go
    """

    command: str
    clientdir: Path | None
    arguments: tuple[str, ...]
    environ: Mapping[str, str]
    temporary: Path | None = None

    def check(self) -> None:
        """Raise ConfigError with whatever stands against calling it so."""
        problems = [f"omero-cli.arguments: {problem}" for problem in refused(self.arguments)]
        if os.name != "posix":
            # A process cannot be kept from outliving its worker there, nor a link be made without privileges.
            problems.append("importer: omero-cli works on Linux and macOS only; use importer: omero")
        if os.sep in self.command and not Path(self.command).is_absolute():
            problems.append("omero-cli.command: it must be a name or an absolute path")
        if problems:
            raise ConfigError(problems)

    def line(self, *ours: str, path: str) -> list[str]:
        """The command that imports *path*. Nothing in it is secret: everybody can see it."""
        told = [self._found(), "import", *ours]
        if self.clientdir is not None:
            told += ["--clientdir", str(self.clientdir)]
            logback = self.clientdir / _LOGBACK
            if logback.is_file() and not any(one.startswith("--logback") for one in self.arguments):
                told += ["--logback", str(logback)]
        return [*told, *self.arguments, path]

    def _found(self) -> str:
        """omero-py puts its program beside our Python, which need not be on the PATH of a service."""
        if os.sep in self.command:
            return self.command
        beside = Path(sys.executable).with_name(self.command)
        on_path = shutil.which(self.command, path=self.environ.get("PATH"))
        return str(beside) if on_path is None and beside.is_file() else self.command

    def environment(self, room: Room) -> dict[str, str]:
        """The daemon's environment without its secrets, and with places of the room's own to write to."""
        kept = {
            name: value
            for name, value in self.environ.items()
            if not name.startswith(("DROPWATCH_", "OMERO_PASSWORD", "OMERO_SESSION"))
        }
        ours = {
            "OMERO_SESSIONDIR": str(room.sessions),
            "OMERO_TMPDIR": str(room.temporary),
            "LC_ALL": "C.UTF-8",  # in another locale Java cannot open a file with an umlaut in its name
        }
        if self.clientdir is not None:
            ours["OMERO_USERDIR"] = str(room.path)  # otherwise jars may lie in the user's
        if room.router.exists():
            ours["ICE_CONFIG"] = str(room.router)
        return {**kept, **ours}


class Leashed:
    """`omero import` at work in *room*, for as long as the block lasts; after it the room is gone.

    beside -- the envelope's lock and logs, None where there is no envelope
    stem   -- the name of what is kept in the logs
    """

    def __init__(
        self, command: list[str], environment: Mapping[str, str], room: Room, beside: Beside | None, stem: str
    ) -> None:
        self._tails = (_Tail(room.path / leash.OUT), _Tail(room.path / leash.ERR))
        places = (str(beside.lock), str(beside.logs)) if beside else ("", "")
        script = [sys.executable, "-I", leash.__file__, str(room.path), *places, stem]
        with (room.path / leash.ERR).open("ab") as errors:
            try:
                self._process = subprocess.Popen(
                    [*script, *command],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    cwd=room.path,  # where Java would leave a crash report, with its arguments in it
                    env=dict(environment),
                    start_new_session=True,  # Ctrl-C on the daemon's terminal is for the daemon
                )
            except OSError as error:
                raise OperatorError(
                    "No process could be started for `omero import`.",
                    concerns="omero",
                    remedy="See what the machine that dropwatch runs on is short of: processes, memory, open files.",
                    detail=f"{type(error).__name__}: {error.strerror}",
                    code="omero-cli-process",
                ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill the program if it still runs, and wait until nothing is left of it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_GOODBYE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def kill(self) -> None:
        """End it at once; what it said until then can still be heard."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(b"\n")
            self._process.stdin.flush()
        self.ended(_GOODBYE)

    def ended(self, wait: float) -> int | None:
        """Its exit code, or None when it still runs after *wait* seconds."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], wait)[0]:
            return None
        told = self._process.stdout.readline()
        return int(told) if told else 128 + signal.SIGKILL  # somebody killed the leash

    def said(self, *, last: bool = False) -> Iterator[str]:
        """Line by line what is new of what it says, on either stream. *last*: also a line without an end."""
        for tail in self._tails:
            yield from tail.lines(last)


class _Tail:
    """The end of a file that somebody else writes to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._rest = b""

    def lines(self, last: bool) -> Iterator[str]:
        while block := self._next():
            *whole, self._rest = (self._rest + block).split(b"\n")
            yield from (line.decode("utf-8", "replace").rstrip("\r") for line in whole)
        if last and self._rest:
            yield self._rest.decode("utf-8", "replace")
            self._rest = b""

    def _next(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                block = file.read(_BLOCK)
        except FileNotFoundError:
            return b""
        self._read += len(block)
        return block
