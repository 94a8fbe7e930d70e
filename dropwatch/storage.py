"""What an error of a disk or a share means: who has to act, in words for an admin. Pure: an error in, an error out.

The one place that knows error numbers of storage. A file that is not there, say, is no fault of the storage.
"""

from __future__ import annotations

import errno

from dropwatch.errors import OperatorError, Unavailable

_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM}
#: The share, or the server behind it, is not there at the moment. Systems that lack one of them cannot raise it.
_AWAY = {
    getattr(errno, name)
    for name in (
        *("ESTALE", "ENOTCONN", "ENODEV", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH"),
        *("ETIMEDOUT", "ECONNABORTED", "ECONNRESET", "ECONNREFUSED", "EREMOTEIO", "ESHUTDOWN"),
    )
    if hasattr(errno, name)
}
#: Windows has its own numbers for a share that went away: bad network path, unexpected network error, name deleted,
#: bad net name, semaphore timeout, network unreachable, device not connected.
_AWAY_ON_WINDOWS = {53, 59, 64, 67, 121, 1231, 1167}


def sort(error: OSError, store: str, concerns: str) -> Unavailable | OperatorError | None:
    """What to do about *error*; None when the storage is not to blame.

    store    -- what it happened to, as a sentence begins: "The spool /srv/dropwatch"
    concerns -- "spool" or "state"
    """
    number, detail = error.errno, f"{type(error).__name__}: {error}"
    if number in _FULL:
        return OperatorError(
            f"{store} is full.",
            concerns=concerns,
            remedy=f"Make room on its disk, or raise the quota{_room(concerns)}. It then goes on by itself.",
            detail=detail,
            code="storage-full",
        )
    if number == errno.EROFS:
        return OperatorError(
            f"{store} cannot be written to: its file system is read-only.",
            concerns=concerns,
            remedy="Many systems set a file system read-only when its disk fails: look into the system's log. "
            "Then mount it writable.",
            detail=detail,
            code="storage-read-only",
        )
    if number in _FORBIDDEN:
        return OperatorError(
            f"{store} does not let dropwatch write what it has to.",
            concerns=concerns,
            remedy="Give the account that runs dropwatch read and write permission on it and on all that "
            "dropwatch made in it; `dropwatch check` shows what is missing.",
            detail=detail,
            code="storage-forbidden",
        )
    return _unavailable(error, store, concerns, detail)


def _unavailable(error: OSError, store: str, concerns: str, detail: str) -> Unavailable | None:
    if error.errno == errno.EIO:
        return Unavailable(
            f"{store} reports input/output errors.",
            remedy="Look into the system's log: a disk, or the connection to a share, fails.",
            concerns=concerns,
            detail=detail,
            code="storage-errors",
        )
    if error.errno in _AWAY or getattr(error, "winerror", None) in _AWAY_ON_WINDOWS:
        return Unavailable(
            f"{store} does not answer.",
            remedy="Look whether its server runs and the share is mounted. It goes on by itself as soon as it is back.",
            concerns=concerns,
            detail=detail,
            code="storage-away",
        )
    return None


def _room(concerns: str) -> str:
    return ', for instance by removing old folders from "done"' if concerns == "spool" else ""
