"""Looks at one file after another with Bio-Formats. Whatever Java throws becomes an answer."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from dropwatch.errors import OperatorError
from dropwatch.formats import runtime
from dropwatch.formats.by_name import PAPERS
from dropwatch.formats.damage import barred_member, cut_file, empty_member, holds_pixels
from dropwatch.formats.installation import Installation
from dropwatch.formats.look import Look, Readable, Unreadable
from dropwatch.formats.words import (
    BROKEN_NAME,
    EMPTY,
    barred_file,
    cut,
    has_broken_name,
    lacking,
    of_throwable,
)
from dropwatch.formats.yard import Yard

_TIFF = ("OME-TIFF", "Tagged Image File Format")  #: what an OME-TIFF may be taken for


class BioFormats:
    """Bio-Formats in this process; Java is started by the first call. Threads take turns.

    memory -- bytes that Java's heap may grow to

    Each call raises OperatorError when Java does not start. A file may make Java hang, or use up its memory and end
    the process: call this in a process that can be killed.
    """

    def __init__(self, installation: Installation, memory: int) -> None:
        self.installation = installation
        self._memory = memory
        self._turn = threading.Lock()
        self._reader: Any = None
        self._yard = Yard(installation)

    def look(self, path: Path, folder: Path) -> Look:
        """What *path* (absolute) is, and whether all that belongs to it can be read.

        Files outside of *folder* that *path* names are not opened where a thread can be fenced in (fence.py).
        """
        if has_broken_name(path):
            return BROKEN_NAME
        size = path.stat().st_size
        with self.turn():
            return self._yard.within(folder, lambda: self._told(path, folder, size))

    def _told(self, path: Path, folder: Path, size: int) -> Look:
        reader = self._reader = self._reader or _new_reader()
        try:
            return self._looked(reader, path, folder)
        except runtime.throwable() as thrown:
            _check_ours(path)
            told = of_throwable(thrown)
            if size == 0 and _names_an_image(reader, path):
                told = replace(EMPTY, detail=told.detail)
            barred = barred_file(str(thrown.getMessage() or ""))
            # It may have been barred because it lies outside: whoever checks the names says so.
            return replace(told, used=(str(path), _python_path(barred))) if barred else told
        finally:
            close(reader)

    def _looked(self, reader: Any, path: Path, folder: Path) -> Look:
        """Raises a throwable of Java's for what Bio-Formats cannot read."""
        _check_visible(path)
        reader.setId(str(path))
        found = _described(reader)
        if found.plate:
            # FakeReader, having read a plate, calls whatever it reads from then on a plate.
            self._reader = None
        if not _all_inside(found.used, folder):
            return found
        barred = barred_member(path, folder) if found.format in _TIFF else None
        if barred:
            return replace(lacking(barred.name, "elsewhere"), used=(str(path), _python_path(str(barred))))
        bad = _damage(found, path) or _bad_pixels(reader, found, path, self._memory)
        return replace(bad, used=found.used) if bad else found

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Our turn with Java, which runs by then."""
        with self._turn:
            runtime.start(self.installation, self._memory)
            yield


def _new_reader() -> Any:
    reader = runtime.java("loci.formats.ImageReader")()
    reader.setGroupFiles(True)
    # As OMERO's server counts: the steps of a pyramid are one image.
    reader.setFlattenedResolutions(False)
    return reader


def _described(reader: Any) -> Readable:
    domains = {str(domain) for domain in reader.getDomains()}
    used = [str(name) for name in reader.getUsedFiles()]
    # The server opens the first, and not every file of a set opens it: a plate's result tables do not. This one does
    # (so the Java client sorts them too, by FileInfo.usedToInitialize, which is this comparison in every reader).
    opener = str(reader.getCurrentFile())
    used.sort(key=lambda name: not name.endswith(opener))
    return Readable(
        format=str(reader.getFormat()),
        used=tuple(map(_python_path, used)),
        series=int(reader.getSeriesCount()),
        plate=str(runtime.java("loci.formats.FormatTools").HCS_DOMAIN) in domains,
    )


def _python_path(name: str) -> str:
    """Absolute and normalised. With ``..`` in it only the file system knows which file Java meant."""
    path = Path(name)
    return os.path.realpath(path) if ".." in path.parts else str(path.absolute())


def _all_inside(used: tuple[str, ...], folder: Path) -> bool:
    top = os.path.join(os.path.realpath(folder), "")  # noqa: PTH118
    return all(os.path.realpath(name).startswith(top) for name in used)


def _names_an_image(reader: Any, path: Path) -> bool:
    """Whether an empty file was to become an image. Acquisition software also leaves empty files as flags (DONE)."""
    suffix = path.suffix.lower()
    if not suffix or suffix in PAPERS:
        return False
    return suffix[1:] in {str(known).lower() for known in reader.getSuffixes()}


def _damage(found: Readable, path: Path) -> Unreadable | None:
    """What the files themselves tell."""
    for name in found.used:
        if not os.path.lexists(name):
            return lacking(Path(name).name, "missing")
    if found.format == "OME-TIFF" and (member := empty_member(path)):
        return lacking(member.name, "empty")
    short = cut_file(found.used)
    return cut(short.name, path.name) if short else None


def _bad_pixels(reader: Any, found: Readable, path: Path, memory: int) -> Unreadable | None:
    return None if holds_pixels(reader, len(found.used), memory) else cut(path.name, path.name)


def _check_visible(path: Path) -> None:
    """Raise OperatorError when Java does not see the file that we see."""
    if not runtime.java("java.io.File")(str(path)).exists():
        path.stat()  # FileNotFoundError: it was taken away just now
        raise OperatorError(
            "Java cannot see a file whose name has letters beyond A to Z.",
            concerns="bioformats",
            remedy="Start dropwatch with LC_ALL=C.UTF-8, or another locale with UTF-8, in its environment.",
            detail=ascii(str(path)),
            code="bioformats-locale",
        )


def _check_ours(path: Path) -> None:
    """Raise OSError when it is not the file that is bad: Bio-Formats takes a share that is gone for a bad file."""
    with path.open("rb") as file:
        file.read(1)
        file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
        file.read(1)


def close(reader: Any) -> None:
    """Close a reader of Java's, whatever state it is in."""
    try:
        reader.close()
    except runtime.throwable():
        reader.close(False)
