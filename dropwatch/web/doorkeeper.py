"""Who may come in, by a password of OMERO or a link that works once; and whose request it is that comes.

It puts together what sessions.py, links.py, passwords.py and patience.py know. It writes the log of who came.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dropwatch.config import Config
from dropwatch.errors import DropwatchError, OperatorError, Unavailable
from dropwatch.importers.base import Importer
from dropwatch.journal import line
from dropwatch.web.links import Links
from dropwatch.web.passwords import Passwords
from dropwatch.web.patience import Patience
from dropwatch.web.sessions import Session, Sessions
from dropwatch.web.shares import Shares
from dropwatch.web.tokens import Tokens
from dropwatch.web.visitor import Visitor, folders_of

COOKIE = "dropwatch"
_LONGEST = 255  #: characters of a name in OMERO
log = logging.getLogger("dropwatch")


class NotLetIn(DropwatchError):
    """Name and password do not belong together, or a link is none (any more)."""


class TooMany(DropwatchError):
    """Too many wrong passwords. *wait*: seconds until the next try."""

    wait = 0.0


@dataclass
class Doorkeeper:
    """Lets people in. *links* are made by the command line too."""

    config: Config
    shares: Shares
    sessions: Sessions
    links: Links
    tokens: Tokens
    passwords: Passwords
    patience: Patience

    @property
    def secure(self) -> bool:
        """Whether browsers reach the page by TLS: then they send the cookie by nothing else."""
        return bool(self.config.web.url and self.config.web.url.startswith("https:"))

    @property
    def cookie(self) -> str:
        """Name of the cookie. Behind TLS one that no other name of the site, and no plain http, can set."""
        return f"__Host-{COOKIE}" if self.secure else COOKIE

    def by_link(self, key: str) -> str:
        """A cookie for who brings *key*. Raises NotLetIn, OSError."""
        link = self.links.use(key)
        if link is None:
            raise NotLetIn(
                "This link does not work: it was used already, or its time is over.",
                remedy="Ask for a new one.",
            )
        return self._let_in(link.name, "link", admin=link.admin)

    async def by_password(self, name: str, password: str, address: str) -> str:
        """A cookie for *name*, who asks from *address*. Raises NotLetIn, TooMany, and as Passwords.check."""
        if not 0 < len(name) <= _LONGEST:  # nobody's; a long one would fill memory and log
            raise _not_known()
        wait = self.patience.begin(name, address)
        if wait:
            log.warning(line("refuse", name=name, address=address, reason="too many wrong passwords"))
            raise _too_many(wait)
        try:
            known = await self.passwords.check(name, password)
        except DropwatchError as err:
            if isinstance(err, Unavailable | OperatorError):
                self.patience.forgive(name, address)
            log.warning(line("refuse", name=name, address=address, reason=err.message))
            raise
        if known is None:
            log.warning(
                line("refuse", name=name, address=address, reason="OMERO does not take name and password")
            )
            raise _not_known()
        self.patience.forgive(name, address)
        return self._let_in(known, "password", admin=False)

    def session(self, cookie: str | None) -> Session | None:
        """The session of a browser that sends *cookie*. Raises OSError."""
        return self.sessions.read(cookie)

    def visitor(self, cookie: str | None) -> Visitor | None:
        """Who sends *cookie*; None when nobody whom we know. Raises Unavailable (no drop folder of theirs was found,
        and a spool is away), OSError."""
        session = self.session(cookie)
        return self.known(session.name, admin=session.admin) if session else None

    def program(self, secret: str) -> Visitor | None:
        """For whom a program asks that bears the token *secret*. Raises as visitor() does."""
        token = self.tokens.read(secret)
        return self._visitor(token.owner, token.admin) if token else None

    def known(self, name: str, *, admin: bool = False) -> Visitor:
        """Whom OMERO calls *name*. Raises Unavailable as visitor() does, except for an admin."""
        return self._visitor(name, admin or name in self.config.web.admins)

    def _visitor(self, name: str, admin: bool) -> Visitor:
        found = folders_of(self.config, self.shares, name, self.sessions.clock())
        if found.away and not (found.folders or admin):  # an admin comes in to see what is away
            raise found.away[0]
        return Visitor(name, found.folders, admin, away=bool(found.away))

    def sign_out(self, session: Session) -> None:
        """End *session*. Raises OSError."""
        self.sessions.end(session)
        log.info(line("sign-out", name=session.name))

    def _let_in(self, name: str, by: str, *, admin: bool) -> str:
        log.info(line("sign-in", name=name, by=by))
        return self.sessions.begin(name, admin=admin)


def make_doorkeeper(
    config: Config,
    shares: Shares,
    folder: Path,
    clock: Callable[[], float],
    steady: Callable[[], float],
    make_importer: Callable[[], Importer],
) -> Doorkeeper:
    """A doorkeeper who keeps what it must in *folder*. *steady*: seconds that never go backwards."""
    return Doorkeeper(
        config,
        shares,
        Sessions(folder, clock),
        Links(folder, clock),
        Tokens(folder, clock),
        Passwords(make_importer),
        Patience(steady),
    )


def _not_known() -> NotLetIn:
    return NotLetIn("OMERO does not take this name and password.", remedy="Check both, and try again.")


def _too_many(wait: float) -> TooMany:
    error = TooMany(
        "Too many wrong passwords.", remedy=f"Wait {wait:.0f} seconds, then try again.", code="too-many"
    )
    error.wait = wait
    return error
