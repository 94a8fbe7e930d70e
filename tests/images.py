"""Makes image files of many kinds, good and bad, and looks at them with the real Bio-Formats."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import nibabel
import numpy
import tifffile

from dropwatch import formats
from dropwatch.config.sections import BioFormats as Settings

_SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_OME = (
    f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{_SCHEMA}" UUID="urn:uuid:{{own}}">{{inside}}</OME>'
)
_IMAGE = (
    '<Image ID="Image:0" Name="set"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="16" SizeY="16"'
    ' SizeZ="1" SizeC="1" SizeT="{times}"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>{planes}</Pixels></Image>'
)
_PLANE = (
    '<TiffData FirstT="{time}" IFD="0" PlaneCount="1"><UUID FileName="{name}">urn:uuid:{id}</UUID></TiffData>'
)

PLATE = "plate&plates=1&plateRows=2&plateCols=3&fields=1.fake"
THREE = "three&series=3.fake"


@cache
def bioformats() -> formats.BioFormats:
    """One for the process, as its JVM is."""
    found = formats.find(Settings(), os.environ)
    assert isinstance(found, formats.Installation), found
    return formats.BioFormats(found, 512 * 2**20)


def ome_set(folder: Path, names: Sequence[str]) -> None:
    """An OME-TIFF of one image in several files, each of which names all. Names that lead out are only named."""
    ids = {name: uuid.uuid4() for name in names}
    inside = _image(ids)
    for name, own in ids.items():
        if not name.startswith(("..", "/")):
            _tiff(folder / name, _OME.format(own=own, inside=inside))


def companion_set(folder: Path, companion: str, names: Sequence[str]) -> None:
    """The same, with the metadata in a file of their own, which the others name."""
    ids, own = {name: uuid.uuid4() for name in names}, uuid.uuid4()
    (folder / companion).write_text(_OME.format(own=own, inside=_image(ids)))
    for name, other in ids.items():
        _tiff(
            folder / name,
            _OME.format(own=other, inside=f'<BinaryOnly MetadataFile="{companion}" UUID="urn:uuid:{own}"/>'),
        )


def pair(folder: Path, stem: str) -> None:
    """A NIfTI image in a .hdr and an .img."""
    pixels = numpy.arange(32, dtype=numpy.int16).reshape(4, 4, 2)
    nibabel.Nifti1Pair(pixels, numpy.eye(4)).to_filename(folder / f"{stem}.hdr")


def fake(folder: Path, name: str) -> None:
    """Bio-Formats' own format for tests: an empty file whose name says what is in it."""
    (folder / name).write_bytes(b"")


def plain_tiff(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, numpy.arange(256, dtype=numpy.uint16).reshape(16, 16))


def _image(ids: dict[str, uuid.UUID]) -> str:
    planes = [_PLANE.format(time=time, name=name, id=ids[name]) for time, name in enumerate(ids)]
    return _IMAGE.format(times=len(ids), planes="".join(planes))


def _tiff(path: Path, description: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = numpy.arange(256, dtype=numpy.uint16).reshape(16, 16)
    tifffile.imwrite(path, pixels, description=description, metadata=None)
