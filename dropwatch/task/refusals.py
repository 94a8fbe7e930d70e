"""What planning says no to, in words: of the batch as a whole, and of single files in it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from dropwatch import manifest
from dropwatch.formats import Unreadable
from dropwatch.model import FileFact, Kind, Problem, Refused, Target
from dropwatch.report.words import named
from dropwatch.spool import tree
from dropwatch.spool.tree import Oddity
from dropwatch.task.belonging import Stray
from dropwatch.task.grouping import Group, Trouble

_NAMED = 20  #: names in one sentence

_MEND = "Replace it by a good copy, or take it out of the folder."


class Hopeless(Exception):
    """The batch as a whole cannot be imported."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__()
        self.problems = problems


def some(names: Sequence[str], between: str = ", ") -> str:
    """The first of *names*, and how many more there are."""
    more = len(names) - _NAMED
    return between.join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def is_link(name: str) -> Problem:
    return Problem(f"{name} is a link, not a folder.", "Copy the folder itself into inbox.")


def nothing(aside: Sequence[str]) -> Problem:
    """There is no image in the batch, nor anything that was refused; *aside* is what there is."""
    if aside:
        return Problem(
            f"No file in the folder is an image that OMERO can read: {some(aside)}.",
            "Copy image files into it, or save the images in a format that OMERO reads, such as OME-TIFF.",
            "no-image",
        )
    return Problem("There is no image file in the folder.", "Copy image files into it.", "no-image")


_ODD = {
    tree.CLOSED: (
        "It is a folder that dropwatch may not look into.",
        "Give the account that dropwatch runs as permission to read the folder and what is in it.",
    ),
    tree.CLOSED_FILE: (
        "It is a file that dropwatch may not read.",
        "Give the account that dropwatch runs as permission to read it, then move the folder back to inbox.",
    ),
    tree.TOO_DEEP: (
        f"It is {tree.TOO_DEEP}: nothing further down was looked at.",
        "Put it higher up in the folder.",
    ),
    tree.TOO_LONG: (
        f"It is {tree.TOO_LONG}: no program can open it.",
        "Put it higher up in the folder, or give it and the folders above it shorter names.",
    ),
}


def odd(oddity: Oddity) -> Refused:
    reason = f"It is {oddity.what}, and dropwatch neither follows nor opens such things."
    reason, remedy = _ODD.get(oddity.what, (reason, "Copy the file itself into the folder."))
    return Refused(oddity.path, reason, remedy)


def unreadable(file: FileFact, look: Unreadable) -> Refused:
    if look.unknown:
        trouble = Trouble(
            "The manifest lists it, but OMERO does not know its format, or it is not an image.",
            "Take it out of the list, move it to `attachments:`, or save the images as OME-TIFF.",
            "unknown-format",
            look.detail,
        )
    else:
        trouble = damage(look)
    return troubled(file.path, trouble, [file])


def damage(look: Unreadable) -> Trouble:
    return Trouble(look.reason, look.remedy or _MEND, "unreadable", look.detail)


def names_stray(asked: str, stray: Stray) -> Trouble:
    """The file *asked* names something that is no file of the batch."""
    return Trouble(f"{named(asked)} names {stray.what}.", stray.remedy, "not-in-folder")


def troubled(name: str, trouble: Trouble, files: Sequence[FileFact]) -> Refused:
    return Refused(
        name,
        trouble.reason,
        trouble.remedy,
        error=trouble.error,
        detail=trouble.detail,
        files=len(files),
        bytes=sum(file.size for file in files),
    )


def misplaced(group: Group, files: Sequence[FileFact], target: Target, name: str, mixed: bool) -> Refused:
    """A plate that would go to a dataset, or an image that would go to a screen.

    mixed -- there are plates and images in the batch: no target serves both
    """
    kind = Kind.SCREEN if group.plate else Kind.DATASET
    what, there = ("a plate", "plates go") if group.plate else ("no plate", "images go")
    line = (
        f"target: {json.dumps(manifest.target_text(manifest.default_target(name, kind)), ensure_ascii=False)}"
    )
    remedy = f"Write this line into batch.yaml:\n{line}"
    if mixed:
        them = "plates" if group.plate else "images"
        remedy = f"Put the {them} into a folder of their own, with a file batch.yaml in it that says:\n{line}"
    reason = f"It is {what}: {there} to a {kind.lower()}, and the target is {target}."
    return troubled(files[0].path, Trouble(reason, remedy, f"needs-{kind.lower()}"), files)
