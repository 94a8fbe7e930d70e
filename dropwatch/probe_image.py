"""The smallest image that OMERO takes: an OME-TIFF of 4 x 4 pixels, composed by hand. Pure: bytes out.

`dropwatch check --import-as` needs one, also where no library writes images. TIFF 6.0 (sections 2 and 8) and
the OME-TIFF specification (OME-XML in the ImageDescription of the first page) say how.
"""

from __future__ import annotations

import struct
from xml.sax.saxutils import quoteattr

SIDE = 4  #: pixels
_SHORT, _LONG, _ASCII = 3, 4, 2  #: types of TIFF 6.0, page 15

_XML = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation='
    '"http://www.openmicroscopy.org/Schemas/OME/2016-06 http://www.openmicroscopy.org/Schemas/OME/2016-06/ome.xsd">'
    '<Image ID="Image:0" Name={name}><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8"'
    ' SizeX="{side}" SizeY="{side}" SizeZ="1" SizeC="1" SizeT="1">'
    '<Channel ID="Channel:0:0" SamplesPerPixel="1"/><TiffData IFD="0" PlaneCount="1"/></Pixels></Image></OME>'
)


def ome_tiff(name: str) -> bytes:
    """An OME-TIFF (little-endian, uncompressed, 8 bit) with one image called *name*."""
    text = _XML.format(name=quoteattr(name), side=SIDE).encode("ascii", "xmlcharrefreplace") + b"\0"
    pixels = bytes(range(0, 256, 256 // SIDE**2))
    tags = [
        (256, _LONG, 1, SIDE),  # ImageWidth
        (257, _LONG, 1, SIDE),  # ImageLength
        (258, _SHORT, 1, 8),  # BitsPerSample
        (259, _SHORT, 1, 1),  # Compression: none
        (262, _SHORT, 1, 1),  # PhotometricInterpretation: black is zero
        (270, _ASCII, len(text), 0),  # ImageDescription; its place is filled in below
        (273, _LONG, 1, 0),  # StripOffsets; likewise
        (277, _SHORT, 1, 1),  # SamplesPerPixel
        (278, _LONG, 1, SIDE),  # RowsPerStrip
        (279, _LONG, 1, len(pixels)),  # StripByteCounts
    ]
    header = struct.pack("<2sHI", b"II", 42, 8)
    pixels_at = len(header) + 2 + 12 * len(tags) + 4
    places = {273: pixels_at, 270: pixels_at + len(pixels)}
    entries = (
        struct.pack("<HHII", tag, kind, count, places.get(tag, value)) for tag, kind, count, value in tags
    )
    directory = struct.pack("<H", len(tags)) + b"".join(entries) + struct.pack("<I", 0)
    return header + directory + pixels + text
