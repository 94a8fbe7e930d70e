"""A draft while the page runs: its files by id, their names, and who is writing into it. It blocks; use threads."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from dropwatch.errors import PermanentError
from dropwatch.model import ListedFile
from dropwatch.spool.staging import Dropped, Staged, Staging
from dropwatch.spool.submit import Wishes, submit_staged
from dropwatch.spool.upload_names import NotAllowed, Taken, check, top_folder
from dropwatch.web.uploads.receiving import Receiving, digest_of
from dropwatch.web.uploads.room import MOST_FILES, Refused

_NAMED = 5  #: files in one error text


@dataclass
class Draft:
    """The draft that lies in *staging*. Several threads may use it.

    tell -- is told whenever more of a file is certain; raises to stop

    Two locks: _lock for what is known here, never held while the disk works, so that whoever only asks never waits;
    and _ending for what takes files away. A thread that receives holds its file's own lock when it comes for _lock.
    """

    staging: Staging
    tell: Callable[[Staging], None]
    _files: dict[str, Staged] = field(default_factory=dict)
    _by_path: dict[str, str] = field(default_factory=dict)
    _coming: dict[str, Receiving] = field(default_factory=dict)
    _taken: Taken = field(default_factory=Taken)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _ending: threading.Lock = field(default_factory=threading.Lock)
    _closed: bool = False
    _size: int = 0
    _received: int = 0

    @classmethod
    def load(cls, staging: Staging, tell: Callable[[Staging], None]) -> Draft:
        """As it lies on the disk."""
        made = cls(staging, tell, _closed=staging.dropped() is not None)
        if made._closed:
            return made
        staging.will_not_drop()  # what died before its rename may become something else
        for staged in staging.load():
            made._taken.add(staged.path)
            made._put(staged)
        return made

    @property
    def id(self) -> str:
        return self.staging.draft

    def files(self) -> list[Staged]:
        """Its files, by path. What they received is what is certain."""
        with self._lock:
            return sorted(self._files.values(), key=lambda staged: staged.path)

    def count(self) -> int:
        """How many files it has."""
        with self._lock:
            return len(self._files)

    def size(self) -> int:
        """Bytes that its files will have."""
        with self._lock:
            return self._size

    def awaited(self) -> int:
        """Bytes that are still to come."""
        with self._lock:
            return self._size - self._received

    def file(self, id_: str) -> Staged:
        """Raises Refused (404)."""
        with self._lock:
            if id_ not in self._files:
                raise Refused(404, "There is no such upload.", remedy="Add the file again.")
            return self._files[id_]

    # -- coming and going ----------------------------------------------------------------------------

    def known(self, path: str, size: int, modified: int) -> Staged | None:
        """The file *path*, where it is expected already: an answer may have been lost."""
        with self._lock:
            staged = self._files.get(self._by_path.get(path, ""))
        alike = staged is not None and (staged.size, staged.modified) == (size, modified)
        return staged if alike else None

    def expect(self, path: str, size: int, modified: int) -> Staged:
        """Count the file *path* in; it is to be written down next. Raises NotAllowed (its name), Refused."""
        with self._lock:
            self._check_open()
            if len(self._files) >= MOST_FILES:
                raise Refused(
                    413, f"One batch can have {MOST_FILES:,} files.", remedy="Make several batches."
                )
            if path in self._by_path:
                raise NotAllowed(
                    f"{path} is here already, and of another size or date.",
                    remedy="Take it out, then add it again.",
                )
            self._taken.add(check(path))
            staged = Staged(f"{self.id}{secrets.token_hex(8)}", path, size, modified)
            self._put(staged)
            return staged

    def write_down(self, staged: Staged) -> None:
        """Have a note of *staged* on the disk, before any of it is. Raises OSError."""
        try:
            self.staging.note(staged)
        except OSError:
            with self._lock:
                self._taken.free(staged.path)
                self._take(staged.id)
            raise
        if staged.size == 0:  # nothing comes of it
            self.staging.make_empty(staged)

    def receiving(self, id_: str) -> Receiving:
        """What takes the rest of a file. One at a time may use it: storage.py sees to that."""
        with self._lock:
            self._check_open()
            staged = self.file(id_)
            if id_ not in self._coming:
                self._coming[id_] = Receiving(self.staging, staged, self._certain)
            return self._coming[id_]

    def _certain(self, staged: Staged) -> None:
        with self._lock:
            self._put(staged)
            if staged.whole:
                self._coming.pop(staged.id, None)
        self.tell(self.staging)

    def remove(self, id_: str) -> None:
        """Take a file out. Raises Refused, OSError."""
        with self._ending:
            with self._lock:
                self._check_open()
                staged = self.file(id_)
                coming = self._coming.pop(id_, None)
                self._take(id_)  # first, so that nothing of it comes any more
            if coming is not None:
                coming.end()
            try:
                self.staging.remove(staged)
            except OSError:
                with self._lock:
                    self._put(staged)
                raise
            with self._lock:
                self._taken.free(staged.path)

    def _put(self, staged: Staged) -> None:
        self._take(staged.id)
        self._files[staged.id] = staged
        self._by_path[staged.path] = staged.id
        self._size += staged.size
        self._received += staged.received

    def _take(self, id_: str) -> None:
        staged = self._files.pop(id_, None)
        if staged is not None:
            del self._by_path[staged.path]
            self._size -= staged.size
            self._received -= staged.received

    def discard(self) -> None:
        """Take all of it away."""
        with self._ending:
            with self._lock:
                self._closed = True
                coming = list(self._coming.values())
            for receiving in coming:
                receiving.end()
            self.staging.discard()

    def _check_open(self) -> None:
        if self._closed:
            raise Refused(409, "This batch was submitted.", remedy="Make a new one for more files.")

    # -- its end -------------------------------------------------------------------------------------

    def submit(self, wishes: Wishes) -> Path:
        """Drop it into the inbox. However often this is asked for, and whatever died in between, it is dropped once;
        the answer is always where it was dropped. Raises as spool.submit() does, and PermanentError for lack of
        files."""
        with self._ending:
            dropped = self.staging.dropped()
            if dropped is None:
                with self._lock:
                    files = self.files()
                    _check_whole(files)
                    self._closed = True
                try:
                    self._drop(files, wishes)
                except BaseException:
                    self._closed = self.staging.dropped() is not None
                    if not self._closed:
                        self.staging.will_not_drop()
                    raise
                dropped = self.staging.dropped()
            assert dropped is not None, "what was dropped is known"
            self.staging.forget()
            self._forget()
            return self.staging.spool / self.staging.user / "inbox" / dropped.name

    def _forget(self) -> None:
        with self._lock:
            for id_ in list(self._files):
                self._take(id_)
            self._coming.clear()
            self._taken = Taken()

    def _drop(self, files: list[Staged], wishes: Wishes) -> None:
        top = top_folder([staged.path for staged in files])
        below = f"{top}/" if top else ""
        for staged in files:
            if staged.size == 0 and self.staging.size(staged) is None:
                # Whatever died between its note and its first sync: of nothing, nothing is missing.
                self.staging.make_empty(staged)
        listed = [
            ListedFile(staged.path.removeprefix(below), staged.size, self._digest(staged)) for staged in files
        ]
        name = wishes.name or top or Path(files[0].path).stem
        submit_staged(
            self.staging.files / top,
            listed,
            replace(wishes, name=name),
            spool=self.staging.spool,
            user=self.staging.user,
            intend=lambda called: self.staging.will_drop(Dropped(called, top)),
        )

    def _digest(self, staged: Staged) -> str:
        if self.staging.size(staged) != staged.size:
            raise PermanentError(
                f"{staged.path} is not whole on the server's disk any more.",
                remedy="Take it out, then upload it again.",
            )
        return staged.sha256 or digest_of(self.staging, staged)


def _check_whole(files: list[Staged]) -> None:
    if not files:
        raise PermanentError("Nothing was uploaded yet.", remedy="Add files first.")
    lacking = [staged.path for staged in files if not staged.whole]
    if lacking:
        more = f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
        raise PermanentError(
            f"These are not uploaded yet: {', '.join(lacking[:_NAMED])}{more}.",
            remedy="Wait for them, or take them out.",
        )
