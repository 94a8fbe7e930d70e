"""Looking at 1,000 files with Bio-Formats in this process, against one Java process for each file.

The peer: ImageInfo of the same jar and the same Java, on a sample of the same files in the same run; that is what a
script does that asks Bio-Formats about each file, and `omero import` starts Java likewise. The start of Java is told
by itself: a planner pays it once, the peer each time. The peer is told to read no pixels, while we read one of each
file and see whether its end is there.
Run: make bench
"""

from __future__ import annotations

import os
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy
import tifffile

from dropwatch.config.sections import BioFormats as Settings
from dropwatch.formats import BioFormats, Installation, Readable, find

FILES = 1_000
SAMPLE = 20


def make_files(folder: Path) -> list[Path]:
    """A third each of plain TIFF, PNG, and Bio-Formats' own test format; small, as a well of a screen is."""
    pixels = numpy.random.default_rng(1).integers(0, 4000, (64, 64), dtype=numpy.uint16)
    made = []
    for number in range(FILES):
        path = folder / (f"{number:04}.tif", f"{number:04}.png", f"{number:04}&sizeZ=5.fake")[number % 3]
        if path.suffix == ".tif":
            tifffile.imwrite(path, pixels)
        elif path.suffix == ".png":
            path.write_bytes(png(pixels))
        else:
            path.touch()
        made.append(path)
    return made


def png(pixels: numpy.ndarray) -> bytes:
    height, width = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def looked(reader: BioFormats, path: Path) -> float:
    begun = time.monotonic()
    found = reader.look(path, path.parent)
    taken = time.monotonic() - begun
    assert isinstance(found, Readable), found
    return taken


def process_each(found: Installation, path: Path) -> float:
    """Seconds of a Java process that only says what *path* is."""
    java = found.libjvm.parents[2] / "bin" / "java"
    jars = os.pathsep.join(map(str, found.jars))
    command = [java, "-cp", jars, "loci.formats.tools.ImageInfo", "-nopix", "-no-upgrade", path]
    begun = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    taken = time.monotonic() - begun
    assert "Series count = 1" in done.stdout, done.stdout
    return taken


def main() -> int:
    found = find(Settings(), os.environ)
    if not isinstance(found, Installation):
        print(f"{found.what} {found.remedy}", file=sys.stderr)
        return 1
    reader = BioFormats(found, 2**30)
    with tempfile.TemporaryDirectory() as folder:
        files = make_files(Path(folder))
        start = looked(reader, files.pop())
        sample = random.Random(1).sample(files, SAMPLE)
        theirs = [process_each(found, path) for path in sample[: SAMPLE // 2]]
        ours = [looked(reader, path) for path in files]
        theirs += [process_each(found, path) for path in sample[SAMPLE // 2 :]]
    report(found, start, ours, theirs)
    return 0


def report(found: Installation, start: float, ours: list[float], theirs: list[float]) -> None:
    each, peer = statistics.mean(ours), statistics.mean(theirs)
    print(f"{found}")
    print(f"start of Java, first file {start:6.2f} s, once")
    print(
        f"in this process         {1 / each:8.1f} files a second, {each * 1000:.1f} ms each, {len(ours)} files"
    )
    print(
        f"a Java process for each {1 / peer:8.1f} files a second, {peer * 1000:.0f} ms each, {len(theirs)} files"
    )
    print(f"ratio                   {peer / each:8.0f}")
    print(f"with the start of Java  {peer / (each + start / len(ours)):8.0f}   for {len(ours)} files")


if __name__ == "__main__":
    sys.exit(main())
