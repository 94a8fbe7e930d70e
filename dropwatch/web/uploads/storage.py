"""What tuspyserver keeps uploads with: our drafts, instead of a folder of its own.

tuspyserver speaks the protocol (tus 1.0). Its own storage keeps a whole request in memory, believes an offset that a
power cut may take back, and answers a full disk as if all were well; so receiving and remembering is done here, where
offsets are what is certainly on the disk. Whoever calls was let in before (routes.py).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from fastapi import HTTPException
from tuspyserver.storage import TusStorage

from dropwatch.errors import DropwatchError, Unavailable
from dropwatch.spool.staging import Staged
from dropwatch.web.errands import Errands
from dropwatch.web.uploads.draft import Draft
from dropwatch.web.uploads.receiving import BLOCK, Receiving
from dropwatch.web.uploads.room import Refused, disk_trouble
from dropwatch.web.uploads.uploads import Uploads

_THREADS = 8  #: that write to a disk; neither other disks nor the page's other threads must wait for these
_T = TypeVar("_T")


@dataclass
class _Flow:
    """What comes over one line: chunks that are collected to a block while the block before them is written."""

    chunks: list[bytes] = field(default_factory=list)
    size: int = 0
    writing: asyncio.Future[None] | None = None

    async def written(self) -> None:
        """Wait for the block that is being written. Raises HTTPException, once, where that failed."""
        writing, self.writing = self.writing, None
        if writing is not None:
            await writing


class Storage(TusStorage):
    """The files of *uploads*, by their ids."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads
        self._threads: dict[Path | None, Errands] = {}
        self._flows: dict[str, _Flow] = defaultdict(_Flow)
        self._locks: dict[str, asyncio.Lock] = {}

    async def do(self, spool: Path | None, work: Callable[..., _T], *args: Any) -> _T:
        """Let a thread do *work* in *spool*; None: who asks, and where it belongs, is to be found out. It takes as long
        as it takes: whoever sends a file waits for its disk. Raises Unavailable when that has not answered for long."""
        threads = self._threads.setdefault(spool, Errands(str(spool or "A disk"), _THREADS))
        return await asyncio.wrap_future(threads.send(partial(work, *args)))

    # -- bytes ---------------------------------------------------------------------------------------

    async def append(self, uid: str, chunk: bytes) -> None:
        flow = self._flows[uid]
        flow.chunks.append(chunk)
        flow.size += len(chunk)
        if flow.size >= BLOCK:
            await self._write(uid, flow)

    async def flush(self, uid: str) -> None:
        flow = self._flows[uid]
        await self._write(uid, flow)
        await flow.written()
        await self._told(uid, self._receiving(uid).pause)

    async def _write(self, uid: str, flow: _Flow) -> None:
        """Begin to write what was collected, once what was collected before it is written."""
        await flow.written()
        chunks, flow.chunks, flow.size = flow.chunks, [], 0
        if chunks:
            receiving = self._receiving(uid)
            flow.writing = asyncio.ensure_future(self._told(uid, receiving.write, *chunks))

    async def _told(self, uid: str, work: Callable[..., None], *args: Any) -> None:
        """Let a thread do *work*; what goes wrong is said in the words of HTTP, as tuspyserver swallows all else."""
        try:
            with disk_trouble():
                await self.do(self._draft(uid).staging.spool, work, *args)
        except DropwatchError as err:
            raise as_http(err) from err

    def _receiving(self, uid: str) -> Receiving:
        try:
            return self._draft(uid).receiving(uid)
        except Refused as err:
            raise as_http(err) from err

    @asynccontextmanager
    async def lock(self, uid: str) -> AsyncIterator[None]:  # type: ignore[override]
        """One writer at a time. However it ends, no bytes of it are left for the next."""
        async with self._locks.setdefault(uid, asyncio.Lock()):
            try:
                yield
            finally:
                flow = self._flows.pop(uid, _Flow())
                with suppress(HTTPException):  # said already, or to be met again by the next
                    await flow.written()
                with suppress(HTTPException):  # it is gone meanwhile
                    await self._told(uid, self._receiving(uid).pause)
                staged = self._staged(uid)
                if staged is None or staged.whole:
                    self._locks.pop(uid, None)

    # -- facts ---------------------------------------------------------------------------------------

    async def exists(self, uid: str) -> bool:
        return self._staged(uid) is not None

    async def size(self, uid: str) -> int:
        staged = self._staged(uid)
        return staged.received if staged else 0

    async def read_info(self, uid: str) -> dict[str, Any] | None:
        staged = self._staged(uid)
        if staged is None:
            return None
        return {
            "metadata": {"filename": staged.path, "filetype": "application/octet-stream"},
            "size": staged.size,
            "offset": staged.received,
            "created_at": "",
            "expires": None,
        }

    async def delete(self, uid: str) -> None:
        draft = self._draft(uid)
        await self._told(uid, draft.remove, uid)

    def location(self, uid: str) -> str:
        return uid

    def _draft(self, uid: str) -> Draft:
        draft = self._uploads.known(uid)
        if draft is None:
            raise HTTPException(404, "There is no such upload.")
        return draft

    def _staged(self, uid: str) -> Staged | None:
        with suppress(Refused, HTTPException):
            return self._draft(uid).file(uid)
        return None

    # -- what is ours alone to decide ----------------------------------------------------------------

    async def create(self, uid: str) -> None:
        raise HTTPException(404, "There is no such upload.")  # routes.py has made it, or there is none

    async def write_info(self, uid: str, data: dict[str, Any]) -> None:
        """The offset is what the disk has, whatever the request made of it."""

    async def finalize(self, uid: str) -> None:
        """A file is whole when its last byte is on the disk."""

    async def read(self, uid: str) -> bytes | None:
        return None

    async def list_uids(self) -> list[str]:
        return []


def as_http(error: DropwatchError) -> HTTPException:
    """*error* as HTTP says it."""
    return HTTPException(status_of(error), {"detail": error.message, "remedy": error.remedy})


def status_of(error: DropwatchError) -> int:
    """The HTTP status of *error*."""
    return error.status if isinstance(error, Refused) else 503 if isinstance(error, Unavailable) else 422
