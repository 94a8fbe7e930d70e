"""Turns the server's ERR answer to an import into words for the person whose file it was. It asks nobody.

Names of ERR and what causes them: omero-blitz ManagedImportRequestI.java and HandleI.java.
"""

from __future__ import annotations

import re
from typing import Any

from dropwatch.errors import DropwatchError, OperatorError, PermanentError, TemporaryError
from dropwatch.importers.omero_errors import without_keys
from dropwatch.model import Fileset

_UNREADABLE = {
    "import-unknown-format": (
        "no reader knows this format",
        "Check that the file opens in the microscope's own software.",
    ),
    "import-missing-library": (
        "the server lacks a library that this format needs",
        "Ask the admins of OMERO to install it, or export the images as OME-TIFF.",
    ),
    "import-file-exception": (
        "the file is damaged, incomplete, or not what its name says",
        "Copy it again from the microscope; check that it opens there.",
    ),
}
_FAILED_IN_BETWEEN = {"error-on-init", "import-request-failure"}
_SERVER_SIDE = re.compile(
    r"OutOfMemoryError|java\.sql\.|org\.hibernate\.|org\.postgresql\.|\bIce\.|omero\.\w*Exception"
)
_NO_SPACE = re.compile(r"No space left on device|Disk quota exceeded|not enough space", re.IGNORECASE)
_UNKNOWN = re.compile(r"UnknownFormatException|UnsupportedCompressionException")


def sort_refusal(err: Any, fileset: Fileset, excerpt: str, log: int | None) -> DropwatchError:
    """The error for *err* (omero.cmd.ERR).

    *excerpt* is the end of the server's import log, *log* its OriginalFile id, which goes along as ``log``.
    """
    trace = f"{err.parameters.get('message', '')}\n{err.parameters.get('stacktrace', '')}".strip()
    told = [part for part in (excerpt and f"end of the import log:\n{excerpt}", trace) if part]
    detail = without_keys("\n".join((f"omero.cmd.ERR {err.name}", *told)))
    name = _name(err.name, trace)
    error = _sort(name, trace, fileset, detail)
    vars(error).update(log=log, code=name)
    return error


def _name(name: str, trace: str) -> str:
    """What the server would have called it in a later step: whatever opening a file throws is error-on-init."""
    causes = "\n".join(line for line in trace.splitlines() if not line.lstrip().startswith("at "))
    if name in _FAILED_IN_BETWEEN and "loci.formats" in trace and not _SERVER_SIDE.search(causes):
        return "import-unknown-format" if _UNKNOWN.search(trace) else "import-file-exception"
    return name


def _sort(name: str, trace: str, fileset: Fileset, detail: str) -> DropwatchError:
    if _NO_SPACE.search(trace):
        return OperatorError(
            f"OMERO ran out of disk space while it was importing {fileset.name}.",
            concerns="omero",
            remedy="Make space in the managed repository of the OMERO server.",
            detail=detail,
        )
    if name in _UNREADABLE:
        return _unreadable(fileset, *_UNREADABLE[name], detail)
    return TemporaryError(f"OMERO broke off the import of {fileset.name}.", detail=detail)


def _unreadable(fileset: Fileset, why: str, remedy: str, detail: str) -> DropwatchError:
    if fileset.bytes == 0:
        why, remedy = "the file is empty", "Copy it again from the microscope."
    return PermanentError(f"OMERO could not read {fileset.name}: {why}.", remedy=remedy, detail=detail)
