"""Small image files for trying and testing: good ones and bad ones. It only writes where it is told."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy
import tifffile

Pixels = numpy.ndarray[tuple[int, ...], numpy.dtype[numpy.uint16]]

_DRAWN = 500  #: pixels each way in which cells are drawn; larger images are these, enlarged

_OME = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:{own}">{inside}</OME>'
)
_PLATE = '<Plate ID="Plate:0" Name="{name}">{wells}</Plate>'
_WELL = (
    '<Well ID="Well:0:{n}" Row="0" Column="{n}"><WellSample ID="WellSample:0:{n}:0" Index="{n}">'
    '<ImageRef ID="Image:{n}"/></WellSample></Well>'
)
_IMAGE = (
    '<Image ID="Image:{n}" Name="{name}"><Pixels ID="Pixels:{n}" DimensionOrder="XYZCT" Type="uint16"'
    ' SizeX="{size}" SizeY="{size}" SizeZ="1" SizeC="1" SizeT="{times}">'
    '<Channel ID="Channel:{n}:0" SamplesPerPixel="1"/>{planes}</Pixels></Image>'
)
_PLANE = (
    '<TiffData FirstT="{t}" IFD="0" PlaneCount="1"><UUID FileName="{file}">urn:uuid:{id}</UUID></TiffData>'
)


def ome_tiff(path: Path, *, seed: int = 0, series: int = 1, size: int = 64) -> None:
    """Write a valid OME-TIFF with *series* images of *size* x *size* pixels; other *seed*, other pixels."""
    random = numpy.random.default_rng(seed)
    with tifffile.TiffWriter(path, ome=True) as tiff:
        for number in range(series):
            tiff.write(
                _cells(random, size),
                metadata={"axes": "YX", "Name": f"{path.name.split('.')[0]} {number + 1}"},
            )


def ome_set(folder: Path, names: Sequence[str], *, seed: int = 0, size: int = 64) -> None:
    """Write one OME-TIFF image in several files: a time point in each, and in each the names of all."""
    ids = {name: uuid.uuid4() for name in names}
    planes = "".join(_PLANE.format(t=t, file=name, id=ids[name]) for t, name in enumerate(names))
    image = _IMAGE.format(n=0, name=folder.name, size=size, times=len(names), planes=planes)
    _write(folder, ids, image, seed, size)


def ome_plate(folder: Path, names: Sequence[str], *, seed: int = 0, size: int = 64) -> None:
    """Write a plate with one row as an OME-TIFF in several files: a well in each, and in each the names of all."""
    ids = {name: uuid.uuid4() for name in names}
    wells = "".join(_WELL.format(n=n) for n in range(len(names)))
    images = [
        _IMAGE.format(
            n=n, name=f"well A{n + 1}", size=size, times=1, planes=_PLANE.format(t=0, file=name, id=ids[name])
        )
        for n, name in enumerate(names)
    ]
    _write(folder, ids, _PLATE.format(name=folder.name, wells=wells) + "".join(images), seed, size)


def _write(folder: Path, ids: dict[str, uuid.UUID], inside: str, seed: int, size: int) -> None:
    random = numpy.random.default_rng(seed)
    for name, own in ids.items():
        text = _OME.format(own=own, inside=inside)
        tifffile.imwrite(folder / name, _cells(random, size), description=text, metadata=None)


def _cells(random: numpy.random.Generator, size: int) -> Pixels:
    """Nine cells, each with a nucleus and fibres along it, in noise that makes all images different."""
    drawn = min(size, _DRAWN)
    light = numpy.zeros((drawn, drawn), numpy.float32)
    at = numpy.linspace(0, 3, drawn, dtype=numpy.float32)
    for row, column in numpy.ndindex(3, 3):
        y, x = at - row - random.uniform(0.2, 0.8), at - column - random.uniform(0.2, 0.8)
        near = numpy.ix_(abs(y) < 0.9, abs(x) < 0.9)
        turned = (x + 1j * y[:, None])[near] * numpy.exp(1j * random.uniform(0, numpy.pi))
        along, across = turned.real, turned.imag * random.uniform(1.2, 2)
        far = along**2 + across**2
        nucleus = 0.5 - 0.5 * numpy.tanh(100 * (far - 0.05))
        fibres = numpy.exp(-6 * far) * (0.3 + numpy.cos(28 * across + 6 * along**2) ** 4)
        light[near] += 2000 * (nucleus + fibres)
    enlarged = numpy.arange(size) * drawn // size
    noise = random.integers(0, 250, (size, size))
    return (light[numpy.ix_(enlarged, enlarged)] + noise).astype(numpy.uint16)


def corrupt_tiff(path: Path) -> None:
    """Write a file that begins as a TIFF and then holds nothing that a reader could use."""
    # The first directory begins at byte 8: more entries of nonsense than the file has room for.
    path.write_bytes(b"II*\0\x08\0\0\0" + bytes(range(1, 256)) * 2)
