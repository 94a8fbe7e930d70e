"""What is in a file: name, size and place in a plate of each image, and a small picture. For the sandbox's server.

Java itself draws the picture, so that no image library is needed in Python.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropwatch.errors import PermanentError
from dropwatch.formats import runtime
from dropwatch.formats.reader import BioFormats, close
from dropwatch.formats.words import BROKEN_NAME, has_broken_name, of_throwable

_DRAWN = 2048  #: pixels of a plane's side beyond which only its middle is drawn
_PIECE = 256  #: pixels of a plane's side that are read to see whether that can be done


@dataclass(frozen=True)
class Spot:
    """Where in a plate an image was taken; all numbers count from 0."""

    plate: str
    row: int
    column: int
    field: int


@dataclass(frozen=True)
class SeriesFact:
    """One image of a file.

    x, y, z, c, t -- its size; c counts the three colours of an RGB image
    type          -- of a pixel, as OMERO calls it: ``uint8``, ``uint16``, ``float``, ...
    """

    name: str
    x: int
    y: int
    z: int
    c: int
    t: int
    type: str
    spot: Spot | None = None


def series(formats: BioFormats, path: Path) -> tuple[SeriesFact, ...]:
    """All images of *path*, in order. Raises PermanentError when the file cannot be read."""
    with _opened(formats, path) as (reader, store):
        spots = _spots(store)
        return tuple(_fact(reader, store, spots, index) for index in range(reader.getSeriesCount()))


def read_pixels(formats: BioFormats, path: Path) -> None:
    """Read a piece of the first and of the last plane of each image. Raises PermanentError when one cannot be read."""
    with _opened(formats, path) as (reader, _):
        for index in range(reader.getSeriesCount()):
            reader.setSeries(index)
            piece = min(reader.getSizeX(), _PIECE), min(reader.getSizeY(), _PIECE)
            for plane in {0, int(reader.getImageCount()) - 1}:
                reader.openBytes(plane, 0, 0, *piece)


def thumbnail(formats: BioFormats, path: Path, index: int, width: int, height: int) -> bytes:
    """A JPEG, *width* x *height* pixels, of the middle plane of image *index*.

    Raises PermanentError when the file, or this plane, cannot be read.
    """
    with _opened(formats, path) as (reader, _):
        reader.setSeries(index)
        reader.setResolution(reader.getResolutionCount() - 1)
        plane = reader.getIndex(reader.getSizeZ() // 2, 0, reader.getSizeT() // 2)
        return _jpeg(reader.openImage(plane, *_middle(reader.getSizeX(), reader.getSizeY())), width, height)


@contextmanager
def _opened(formats: BioFormats, path: Path) -> Iterator[tuple[Any, Any]]:
    """A reader of Java's with *path* open in it, and the store that holds its metadata."""
    if has_broken_name(path):
        raise PermanentError(BROKEN_NAME.reason)
    with formats.turn():
        reader = runtime.java("loci.formats.gui.BufferedImageReader")(
            runtime.java("loci.formats.ImageReader")()
        )
        store = runtime.java("loci.formats.MetadataTools").createOMEXMLMetadata()
        reader.setFlattenedResolutions(False)
        reader.setMetadataStore(store)
        try:
            reader.setId(str(path))
            yield reader, store
        except runtime.throwable() as thrown:
            told = of_throwable(thrown)
            raise PermanentError(told.reason, detail=told.detail) from None
        finally:
            close(reader)


def _fact(reader: Any, store: Any, spots: dict[str, Spot], index: int) -> SeriesFact:
    reader.setSeries(index)
    return SeriesFact(
        name=str(store.getImageName(index) or ""),
        x=int(reader.getSizeX()),
        y=int(reader.getSizeY()),
        z=int(reader.getSizeZ()),
        c=int(reader.getSizeC()),
        t=int(reader.getSizeT()),
        type=str(store.getPixelsType(index)),
        spot=spots.get(str(store.getImageID(index))),
    )


def _spots(store: Any) -> dict[str, Spot]:
    """The place of each image, by its id in the metadata."""
    spots = {}
    for plate in range(store.getPlateCount()):
        name = str(store.getPlateName(plate) or "")
        for well in range(store.getWellCount(plate)):
            row = int(store.getWellRow(plate, well).getValue())
            column = int(store.getWellColumn(plate, well).getValue())
            for field in range(store.getWellSampleCount(plate, well)):
                image = store.getWellSampleImageRef(plate, well, field)
                if image is not None:  # a field that was left out
                    spots[str(image)] = Spot(name, row, column, field)
    return spots


def _middle(width: int, height: int) -> tuple[int, int, int, int]:
    """x, y, width and height of what is drawn."""
    drawn_x, drawn_y = min(width, _DRAWN), min(height, _DRAWN)
    return (width - drawn_x) // 2, (height - drawn_y) // 2, drawn_x, drawn_y


def _jpeg(image: Any, width: int, height: int) -> bytes:
    canvas_type = runtime.java("java.awt.image.BufferedImage")
    canvas = canvas_type(width, height, canvas_type.TYPE_INT_RGB)
    canvas.createGraphics().drawImage(
        runtime.java("loci.formats.gui.AWTImageTools").autoscale(image), 0, 0, width, height, None
    )
    into = runtime.java("java.io.ByteArrayOutputStream")()
    runtime.java("javax.imageio.ImageIO").write(canvas, "jpeg", into)
    return bytes(into.toByteArray())
