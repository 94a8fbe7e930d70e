"""What Bio-Formats says of one file. Values only: they cross process boundaries and are kept on disk."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Readable:
    """An image file. Whatever stands in it, *used* may name any path: whoever reads one checks it first.

    format -- as Bio-Formats calls it, e.g. ``OME-TIFF``
    used   -- absolute paths of all files that belong to it: the one that opens it, then in the order of Bio-Formats;
              [0] is not always the file that was asked about
    series -- how many images are in it
    plate  -- it is of a screening format
    """

    format: str
    used: tuple[str, ...]
    series: int
    plate: bool


@dataclass(frozen=True)
class Unreadable:
    """No image file, or a damaged one.

    unknown -- no reader takes it: it is not an image, or of a format that this Bio-Formats does not know
    reason  -- in words a biologist understands; a whole sentence
    detail  -- Java's exception and its message, for admins
    used    -- as in Readable, where the file was opened and one of those that belong to it is damaged or missing: then
               the others need no look of their own
    remedy  -- what to do about it, where that is known; a whole sentence
    """

    unknown: bool
    reason: str
    detail: str = ""
    used: tuple[str, ...] = ()
    remedy: str = ""


Look = Readable | Unreadable
