"""What can go wrong, sorted by who has to act. Every error here survives pickling.

The class says what the daemon does next (DESIGN section 7); the text is for the person who reads it:
what happened, to which file, what to do.
"""

from __future__ import annotations


class DropwatchError(Exception):
    """Something went wrong and *message* says so in words a user of the microscope understands.

    message -- what happened, to which file or folder (str)
    remedy  -- what to do about it; may be empty (str)
    detail  -- for admins: the original error class and text, a server's stack trace; never a secret (str)
    code    -- a short stable name, e.g. ``import-unknown-format`` (str)
    """

    def __init__(self, message: str, *, remedy: str = "", detail: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.detail = detail
        self.code = code

    def __reduce__(self) -> tuple[object, ...]:
        # Exception's own pickling calls the class with args only and would lose the keywords.
        return (_revive, (type(self), self.message, dict(self.__dict__)))

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class ConfigError(DropwatchError):
    """The configuration cannot be used. *problems* holds every problem found, one line each."""

    def __init__(self, problems: list[str], *, source: str = "") -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        self.source = source


class ManifestError(DropwatchError):
    """The manifest of a batch cannot be used. *problems* holds every problem found, one line each.

    garbled -- it cannot be read at all (yet): half of it may still be on its way
    """

    def __init__(self, problems: list[str], *, source: str = "batch.yaml", garbled: bool = False) -> None:
        super().__init__("\n".join(problems))
        self.garbled = garbled
        self.problems = problems
        self.source = source


class Unavailable(DropwatchError):
    """Connecting failed: nothing was begun. The target pauses; no attempt is used.

    concerns -- ``"omero"``, ``"mail"``, ``"spool"`` or ``"state"``: what could not be reached
    """

    def __init__(
        self, message: str, *, concerns: str = "omero", remedy: str = "", detail: str = "", code: str = ""
    ) -> None:
        super().__init__(message, remedy=remedy, detail=detail, code=code)
        self.concerns = concerns


class TemporaryError(DropwatchError):
    """It broke in the middle; another attempt may succeed. Ask the server first."""


class PermanentError(DropwatchError):
    """Trying again would not help: the file, the manifest or a permission has to change."""


class OperatorError(DropwatchError):
    """An admin has to act. What it *concerns* pauses, resumes by itself, and is not hammered.

    concerns -- ``"omero"``, ``"mail"``, ``"spool"``, ``"state"`` or ``"user"``: the whole target, or this user only
    """

    def __init__(
        self, message: str, *, concerns: str, remedy: str = "", detail: str = "", code: str = ""
    ) -> None:
        super().__init__(message, remedy=remedy, detail=detail, code=code)
        self.concerns = concerns


class Interrupted(DropwatchError):
    """We were asked to stop, or the batch was cancelled or withdrawn. Not a failure of the file."""


def _revive(cls: type[DropwatchError], message: str, state: dict[str, object]) -> DropwatchError:
    error = cls.__new__(cls)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error
