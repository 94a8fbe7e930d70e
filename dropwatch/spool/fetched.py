"""The copies that were fetched for a batch: where they lie in its envelope, and which of them are whole.

They are ours, and may go: the originals stay in their place. A file gets its name here when it is whole and on the
disk. A journal beside them says of which file each is the copy; what a crash takes from it is fetched again.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from dropwatch.durable_memory import Folder, inside
from dropwatch.model import FileFact, Wanted
from dropwatch.spool.folders import MEMORY

FETCHED = "fetched"  #: in MEMORY; what a batch without `from` has not
_FILES, _JOURNAL, _PART = "files", "copies.jsonl", ".dropwatch.part"
_LARGEST = 256 * 2**20  #: bytes of a journal; a million files


@dataclass(frozen=True)
class Copies:
    """The copies in the envelope *envelope*. Who writes holds its lock."""

    envelope: Path

    @property
    def memory(self) -> Path:
        """The folder of what we know of them."""
        return self.envelope / MEMORY / FETCHED

    @property
    def folder(self) -> Path:
        """The folder that their paths start at."""
        return self.memory / _FILES

    def exist(self) -> bool:
        """Whether anything was fetched."""
        return self.memory.is_dir() and not self.memory.is_symlink()

    def ensure(self) -> None:
        """Make their folder."""
        with inside(self.envelope / MEMORY, FETCHED, make=True) as memory:
            memory.make(_FILES)

    # -- the journal -----------------------------------------------------------------------------------

    def journal(self) -> Journal:
        """What is known of them; nothing where that cannot be read."""
        try:
            with inside(self.memory) as memory:
                data = memory.read(_JOURNAL, _LARGEST)
        except OSError:
            return Journal({}, {}, None)
        return _read(data)

    def note(self, *lines: Mapping[str, object]) -> None:
        """Append to the journal. Not synced: what is lost is fetched again."""
        data = "".join(f"\n{json.dumps(line)}\n" for line in lines).encode("ascii")
        with (
            inside(self.memory) as memory,
            os.fdopen(memory.append_to(_JOURNAL), "r+b") as file,
        ):
            file.seek(0, os.SEEK_END)
            file.write(data)

    def begin(self, known: Iterable[FileFact]) -> None:
        """Write the journal anew: only *known* copies are there, and they are not all."""
        data = "".join(f"{json.dumps(_plain(file))}\n" for file in known).encode("ascii")
        with inside(self.memory) as memory:
            memory.put(_JOURNAL, data)

    def finish(self, wanted: Wanted, refused: Mapping[str, str]) -> None:
        """Everything of *wanted* is there. *refused*: by path, what could not be fetched whatever the attempt."""
        self._sync()
        self.note(*({"refused": path, "what": what} for path, what in refused.items()))
        self.note({"whole": [wanted.place, *wanted.paths]})

    # -- files -----------------------------------------------------------------------------------------

    def holds(self, file: FileFact) -> bool:
        """Whether there is a regular file of that path, size and time."""
        above, _, name = file.path.rpartition("/")
        try:
            with inside(self.folder / above if above else self.folder) as folder:
                info = folder.look(name)
        except OSError:
            return False
        return stat.S_ISREG(info.st_mode) and (info.st_size, info.st_mtime_ns) == (file.size, file.mtime_ns)

    @contextmanager
    def making(self, file: FileFact) -> Iterator[BinaryIO]:
        """A new file, to write and read. When the block ends well it is on the disk and gets its time and its name;
        else nothing is left of it. Raises OSError (FileExistsError: another one has the name)."""
        above, _, name = file.path.rpartition("/")
        with self._in(above) as folder:
            handle = folder.new(_PART)
            try:
                with os.fdopen(handle, "r+b", buffering=0) as copy:
                    yield copy
                    if os.utime in os.supports_fd:
                        os.utime(copy.fileno(), ns=(file.mtime_ns, file.mtime_ns))
                    os.fsync(copy.fileno())
                self._commit(folder, name, file)
            except BaseException:
                with suppress(OSError):
                    folder.put_aside(_PART)
                raise
        self.note(_plain(file))

    def _commit(self, folder: Folder, name: str, file: FileFact) -> None:
        if os.utime not in os.supports_fd:  # Windows: closing it would set the time anew
            folder.set_time(_PART, file.mtime_ns)
        # Where capitals do not count, the name may be that of another file of the batch.
        with suppress(FileNotFoundError):
            folder.look(name)
            raise FileExistsError(name)
        folder.rename(_PART, name)

    @contextmanager
    def _in(self, path: str) -> Iterator[Folder]:
        """The folder *path* below ours, made step by step."""
        here = self.folder
        for step in path.split("/") if path else ():
            with inside(here, step, make=True):
                here /= step
        with inside(here) as folder:
            yield folder

    def clear_out(self, keep: Iterable[str]) -> None:
        """Remove whatever is not one of the copies *keep*: what was replaced, and what a crash left half done."""
        wanted = set(keep)
        folders = {path[:at] for path in wanted for at, letter in enumerate(path) if letter == "/"}
        _clear(self.folder, "", wanted, folders)

    def _sync(self) -> None:
        """Make the names durable: what is called whole must outlast a power cut."""
        for top, _, _ in os.walk(self.folder):
            with inside(Path(top)) as folder:
                folder.sync()

    def remove(self) -> None:
        """Remove them all. Raises OSError."""
        if self.exist():
            shutil.rmtree(self.memory)  # it follows no link, also none that is put there meanwhile


def _clear(top: Path, prefix: str, wanted: set[str], folders: set[str]) -> None:
    with os.scandir(top) as entries:
        found = list(entries)
    for entry in found:
        path = prefix + entry.name
        if entry.is_dir(follow_symlinks=False):
            if path in folders:
                _clear(Path(entry.path), path + "/", wanted, folders)
            else:
                shutil.rmtree(entry.path)
        elif path not in wanted:
            Path(entry.path).unlink()


# -- reading the journal ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Journal:
    """files   -- by path: of which file each is the copy
    refused -- by path: what could not be fetched, and why
    whole   -- the place and the paths of which this is everything; None: something is missing
    """

    files: dict[str, FileFact]
    refused: dict[str, str]
    whole: Wanted | None

    def is_all_of(self, wanted: Wanted) -> bool:
        return self.whole == wanted


def _read(data: bytes) -> Journal:
    files: dict[str, FileFact] = {}
    refused: dict[str, str] = {}
    whole: Wanted | None = None
    for raw in data.splitlines():
        match _line(raw):
            case {"copy": str(path), "size": int(size), "mtime": int(mtime)}:
                files[path] = FileFact(path, size, mtime)
            case {"refused": str(path), "what": str(what)}:
                refused[path] = what
            case {"whole": [str(place), *paths]} if all(isinstance(path, str) for path in paths):
                whole = Wanted(place, tuple(paths))
    return Journal(files, refused, whole)


def _line(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None  # torn by a crash


def _plain(file: FileFact) -> dict[str, object]:
    return {"copy": file.path, "size": file.size, "mtime": file.mtime_ns}
