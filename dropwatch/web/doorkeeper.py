"""Who may come in: sign-in links that work once, and the signed cookie that says who came.

It keeps no list of who is signed in: the cookie says it, and only this module signs and reads cookies.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from itsdangerous import BadSignature, URLSafeSerializer

from dropwatch.config import Config
from dropwatch.durable import write_durably
from dropwatch.web.visitor import Visitor, folders_of

COOKIE = "dropwatch"
SESSION = 12 * 3600.0  #: seconds after which one has to sign in again
_SECRET = "secret"
_SALT = "dropwatch-visitor"


@dataclass(frozen=True)
class _Link:
    name: str
    admin: bool


@dataclass
class Doorkeeper:
    """Lets people in.

    folder -- where the key lies that cookies are signed with; clock -- epoch seconds
    """

    config: Config
    folder: Path
    clock: Callable[[], float]
    _links: dict[str, _Link] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def make_link(self, name: str, *, admin: bool = False) -> str:
        """A key that lets whoever brings it in as *name*, once."""
        key = secrets.token_urlsafe(24)
        with self._lock:
            self._links[_digest(key)] = _Link(name, admin)
        return key

    def by_link(self, key: str) -> Visitor | None:
        """Who comes with *key*; None when it is none of ours, or was used. Raises Unavailable."""
        with self._lock:
            link = self._links.pop(_digest(key), None)
        return self._visitor(link.name, link.admin) if link else None

    def cookie(self, visitor: Visitor) -> str:
        """What the browser keeps for *visitor*."""
        said = {"name": visitor.name, "admin": visitor.admin, "until": self.clock() + SESSION}
        return str(self._signer().dumps(said))

    def visitor(self, cookie: str | None) -> Visitor | None:
        """Who sends *cookie*; None when we did not sign it, or it is too old. Raises Unavailable."""
        if not cookie:
            return None
        try:
            said = self._signer().loads(cookie)
        except BadSignature:
            return None
        if said["until"] < self.clock():
            return None
        return self._visitor(said["name"], said["admin"])

    def _visitor(self, name: str, admin: bool) -> Visitor:
        return Visitor(name, folders_of(self.config, name), admin)

    def _signer(self) -> URLSafeSerializer:
        return URLSafeSerializer(self._secret(), salt=_SALT, signer_kwargs={"digest_method": hashlib.sha256})

    def _secret(self) -> bytes:
        path = self.folder / _SECRET
        if not path.exists():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_durably(path, secrets.token_bytes(32), mode=0o600)
        return path.read_bytes()


def _digest(key: str) -> str:
    """What is kept of a key: who reads our memory, or later our files, finds no key to come in with."""
    return hmac.new(b"link", key.encode(), hashlib.sha256).hexdigest()
