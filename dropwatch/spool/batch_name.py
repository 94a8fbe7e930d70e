"""What a batch is called: by people, and as a folder that any file server takes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from dropwatch.litter import is_junk, is_temporary

_UNUSABLE = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]')
_NAME_BYTES = 200  #: a name may have 255 bytes, and ours gets a number and a temporary ending


def called(paths: Sequence[PurePath]) -> str:
    """What people would call it: the folder, the one file, or the folder that all the files come from. Whether
    something in a place is a folder, only the daemon can know: there, what follows the last dot is left out."""
    first = paths[0]
    if len(paths) == 1:
        is_folder = isinstance(first, Path) and first.is_dir()
        return first.name if is_folder else re.sub(r"\.(ome|companion)$", "", first.stem, flags=re.I)
    above = {path.parent for path in paths}
    return (first.parent.name if len(above) == 1 else "") or first.stem


def folder_name(name: str) -> str:
    """*name* as the name of a folder that any file server takes and that nothing passes over."""
    usable = _shortened(_UNUSABLE.sub("_", name).strip(" ."))
    if is_junk(usable) or is_temporary(usable):
        usable = _shortened("batch " + usable.replace(".", "_").strip("~$_")).rstrip("~")
    return usable or "batch"


def _shortened(name: str) -> str:
    while len(os.fsencode(name)) > _NAME_BYTES:
        name = name[:-1].rstrip(" .")
    return name


def numbered(name: str) -> Iterator[str]:
    """NAME, NAME (2), NAME (3), ..."""
    yield name
    number = 2
    while True:
        yield f"{name} ({number})"
        number += 1
