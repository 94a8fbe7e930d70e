"""Which file of the batch a path means that stood in an image file. Only names are looked at, no file is opened.

An image file may name any path of this machine as part of itself. This module decides what of that is the batch's own.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from dropwatch import manifest
from dropwatch.litter import is_junk
from dropwatch.report.words import named
from dropwatch.spool.tree import Snapshot


@dataclass(frozen=True)
class Stray:
    """A path that is no file of the batch: *what* is wrong with it, a clause that ends a sentence, and the remedy."""

    what: str
    remedy: str


_OUTSIDE = "Put all files that belong together into one folder, and save them there so that they name nothing outside."
_LINK = "Put the file itself into the folder, in place of the link."
_ABSENT = "Add the file to the folder."
_UNCHOSEN = "Choose that file too."


class Contents:
    """The files of a batch as they were listed, and its folder.

    spool -- root of the spool, for words only
    picked -- the files were picked from a folder that may hold others
    """

    def __init__(self, folder: Path, snap: Snapshot, spool: Path, *, picked: bool = False) -> None:
        self._picked = picked
        self._folder, self._spool = str(folder), str(spool)
        self._real = os.path.realpath(folder)
        self._files = {file.path for file in snap.files}
        self._oddities = {odd.path: odd.what for odd in snap.oddities}
        self._parents: dict[str, str | None] = {}

    def find(self, used: str) -> str | Stray | None:
        """The path, relative to the folder, of the file that *used* (absolute) means.

        None is a file that is never part of a batch: the manifest, or what desktops leave behind. Readers that take all
        files of a folder name such files too; they do without.
        """
        parent, name = os.path.split(used)
        inside = self._inside(parent)
        if inside is None or name in ("", ".", ".."):
            return Stray(f"{named(self._shown(used))}, which lies outside of the folder", _OUTSIDE)
        path = inside + name
        if path in self._files:
            return None if is_ours(path) else path
        if any(is_junk(step) for step in path.split("/")):
            return None
        return self._missing(path)

    def _inside(self, parent: str) -> str | None:
        """Where *parent* is in our folder ("" or "sub/"), whatever links lead there; None for outside."""
        if parent not in self._parents:
            self._parents[parent] = self._look_up(parent)
        return self._parents[parent]

    def _look_up(self, parent: str) -> str | None:
        real = _below(os.path.realpath(parent), self._real)
        if real is None or os.pardir in Path(parent).parts:
            return real
        # A link from one place of the folder to another does not lead out. But the server gets no links: there the
        # reader would look in vain for the path as it is spelled. The listing knows no file behind a link.
        spelled = _below(parent, self._folder)
        return real if spelled is None else spelled

    def _missing(self, path: str) -> Stray:
        steps = path.split("/")
        for depth in range(1, len(steps) + 1):
            what = self._oddities.get("/".join(steps[:depth]))
            if what is not None:
                lies = "is" if depth == len(steps) else "lies behind" if what == "a link" else "lies in"
                return Stray(f"{named(path)}, which {lies} {what}", _LINK if what == "a link" else _ABSENT)
        if self._picked and os.path.lexists(f"{self._folder}/{path}"):
            return Stray(f"{named(path)}, which was not chosen", _UNCHOSEN)
        return Stray(f"{named(path)}, which is not there", _ABSENT)

    def _shown(self, used: str) -> str:
        """As it may stand in the file: relative to the folder where it is near, else the whole path."""
        near = _below(os.path.normpath(used), self._spool) is not None
        return os.path.relpath(used, self._folder) if near else used


def is_ours(path: str) -> bool:
    """Whether *path* in a batch is its manifest."""
    return "/" not in path and (manifest.is_manifest_name(path) or manifest.loose_stem(path) is not None)


def _below(path: str, top: str) -> str | None:
    """What leads from *top* to the folder *path*: "", "sub/"; None when it does not lie there."""
    if os.path.normcase(path) == os.path.normcase(top):
        return ""
    if os.path.normcase(path).startswith(os.path.normcase(top.rstrip(os.sep)) + os.sep):
        return path[len(top.rstrip(os.sep)) + 1 :].replace(os.sep, "/") + "/"
    return None
