"""How an `omero import` ended: sorts a failure into the errors of ``errors.py``. It asks nobody.

The exit code says little: it is 0 also when nothing was imported, and 1 or 2 for most of what can go wrong. So the
words count: the name of the server's ERR, and the class of what was thrown, which Ice calls alike in all languages
(so omero_errors and omero_refusals sort it as if it had been thrown here). Exit codes: omero-py
``plugins/import.py``, ``plugins/sessions.py`` (seen by their last eight bits), omero-blitz
``CommandLineImporter.java``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import Glacier2
import Ice
import omero
import omero.clients
import omero.cmd

from dropwatch.errors import DropwatchError, OperatorError, TemporaryError, Unavailable
from dropwatch.importers.omero_cli_leash import NOT_FOUND, NOT_STARTED
from dropwatch.importers.omero_cli_words import Heard
from dropwatch.importers.omero_errors import sort_connecting, sort_talking, without_keys
from dropwatch.importers.omero_refusals import sort_refusal
from dropwatch.model import Fileset

_UNREACHED = {554 & 255: "connection refused", 555 & 255: "its name is not known"}
_NO_LOGIN = frozenset({523 & 255, 524 & 255, 525 & 255, 556 & 255, 557 & 255})
_NO_JARS = frozenset({103, 108})
_SIGNALS = 64
_PART = 900  # characters of each log in a detail

_MODULES = {"omero": omero, "Ice": Ice, "Glacier2": Glacier2}
_THROWN = re.compile(r"\b(omero|Ice|Glacier2)\.([A-Z]\w+)")
_LOCAL = re.compile(
    r"java\.(?:io|nio\.file)\.\w+Exception.*(Input/output error|Stale file handle|Permission denied|not connected"
    r"|Connection timed out|No such file)"
)
_USAGE = re.compile(r"^usage: |: error: |Conflicting arguments|Unknown argument", re.MULTILINE)
_BROKEN = re.compile(
    r"Java could not be found|Could not import omero|Could not find or load main class|BadZipFile"
)


@dataclass(frozen=True)
class Ended:
    """How it ended: exit *code*, what was *heard*, and the end of the server's import log (*excerpt*)."""

    code: int
    heard: Heard
    excerpt: str = ""

    @property
    def text(self) -> str:
        return self.heard.text()

    @property
    def detail(self) -> str:
        log = f"\nend of the import log:\n{self.excerpt[-_PART:]}" if self.excerpt else ""
        return without_keys(f"`omero import` ended with exit code {self.code}:\n{self.text[:_PART]}{log}")

    def thrown(self) -> Exception | None:
        """What OMERO or Ice threw, as if it had been thrown here; frames of a trace are not looked at."""
        for line in self.text.splitlines():
            if not line.lstrip().startswith("at "):
                for module, name in _THROWN.findall(line):
                    found = getattr(_MODULES[module], name, None)
                    if isinstance(found, type) and issubclass(found, Ice.Exception):
                        thrown: Exception = found()
                        return thrown
        return None


def doubts(ended: Ended, fileset: int) -> str:
    """Why the end was not as it should be although *fileset* (OMERO's id) has its images; empty when it was.

    Good is: exit code 0, and this fileset alone in the YAML documents, and a summary without errors.
    """
    heard, found = ended.heard, []
    if ended.code:
        found.append(f"its exit code was {ended.code}")
    if set(heard.filesets) != {fileset}:
        found.append(f"it spoke of filesets {heard.filesets}")
    if heard.summary is None or heard.summary.errors:
        found.append(f"it told of {heard.summary.errors} errors" if heard.summary else "it gave no summary")
    told = f": {without_keys(heard.complaint[0])}" if heard.complaint else ""
    return f"`omero import` did not end well ({', '.join(found)}){told}" if found else ""


def sort(ended: Ended, fileset: Fileset, host: str, reachable: Callable[[], bool]) -> DropwatchError:
    """The error for an end after which there are no images.

    reachable -- whether the session that the program was given is good; asked only when it could not join it
    """
    doing = f"{fileset.name} was being imported"
    rules: tuple[Callable[[], DropwatchError | None], ...] = (
        lambda: _installation(ended),
        lambda: _login(ended, host, reachable),
        lambda: _answered(ended, fileset),
        lambda: _unreadable(ended, fileset),
        lambda: _thrown(ended, doing, host),
        lambda: _died(ended, fileset),
    )
    error = next((found for rule in rules if (found := rule()) is not None), None)
    if error is None:
        error = TemporaryError(
            f"`omero import` imported nothing of {fileset.name}.", code="omero-cli-nothing"
        )
    error.detail = ended.detail
    if ended.heard.log is not None:
        vars(error).update(log=ended.heard.log)
    return error


