"""Finds files whose end is missing, which Bio-Formats does not: it answers black pixels, or fewer images.

Where a format says how long its file has to be, that is compared with the file. Besides, a few pixels are read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dropwatch.formats import runtime, tiff

_MOST_FILES = 2000  #: of one fileset that are looked into, spread evenly
_MOST_READS = 64
#: One pixel may make Java unpack this part of its memory, and all pixels together four times as much.
_SHARE = 16


def cut_file(used: tuple[str, ...]) -> Path | None:
    """The first of *used* whose end is missing. Raises OSError for one that cannot be read."""
    step = -(-len(used) // _MOST_FILES)
    for name in used[::step]:
        path = Path(name)
        check = _CHECKS.get(path.suffix.lower())
        if check and check(path):
            return path
    return None


def barred_member(path: Path, folder: Path) -> Path | None:
    """A file that the OME-TIFF *path* names as part of itself and that is not in *folder*, though it is there.

    Where it cannot be opened, Bio-Formats makes another image of the rest, and says nothing.
    """
    top = os.path.join(os.path.realpath(folder), "")  # noqa: PTH118
    for name in sorted(tiff.named_files(path)):
        member = path.parent / name
        if os.path.lexists(member) and not os.path.realpath(member).startswith(top):
            return member
    return None


def empty_member(path: Path) -> Path | None:
    """A file of the same OME-TIFF set that has no bytes: Bio-Formats makes black pixels of it, and says nothing."""
    for name in tiff.named_files(path):
        member = path.parent / name
        if member.is_file() and member.stat().st_size == 0:
            return member
    return None


def _lacks_end(path: Path, first: bytes, last: bytes) -> bool:
    """A file that begins with *first* ends with *last*; after it some cameras and programs put notes of their own."""
    with path.open("rb") as file:
        begins = file.read(len(first)) == first
        file.seek(max(0, path.stat().st_size - 65536))
        return begins and last not in file.read()


def _is_cut_jpeg(path: Path) -> bool:
    """JPEG's end mark cannot occur within its pixels."""
    return _lacks_end(path, b"\xff\xd8", b"\xff\xd9")


def _is_cut_png(path: Path) -> bool:
    return _lacks_end(path, b"\x89PNG", b"IEND\xaeB`\x82")


def _is_cut_bmp(path: Path) -> bool:
    """A BMP says in bytes 2 to 5 how long it is. Some writers put 0."""
    with path.open("rb") as file:
        start = file.read(6)
    return start[:2] == b"BM" and path.stat().st_size < int.from_bytes(start[2:], "little")


# By extension: other formats that look like TIFF (LSM, NDPI, STK) count in ways of their own.
_CHECKS: dict[str, Callable[[Path], bool]] = {
    **dict.fromkeys((".tif", ".tiff", ".btf", ".tf2", ".tf8", ".svs", ".qptiff"), tiff.is_cut),
    **dict.fromkeys((".jpg", ".jpeg"), _is_cut_jpeg),
    ".png": _is_cut_png,
    ".bmp": _is_cut_bmp,
}


def holds_pixels(reader: Any, files: int, memory: int) -> bool:
    """Whether the last pixel can be read of about as many planes as there are *files*; Java may throw when not.

    A plane that Java would have to unpack whole, and that is too large for its *memory* (bytes), is passed over:
    the server has more of it.
    """
    largest = memory // _SHARE
    left = 4 * largest
    for series, plane in _spread(reader, min(files, _MOST_READS)):
        reader.setSeries(series)
        cost = _unpacked(reader)
        if cost <= min(largest, left):
            left -= cost
            if not _holds_corner(reader, plane, largest):
                return False
    return True


def _spread(reader: Any, reads: int) -> Iterator[tuple[int, int]]:
    """Series and plane: the last one of the first series, then evenly up to the last one of the last series."""
    chosen = sorted({0, *_ends(reads, int(reader.getSeriesCount()))})
    for series in chosen:
        reader.setSeries(series)
        for plane in _ends(-(-reads // len(chosen)), int(reader.getImageCount())):
            yield series, plane


def _ends(parts: int, of: int) -> list[int]:
    """The last index of each of *parts* equal parts of a sequence that is *of* long."""
    parts = min(parts, of)
    return [(part + 1) * of // parts - 1 for part in range(parts)]


def _unpacked(reader: Any) -> int:
    """Bytes that Java unpacks to get at one pixel of the series that is set."""
    width, height = int(reader.getSizeX()), int(reader.getSizeY())
    pixel = _pixel(reader)
    tile = int(reader.getOptimalTileWidth()) * int(reader.getOptimalTileHeight())
    # Readers of TIFF tell the tiles or strips of the file; the others a round number, unless the file has tiles.
    told = int(reader.getOptimalTileWidth()) < width or isinstance(reader.getReader(), _tiff_readers())
    plane = width * height * pixel
    return min(plane, tile * pixel) if told else plane


def _tiff_readers() -> tuple[Any, ...]:
    return runtime.java("loci.formats.in.MinimalTiffReader"), runtime.java("loci.formats.in.OMETiffReader")


def _holds_corner(reader: Any, plane: int, largest: int) -> bool:
    """Whether the last pixel of the plane can be read."""
    width, height = reader.getSizeX(), reader.getSizeY()
    try:
        reader.openBytes(plane, width - 1, height - 1, 1, 1)
    except runtime.throwable():
        # Where pixels are packed oddly (a bit each), some readers can give no less than the plane: then that decides.
        if int(width) * int(height) * _pixel(reader) > largest:
            raise
        return _fills(reader, plane)
    return True


def _fills(reader: Any, plane: int) -> bool:
    """Whether the file has all bytes of the plane. What it lacks, readers leave in the array as it was."""
    arrays = runtime.java("java.util.Arrays")
    read = []
    for before in (0x55, 0x2A):
        array = runtime.bytes_(int(reader.getSizeX()) * int(reader.getSizeY()) * _pixel(reader))
        arrays.fill(array, runtime.java("java.lang.Byte")(before).byteValue())
        read.append(reader.openBytes(plane, array))
    return bool(arrays.equals(*read))


def _pixel(reader: Any) -> int:
    tools = runtime.java("loci.formats.FormatTools")
    return int(tools.getBytesPerPixel(reader.getPixelType())) * int(reader.getRGBChannelCount())
