"""Copies the files of a fileset and proves the copies, before any of them has a place that people see.

Each byte of a batch is read once. Then the copies are read back and compared with what was read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dropwatch.errors import Interrupted, TemporaryError
from dropwatch.importers import reading
from dropwatch.importers.folder_errors import at_the_archive
from dropwatch.model import FileFact, Fileset, Progress

_WRITE = (
    os.O_RDWR
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


@dataclass(frozen=True)
class Copying:
    """The copying of *fileset*, which lies in *folder*, into the folder *staging* of the archive *root*."""

    root: Path
    folder: str
    fileset: Fileset
    staging: Path
    progress: Callable[[Progress], None]
    stopped: Callable[[], bool]

    def copy(self) -> list[str]:
        """Copy all files, as 0, 1, 2 ..., and prove the copies; returns their sha256 (hex), in order.

        Raises what reading.opened() does, PermanentError (not the listed file), TemporaryError (a copy
        reads otherwise than what was written), OperatorError, Interrupted.
        """
        sums: list[str] = []
        done = 0
        for number, fact in enumerate(self.fileset.files):
            sums.append(self._copy_file(fact, self.staging / str(number), done))
            done += fact.size
        self._verify(sums)
        return sums

    # -- there -------------------------------------------------------------------------------------------

    def _copy_file(self, fact: FileFact, target: Path, done: int) -> str:
        digest = hashlib.sha256()
        with reading.opened(self.folder, fact) as source, self._writing(fact, target) as copy:
            for block in reading.blocks(source, fact):
                self._look_up("was being copied")
                digest.update(block)
                with self._guard(fact):
                    _write(copy, block)
                done += len(block)
                self.progress(Progress("upload", done, self.fileset.bytes))
            wanted = dict(self.fileset.listed).get(fact.path)
            reading.check_listed(source, fact, wanted, digest.hexdigest())
        return digest.hexdigest()

    @contextmanager
    def _writing(self, fact: FileFact, target: Path) -> Iterator[int]:
        """A new file; when the block ends well it is on the disk, with the time of the file it is a copy of."""
        with self._guard(fact):
            copy = os.open(target, _WRITE, 0o666)
        try:
            yield copy
            with self._guard(fact):
                os.utime(target, ns=(fact.mtime_ns, fact.mtime_ns))
                os.fsync(copy)
                _forget(copy)
        finally:
            os.close(copy)

    # -- and back ----------------------------------------------------------------------------------------

    def _verify(self, sums: list[str]) -> None:
        done = 0
        for number, (fact, wanted) in enumerate(zip(self.fileset.files, sums, strict=True)):
            digest = hashlib.sha256()
            for block in self._read_back(fact, self.staging / str(number)):
                digest.update(block)
                done += len(block)
                self.progress(Progress("server", done, self.fileset.bytes))
            if digest.hexdigest() != wanted:
                raise TemporaryError(
                    f"The copy of {fact.path} in the archive {self.root} reads otherwise than it was written.",
                    remedy="It was removed, and the copy is made again. If this comes back, the disk is failing.",
                    detail=f"sha256 written {wanted}, read {digest.hexdigest()}",
                    code="copy-differs",
                )

    def _read_back(self, fact: FileFact, copy: Path) -> Iterator[bytes]:
        with self._guard(fact):
            handle = os.open(copy, _READ)
        try:
            while True:
                self._look_up("was being verified")
                with self._guard(fact):
                    block = os.read(handle, reading.BLOCK)
                if not block:
                    return
                yield block
        finally:
            os.close(handle)

    def _look_up(self, doing: str) -> None:
        if self.stopped():
            raise Interrupted(f"Stopped while {self.fileset.name} {doing}.")

    def _guard(self, fact: FileFact) -> AbstractContextManager[None]:
        return at_the_archive(self.root, f"{fact.path} was being copied")


def _write(handle: int, block: bytes) -> None:
    """Write all of *block*: one call may take less."""
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(handle, rest) :]


if hasattr(os, "posix_fadvise"):

    def _forget(handle: int) -> None:
        """Let the system forget what it has in memory of a file that is on the disk by now (posix_fadvise(2)).

        So reading it back asks the disk, or the file server, and not the memory that was just written. What the
        disk or the server keeps in memory of its own, it may still answer from.
        """
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)

else:

    def _forget(handle: int) -> None:
        """Not to be had on Windows and macOS: there the copy may be read back from memory."""
