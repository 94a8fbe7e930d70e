"""What an OMERO sandbox says it has, and errors that tell no secret; for tests of the importer."""

from __future__ import annotations

import json
import re
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from orders import Batch, run

from dropwatch.errors import DropwatchError, Interrupted
from dropwatch.importers.base import Importer
from dropwatch.model import Fileset, Progress

KEY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
SECRET = "not-the-right-password"


def fails(kind: type[DropwatchError], call: Callable[[], object]) -> Any:
    """The error that *call* ends with; no session key or password is in it, nor in the trace a log would show."""
    with pytest.raises(kind) as caught:
        call()
    error = caught.value
    shown = "".join(traceback.format_exception(error)) + repr(vars(error))

    assert type(error) is kind
    assert not KEY.search(shown)
    assert SECRET not in shown
    assert error.message.endswith(".")
    return error


def completed(sandbox: Any) -> list[dict[str, Any]]:
    """What the server says it has imported, one entry for each fileset."""
    path = sandbox.folder / "omero" / "imports.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def rows(sandbox: Any, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(sandbox.folder / "omero" / "omero.db")) as database:
        return database.execute(sql).fetchall()


def filesets(sandbox: Any) -> int:
    """How many filesets the server has, with images or without."""
    return int(rows(sandbox, "select count(*) from fileset")[0][0])


def wait_until(true: Callable[[], object], seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited too long"
        threading.Event().wait(0.02)


def open_below(folder: Path) -> list[str]:
    """The files below *folder* that this process has open; none where that cannot be seen."""
    if sys.platform != "linux":
        return []
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.append(str(link.readlink()))
    return [path for path in found if path.startswith(f"{folder}/")]


def left_to_the_server(importer: Importer, batch: Batch, fileset: Fileset) -> None:
    """Stop following the import as soon as the server goes on with it alone."""
    told: list[Progress] = []
    answers = importer.ask(batch.order, [fileset])
    with suppress(Interrupted):
        run(
            importer, batch, fileset, answers, progress=told.append,
            stopped=lambda: any(progress.stage == "server" for progress in told),
        )  # fmt: skip
