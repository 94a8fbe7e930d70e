"""The copies that were fetched for a batch: where they lie in its envelope, and which of them are whole.

They are ours, and may go: the originals stay in their place. A file gets its name here when it is whole and on the
disk. A journal beside them says of which file each is the copy, and of a large one how much of it is on the disk
already; what a crash takes from it is fetched again.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from dropwatch.durable_memory import Folder, inside
from dropwatch.model import FileFact, Wanted
from dropwatch.spool.folders import MEMORY

FETCHED = "fetched"  #: in MEMORY; what a batch without `from` has not
_FILES, _JOURNAL, _PART = "files", "copies.jsonl", ".dropwatch.part"
_COARSEST = 2 * 10**9  #: nanoseconds; what FAT takes from a time at most (SMB 99, HFS+ a second)
_LARGEST = 256 * 2**20  #: bytes of a journal; a million files


@dataclass(frozen=True)
class Begun:
    """A copy of *file* that is not whole: its first *size* bytes are on the disk, and have this *sha256* in hex."""

    file: FileFact
    size: int
    sha256: str


@dataclass
class Making:
    """A copy in the making: *file*, to write and read, and the first *certain* bytes of it that are on the disk."""

    file: BinaryIO
    certain: int = 0


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
            return Journal({}, {}, {}, None)
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

    def begin(self, known: Iterable[FileFact], begun: Iterable[Begun]) -> None:
        """Write the journal anew: only *known* copies are there, and they are not all; others are *begun*."""
        lines = (*map(_plain, known), *map(_plain_begun, begun))
        data = "".join(f"{json.dumps(line)}\n" for line in lines).encode("ascii")
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
        return stat.S_ISREG(info.st_mode) and is_copy(info.st_size, info.st_mtime_ns, file)

    def holds_part(self, begun: Begun) -> bool:
        """Whether there is a regular file, of ours alone, that may begin as *begun* says."""
        try:
            with inside((self.folder / begun.file.path).parent) as folder:
                info = folder.look(_PART)
        except OSError:
            return False
        return stat.S_ISREG(info.st_mode) and info.st_nlink == 1 and info.st_size >= begun.size

    @contextmanager
    def making(
        self, file: FileFact, begun: Begun | None, goes_on: Callable[[BaseException], bool]
    ) -> Iterator[Making]:
        """The copy of *file*: a new one, or what was *begun* and is held. When the block ends well it is on the disk
        and gets its time and its name. Else nothing is left of it, unless some of it is certain and it *goes_on*
        after what was raised. Raises OSError (FileExistsError: another one has the name)."""
        above, _, name = file.path.rpartition("/")
        with self._in(above) as folder:
            handle = folder.open(_PART, os.O_RDWR) if begun else folder.new(_PART)
            making = Making(os.fdopen(handle, "r+b", buffering=0), begun.size if begun else 0)
            try:
                with making.file as copy:
                    yield making
                    if os.utime in os.supports_fd:
                        os.utime(copy.fileno(), ns=(file.mtime_ns, file.mtime_ns))
                    os.fsync(copy.fileno())
                self._commit(folder, name, file)
            except BaseException as err:
                if not (making.certain and goes_on(err)):
                    with suppress(OSError):
                        folder.put_aside(_PART)
                raise
        self.note(_plain(file))

    def give_up(self, file: FileFact) -> None:
        """Remove what there is of a copy of *file* that is not whole."""
        above, _, _ = file.path.rpartition("/")
        with self._in(above) as folder:
            folder.put_aside(_PART)

    def mark(self, making: Making, begun: Begun) -> None:
        """What was written of *making* is as *begun* says. Have it on the disk, and then in the journal."""
        os.fsync(making.file.fileno())
        self.note(_plain_begun(begun))
        making.certain = begun.size

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

    def clear_out(self, keep: Iterable[str], begun: Iterable[Begun]) -> None:
        """Remove whatever is not one of the copies *keep* or *begun*: what was replaced, and what a crash left half
        done."""
        wanted = {*keep, *(one.file.path.rpartition("/")[0] + "/" + _PART for one in begun)}
        wanted = {path.removeprefix("/") for path in wanted}
        folders = {path[:at] for path in wanted for at, letter in enumerate(path) if letter == "/"}
        _clear(self.folder, "", wanted, folders)

    def _sync(self) -> None:
        """Make the names durable: what is called whole must outlast a power cut."""
        for top, _, _ in os.walk(self.folder):
            with inside(Path(top)) as folder:
                folder.sync()

    def remove(self) -> None:
        """Remove them all. Raises OSError."""
        with suppress(FileNotFoundError), inside(self.memory.parent) as folder:
            folder.remove(self.memory.name)


def is_copy(size: int, mtime_ns: int, file: FileFact) -> bool:
    """Whether what has this size and time can be the copy of *file*: not every file system keeps all of a time."""
    return size == file.size and abs(mtime_ns - file.mtime_ns) < _COARSEST


def _clear(top: Path, prefix: str, wanted: set[str], folders: set[str]) -> None:
    """Each folder is opened step by step: somebody may put a link in its place while we are at it."""
    with inside(top) as folder:
        for name, is_folder in folder.names():
            path = prefix + name
            if is_folder and path in folders:
                _clear(top / name, path + "/", wanted, folders)
            elif is_folder or path not in wanted:
                folder.remove(name)


# -- reading the journal ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Journal:
    """files   -- by path: of which file each is the copy
    begun   -- by path: what is there of a copy that is not whole
    refused -- by path: what could not be fetched, and why
    whole   -- the place and the paths of which this is everything; None: something is missing
    """

    files: dict[str, FileFact]
    begun: dict[str, Begun]
    refused: dict[str, str]
    whole: Wanted | None

    def is_all_of(self, wanted: Wanted) -> bool:
        return self.whole == wanted


def _read(data: bytes) -> Journal:
    files: dict[str, FileFact] = {}
    begun: dict[str, Begun] = {}
    refused: dict[str, str] = {}
    whole: Wanted | None = None
    for raw in data.splitlines():
        match _line(raw):
            case {"copy": str(path), "size": int(size), "mtime": int(mtime)}:
                files[path] = FileFact(path, size, mtime)
            case {
                "part": str(path),
                "size": int(size),
                "mtime": int(mtime),
                "bytes": int(done),
                "sha256": str(sha),
            }:
                begun[path] = Begun(FileFact(path, size, mtime), done, sha)
            case {"refused": str(path), "what": str(what)}:
                refused[path] = what
            case {"whole": [str(place), *paths]} if all(isinstance(path, str) for path in paths):
                whole = Wanted(place, tuple(paths))
    return Journal(files, begun, refused, whole)


def _line(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None  # torn by a crash


def _plain(file: FileFact) -> dict[str, object]:
    return {"copy": file.path, "size": file.size, "mtime": file.mtime_ns}


def _plain_begun(begun: Begun) -> dict[str, object]:
    file = begun.file
    return {
        "part": file.path,
        "size": file.size,
        "mtime": file.mtime_ns,
        "bytes": begun.size,
        "sha256": begun.sha256,
    }
