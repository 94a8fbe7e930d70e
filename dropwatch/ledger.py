"""The memory of a batch: one small TinyDB document, and outcomes appended to filesets.jsonl.

The only room that knows TinyDB. Appending keeps the cost of a fileset flat: TinyDB rewrites its whole
document at each update, so 10,000 filesets never go through it row by row.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
import types
import typing
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

from tinydb import TinyDB
from tinydb.storages import Storage
from tinydb.table import Document

from dropwatch import storage
from dropwatch.durable_memory import Folder, inside
from dropwatch.model import Attached, Failed, Fileset, Imported, Skipped
from dropwatch.record import Line, Record, line_of

T = typing.TypeVar("T")

_RECORD = "record.json"
_FILESETS = "filesets.jsonl"
_LOG = "import.log"
_KINDS: dict[str, type[Imported] | type[Skipped] | type[Attached] | type[Failed]] = {
    "imported": Imported,
    "skipped": Skipped,
    "attached": Attached,
    "failed": Failed,
}
_LARGEST_RECORD = 4 * 2**20  #: bytes; a forged record must not fill our memory
_LARGEST_FILESETS = 128 * 2**20  #: bytes; the outcomes of 300,000 image files
_LARGEST_NUMBER = 2**63  #: no id or size of OMERO or of a file system comes near
_LATEST = 250_000_000_000.0  #: epoch seconds in the year 9892; beyond 9999 no time can be told to people
_NO_TEXT = re.compile("[\ud800-\udc7f\udd00-\udfff]")  #: bytes of names are U+DC80 to U+DCFF (PEP 383)


class CrashSafe(Storage):
    """TinyDB's own JSON storage writes in place and truncates afterwards: dying in between leaves rubbish.
    Here the old document or the new one is there, whatever happens."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def read(self) -> dict[str, dict[str, Any]] | None:
        try:
            tables = json.loads(_held(lambda: self._folder.read(_RECORD, _LARGEST_RECORD)) or b"")
        except (ValueError, RecursionError):
            return None  # torn or forged is as good as lost, and must not stop the next write
        return tables if _is_tables(tables) else None

    def write(self, data: Mapping[str, Mapping[str, Any]]) -> None:
        self._folder.put(_RECORD, json.dumps(data).encode("ascii"))


def _is_tables(tables: object) -> bool:
    """Whether *tables* has the shape that TinyDB relies on: table -> number -> document."""
    if not isinstance(tables, dict):
        return False
    documents = [table.items() if isinstance(table, dict) else [("", None)] for table in tables.values()]
    return all(
        key.isdecimal() and isinstance(document, dict) for table in documents for key, document in table
    )


class Ledger:
    """The memory of the envelopes, each in its own folder ``.dropwatch/``. One writer: the daemon, or whoever
    makes the envelope, before anybody else sees it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def read(self, envelope: Path) -> Record | None:
        """The record; None where it is missing, torn or forged beyond reading: then it is lost, no more.

        Raises OSError when the disk or share does not answer: what is only out of reach must not count as lost.
        """
        try:
            document = _held(lambda: self._document(envelope))
            return None if document is None else _revive(Record, document)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None

    def _document(self, envelope: Path) -> dict[str, Any] | None:
        with inside(envelope, self._name) as folder, TinyDB(folder, storage=CrashSafe) as db:
            document = db.get(doc_id=1)
        return None if document is None else dict(typing.cast("Document", document))

    def write(self, envelope: Path, record: Record) -> None:
        """Replace the record, durably."""
        with inside(envelope, self._name, make=True) as folder, TinyDB(folder, storage=CrashSafe) as db:
            db.upsert(Document(dataclasses.asdict(record), doc_id=1))

    def plan(self, envelope: Path, claim: str, filesets: Iterable[Fileset]) -> None:
        """Note which filesets a claim consists of, in one durable write."""
        self._append(envelope, [line_of(claim, fileset) for fileset in filesets])

    def note(self, envelope: Path, *lines: Line) -> None:
        """Append what became of filesets, durably."""
        self._append(envelope, lines)

    def lines(self, envelope: Path, claim: str | None = None) -> list[Line]:
        """The last line of each fileset, of *claim* or of every claim, in the order of their planning."""
        found: dict[tuple[str, str], Line] = {}
        for line in self._read_lines(envelope):
            if claim is None or line.claim == claim:
                before = found.get((line.claim, line.fileset), line)
                found[line.claim, line.fileset] = dataclasses.replace(line, more=line.more or before.more)
        return list(found.values())

    def history(self, envelope: Path) -> list[Line]:
        """Every line, attempt by attempt."""
        return list(self._read_lines(envelope))

    def log(self, envelope: Path, text: str) -> None:
        """Append to the import.log, for admins. Not synced: its tail, lost in a power cut, harms nobody."""
        with self._appending(envelope, _LOG) as file:
            file.write(text.encode("utf-8", "backslashreplace") + b"\n")

    def read_log(self, envelope: Path, *, last: int = 20000) -> str:
        """The last bytes of the batch's import.log."""
        try:
            with inside(envelope, self._name) as folder:
                return folder.read_end(_LOG, last)[0].decode("utf-8", "replace")
        except OSError:
            return ""

    def _append(self, envelope: Path, lines: Iterable[Line]) -> None:
        data = "".join(json.dumps(_plain(line)) + "\n" for line in lines).encode("ascii")
        with self._appending(envelope, _FILESETS) as file:
            # A torn last line of a crash must not swallow the next one.
            if file.seek(0, os.SEEK_END) and not _ends_whole(file):
                data = b"\n" + data
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    @contextmanager
    def _appending(self, envelope: Path, name: str) -> Iterator[typing.BinaryIO]:
        """The file *name* of ours, open at its end; people may have taken our folder away, or the file."""
        with (
            inside(envelope, self._name, make=True) as folder,
            os.fdopen(folder.append_to(name), "r+b") as file,
        ):
            yield file

    def _read_lines(self, envelope: Path) -> Iterator[Line]:
        data, whole = _held(lambda: self._read_end(envelope)) or (b"", True)
        # The last line of each fileset counts, so what is too much is left out at the beginning.
        for raw in data.split(b"\n")[0 if whole else 1 :]:
            line = _line(raw) if raw else None
            if line is not None:
                yield line

    def _read_end(self, envelope: Path) -> tuple[bytes, bool]:
        with inside(envelope, self._name) as folder:
            return folder.read_end(_FILESETS, _LARGEST_FILESETS)


