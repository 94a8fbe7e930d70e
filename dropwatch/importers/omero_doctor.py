"""Looks for what stands in the way of importing into OMERO, and names the remedy. It changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dropwatch.errors import DropwatchError, Unavailable
from dropwatch.importers.base import Finding
from dropwatch.importers.omero_checksums import choose
from dropwatch.importers.omero_errors import talking
from dropwatch.importers.omero_keeper import Keeper
from dropwatch.importers.omero_login import Login
from dropwatch.importers.omero_people import Person
from dropwatch.importers.omero_session import Session
from dropwatch.importers.omero_tidying import left_over

_CLOCKS_APART = 300.0  # seconds
_LEFT = 3 * 86400.0  # seconds; the daemon removes what is left of broken imports when it is a day old
_NAMED = 5  # of what is left


class Doctor:
    """*clock* gives the time of this machine, seconds since 1970."""

    def __init__(self, login: Login, keeper: Keeper, clock: Callable[[], float]) -> None:
        self._login = login
        self._keeper = keeper
        self._clock = clock
        self._findings: list[Finding] = []

    def examine(self, owner: str | None) -> list[Finding]:
        """What was found about the server, and about *owner*'s way in. Never raises for it."""
        with self._part("OMERO login"):
            self._login.service(self._service_account)
        if owner is not None and any(found.ok for found in self._findings):
            with self._part(f"OMERO user {owner}"):
                self._person(self._login.person(owner))
            opening = self._keeper.session(owner, None, "it was checked")
            with self._part(f"OMERO session as {owner}"), opening as session:
                self._session(session)
        return self._findings

    @contextmanager
    def _part(self, subject: str) -> Iterator[None]:
        try:
            with talking("it was checked"):
                yield
        except DropwatchError as error:
            text = f"{error.message} ({error.detail})" if error.detail else error.message
            self._add(False, subject, text, error.remedy or _remedy(error))

    def _add(self, ok: bool, subject: str, text: str, remedy: str = "") -> None:
        self._findings.append(Finding(ok, subject, text, "" if ok else remedy))

    def _service_account(self, client: Any) -> None:
        config = client.sf.getConfigService()
        server = self._login.server
        self._add(
            True, "OMERO login", f"{server.user} at {server.host}:{server.port}, OMERO {config.getVersion()}"
        )
        context = client.sf.getAdminService().getEventContext()
        privileges = set(context.adminPrivileges or ())
        may, more = "Sudo" in privileges, sorted(privileges - {"Sudo"})
        besides = f", and others that it does not need: {', '.join(more)}" if may and more else ""
        self._add(
            may,
            "OMERO privilege",
            f"{server.user} {'has' if may else 'lacks'} the Sudo privilege{besides}",
            f"Make {server.user} an admin with the Sudo privilege (nothing more is needed).",
        )
        apart = abs(config.getServerTime().val / 1000 - self._clock())
        self._add(
            apart < _CLOCKS_APART,
            "clocks",
            f"this machine and OMERO are {apart:.0f} s apart",
            "Set both clocks by NTP: times in mails and in OMERO would not agree.",
        )

    def _person(self, person: Person) -> None:
        self._add(
            person.active,
            f"OMERO user {person.name}",
            f"{'active' if person.active else 'not active'}, groups: {', '.join(person.groups) or 'none'}",
            "Activate the account in OMERO.web.",
        )
        self._add(
            person.email is not None,
            f"e-mail of {person.name}",
            person.email or "OMERO knows no address",
            "Enter it in OMERO.web, or in the configuration under users.",
        )

    def _session(self, session: Session) -> None:
        self._add(True, f"OMERO session as {session.owner}", f"works, default group {session.group}")
        algorithms = session.algorithms
        self._add(True, "managed repository", "reachable")
        chosen = choose(algorithms)
        self._add(
            chosen is not None,
            "checksums",
            f"{chosen or 'none that dropwatch knows'} (OMERO offers {', '.join(algorithms) or 'none'})",
            "Add SHA1-160 to omero.checksum.supported on the server.",
        )
        self._left_over(session)

    def _left_over(self, session: Session) -> None:
        before = session.factory.getConfigService().getServerTime().val - _LEFT * 1000
        left = left_over(session, before)
        named = ", ".join(f"Fileset:{one.id}" for one in left[:_NAMED])
        self._add(
            not left,
            f"leftovers of {session.owner}",
            f"half imports older than three days: {len(left)} ({named})"
            if left
            else "no half import is older than three days",
            "A running daemon removes such once a day; its log names what it has to leave (tidy). "
            "`omero delete Fileset:ID` removes one that nobody uploads to.",
        )


def _remedy(error: DropwatchError) -> str:
    """What to do about an error that does not say it itself."""
    if isinstance(error, Unavailable):
        return (
            "Start it, or correct omero.host and omero.port. Where both are right, its own log may say more."
        )
    return "See the log of the OMERO server."
