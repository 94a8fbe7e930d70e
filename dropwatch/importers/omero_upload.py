"""Sends the bytes of a fileset to an OMERO import process, each byte read once, and proves what was sent.

Nothing is verified, and so nothing imported, before every file was read unchanged and every checksum that the
manifest lists was found right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from dropwatch.errors import DropwatchError, Interrupted
from dropwatch.importers import reading
from dropwatch.importers.omero_checksums import ALGORITHMS, Digest
from dropwatch.importers.omero_errors import WIRE
from dropwatch.importers.omero_sending import Reporter, hashing_limit
from dropwatch.model import FileFact, Fileset


class Upload:
    """The upload of *fileset*, which lies in *folder*, by the checksum *algorithm* (omero_checksums)."""

    def __init__(
        self, folder: str, fileset: Fileset, algorithm: str, reporter: Reporter, stopped: Callable[[], bool]
    ) -> None:
        self._folder = folder
        self._fileset = fileset
        self._listed = dict(fileset.listed)
        self._algorithm = algorithm
        self._reporter = reporter
        self._stopped = stopped
        self._sent = 0

    def send(self, process: Any, call_wait: float) -> list[str]:
        """Upload all files through *process* (ImportProcessPrx); their checksums, in order.

        call_wait -- seconds that closing an uploader may take, on top of what hashing takes the server.
        Raises TemporaryError (a file changed, its listed checksum differs for now), PermanentError (it
        differs for good, a link), OperatorError, Interrupted, and whatever OMERO throws.
        """
        return [self._send_file(process, index, call_wait) for index in range(len(self._fileset.files))]

    def _send_file(self, process: Any, index: int, call_wait: float) -> str:
        fact = self._fileset.files[index]
        with reading.opened(self._folder, fact) as descriptor:
            digest, listed = ALGORITHMS[self._algorithm](), hashlib.sha256()
            wanted = self._listed.get(fact.path)
            digests: list[Digest] = [digest] if wanted is None else [digest, listed]
            uploader = process.getUploader(index)
            try:
                self._send_blocks(uploader, descriptor, fact, digests)
            except (*WIRE, DropwatchError, OSError):
                with suppress(*WIRE):
                    uploader.close()
                raise
            # Closing makes the server hash what it got.
            uploader.ice_invocationTimeout(hashing_limit(call_wait, fact.size)).close()
            if wanted is not None and listed.hexdigest() != wanted.lower():
                raise reading.not_as_listed(descriptor, fact, wanted, listed.hexdigest())
        return digest.hexdigest()

    def _send_blocks(self, uploader: Any, descriptor: int, fact: FileFact, digests: list[Digest]) -> None:
        if fact.size == 0:
            uploader.write(b"", 0, 0)  # makes the file
        offset = 0
        for block in reading.blocks(descriptor, fact):
            if self._stopped():
                raise Interrupted(f"Stopped while {self._fileset.name} was being uploaded.")
            for digest in digests:
                digest.update(block)
            uploader.write(block, offset, len(block))
            offset += len(block)
            self._sent += len(block)
            self._reporter.tell("upload", self._sent, self._fileset.bytes)
