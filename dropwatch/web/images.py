"""What the page shows of OMERO: who somebody is, what they have, small pictures. It changes nothing there.

Each question is asked as the person whom it is for, and its answer is kept for that person alone. An OMERO that hangs
never hangs the page: after some seconds there is an error in words, and the question goes on without the visitor.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from dropwatch.errors import Unavailable
from dropwatch.importers.base import Account, Importer
from dropwatch.model import Tree
from dropwatch.web.errands import Errands
from dropwatch.web.pictures import Pictures, Sort
from dropwatch.web.shelf import Shelf

SECONDS = 8.0  #: that a visitor waits for OMERO, at most
KEPT = 60.0  #: seconds that accounts and containers are kept
_ANSWERS = 200  # accounts, and as many trees
_THREADS = 4  # for questions, and as many for pictures, which may have to be drawn first

T = TypeVar("T")


class Images:
    """Asks an importer, which is made when it is first needed. Safe for several threads and event loops.

    make    -- makes the importer
    clock   -- seconds that only ever grow
    seconds -- that anybody waits
    """

    def __init__(
        self, make: Callable[[], Importer], clock: Callable[[], float], *, seconds: float = SECONDS
    ) -> None:
        self._make, self._seconds = make, seconds
        self._making, self._lock = threading.Lock(), threading.RLock()
        self._importer: Importer | None = None
        self._closed = False
        self._questions, self._drawing = Errands("OMERO", _THREADS), Errands("OMERO", _THREADS)
        self._accounts: Shelf[Account] = Shelf(_ANSWERS, clock)
        self._trees: Shelf[Tree] = Shelf(_ANSWERS, clock)
        self._asked: dict[Hashable, Future[Any]] = {}
        self._pictures = Pictures(self._drawing, self._ask_for_pictures, clock)

    async def account(self, owner: str) -> Account:
        """Who *owner* is. Raises Unavailable, OperatorError (unknown, not active), ConfigError."""
        return await self._once(self._accounts, (owner,), lambda importer: importer.account(owner))

    async def containers(self, owner: str, group: str | None = None, *, fresh: bool = False) -> Tree:
        """What *owner* has in *group* (None: the default group); *fresh*: as it is now, not a minute ago.

        Raises as account() does, and PermanentError (not a member), TemporaryError.
        """
        key = owner, group
        if fresh:
            with self._lock:
                self._trees.drop(key)
        return await self._once(self._trees, key, lambda importer: importer.containers(owner, group))

    async def thumbnail(self, owner: str, id: int, size: int = 96, *, kind: str = "Image") -> bytes | None:
        """The JPEG picture of an image (or "Plate": *kind*), the longer side *size* pixels.

        None when there is none, or none that *owner* may see. Raises as containers() does.
        """
        return await self._drawing.answer(self._pictures.picture(Sort(owner, kind, size), id), self._seconds)

    async def thumbnails(
        self, owner: str, ids: Sequence[int], size: int = 96, *, kind: str = "Image"
    ) -> dict[int, bytes]:
        """Several of them, by their ids, those left out that there are not."""
        ids = list(dict.fromkeys(ids))
        found = await asyncio.gather(*(self.thumbnail(owner, id, size, kind=kind) for id in ids))
        return {id: picture for id, picture in zip(ids, found, strict=True) if picture is not None}

    def close(self) -> None:
        """End the importer's sessions. Never raises, and waits for no answer."""
        self._closed = True
        self._questions.close()
        self._drawing.close()
        # Not waited for: an importer that hangs while it is made or closed must not hold up the page's end.
        threading.Thread(target=self._close_importer, name="images-close", daemon=True).start()

    async def _once(self, shelf: Shelf[T], key: tuple[str | None, ...], ask: Callable[[Importer], T]) -> T:
        """The answer to *ask*, from *shelf* if it is there; however many visitors want it, it is asked once."""
        with self._lock:
            kept = shelf.get(key)
            if kept is not None:
                return kept[0]
            future: Future[T] | None = self._asked.get(key)
            if future is None:
                future = self._asked[key] = self._questions.send(partial(self._fill, shelf, key, ask))
                future.add_done_callback(partial(self._forget, key))
        return await self._questions.answer(future, self._seconds)

    def _fill(self, shelf: Shelf[T], key: Hashable, ask: Callable[[Importer], T]) -> T:
        answer = ask(self._importer_here())
        with self._lock:
            shelf.put(key, answer, KEPT)
        return answer

    def _forget(self, key: Hashable, _: object) -> None:
        with self._lock:
            self._asked.pop(key, None)

    def _ask_for_pictures(self, sort: Sort, ids: Sequence[int]) -> Mapping[int, bytes]:
        return self._importer_here().thumbnails(sort.owner, ids, sort.size, kind=sort.kind)

    def _importer_here(self) -> Importer:
        with self._making:
            if self._closed:
                raise Unavailable("The page is being stopped.", code="stopping")
            if self._importer is None:
                self._importer = self._make()
            return self._importer

    def _close_importer(self) -> None:
        with self._making:
            importer, self._importer = self._importer, None
        if importer is not None:
            importer.close()
