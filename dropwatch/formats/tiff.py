"""Reads the skeleton of a TIFF: where its pages and their pixels lie. It decodes nothing.

Bio-Formats takes a TIFF whose end is missing for a shorter one, or answers black pixels, and says nothing. Such
files are the commonest damage of a drop folder, so we look for ourselves. Layout: TIFF 6.0, and BigTIFF for files
beyond 4 GiB.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_MOST_PAGES = 50_000
_MOST_VALUES = 4_000_000  #: offsets of one page; more are not looked at
_MOST_BYTES = 256 * 2**20  #: read of one file
_PAGE_COSTS = 256  #: bytes that a page counts at least

_LENGTH, _COMPRESSION, _DESCRIPTION, _ROWS, _SUB_PAGES = 257, 259, 270, 278, 330
_PIXELS = ((273, 279), (324, 325))  #: offsets and byte counts, of strips and of tiles

#: TIFF's types that matter here -> struct's; ASCII and UNDEFINED are read as bytes
_TYPES = {1: "B", 2: "B", 3: "H", 4: "I", 7: "B", 13: "I", 16: "Q", 18: "Q"}

_NAMED = re.compile(r"""<(?:\w+:)?(?:UUID|BinaryOnly)\b[^<>]*?\b(?:FileName|MetadataFile)=["']([^"']+)""")


class Cut(Exception):
    """Something of the file lies beyond its end."""


class Endless(Exception):
    """More was read than a sound file holds: its pages name the same bytes again and again."""


@dataclass(frozen=True)
class _Layout:
    """How numbers are written in this file: byte order, and struct's letters for its fields."""

    order: str
    big: bool

    @property
    def entry(self) -> struct.Struct:
        """tag, type, count, value or offset"""
        return struct.Struct(self.order + ("HHQ8s" if self.big else "HHI4s"))

    @property
    def offset(self) -> struct.Struct:
        return struct.Struct(self.order + ("Q" if self.big else "I"))

    @property
    def count(self) -> struct.Struct:
        return struct.Struct(self.order + ("Q" if self.big else "H"))


_LAYOUTS = {
    b"II*\0": _Layout("<", False),
    b"MM\0*": _Layout(">", False),
    b"II+\0": _Layout("<", True),
    b"MM\0+": _Layout(">", True),
}


def is_tiff(start: bytes) -> bool:
    """Whether a file that begins with these 4 bytes is a TIFF."""
    return start[:4] in _LAYOUTS


def is_cut(path: Path) -> bool:
    """Whether a part of the TIFF *path* lies beyond its end. Raises OSError; False for what is no TIFF."""
    with path.open("rb") as file:
        try:
            for page in _pages(file):
                page.check_pixels()
        except Cut:
            return True
        except Endless:
            return False
    return False


def named_files(path: Path) -> set[str]:
    """Names of all files of the set that *path* belongs to, itself included, as the OME-XML of an OME-TIFF gives them.

    Empty when there is no such thing in it. Raises OSError.
    """
    with path.open("rb") as file:
        try:
            page = next(_pages(file), None)
            told = page.values(_DESCRIPTION) if page else ()
        except (Cut, Endless):
            return set()
    from xml.sax.saxutils import unescape  # it brings all of urllib: most commands shall not wait for it

    text = bytes(value for value in told if value < 256).decode("utf-8", "replace")
    return {unescape(name, {"&quot;": '"', "&apos;": "'"}) for name in _NAMED.findall(text)}


def _pages(file: BinaryIO) -> Iterator[_Page]:
    """The pages in their order, each followed by the smaller ones that hang on it. Raises Cut."""
    layout = _LAYOUTS.get(file.read(4))
    if layout is None:
        return
    size = file.seek(0, 2)
    source = _Source(file, size, min(4 * size + 2**16, _MOST_BYTES))
    start = source.read(8 if layout.big else 4, layout.offset.size)
    (at,) = layout.offset.unpack(start)
    for _ in range(_MOST_PAGES):
        if at == 0:
            return
        page = _page(source, layout, at)
        yield page
        for below in page.values(_SUB_PAGES):
            yield _page(source, layout, below)
        at = page.next


def _page(source: _Source, layout: _Layout, at: int) -> _Page:
    source.spend(_PAGE_COSTS)
    (count,) = layout.count.unpack(source.read(at, layout.count.size))
    at += layout.count.size
    entries = source.read(at, count * layout.entry.size)
    after = source.read(at + len(entries), layout.offset.size)
    fields = {tag: (kind, many, value) for tag, kind, many, value in layout.entry.iter_unpack(entries)}
    return _Page(source, layout, fields, int(layout.offset.unpack(after)[0]))


@dataclass
class _Source:
    """The file and its *size*. left -- how many bytes may still be read of it: a sound file holds each once"""

    file: BinaryIO
    size: int
    left: int

    def read(self, at: int, many: int) -> bytes:
        """Raises Cut, Endless."""
        if at + many > self.size:
            raise Cut
        self.spend(many)
        self.file.seek(at)
        return self.file.read(many)

    def spend(self, many: int) -> None:
        self.left -= many
        if self.left < 0:
            raise Endless


@dataclass(frozen=True)
class _Page:
    """One page. fields -- by tag: type, count, and the value or where it lies; next -- offset of the next one or 0"""

    source: _Source
    layout: _Layout
    fields: dict[int, tuple[int, int, bytes]]
    next: int

    def values(self, tag: int) -> tuple[int, ...]:
        """The numbers of the field; none when it is not there, or of a type that matters to nobody here."""
        kind, many, value = self.fields.get(tag, (0, 0, b""))
        letter = _TYPES.get(kind)
        if letter is None or many > _MOST_VALUES:
            return ()
        form = struct.Struct(f"{self.layout.order}{many}{letter}")
        if form.size > len(value):
            (at,) = self.layout.offset.unpack(value)
            value = self.source.read(at, form.size)
        return form.unpack_from(value)

    def check_pixels(self) -> None:
        """Raise Cut when pixels of this page lie beyond the end of the file."""
        for offsets, counts in _PIXELS:
            starts, lengths = self.values(offsets), self.values(counts)
            if any(start >= self.source.size for start in starts):
                raise Cut
            # Some writers count a byte of padding that they do not write, and call the last strip as long as others.
            spare = 1 + self._unwritten(lengths)
            if any(
                start + length > self.source.size + spare
                for start, length in zip(starts, lengths, strict=False)
            ):
                raise Cut

    def _unwritten(self, lengths: tuple[int, ...]) -> int:
        """Bytes that the last of uncompressed strips may lack, because the image ends before the strip does."""
        length, rows = self._number(_LENGTH, 0), self._number(_ROWS, 0)
        if self._number(_COMPRESSION, 1) != 1 or not lengths or not 0 < rows < length or length % rows == 0:
            return 0
        return lengths[-1] * (rows - length % rows) // rows

    def _number(self, tag: int, default: int) -> int:
        return next(iter(self.values(tag)), default)
