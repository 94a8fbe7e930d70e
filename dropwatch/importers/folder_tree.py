"""The tree that people see: owner, group where one was named, project where one was named, dataset, files.

    <archive>/alice/HeLa day 3/run 1/a.tif              Dataset:HeLa day 3
    <archive>/alice/imaging-lab/HeLa/day 3/a.tif        Project:HeLa/Dataset:day 3 in the group imaging-lab

Nothing is ever overwritten, and no file is called anew: files of a fileset refer to one another. Where one of a
fileset's names is taken, all of it goes below a folder named as its batch, with a number: `HeLa day 3 (2)/run 1/a.tif`.
No link is followed. Copies get the permissions that the umask of dropwatch leaves, and keep their times.
"""

from __future__ import annotations

import errno
import os
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

from dropwatch.durable import fsync_directory
from dropwatch.errors import PermanentError
from dropwatch.importers.folder_errors import in_the_way
from dropwatch.importers.folder_names import aside, folder_name, safe_path
from dropwatch.model import Kind, Order

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


def home_of(order: Order) -> tuple[str, ...]:
    """The folder that the target of *order* means, in steps below the archive. Raises PermanentError."""
    target = order.target
    if target.id is not None:
        raise PermanentError(
            f"{target} is a number, and a folder has none.",
            remedy=f"Name the {target.kind.lower()}: '{target.kind}:day 3', or '{target.kind}:name:{target.id}' "
            "where the number is its name.",
            code="no-such-target",
        )
    if target.kind is Kind.PROJECT or not target.name:
        raise PermanentError(
            f"{target} cannot hold images.",
            remedy="Name a dataset or a screen, for example 'Dataset:day 3'.",
            code="bad-target",
        )
    steps = (order.owner, order.group, target.project, target.name)
    return tuple(folder_name(step) for step in steps if step)


def make_folders(folder: Path, top: Path) -> list[Path]:
    """Make *folder* and what is missing above it, up to *top*, durably; returns those that were made.

    Raises PermanentError where something else than a plain folder is in the way.
    """
    made = []
    below = folder.relative_to(top)
    for here in (top / path for path in (*reversed(below.parents), below)):
        if here == top or is_plain_folder(here):
            continue
        try:
            here.mkdir()
        except FileExistsError:
            if not is_plain_folder(here):  # or somebody was quicker, which is just as well
                raise in_the_way(str(here)) from None
        else:
            fsync_directory(here.parent)
            made.append(here)
    return made


def is_plain_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def choose(root: Path, home: Sequence[str], source: str, paths: Sequence[str]) -> list[str]:
    """Free places for the files of a fileset, '/'-separated below *root*.

    source -- name of the batch's folder; paths -- of the files in it
    """
    wanted = [safe_path(path) for path in paths]
    for prefix in _prefixes(source):
        if not any(_is_taken(root.joinpath(*home), (*prefix, *steps)) for steps in wanted):
            return ["/".join((*home, *prefix, *steps)) for steps in wanted]
    raise AssertionError("numbers do not end")


def _prefixes(source: str) -> Iterator[tuple[str, ...]]:
    yield ()
    yield from ((aside(source, number),) for number in count(2))


def _is_taken(home: Path, steps: Sequence[str]) -> bool:
    """Whether there is something at *steps*, or a file or a link on the way there."""
    here = home
    for step in steps[:-1]:
        here /= step
        if os.path.lexists(here) and not is_plain_folder(here):
            return True
    return os.path.lexists(here / steps[-1])


def twins(paths: Sequence[str]) -> tuple[str, str] | None:
    """Two of *paths* that are one where a file system does not tell capitals from small letters."""
    seen: dict[str, str] = {}
    for path in paths:
        folded = unicodedata.normalize("NFC", path).casefold()
        if folded in seen:
            return seen[folded], path
        seen[folded] = path
    return None


def put(staged: Path, place: Path) -> None:
    """Give the copy *staged* its *place*, where it may be already. *staged* may stay as a second name of it.

    Raises FileExistsError when something else is there: nothing is ever overwritten.
    """
    if not staged.exists() and place.exists():
        return  # an earlier try moved it, where there are no hard links
    try:
        os.link(staged, place)
    except FileExistsError:
        if not place.samefile(staged):
            raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _move(staged, place)


def _move(staged: Path, place: Path) -> None:
    """Where the file system has no hard links: reserve the name, then move over what reserves it."""
    os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    staged.replace(place)


def take_back(staged: Path, place: Path) -> None:
    """Undo put()."""
    if not staged.exists():
        place.rename(staged)
    elif place.exists() and place.samefile(staged):
        place.unlink()
