"""Asks OMERO whether a name and a password belong together, and who it is. It keeps nothing.

The session is opened as that person, not through Sudo, so it is OMERO (or its LDAP) that judges the password, and
closed before the answer is given. The password is in no error, and no error carries what OMERO was told.
Sources: omero-blitz ``PermissionsVerifierI.java`` and ``SessionManagerI.java``, omero-server
``BasicMethodSecurity.java``: who is not in the group of all active people, as guests, may log in and do nothing.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import Glacier2
import omero

from dropwatch.errors import DropwatchError, PermanentError
from dropwatch.importers.omero_errors import WIRE, explain, sort_connecting
from dropwatch.importers.omero_login import Login
from dropwatch.importers.omero_people import Person, person_of
from dropwatch.importers.omero_session import hang_up, log_out

_LONGEST = 255  # characters of a name or password; OMERO's own column for names is as long


def sign_in(login: Login, name: str, password: str) -> Person | None:
    """Who signed in, or None when OMERO refuses *name* or *password*.

    Raises Unavailable; PermanentError when the account is not active or cannot work.
    """
    if not (_sayable(name) and _sayable(password)):
        return None
    with ExitStack() as undo:
        try:
            client = login.new_client()
            undo.callback(hang_up, client)
            client.createSession(name, password)
            undo.callback(log_out, client)
            return _whoever(client, name)
        except WIRE as error:
            if _refuses(error):
                return None
            raise _sorted(error, name, login.server.host) from None


def _whoever(client: Any, name: str) -> Person | None:
    admin = client.sf.getAdminService()
    now = admin.getEventContext()
    # A session's key is a name and a password to OMERO: whoever found one has not shown who they are.
    if now.userName.casefold() != name.casefold():
        return None
    return person_of(admin.getExperimenter(now.userId))


def _sayable(text: str) -> bool:
    """Whether OMERO could know it: an empty password is taken from elsewhere by omero-py, the others break Ice."""
    return bool(text) and len(text) <= _LONGEST and text.isprintable()


def _refuses(error: Exception) -> bool:
    if isinstance(error, Glacier2.PermissionDeniedException):
        return not error.reason.startswith("Internal error")
    return isinstance(error, omero.AuthenticationException | omero.ExpiredCredentialException)


def _sorted(error: Exception, name: str, host: str) -> DropwatchError:
    if isinstance(error, omero.SecurityViolation) or (
        isinstance(error, omero.WrappedCreateSessionException) and not error.concurrency
    ):
        return PermanentError(
            f"The account {name} in OMERO is not active.",
            remedy="Ask the people who look after OMERO to activate it and to give it a group.",
            detail=explain(error),
            code="inactive-user",
        )
    return sort_connecting(error, host)
