"""What a doctor says: one finding for each thing looked at, with the remedy where it is not well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from dropwatch.errors import DropwatchError


class State(StrEnum):
    OK = "ok"
    NOT_OK = "not ok"
    UNKNOWN = "unknown"  #: it could not be found out here, or not by this account


@dataclass(frozen=True)
class Finding:
    """*subject*: what was looked at; *text*: what was seen; *remedy*: what to do, empty when all is well."""

    state: State
    subject: str
    text: str
    remedy: str = ""


def well(subject: str, text: str) -> Finding:
    return Finding(State.OK, subject, text)


def ill(subject: str, text: str, remedy: str) -> Finding:
    return Finding(State.NOT_OK, subject, text, remedy)


def unknown(subject: str, text: str, remedy: str = "") -> Finding:
    return Finding(State.UNKNOWN, subject, text, remedy)


def of_error(
    subject: str, err: DropwatchError | OSError, remedy: str = "See the log of what could not be reached."
) -> Finding:
    """An error as a finding: what is in its way is what is not well. *remedy*: where the error names none."""
    if isinstance(err, OSError):
        where = f"{err.filename}: " if err.filename else ""
        return ill(subject, f"{where}{err.strerror or err}", "Mend what the message names, then check again.")
    detail = f" ({err.detail})" if err.detail else ""
    return ill(subject, f"{err.message}{detail}", err.remedy or remedy)


def guarded(subject: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """*findings*; an error among them is one more finding, and what else there is to check goes on."""
    try:
        yield from findings
    except (OSError, DropwatchError) as err:
        yield of_error(subject, err)
