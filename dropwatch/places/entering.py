"""Opens what lies in a place: step by step from its folder on, and no step is a link. Only ever to read.

The folder of the place is the admin's, and the way there may lead over links. What lies in it is anybody's.
"""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dropwatch import storage
from dropwatch.durable_steps import PLAIN, STEP_BY_STEP, step_into
from dropwatch.errors import DropwatchError, OperatorError, PermanentError, TemporaryError, Unavailable
from dropwatch.manifest.listing import clean_path
from dropwatch.places.source import Source

DEEPEST = 64  #: folders below one another; deeper is no microscope's doing
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_CLOSED = (errno.EACCES, errno.EPERM)
_A_LINK = (errno.ELOOP, errno.ENOTDIR, errno.EMLINK)


@dataclass(frozen=True)
class Folder:
    """An open folder of a place.

    path   -- below the place, as it is spelled there; "" for the place itself
    whole  -- absolute
    handle -- a descriptor; None on Windows, which opens no folders
    """

    path: str
    whole: Path
    handle: int | None

    def scan(self) -> Iterator[os.DirEntry[str]]:
        """The entries, one by one: there may be a hundred thousand."""
        with os.scandir(self.whole if self.handle is None else self.handle) as entries:
            yield from entries

    def look(self, name: str) -> os.stat_result:
        """What *name* in it is, a link itself and not what it leads to."""
        return os.stat(
            self.whole / name if self.handle is None else name, dir_fd=self.handle, follow_symlinks=False
        )

    def below(self, name: str) -> str:
        return f"{self.path}/{name}" if self.path else name

    def spelled(self, name: str) -> str:
        """*name* as it is spelled here: macOS writes é as two characters, others as one."""
        with suppress(FileNotFoundError):
            self.look(name)
            return name
        wanted = unicodedata.normalize("NFC", name)
        alike = (entry.name for entry in self.scan() if unicodedata.normalize("NFC", entry.name) == wanted)
        return next(alike, name)


def relative(path: str) -> str:
    """*path* ('/'-separated) as one below a place; "" is the place itself.

    Raises PermanentError for ``..``, absolute names and what no file is called.
    """
    if path in ("", ".", "/"):
        return ""
    try:
        clean = clean_path(path)
    except ValueError as err:
        raise PermanentError(f"{err}.", code="leads-out") from err
    if clean.count("/") >= DEEPEST:
        raise PermanentError(f"{clean} is more than {DEEPEST} folders deep.", code="too-deep")
    return clean


@contextmanager
def folder(source: Source, path: str = "") -> Iterator[Folder]:
    """The folder *path* of the place, open. Errors of the block itself are not sorted: see sorted_errors().

    Raises PermanentError (not there, no folder, a link on the way, ``..``, no permission), Unavailable (the place is
    not there, or does not answer), OperatorError (nothing of it may be read).
    """
    steps = [step for step in relative(path).split("/") if step]
    with ExitStack() as stack:
        with sorted_errors(source, path):
            here = _enter(source)
            stack.callback(_close, here)
            for step in steps:
                here = _step(here, step)
                stack.callback(_close, here)
        yield here


@contextmanager
def opened(source: Source, path: str) -> Iterator[int]:
    """A descriptor of the regular file *path* of the place, to read. Raises as folder(), and TemporaryError where it
    cannot be read now; what comes of the block itself is not sorted."""
    descriptor = _descriptor(source, path)
    try:
        yield descriptor
    finally:
        with suppress(OSError):  # nothing was written; on a share that is gone even closing fails
            os.close(descriptor)


def _descriptor(source: Source, path: str) -> int:
    above, _, name = relative(path).rpartition("/")
    with folder(source, above) as here, sorted_errors(source, path):
        descriptor = _open(here, here.spelled(name))
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise PermanentError(f"{path} is not a regular file.", code="not-a-file")
        return descriptor


def _enter(source: Source) -> Folder:
    """The folder of the place itself; what the admin wrote may lead there over links."""
    if STEP_BY_STEP:
        return Folder("", source.path, os.open(source.path, _FOLDER))
    if not source.path.is_dir():
        source.path.stat()
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(source.path))
    return Folder("", source.path, None)


