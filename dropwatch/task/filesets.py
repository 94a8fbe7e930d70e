"""From looks to filesets: groups the files of a batch, and makes what the importer gets of each group."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from dropwatch.formats import Look, Unreadable
from dropwatch.model import Attachment, FileFact, Fileset
from dropwatch.task import refusals
from dropwatch.task.belonging import Contents
from dropwatch.task.choosing import Chosen
from dropwatch.task.grouping import Group, Grouping
from dropwatch.task.looking import Looking, Progress


@dataclass(frozen=True)
class Found:
    """groups -- in the order of their files in the batch
    rest   -- the files that are in no group, with what was said of them
    """

    groups: tuple[Group, ...]
    rest: tuple[tuple[FileFact, Unreadable], ...]

    @property
    def sound(self) -> list[Group]:
        """The groups that name nothing outside the batch."""
        return [group for group in self.groups if not group.trouble]


def find_groups(
    chosen: Chosen,
    looking: Looking,
    contents: Contents,
    progress: Progress,
    enough: Callable[[int], bool] = lambda looks: False,
) -> Found:
    """Look at the files and group them. Each is in a group or in the rest. Raises OSError, OperatorError.

    enough -- asked before each look, with how many there were: whether to leave the others out
    """
    grouping, said, total = Grouping(), dict[str, Unreadable](), len(chosen.files)
    looks = 0
    for number, file in enumerate(looking.order(chosen.files)):
        if grouping.covers(file.path):
            continue
        if enough(looks):
            break
        looks += 1
        progress(number, total)
        look = looking.look(file)
        if isinstance(look, Unreadable) and not look.used:
            said[file.path] = look
        else:
            grouping.add(_group(file.path, look, contents))
    progress(total, total)
    place = {file.path: number for number, file in enumerate(chosen.files)}
    groups = sorted(
        grouping.groups(), key=lambda group: min(place[path] for path in group.members if path in place)
    )
    # A companion that is no image by itself belongs to the group that names it.
    rest = [file for file in chosen.files if file.path in said and not grouping.covers(file.path)]
    return Found(tuple(groups), tuple((file, said[file.path]) for file in rest))


def _group(asked: str, look: Look, contents: Contents) -> Group:
    members, strays = [], []
    for used in look.used:
        found = contents.find(used)
        if isinstance(found, str):
            members.append(found)
        elif found is not None:
            strays.append(found)
    trouble = refusals.names_stray(asked, strays[0]) if strays else None
    if isinstance(look, Unreadable):
        return Group(asked, tuple(members), trouble=trouble or refusals.damage(look))
    return Group(asked, tuple(members), look.format, look.series, look.plate, trouble)


def fileset(group: Group, files: Mapping[str, FileFact], sums: Mapping[str, str]) -> Fileset:
    own = tuple(files[path] for path in group.members)
    listed = tuple((path, sums[path]) for path in group.members if path in sums)
    # The order in which Bio-Formats names files is not always the same, and the id is the key in OMERO.
    text = _text(sorted(own, key=lambda file: file.path), sums)
    return Fileset(_digest(text), own, listed, group.format, group.series, group.plate)


def attachment(file: FileFact, sums: Mapping[str, str]) -> Attachment:
    # The word in front: the same file may be an image as well, under another id.
    digest = _digest("attachment\0" + _text([file], sums))
    return Attachment(digest, (file,), ((file.path, sums[file.path]),) if file.path in sums else ())


def _text(files: Iterable[FileFact], sums: Mapping[str, str]) -> str:
    return "\0".join(
        part
        for file in files
        for part in (file.path, str(file.size), str(file.mtime_ns), sums.get(file.path, ""))
    )


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:20]
