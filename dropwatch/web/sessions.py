"""Who is signed in: a signed cookie says it. Only this module signs and reads cookies.

Nothing is kept of a session but, after a sign-out, that it ended: its cookie is worth nothing from then on, whoever
kept a copy. Each browser asks with its own; a change of the key (delete `secret`, start again) ends them all.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from itsdangerous import BadData, URLSafeSerializer

from dropwatch.durable import write_durably
from dropwatch.web.keeping import ours

LASTING = 12 * 3600.0  #: seconds after which one has to sign in again
_SECRET = "secret"
_KEY = 32  #: bytes
_ENDED = "ended"
_SALT = "dropwatch-visitor"


@dataclass(frozen=True)
class Session:
    """One sign-in of *name*, in one browser, valid *until* (epoch seconds). *admin*: came in as one."""

    id: str
    name: str
    admin: bool
    until: float


@dataclass
class Sessions:
    """Sessions of one page.

    folder -- where the key and what ended lie; made when it is needed, for the page's account alone
    clock  -- epoch seconds
    """

    folder: Path
    clock: Callable[[], float]
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _key: list[bytes] = field(default_factory=list)

    def begin(self, name: str, *, admin: bool) -> str:
        """A cookie for *name*. Raises OSError."""
        said = [secrets.token_hex(16), name, admin, self.clock() + LASTING]
        return str(self._signer().dumps(said))

    def read(self, cookie: str | None) -> Session | None:
        """The session of *cookie*; None when it is not ours, is over or was ended. Raises OSError."""
        session = self.signed(cookie)
        if session is None or session.until <= self.clock() or self._mark(session).exists():
            return None
        return session

    def end(self, session: Session) -> None:
        """From now on its cookie is worth nothing, also after a restart. Raises OSError."""
        folder = ours(self.folder / _ENDED)
        write_durably(self._mark(session), b"")
        for mark in folder.iterdir():  # those whose cookies ran out meanwhile
            with suppress(FileNotFoundError):
                if mark.stat().st_mtime + 2 * LASTING < self.clock():
                    mark.unlink()

    def signed(self, cookie: str | None) -> Session | None:
        """The session of *cookie*, also when it is over; None when the cookie is not ours. Raises OSError."""
        try:
            id_, name, admin, until = self._signer().loads(cookie or "")
        except (BadData, UnicodeError):
            return None
        return Session(id_, name, admin, until)

    def _mark(self, session: Session) -> Path:
        return self.folder / _ENDED / session.id

    def _signer(self) -> URLSafeSerializer:
        return URLSafeSerializer(self._secret(), salt=_SALT, signer_kwargs={"digest_method": hashlib.sha256})

    def _secret(self) -> bytes:
        with self._lock:
            if not self._key:
                self._key.append(self._read_or_make())
            return self._key[0]

    def _read_or_make(self) -> bytes:
        path = self.folder / _SECRET
        # With an empty key, as a restored backup may leave one, anybody could sign.
        if not path.exists() or path.stat().st_size < _KEY:
            write_durably(ours(self.folder) / _SECRET, secrets.token_bytes(_KEY), mode=0o600)
        return path.read_bytes()
