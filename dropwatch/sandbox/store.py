"""The sandbox server's memory: one SQLite file. It knows tables, not Ice and not who may see what.

Everything that a real server keeps over a restart is here; sessions, import processes and handles are not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

_OWNED = "id integer primary key autoincrement, owner integer not null, grp integer not null, created integer"

_SCHEMA = f"""
create table if not exists meta (key text primary key, value text);
create table if not exists project ({_OWNED}, name text, description text);
create table if not exists dataset ({_OWNED}, name text, description text);
create table if not exists screen ({_OWNED}, name text, description text);
create table if not exists plate (
    {_OWNED}, name text, description text, row_count integer, column_count integer);
create table if not exists well ({_OWNED}, plate integer, row integer, col integer);
create index if not exists well_plate on well (plate);
create table if not exists wellsample ({_OWNED}, well integer, image integer, idx integer);
create index if not exists wellsample_well on wellsample (well);
create index if not exists wellsample_image on wellsample (image);
create table if not exists annotation ({_OWNED}, kind text, ns text, text text, pairs text, description text,
    file integer);
create table if not exists link ({_OWNED}, kind text, parent integer, child integer);
create index if not exists link_parent on link (kind, parent);
create index if not exists link_child on link (kind, child);
create table if not exists fileset ({_OWNED}, prefix text);
create table if not exists entry (
    id integer primary key autoincrement, fileset integer, idx integer, client_path text, file integer);
create index if not exists entry_fileset on entry (fileset);
create index if not exists entry_path on entry (client_path);
create table if not exists originalfile (
    {_OWNED}, path text, name text, size integer, hash text, hasher text, mimetype text,
    place text);
create table if not exists job (
    id integer primary key autoincrement, fileset integer, kind text, status text, message text,
    finished integer, log integer);
create index if not exists job_fileset on job (fileset);
create table if not exists image ({_OWNED}, fileset integer, plate integer, series integer, name text,
    description text);
create index if not exists image_fileset on image (fileset);
create table if not exists pixels (
    id integer primary key autoincrement, image integer, type text, x integer, y integer, z integer,
    c integer, t integer);
create table if not exists experimenter (
    id integer primary key, name text, first_name text, last_name text, email text);
create table if not exists experimentergroup (id integer primary key, name text);
create table if not exists membership (user integer, grp integer, primary key (user, grp));
create table if not exists completed (fileset integer primary key, line text not null);
"""

# Columns that came later: a folder of an older sandbox is still good.
_LATER = (
    ("annotation", "file integer"),
    ("originalfile", "place text"),
    ("plate", "row_count integer"),
    ("plate", "column_count integer"),
)


class Store:
    """SQLite behind one lock: many threads, one transaction at a time."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("pragma journal_mode = wal")
        # A killed process loses nothing this way; only a power cut would, and this is a sandbox.
        self._db.execute("pragma synchronous = normal")
        self._db.execute("pragma case_sensitive_like = on")
        self._db.executescript(_SCHEMA)
        for table, column in _LATER:
            if column.split()[0] not in [
                row["name"] for row in self._db.execute(f"pragma table_info({table})")
            ]:
                self._db.execute(f"alter table {table} add column {column}")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One transaction: committed at the end, rolled back when an exception leaves the block."""
        with self._lock:
            self._db.execute("begin immediate")
            try:
                yield self._db
            except BaseException:
                self._db.execute("rollback")
                raise
            self._db.execute("commit")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else reads or writes meanwhile: what was committed is seen only afterwards."""
        with self._lock:
            yield

    def rows(self, sql: str, values: Mapping[str, object] | tuple[object, ...] = ()) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def row(self, sql: str, values: Mapping[str, object] | tuple[object, ...] = ()) -> sqlite3.Row | None:
        found = self.rows(sql, values)
        return found[0] if found else None

    def close(self) -> None:
        with self._lock:
            self._db.close()


def insert(db: sqlite3.Connection, table: str, **values: object) -> int:
    """Insert one row into *table* and return its id."""
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    cursor = db.execute(f"insert into {table} ({names}) values ({marks})", values)
    return int(cursor.lastrowid or 0)


def listed(name: str, items: list[object]) -> tuple[str, dict[str, object]]:
    """SQL marks and values for ``in (...)``: SQLite binds no lists."""
    values = {f"{name}_{at}": item for at, item in enumerate(items)}
    return ", ".join(f":{key}" for key in values) or "null", values