def _installation(ended: Ended) -> DropwatchError | None:
    said = "\n".join(ended.heard.last)
    if "as root can corrupt" in said:
        return _unfit("it refuses to run as root", "Run dropwatch as an account of its own, not as root.")
    if ended.code in (NOT_FOUND, NOT_STARTED):
        return _unfit(
            "it cannot be started", "Install it, or correct omero-cli.command in the configuration."
        )
    if ended.code in _NO_JARS or _BROKEN.search(said):
        return _unfit(
            "OMERO.java, or Java itself, is not there",
            "Install Java, and name the folder with OMERO.java's jars in omero-cli.clientdir.",
        )
    if _USAGE.search(ended.text):
        return _unfit("it does not understand its arguments", "Correct omero-cli.arguments.")
    return None


def _unfit(why: str, remedy: str) -> OperatorError:
    return OperatorError(
        f"`omero import` does not work here: {why}.", concerns="omero", remedy=remedy, code="omero-cli"
    )


def _login(ended: Ended, host: str, reachable: Callable[[], bool]) -> DropwatchError | None:
    if ended.heard.began:
        return None
    if ended.code in _UNREACHED:
        return _unreached(host, _UNREACHED[ended.code])
    if ended.code not in _NO_LOGIN:
        return None
    # The same code for a server that is down and for a session that it does not want (`omero login` asks no more).
    if not reachable():
        return _unreached(host, "it does not answer")
    return OperatorError(
        f"`omero import` cannot log in to OMERO at {host}, although dropwatch itself can.",
        concerns="omero",
        remedy="Try `omero login` from the machine that dropwatch runs on, as the account it runs as.",
        code="omero-cli-login",
    )


def _unreached(host: str, why: str) -> Unavailable:
    return Unavailable(
        f"OMERO at {host} cannot be reached by `omero import`: {why}.", code="omero-cli-unreached"
    )


def _answered(ended: Ended, fileset: Fileset) -> DropwatchError | None:
    """The server imported what it got, and that failed."""
    if not ended.heard.err:
        return None
    err = omero.cmd.ERR(name=ended.heard.err, parameters={"stacktrace": ended.text})
    return sort_refusal(err, fileset, ended.excerpt, ended.heard.log)


def _unreadable(ended: Ended, fileset: Fileset) -> DropwatchError | None:
    """The client itself could not read the file; it never came to the server."""
    if "OutOfMemoryError" in ended.text:
        return TemporaryError(
            f"Java ran out of memory while it was importing {fileset.name}.",
            remedy="Give it more: JAVA_OPTS=-Xmx4g in the environment of the daemon.",
            code="java-memory",
        )
    if ended.heard.began or not ended.heard.nothing:
        return None
    if _LOCAL.search(ended.text) or "UNREADABLE_FILE" in ended.text:  # we could read it a moment ago
        return TemporaryError(f"{fileset.name} could not be read.", code="read-error")
    name = "import-unknown-format" if ended.heard.nothing == "found" else "import-file-exception"
    if "MISSING_LIBRARY" in ended.text:
        name = "import-missing-library"
    return sort_refusal(omero.cmd.ERR(name=name, parameters={}), fileset, "", None)


def _thrown(ended: Ended, doing: str, host: str) -> DropwatchError | None:
    if "Cannot link to target" in ended.text:
        return sort_talking(omero.SecurityViolation(), doing)
    thrown = ended.thrown()
    if thrown is None:
        return None
    if not ended.heard.began and isinstance(thrown, Ice.LocalException):
        return sort_connecting(thrown, host)
    return sort_talking(thrown, doing)


def _died(ended: Ended, fileset: Fileset) -> DropwatchError | None:
    """It was killed (128 + signal), or its Java was (256 - signal)."""
    number = ended.code - 128 if ended.code < 256 - _SIGNALS else 256 - ended.code
    if not 0 < number < _SIGNALS or ended.code <= 128:
        return None
    return TemporaryError(
        f"`omero import` died while it was importing {fileset.name}.", code="omero-cli-died"
    )
