"""``imports.jsonl``: one line for each completed import, for people and tests. Only this module writes it.

The line is committed to the store together with the images and then appended here, so that a killed server
can write it when it starts again: neither a line without images nor images without a line remain.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from threading import Lock

from dropwatch.sandbox.store import Store


class Journal:
    """The file at *path*."""

    def __init__(self, path: Path, store: Store) -> None:
        self._path = path
        self._store = store
        self._lock = Lock()

    def append(self, line: str) -> None:
        with self._lock, self._path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())

    def repair(self) -> None:
        """Cut off a half-written line, and add the lines that were committed but not written."""
        text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            self._path.write_text(whole, encoding="utf-8", newline="\n")
        told = {json.loads(line)["fileset"] for line in whole.splitlines()}
        for row in self._store.rows("select fileset, line from completed order by rowid"):
            if row["fileset"] not in told:
                self.append(row["line"])
