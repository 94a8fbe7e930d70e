"""Sends the bytes of a fileset to an OMERO import process, each byte read once, and proves what was sent.

Nothing is verified, and so nothing imported, before every file was read unchanged and every checksum that the
manifest lists was found right. Some files are sent at a time, as the Java client does with --parallel-upload
(omero-blitz ImportLibrary.java): each has an uploader of its own. A lost connection is made anew, and each
file goes on where the server has got to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import Ice

from dropwatch.errors import DropwatchError, Interrupted, TemporaryError
from dropwatch.importers import reading
from dropwatch.importers.omero_checksums import ALGORITHMS, Digest
from dropwatch.importers.omero_errors import WIRE
from dropwatch.importers.omero_line import Held, Line
from dropwatch.importers.omero_sending import BLOCK, Reporter, Sender, hashing_limit
from dropwatch.model import FileFact, Fileset

AT_ONCE = 4  #: files of one fileset that are sent at a time


class Upload:
    """The upload of *fileset*, which lies in *folder*, to *process* (ImportProcessPrx).

    algorithm -- of the checksums (omero_checksums)
    call_wait -- seconds that closing an uploader may take, on top of what hashing takes the server
    """

    def __init__(
        self,
        line: Line,
        process: Held,
        folder: str,
        fileset: Fileset,
        algorithm: str,
        reporter: Reporter,
        stopped: Callable[[], bool],
        call_wait: float,
    ) -> None:
        self._line = line
        self._process = process
        self._folder = folder
        self._fileset = fileset
        self._listed = dict(fileset.listed)
        self._algorithm = algorithm
        self._reporter = reporter
        self._stopped = stopped
        self._call_wait = call_wait
        self._lock = Lock()
        self._sent = 0
        self._failure: Exception | None = None

    def send(self) -> list[str]:
        """Upload all files; their checksums, in order.

        Raises TemporaryError (a file changed, its listed checksum differs for now), PermanentError (it
        differs for good, a link), OperatorError, Interrupted, and whatever OMERO throws.
        """
        files = range(len(self._fileset.files))
        if len(files) == 1:
            return [self._send_file(0)]
        with ThreadPoolExecutor(min(AT_ONCE, len(files)), "omero-upload") as pool:
            sent = [pool.submit(self._send_one_of_many, index) for index in files]
        if self._failure is not None:
            raise self._failure  # the first one; the others failed because of it
        return [each.result() for each in sent]

    def _send_one_of_many(self, index: int) -> str:
        try:
            self._go_on(0)
            return self._send_file(index)
        except Exception as error:
            # The outermost guard of a thread: whatever it is, the others must not go on for hours before it is told.
            with self._lock:
                self._failure = self._failure or error
            raise

    def _send_file(self, index: int) -> str:
        fact = self._fileset.files[index]
        with reading.opened(self._folder, fact) as descriptor:
            digest, listed = ALGORITHMS[self._algorithm](), hashlib.sha256()
            wanted = self._listed.get(fact.path)
            digests: list[Digest] = [digest] if wanted is None else [digest, listed]
            uploader = self._line.held(self._line.call(lambda: self._process.now().getUploader(index)))
            try:
                self._send_blocks(index, uploader, descriptor, fact, digests)
            except (*WIRE, DropwatchError, OSError):
                self._line.let_go(uploader)
                raise
            self._close(uploader, fact)
            reading.check_listed(descriptor, fact, wanted, listed.hexdigest())
        return digest.hexdigest()

    def _send_blocks(
        self, index: int, uploader: Held, descriptor: int, fact: FileFact, digests: list[Digest]
    ) -> None:
        if fact.size == 0:
            self._line.call(lambda: uploader.now().write(b"", 0, 0))  # makes the file
        sender = Sender(self._line, uploader, lambda begin, end: self._arrived(index, begin, end))
        offset = 0
        for block in reading.blocks(descriptor, fact, BLOCK):
            for digest in digests:
                digest.update(block)
            sender.send(block, offset)
            offset += len(block)
            self._go_on(len(block))
        sender.finish()

    def _go_on(self, sent: int) -> None:
        """So many bytes more were sent. Raises Interrupted when there is to be no more."""
        with self._lock:
            self._sent += sent
            if self._failure is not None or self._stopped():
                raise Interrupted(f"Stopped while {self._fileset.name} was being uploaded.")
            if sent:
                self._reporter.tell("upload", self._sent, self._fileset.bytes)

    def _arrived(self, index: int, begin: int, end: int) -> bool:
        offset = self._line.call(lambda: self._process.now().getUploadOffset(index))
        if offset not in (begin, end):
            raise TemporaryError(
                f"OMERO no longer has all that was sent of {self._fileset.files[index].path}.",
                detail=f"sent {begin} to {end}, the server is at {offset}",
                code="connection-lost",
            )
        return bool(offset == end)

    def _close(self, uploader: Held, fact: FileFact) -> None:
        """Close the uploader: that makes the server hash what it got."""
        limit, number = hashing_limit(self._call_wait, fact.size), self._line.number
        try:
            self._line.call(lambda: uploader.now().ice_invocationTimeout(limit).close())
        except Ice.ObjectNotExistException:
            if number == self._line.number:
                raise
            # It was closed, and the reply lost with the connection.