def _step(here: Folder, step: str) -> Folder:
    name = here.spelled(step)
    if here.handle is not None:
        return Folder(here.below(name), here.whole / name, step_into(name, here.handle))
    _refuse_link(here, name)
    if not stat.S_ISDIR(here.look(name).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name)
    return Folder(here.below(name), here.whole / name, None)


def _open(here: Folder, name: str) -> int:
    if here.handle is not None:
        return os.open(name, os.O_RDONLY | PLAIN, dir_fd=here.handle)
    _refuse_link(here, name)
    return os.open(here.whole / name, os.O_RDONLY | PLAIN)


def _refuse_link(here: Folder, name: str) -> None:
    """Windows: links and junctions lead elsewhere, and only the whole path shows it."""
    whole = here.whole / name
    if os.path.normcase(whole.resolve()) != os.path.normcase(here.whole.resolve() / name):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(whole))


def _close(here: Folder) -> None:
    if here.handle is not None:
        with suppress(OSError):  # on a share that is gone even closing fails
            os.close(here.handle)


@contextmanager
def sorted_errors(source: Source, path: str) -> Iterator[None]:
    """Errors of the system in the block as errors of ours; *path* below the place is what it is about."""
    try:
        yield
    except OSError as err:
        raise sort(source, path, err) from err


def sort(source: Source, path: str, error: OSError) -> DropwatchError:
    """What *error* means, that came of *path* ("" the place itself)."""
    detail = (
        f"{type(error).__name__} {errno.errorcode.get(error.errno or 0, error.errno)}: {source.path} {path}"
    )
    if error.errno in _CLOSED:
        return _forbidden(source, path, detail)
    fault = storage.sort(error, f"The place {source.name}", source.concerns)
    # One file that gives errors, while the place can be looked at, is that file's trouble.
    if isinstance(fault, Unavailable) and not (path and error.errno == errno.EIO and _answers(source)):
        return fault
    if error.errno == errno.ENOENT or not path:
        return _missing(source, path, detail)
    if error.errno in _A_LINK:
        return PermanentError(
            f"{path} is a link, or lies behind one, or is no folder; links are not followed.",
            remedy="Name the file or folder itself.",
            detail=detail,
            code="link",
        )
    if error.errno == errno.ENXIO:  # a socket
        return PermanentError(f"{path} is not a regular file.", detail=detail, code="not-a-file")
    if error.errno in (errno.ENAMETOOLONG, errno.EINVAL):
        return PermanentError(f"{path} cannot be the name of a file.", detail=detail, code="not-there")
    return TemporaryError(
        f"{path} could not be read from {source.name}.", detail=detail, code="place-read-error"
    )


def _forbidden(source: Source, path: str, detail: str) -> DropwatchError:
    remedy = "Give the account that runs dropwatch read permission on {} and all that is in it."
    if not path:
        return OperatorError(
            f"dropwatch may not read the place {source.name}.",
            concerns=source.concerns,
            remedy=remedy.format(source.path),
            detail=detail,
            code="place-forbidden",
        )
    return PermanentError(
        f"dropwatch may not read {path} in {source.name}.",
        remedy=f"Ask the facility to: {remedy.format(path)}",
        detail=detail,
        code="not-readable",
    )


def _missing(source: Source, path: str, detail: str) -> DropwatchError:
    if not path or _is_empty(source):
        return Unavailable(
            f"The place {source.name} is not there, or empty.",
            concerns=source.concerns,
            remedy=f"Mount it at {source.path}. It goes on by itself as soon as it is back.",
            detail=detail,
            code="place-missing",
        )
    return PermanentError(
        f"{path} is not there in {source.name}.",
        remedy="It may have been moved or renamed since it was picked.",
        detail=detail,
        code="not-there",
    )


def _is_empty(source: Source) -> bool:
    """Whether nothing lies in the place, as in the folder that a share is to be mounted on. It may also be gone."""
    try:
        with os.scandir(source.path) as entries:
            return next(iter(entries), None) is None
    except OSError:
        return True


def _answers(source: Source) -> bool:
    try:
        return bool(os.listdir(source.path))  # noqa: PTH208 - a Path for each of many names is slow
    except OSError:
        return False
