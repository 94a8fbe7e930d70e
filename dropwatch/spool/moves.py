"""Moves that survive a power cut. Every rename of the spool goes through move().

A rename is durable only when the directories on both its ends are; a rename never lands on something.
"""

from __future__ import annotations

import errno
import shlex
import shutil
from collections.abc import Iterable
from pathlib import Path

from dropwatch.durable import fsync_directory, is_there
from dropwatch.errors import OperatorError, TemporaryError

#: Windows: access denied, sharing violation, lock violation. Somebody still has a file of it open.
_IN_USE_ON_WINDOWS = (5, 32, 33)


class InUse(TemporaryError):
    """The move was refused because somebody is still writing: not settled yet."""


def make_directory(path: Path) -> None:
    """Make the directory *path* durably. Raises FileExistsError."""
    path.mkdir()
    fsync_directory(path.parent)


def ensure_directory(path: Path) -> None:
    """Have an empty directory *path*, durably: make it, or take the one that is there. Raises FileExistsError.

    On a share a failed mkdir may have made it all the same, and says EEXIST when it is asked again.
    """
    try:
        path.mkdir()
    except OSError:
        if path.is_symlink() or not path.is_dir() or any(path.iterdir()):
            raise
    fsync_directory(path.parent)


def move(source: Path, target: Path) -> None:
    """Rename *source* to *target* and make it durable. Nothing is ever overwritten or copied.

    Raises InUse (somebody is writing), OperatorError (no permission), FileExistsError, FileNotFoundError.
    """
    rename(source, target)
    fsync_directory(target.parent)
    fsync_directory(source.parent)


def rename(source: Path, target: Path) -> None:
    """As move(), but not durable yet: for many at once, all between the same two directories."""
    if is_there(target):
        raise FileExistsError(errno.EEXIST, "a move would land on something", str(target))
    try:
        source.rename(target)
    except OSError as err:
        _look_where_it_is(err, source, target)


def _look_where_it_is(err: OSError, source: Path, target: Path) -> None:
    """On a share a failed rename is no proof of failure (rename(2), BUGS): only where things lie is."""
    if is_there(target) and not is_there(source):
        return
    if err.errno == errno.EBUSY or getattr(err, "winerror", None) in _IN_USE_ON_WINDOWS:
        raise InUse(f"{source.name} is still in use.") from err
    if err.errno in (errno.EACCES, errno.EPERM):
        raise _no_permission(source, err) from err
    if err.errno == errno.EXDEV:
        raise OperatorError(
            f"{source.parent} and {target.parent} are on different file systems.",
            concerns="spool",
            remedy="Put the four folders of a user on one file system; a batch is moved, never copied.",
            detail=str(err),
        ) from err
    raise err


def _no_permission(source: Path, err: OSError) -> OperatorError:
    return OperatorError(
        f"dropwatch may not move {source.name}.",
        concerns="user",
        remedy=(
            f"Give the account that runs dropwatch write permission on {source} and on {source.parent} "
            "(moving a folder needs write permission on the folder itself), "
            # People copy it: whatever the folder is called, it is one word of the command, and no option.
            f"for example: chmod -R g+rwX -- {shlex.quote(str(source))}. "
            "`dropwatch check` shows which permission is missing."
        ),
        detail=f"{type(err).__name__}: {err}",
        code="permission",
    )


def remove_ours(folder: Path, names: Iterable[str]) -> None:
    """Remove the entries *names*, with all below them, and then *folder*, durably.

    Nothing else: on a share a rename that failed may still happen, and bring the user's files. Then this fails.
    """
    for name in names:
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)  # it follows no link, also none that is put there meanwhile
        else:
            path.unlink(missing_ok=True)
    folder.rmdir()
    fsync_directory(folder.parent)
