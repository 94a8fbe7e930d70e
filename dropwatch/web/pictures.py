"""Small pictures, each asked for once and kept for the person who asked. What is wanted at the same time is asked for
together: a page with a hundred pictures costs OMERO a few questions."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from dropwatch.web.errands import Errands
from dropwatch.web.shelf import Shelf

ROOM = 64 * 2**20  #: bytes of pictures that are kept
_KEPT = 600.0  # seconds: a picture changes seldom, and so does who may see it
_MISSED = 60.0  # seconds after which a picture that was not there is asked for again
_NOTHING = 100  # bytes that it takes to know that there is none
_TOGETHER = 40  # pictures in one question


@dataclass(frozen=True)
class Sort:
    """Pictures for *owner* of images (or plates: *kind*), the longer side *size* pixels."""

    owner: str
    kind: str
    size: int


Ask = Callable[[Sort, Sequence[int]], Mapping[int, bytes]]
_Wanted = dict[int, "Future[bytes | None]"]


class Pictures:
    """ask -- gets pictures by their ids, in a thread of *errands*; clock -- seconds that only ever grow"""

    def __init__(self, errands: Errands, ask: Ask, clock: Callable[[], float]) -> None:
        self._errands, self._ask = errands, ask
        self._lock = threading.RLock()
        self._kept: Shelf[bytes | None] = Shelf(ROOM, clock)
        self._wanted: defaultdict[Sort, _Wanted] = defaultdict(dict)  # whatever has no answer yet
        self._line: defaultdict[Sort, list[int]] = defaultdict(list)  # of these, what nobody asks for yet

    @property
    def taken(self) -> int:
        """Bytes of all that is kept."""
        return self._kept.taken

    def picture(self, sort: Sort, id: int) -> Future[bytes | None]:
        """The picture of *id*; None when there is none for the owner to see."""
        with self._lock:
            kept = self._kept.get((sort, id))
            if kept is not None:
                answered: Future[bytes | None] = Future()
                answered.set_result(kept[0])
                return answered
            future = self._wanted[sort].get(id)
            if future is None:
                future = self._wanted[sort][id] = Future()
                self._line[sort].append(id)
                if len(self._line[sort]) == 1:
                    self._send(sort)
            return future

    def _send(self, sort: Sort) -> None:
        """Have somebody ask for what stands in line."""
        self._errands.send(partial(self._fetch, sort)).add_done_callback(partial(self._sent, sort))

    def _sent(self, sort: Sort, done: Future[None]) -> None:
        error = done.exception()
        if error is not None:  # it never began: too many wait, or the page is being stopped
            with self._lock:
                self._answer(sort, self._line.pop(sort, []), error)

    def _fetch(self, sort: Sort) -> None:
        with self._lock:
            ids, rest = self._line[sort][:_TOGETHER], self._line[sort][_TOGETHER:]
            self._line[sort] = rest
            if rest:
                self._send(sort)
        try:
            found = self._ask(sort, ids)
        except BaseException as error:  # outermost guard of an errand: whoever waits gets it
            with self._lock:
                self._answer(sort, ids, error)
            return
        with self._lock:
            for id in ids:
                self._keep(sort, id, found.get(id))
            self._answer(sort, ids, found)

    def _keep(self, sort: Sort, id: int, picture: bytes | None) -> None:
        seconds, size = (_MISSED, _NOTHING) if picture is None else (_KEPT, len(picture))
        self._kept.put((sort, id), picture, seconds, size)

    def _answer(self, sort: Sort, ids: Sequence[int], what: Mapping[int, bytes] | BaseException) -> None:
        wanted = self._wanted[sort]
        for id in ids:
            future = wanted.pop(id)
            if isinstance(what, BaseException):
                future.set_exception(what)
            else:
                future.set_result(what.get(id))
        if not wanted:
            del self._wanted[sort]
            self._line.pop(sort, None)
