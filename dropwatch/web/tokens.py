"""Tokens of programs: acquisition software has one in place of a cookie. Only their hashes are kept.

A token is shown once, when it is made. It acts as the one whom it belongs to, until it is revoked or its time is over.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from dropwatch.durable import fsync_directory, write_durably
from dropwatch.web.keeping import ours

_FOLDER = "tokens"
_PREFIX = "dw_"  #: so that people, and programs that look for leaked secrets, know one when they see it
_LONGEST = 200  #: characters; ours are shorter
_NOTED = 60.0  #: seconds within which a use is not written down anew


@dataclass(frozen=True)
class Token:
    """What is kept of a token. Times in epoch seconds.

    id    -- to name it by; no secret
    name  -- what its owner calls it
    owner -- OMERO name of whom it acts as, or the drop folder of an instrument
    admin -- it may do what an admin may
    """

    id: str
    name: str
    owner: str
    admin: bool
    created: float
    expires: float | None = None
    used: float | None = None


@dataclass
class Tokens:
    """The tokens of one page. *folder*: the page's own; *clock*: epoch seconds."""

    folder: Path
    clock: Callable[[], float]
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def make(self, owner: str, name: str, *, admin: bool, expires: float | None) -> tuple[str, Token]:
        """A new token itself, and what is kept of it. Raises OSError."""
        secret = _PREFIX + secrets.token_urlsafe(32)
        token = Token(_digest(secret)[:16], name, owner, admin, self.clock(), expires)
        ours(self.folder / _FOLDER)
        self._write(_digest(secret), token)
        return secret, token

    def read(self, secret: str) -> Token | None:
        """Whose *secret* is; None when it is none of ours, was revoked, or is too old. Notes that it was used."""
        if len(secret) > _LONGEST:
            return None
        with self._lock:
            token = _read(self._at(_digest(secret)))
            if token is None or (token.expires is not None and token.expires <= self.clock()):
                return None
            if token.used is None or token.used + _NOTED < self.clock():
                with suppress(OSError):  # on a full disk it is as good as before
                    self._write(_digest(secret), replace(token, used=self.clock()))
            return token

    def all(self) -> list[Token]:
        """Every token, the newest first."""
        try:
            paths = list((self.folder / _FOLDER).glob("*.json"))
        except FileNotFoundError:
            return []
        found = [token for path in paths if (token := _read(path)) is not None]
        return sorted(found, key=lambda token: token.created, reverse=True)

    def revoke(self, token: Token) -> None:
        """From now on it is worth nothing, also after a power cut. Raises OSError."""
        with self._lock:
            for path in (self.folder / _FOLDER).glob(f"{token.id}*.json"):
                path.unlink(missing_ok=True)
            fsync_directory(self.folder / _FOLDER)

    def _write(self, digest: str, token: Token) -> None:
        write_durably(self._at(digest), json.dumps(asdict(token)).encode())

    def _at(self, digest: str) -> Path:
        return self.folder / _FOLDER / f"{digest}.json"


def _read(path: Path) -> Token | None:
    try:
        return Token(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None


def _digest(secret: str) -> str:
    """Hashed once, without salt: a token is as random as a key, and nobody guesses those."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
