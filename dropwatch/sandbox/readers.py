"""How the sandbox's server reads what was uploaded: Bio-Formats, as a real server does. It knows no database.

Which ERR a failure becomes follows omero-blitz's ``ManagedImportRequestI``: whatever opening a file throws is
``error-on-init``, while reading pixels has a name for each kind of trouble.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from dropwatch.config.sections import BioFormats as Settings
from dropwatch.errors import OperatorError, PermanentError
from dropwatch.formats import BioFormats, Installation, Missing, find
from dropwatch.formats.pixels import SeriesFact, read_pixels, series
from dropwatch.sandbox.handles import Failure

_MEMORY = 512 << 20  #: bytes that Java's heap may grow to

#: the end of the Java class -> the name in the ERR; anything else is import-request-failure
_NAMES = (
    ("MissingLibraryException", "import-missing-library"),
    ("UnsupportedCompressionException", "import-unknown-format"),
    ("UnknownFormatException", "import-unknown-format"),
    ("FormatException", "import-file-exception"),
    ("IOException", "import-file-exception"),
    ("EOFException", "import-file-exception"),
    ("FileNotFoundException", "import-file-exception"),
)


def bio_formats() -> BioFormats:
    """What reads files in this process; Java itself starts at the first one. Raises OperatorError: none is here."""
    found = _installed()
    if isinstance(found, Missing):
        raise OperatorError(
            f"The sandbox reads images with Bio-Formats, as OMERO does. {found.what}",
            concerns="bioformats",
            remedy=found.remedy,
            code="bioformats-missing",
        )
    return BioFormats(found, _MEMORY)


def open_file(formats: BioFormats, path: Path) -> tuple[SeriesFact, ...]:
    """The images in the file at *path*. Raises Failure."""
    try:
        return series(formats, path)
    except PermanentError as error:
        raise Failure("error-on-init", message=_message(error), stacktrace=_trace(error, "setId")) from error


def try_pixels(formats: BioFormats, path: Path) -> None:
    """Raise Failure when the pixels of the file at *path* cannot be read."""
    try:
        read_pixels(formats, path)
    except PermanentError as error:
        kind = error.detail.partition(":")[0]
        name = next((name for end, name in _NAMES if kind.endswith(end)), "import-request-failure")
        told = {"message": _message(error), "stacktrace": _trace(error, "openBytes")}
        if name != "import-request-failure":
            told["filename"] = str(path)
        raise Failure(name, **told) from error


@cache
def _installed() -> Installation | Missing:
    # Looking takes a fifth of a second, and a process may start hundreds of sandboxes; what is installed stays.
    return find(Settings(), os.environ)


def _message(error: PermanentError) -> str:
    return error.detail.partition(": ")[2] or error.message


def _trace(error: PermanentError, method: str) -> str:
    """As Java prints it; where it came from in the reader is not known here."""
    return f"{error.detail or error.message}\n\tat loci.formats.ImageReader.{method}(ImageReader.java)"
