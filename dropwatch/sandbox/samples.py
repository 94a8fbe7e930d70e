"""Small image files for trying and testing: good ones and bad ones. It only writes where it is told."""

from __future__ import annotations

from pathlib import Path

import numpy
import tifffile


def ome_tiff(path: Path, *, seed: int = 0, series: int = 1, size: int = 64) -> None:
    """Write a valid OME-TIFF with *series* images of *size* x *size* pixels; other *seed*, other pixels."""
    noise = numpy.random.default_rng(seed)
    with tifffile.TiffWriter(path, ome=True) as tiff:
        for number in range(series):
            pixels = noise.integers(0, 4096, (size, size), dtype=numpy.uint16)
            tiff.write(pixels, metadata={"axes": "YX", "Name": f"{path.name.split('.')[0]} {number + 1}"})


def corrupt_tiff(path: Path) -> None:
    """Write a file that begins as a TIFF and then holds nothing that a reader could use."""
    # The first directory begins at byte 8: more entries of nonsense than the file has room for.
    path.write_bytes(b"II*\0\x08\0\0\0" + bytes(range(1, 256)) * 2)
