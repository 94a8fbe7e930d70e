"""Sign-in links that work once. Keys are kept hashed: who reads memory or files finds none to come in with.

Those that are printed when the page starts live in its memory. `dropwatch web-link` leaves others in a folder, so
that an admin can make one while the page runs.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dropwatch.durable import write_durably
from dropwatch.web.keeping import ours

LASTING = 15 * 60.0  #: seconds for which a link in the folder can be used
_FOLDER = "links"
_ADDRESS = "address"  #: where the page answers, as people reach it
_LONGEST = 200  #: characters of a key; ours are shorter


@dataclass(frozen=True)
class Link:
    """Lets whoever brings its key in as *name*, as an admin or not. *until* in epoch seconds; None: no end."""

    name: str
    admin: bool
    until: float | None = None


@dataclass
class Links:
    """The links of one page. *folder*: the page's own; *clock*: epoch seconds."""

    folder: Path
    clock: Callable[[], float]
    _printed: dict[str, Link] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def make(self, name: str, *, admin: bool) -> str:
        """The key of a link that this process takes, until it stops."""
        key = secrets.token_urlsafe(24)
        with self._lock:
            self._printed[_digest(key)] = Link(name, admin)
        return key

    def open(self, address: str) -> None:
        """The page answers at *address* now: links may be left for it. Raises OSError."""
        ours(self.folder / _FOLDER)
        write_durably(self.folder / _ADDRESS, address.encode())

    def leave(self, name: str, *, admin: bool) -> str:
        """The address of a link that the page takes within LASTING, which need not run yet.

        The folder is the page's: made here it would belong to whoever ran the command. Raises FileNotFoundError
        when no page was ever started, OSError.
        """
        key, folder = secrets.token_urlsafe(24), self.folder / _FOLDER
        address = (self.folder / _ADDRESS).read_text("utf-8")
        link = Link(name, admin, self.clock() + LASTING)
        write_durably(folder / _digest(key), json.dumps(asdict(link)).encode())
        self._sweep(folder)
        return at(address, key)

    def use(self, key: str) -> Link | None:
        """What *key* opens, once: of two that come at the same moment one gets it. Raises OSError."""
        if len(key) > _LONGEST:
            return None
        with self._lock:
            link = self._printed.pop(_digest(key), None)
        link = link or self._take(self.folder / _FOLDER / _digest(key))
        return link if link and (link.until is None or self.clock() < link.until) else None

    def _take(self, path: Path) -> Link | None:
        try:
            link = _read(path)
            path.unlink()  # whoever removes the file has used the link
        except FileNotFoundError:
            return None
        return link

    def _sweep(self, folder: Path) -> None:
        for path in folder.iterdir():
            with suppress(FileNotFoundError):
                if path.stat().st_mtime + 2 * LASTING < self.clock():
                    path.unlink()


def at(address: str, key: str) -> str:
    """The link itself, for a page at *address*."""
    return f"{address}/enter?key={key}"


def _read(path: Path) -> Link:
    return Link(**json.loads(path.read_bytes()))


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
