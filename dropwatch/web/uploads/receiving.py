"""One file on its way in. What it says it has is on the disk, also when power fails at this moment.

Bytes are written block by block, and from time to time synced; only then the note (spool/staging.py) says so.
After a crash the file is cut back to what its note says. It blocks: callers use threads.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from dropwatch.durable import fsync_directory
from dropwatch.spool.staging import Staged, Staging
from dropwatch.web.uploads.room import Refused

BLOCK = (
    2**20
)  #: bytes in memory for each file that is coming in, twice: one block is collected, one is written
MARK = 64 * 2**20  #: bytes between two syncs: what a crash takes at most


class Receiving:
    """Takes the rest of *staged*.

    tell  -- is told of it whenever more of it is certain; raises to stop
    sync  -- puts what was written to a descriptor on the disk; mark -- bytes between two of these
    """

    def __init__(
        self,
        staging: Staging,
        staged: Staged,
        tell: Callable[[Staged], None],
        *,
        sync: Callable[[int], None] = os.fsync,
        mark: int = MARK,
    ) -> None:
        self._staging, self._tell, self._sync, self._mark_at = staging, tell, sync, mark
        self.staged = staged
        self._handle = -1
        self._written = staged.received
        # The digest goes on over lost lines. After a restart nobody has it; then it is computed from the disk.
        self._digest = hashlib.sha256() if staged.received == 0 else None
        self._over = False
        self._lock = threading.RLock()

    def write(self, *chunks: bytes) -> None:
        """Write *chunks*. Raises OSError, Refused (410, after end()), and what *tell* raises."""
        with self._lock:
            for chunk in chunks:
                self._write(chunk)

    def _write(self, chunk: bytes) -> None:
        if self._over:
            raise Refused(410, "This file was taken out.", remedy="Add it again.")
        if self._handle < 0:
            self._handle = self._staging.open(self.staged)
            self._rewind()
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(self._handle, rest) :]
        if self._digest is not None:
            self._digest.update(chunk)
        self._written += len(chunk)
        if self._written - self.staged.received >= self._mark_at:
            self._mark()

    def pause(self) -> None:
        """Make sure of what was written, and close the file: the line ended, well or not."""
        with self._lock:
            try:
                if self._handle >= 0 and self._written > self.staged.received:
                    self._mark()
            finally:
                self.close()

    def close(self) -> None:
        """Let go of the file; what was not made sure of is forgotten."""
        with self._lock:
            handle, self._handle = self._handle, -1
            if handle >= 0:
                with suppress(OSError):
                    os.close(handle)

    def end(self) -> None:
        """Take nothing more, ever: the file goes."""
        with self._lock:
            self._over = True
            self.close()

    def _rewind(self) -> None:
        """Forget what was written and is not certain: the file was cut back to what is."""
        if self._written != self.staged.received:
            self._written, self._digest = self.staged.received, None

    def _mark(self) -> None:
        whole = self._written == self.staged.size
        if whole:
            self._staging.set_time(self.staged)
        self._sync(self._handle)
        if whole:
            fsync_directory(self._staging.place(self.staged).parent)
        digest = self._digest.hexdigest() if self._digest is not None and whole else None
        staged = replace(self.staged, received=self._written, sha256=digest)
        self._staging.note(staged)
        self.staged = staged
        self._tell(staged)


def digest_of(staging: Staging, staged: Staged) -> str:
    """The SHA-256 of a whole file, from the disk."""
    with staging.place(staged).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
