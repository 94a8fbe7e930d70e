"""What the sandbox's server can read, in place of Bio-Formats: which images a file holds. It only reads.

TIFF and OME-TIFF, PNG, JPEG, GIF, BMP, and Bio-Formats' synthetic ``.fake`` names. A reader takes a file by
its first bytes; after that, content that does not hold together is that reader's error, as with Bio-Formats.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import tifffile


@dataclass(frozen=True)
class Series:
    """One image: its name within the file (may be empty) and sizes in pixels, planes, channels and times."""

    name: str = ""
    x: int = 1
    y: int = 1
    z: int = 1
    c: int = 1
    t: int = 1
    type: str = "uint8"


@dataclass(frozen=True)
class Content:
    """What a file holds. *plate* means that the series are the wells of one plate."""

    format: str
    series: tuple[Series, ...]
    plate: bool = False


class Unreadable(Exception):
    """No images. *code* is the name in the server's ERR, *java* the exception in its stack trace."""

    def __init__(self, code: str, java: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.java = java


def read(path: Path) -> Content:
    """The images in the file at *path*. Raises Unreadable."""
    if path.suffix == ".fake":
        return _fake(path.stem)
    with path.open("rb") as file:
        head = file.read(16)
    for magic, reader in _READERS:
        if magic.match(head):
            try:
                return reader(path)
            except Unreadable:
                raise
            except (ValueError, KeyError, IndexError, TypeError, OSError, struct.error, MemoryError) as error:
                raise _broken(path, str(error)) from error
    java = "loci.formats.UnknownFormatException"
    raise Unreadable("import-unknown-format", java, f"Unknown file format: {path}")


def _broken(path: Path, why: str) -> Unreadable:
    return Unreadable("import-file-exception", "loci.formats.FormatException", f"{path.name}: {why}")


def _need(path: Path, true: bool, why: str) -> None:
    if not true:
        raise _broken(path, why)


def _fake(stem: str) -> Content:
    """``name&series=3&sizeZ=5``; plates, plateRows, plateCols and fields make a plate."""
    words = dict(re.findall(r"&(\w+)=([^&]+)", stem))

    def number(name: str, otherwise: int) -> int:
        return int(words[name]) if words.get(name, "").isdigit() else otherwise

    plate = any(name in words for name in ("screens", "plates", "plateRows", "plateCols"))
    wells = number("plateRows", 1) * number("plateCols", 1) * number("fields", 1)
    one = Series(
        x=number("sizeX", 512), y=number("sizeY", 512), z=number("sizeZ", 1), c=number("sizeC", 1),
        t=number("sizeT", 1), type=words.get("pixelType", "uint8"),
    )  # fmt: skip
    return Content("Fake", (one,) * (wells if plate else number("series", 1)), plate)


def _tiff(path: Path) -> Content:
    size = path.stat().st_size
    try:
        with tifffile.TiffFile(path) as tiff:
            series = tuple(_series(each) for each in tiff.series)
            ends = [_end(page) for page in tiff.pages]
            names = _ome_names(tiff.ome_metadata)
    except (tifffile.TiffFileError, ElementTree.ParseError, AttributeError, ZeroDivisionError) as error:
        raise _broken(path, str(error)) from error
    _need(path, bool(series), "no image file directory")
    _need(path, max(ends) <= size, f"pixel data ends at byte {max(ends, default=0)}, the file at {size}")
    if len(names) == len(series):
        series = tuple(
            Series(name, one.x, one.y, one.z, one.c, one.t, one.type)
            for name, one in zip(names, series, strict=True)
        )
    return Content("OME-TIFF" if names else "Tagged Image File Format", series)


def _series(one: tifffile.TiffPageSeries) -> Series:
    sizes = dict(zip(one.axes, one.shape, strict=False))
    return Series(
        x=sizes.get("X", 1), y=sizes.get("Y", 1), z=sizes.get("Z", 1), t=sizes.get("T", 1),
        c=sizes.get("C", sizes.get("S", 1)), type=str(one.dtype),
    )  # fmt: skip


def _end(page: tifffile.TiffPage | tifffile.TiffFrame) -> int:
    pairs = zip(page.dataoffsets, page.databytecounts, strict=True)
    return max((offset + count for offset, count in pairs), default=0)


def _ome_names(xml: str | None) -> list[str]:
    if not xml:
        return []
    images = [node for node in ElementTree.fromstring(xml).iter() if node.tag.endswith("}Image")]
    return [node.get("Name", "") for node in images]


def _png(path: Path) -> Content:
    """Every chunk up to IEND, each with its checksum."""
    data = path.read_bytes()
    at, x, y = 8, 0, 0
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        (crc,) = struct.unpack_from(">I", data, at + 8 + length)
        _need(path, zlib.crc32(kind + body) == crc, f"checksum of chunk {kind!r} is wrong")
        if kind == b"IHDR":
            x, y = struct.unpack_from(">II", body)
        if kind == b"IEND":
            break
        at += length + 12
    _need(path, x > 0 and y > 0, "no size")
    return Content("Portable Network Graphics", (Series(x=x, y=y, c=3),))


def _jpeg(path: Path) -> Content:
    """Every marker up to the start of the scan, and the end marker."""
    data = path.read_bytes()
    at, x, y = 2, 0, 0
    while True:
        mark, kind, length = struct.unpack_from(">BBH", data, at)
        _need(path, mark == 0xFF, f"no marker at byte {at}")
        if kind in range(0xC0, 0xD0) and kind not in (0xC4, 0xC8, 0xCC):
            y, x = struct.unpack_from(">HH", data, at + 5)
        if kind == 0xDA:
            break
        at += length + 2
    _need(path, x > 0 and y > 0, "no frame")
    _need(path, b"\xff\xd9" in data[-64:], "no end of image")
    return Content("JPEG", (Series(x=x, y=y, c=3),))


def _gif(path: Path) -> Content:
    data = path.read_bytes()
    x, y = struct.unpack_from("<HH", data, 6)
    _need(path, x > 0 and y > 0, "no size")
    _need(path, data.rstrip(b"\0")[-1:] == b";", "no trailer")
    return Content("Graphics Interchange Format", (Series(x=x, y=y),))


def _bmp(path: Path) -> Content:
    data = path.read_bytes()
    size, _, offset, _, x, y = struct.unpack_from("<IIIIii", data, 2)
    _need(path, size <= len(data) and offset < len(data), f"{size} bytes expected, {len(data)} found")
    _need(path, x > 0 and y != 0, "no size")
    return Content("Windows Bitmap", (Series(x=x, y=abs(y), c=3),))


_READERS: tuple[tuple[re.Pattern[bytes], Callable[[Path], Content]], ...] = (
    (re.compile(rb"II[*+]\0|MM\0[*+]"), _tiff),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), _png),
    (re.compile(rb"\xff\xd8\xff"), _jpeg),
    (re.compile(rb"GIF8[79]a"), _gif),
    (re.compile(rb"BM"), _bmp),
)
