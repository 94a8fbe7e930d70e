"""Sorts what OMERO and Ice throw into the errors of ``errors.py``, by type. It lets no session key out.

The classes and what they mean: omero-blitz ``ServerErrors.ice``, ``ManagedImportRequestI.java`` (the names of
ERR), ``PermissionsVerifierI.java`` (a refused password), zeroc-ice 3.6 ``LocalException.ice``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import Glacier2
import Ice
import omero
import omero.clients

from dropwatch.errors import DropwatchError, OperatorError, PermanentError, TemporaryError, Unavailable

WIRE = (Ice.Exception, omero.ClientError)  #: whatever comes from OMERO or Ice is one of these

DEAD = (Ice.LocalException, omero.SessionException, Glacier2.SessionNotExistException, omero.ClientError)
"""After one of these the session is not used again; a new one costs little."""

LOST = (
    Ice.SocketException,
    Ice.TimeoutException,
    Ice.ProtocolException,  # what TLS makes of a connection that ends in the middle, too
    Ice.SecurityException,
    Ice.ObjectNotExistException,
)
"""These may mean no more than that the connection broke; the session, and what is in it, may live on. Those that
are ProtocolExceptions and yet say that a message cannot be read (MarshalException) are sorted out by is_lost."""

_KEY = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")  # session keys are UUIDs
_DETAIL = 2000  # characters

Sorter = Callable[[str, str], DropwatchError]


@contextmanager
def connecting(host: str) -> Iterator[None]:
    """Around everything up to an open session: here, and only here, OMERO may be Unavailable."""
    try:
        yield
    except WIRE as error:
        # `from None`: the original's text may carry a session key, and a log would print it.
        raise sort_connecting(error, host) from None


@contextmanager
def talking(doing: str) -> Iterator[None]:
    """Around calls in an open session. *doing* completes "while ...", e.g. ``a.czi was being imported``."""
    try:
        yield
    except WIRE as error:
        raise sort_talking(error, doing) from None


def sort_connecting(error: Exception, host: str) -> DropwatchError:
    """The error for what was thrown before a session was open."""
    detail = explain(error)
    if isinstance(error, Ice.EndpointParseException):
        return OperatorError(
            f"{host} is not a usable name for an OMERO server.",
            concerns="omero",
            remedy="Correct omero.host and omero.port in the configuration.",
            detail=detail,
        )
    if isinstance(error, Glacier2.PermissionDeniedException) and not error.reason.startswith(
        "Internal error"
    ):
        return login_refused(host, detail)
    if isinstance(error, omero.AuthenticationException | omero.ExpiredCredentialException):
        return login_refused(host, detail)
    if isinstance(error, omero.WrappedCreateSessionException) and not error.concurrency:
        return login_refused(host, detail)
    if isinstance(error, omero.ResourceError):
        return _disk_full("", detail)
    return Unavailable(f"OMERO at {host} cannot be reached.", detail=detail, code=type(error).__name__)


def is_lost(error: Exception) -> bool:
    """Whether *error* may mean that the connection broke."""
    return isinstance(error, LOST) and not isinstance(error, Ice.MarshalException)


def refuses(error: Exception) -> bool:
    """Whether joining a session failed because it has ended, rather than the server not being there (yet)."""
    if isinstance(error, Glacier2.PermissionDeniedException):
        return not error.reason.startswith("Internal error")
    if isinstance(error, omero.WrappedCreateSessionException):
        # It may still know the connection that we lost: that has the identity of ours (SessionManagerI.create).
        return not error.concurrency and "AlreadyRegistered" not in error.type
    return isinstance(error, omero.AuthenticationException | omero.ServerError)


def login_refused(host: str, detail: str) -> OperatorError:
    return OperatorError(
        f"OMERO at {host} refused the login of dropwatch's service account.",
        concerns="omero",
        remedy="Check omero.user and the password in omero.password_file (or DROPWATCH_OMERO_PASSWORD).",
        detail=detail,
        code="login-refused",
    )


def sort_talking(error: Exception, doing: str) -> DropwatchError:
    """The error for what was thrown in an open session."""
    detail = explain(error)
    for types, sorter in _TALKING:
        if isinstance(error, types):
            return sorter(doing, detail)
    return _broken(doing, detail)


def explain(error: Exception) -> str:
    """Class and text of *error* for admins, short, without session keys."""
    if isinstance(error, omero.CmdError):
        return without_keys(f"omero.cmd.ERR {error.err.name}: {error.err.parameters}")
    text = getattr(error, "message", None) or getattr(error, "reason", None) or str(error)
    return without_keys(f"{type(error).__module__}.{type(error).__name__}: {text}")


def without_keys(text: str) -> str:
    """*text* cut to a length that fits a mail, everything that could be a session key taken out."""
    return _KEY.sub("<key>", text)[:_DETAIL]


def _broken(doing: str, detail: str) -> DropwatchError:
    return TemporaryError(
        f"The connection to OMERO broke while {doing}.", detail=detail, code="connection-lost"
    )


def _session_over(doing: str, detail: str) -> DropwatchError:
    return TemporaryError(f"The session in OMERO ended while {doing}.", detail=detail, code="session-ended")


def _busy(doing: str, detail: str) -> DropwatchError:
    return TemporaryError(f"OMERO was too busy while {doing}.", detail=detail, code="server-busy")


def _internal(doing: str, detail: str) -> DropwatchError:
    return TemporaryError(f"OMERO had an error of its own while {doing}.", detail=detail, code="server-error")


def _checksum(doing: str, detail: str) -> DropwatchError:
    return TemporaryError(
        f"What arrived in OMERO was not what was sent, while {doing}.", detail=detail, code="checksum-differs"
    )


def _bad_name(doing: str, detail: str) -> DropwatchError:
    return PermanentError(
        f"OMERO does not accept the name of a file, while {doing}.",
        remedy="Rename the file with plain letters, digits, '-' and '_', and drop it again.",
        detail=detail,
        code="file-name",
    )


def _forbidden(doing: str, detail: str) -> DropwatchError:
    return PermanentError(
        f"OMERO does not allow this (seen while {doing}).",
        remedy="Choose a group and a dataset in which you may add images, or ask the owner of the group.",
        detail=detail,
        code="not-allowed",
    )


def _disk_full(doing: str, detail: str) -> DropwatchError:
    return OperatorError(
        "OMERO has run out of a resource, most likely space on its disk.",
        concerns="omero",
        remedy="Make space in the managed repository of the OMERO server.",
        detail=detail,
        code="server-resource",
    )


def _misuse(doing: str, detail: str) -> DropwatchError:
    return PermanentError(f"OMERO refused the request while {doing}.", detail=detail, code="server-refused")


_TALKING: tuple[tuple[Any, Sorter], ...] = (
    # The order counts: ChecksumValidation and FilePathNaming are ApiUsageExceptions too.
    (omero.ChecksumValidationException, _checksum),
    (omero.FilePathNamingException, _bad_name),
    (omero.SecurityViolation, _forbidden),
    (omero.ResourceError, _disk_full),
    (omero.ConcurrencyException, _busy),
    ((omero.SessionException, Glacier2.SessionNotExistException, Ice.ObjectNotExistException), _session_over),
    (omero.ApiUsageException, _misuse),
    (omero.ServerError, _internal),
    (omero.CmdError, _internal),
    (Ice.UnknownException, _internal),
)