def _held(read: Callable[[], T]) -> T | None:
    """What *read* gives; None where nothing of ours can be read there. Raises OSError when the storage is to blame."""
    try:
        return read()
    except OSError as err:
        if storage.sort(err, "", "spool") is not None and not isinstance(err, PermissionError):
            raise
        return None


def _ends_whole(file: typing.BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


# -- frozen nouns to JSON and back; anything that does not fit is refused -----------------------------


def _plain(line: Line) -> dict[str, Any]:
    plain = dataclasses.asdict(line)
    for unsaid in dataclasses.fields(line):  # most lines leave most of it unsaid
        if plain[unsaid.name] == unsaid.default:
            del plain[unsaid.name]
    if line.outcome is not None:
        plain["kind"] = type(line.outcome).__name__.lower()
    return plain


def _line(raw: bytes) -> Line | None:
    try:
        plain = json.loads(raw)
        kind = plain.pop("kind", None)
        outcome = plain.pop("outcome", None)
        line = _revive(Line, plain)
        return line if kind is None else dataclasses.replace(line, outcome=_revive(_KINDS[kind], outcome))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None  # torn by a crash, or forged: as if it had never been written


def _revive(cls: type[T], plain: Any) -> T:
    """Build the dataclass *cls* from JSON, checking each type. Raises ValueError, TypeError, KeyError."""
    hints = _hints(typing.cast("Hashable", cls))
    return cls(**{name: _value(hints[name], value) for name, value in plain.items() if name in hints})


@functools.cache
def _hints(cls: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(typing.cast("type[Any]", cls))


def _value(hint: Any, value: Any) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        inner = [arg for arg in typing.get_args(hint) if arg is not type(None)]
        return None if value is None else _value(inner[0], value)
    if origin is tuple:
        if not isinstance(value, list):
            raise TypeError(f"expected a list, got {type(value)}")
        return tuple(_value(typing.get_args(hint)[0], item) for item in value)
    if dataclasses.is_dataclass(hint):
        return _revive(typing.cast("type[Any]", hint), value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    if hint is float and type(value) in (float, int):
        return float(_within(value, _LATEST))
    if type(value) is not hint:
        raise TypeError(f"expected {hint}, got {type(value)}")
    if hint is int:
        return _within(value, _LARGEST_NUMBER)
    if hint is str and _NO_TEXT.search(value):
        raise ValueError("it holds half a character")
    return value


def _within(value: float, most: float) -> float:
    """*value*, if it is from 0 to *most*; that Python can read it does not mean that it can be counted with."""
    if not 0 <= value <= most:  # also where it is no number (NaN)
        raise ValueError(f"it is not between 0 and {most}")
    return value
