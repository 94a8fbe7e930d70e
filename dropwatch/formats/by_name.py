"""Without Bio-Formats: tells by the name of a file what it is. It takes only formats of which one file is whole.

Whatever may consist of several files is refused: half a fileset would make wrong images, and nobody would see it.
"""

from __future__ import annotations

import re
from pathlib import Path

from dropwatch.formats import damage, tiff
from dropwatch.formats.look import Look, Readable, Unreadable
from dropwatch.formats.words import EMPTY, cut

#: Extension -> format, in Bio-Formats' own words. One file is one fileset in each of these. Not here although one would
#: think so: OIR (goes on in NAME_00001 beyond 1 GB), DICOM and STK (one image in many files), DV (has a log beside it).
SINGLE = {
    **dict.fromkeys((".tif", ".tiff", ".btf", ".tf2", ".tf8"), "Tagged Image File Format"),
    **dict.fromkeys((".jpg", ".jpeg"), "JPEG"),
    **dict.fromkeys((".jp2", ".j2k"), "JPEG-2000"),
    **dict.fromkeys((".dm3", ".dm4"), "Gatan Digital Micrograph"),
    ".png": "Animated PNG",
    ".bmp": "Windows Bitmap",
    ".gif": "Graphics Interchange Format",
    ".czi": "Zeiss CZI",
    ".lsm": "Zeiss Laser-Scanning Microscopy",
    ".zvi": "Zeiss Vision Image (ZVI)",
    ".nd2": "Nikon ND2",
    ".lif": "Leica Image File Format",
    ".scn": "Leica SCN",
    ".oib": "Olympus FV1000",
    ".ims": "Bitplane Imaris 5.5 (HDF)",
    ".svs": "Aperio SVS",
    ".ndpi": "Hamamatsu NDPI",
    ".bif": "Ventana .bif",
    ".qptiff": "PerkinElmer Vectra/QPTIFF",
    ".mrc": "Medical Research Council",
    ".sdt": "SPCImage Data",
    ".nii": "NIfTI",
}
_TEXTS = {".txt", ".log", ".md", ".rtf", ".csv", ".tsv", ".json", ".yaml", ".yml", ".ini", ".htm", ".html"}
_OFFICE = {".pdf", ".doc", ".docx", ".odt", ".xls", ".xlsx", ".ods", ".ppt", ".pptx", ".odp"}
#: What people put beside their images. `.xml` is not here: many plates are nothing without it.
PAPERS = frozenset(_TEXTS | _OFFICE)
#: The further parts of a Zeiss image, and what Micro-Manager writes about its images.
_ONE_OF_SEVERAL = re.compile(r"\(\d+\)\.czi$|metadata\.txt$", re.IGNORECASE)

_PAPER = Unreadable(True, "Going by its name, it is not an image.")
_SEVERAL = (
    "It may be one of several files that belong together, or its format cannot be told by its name, and Bio-Formats, "
    "which would know, is not installed here."
)
_ASK = (
    "Ask the facility to install Bio-Formats for dropwatch; or save the images as OME-TIFF, each in one file."
)


def look_by_name(path: Path) -> Look:
    """What *path* (absolute) is, going by its name; of a TIFF also by its first page. Raises OSError.

    A Readable counts one series, without having looked, and never a plate.
    """
    suffix = path.suffix.lower()
    if _ONE_OF_SEVERAL.search(path.name):
        return Unreadable(False, _SEVERAL, path.name, remedy=_ASK)
    if suffix in PAPERS:
        return _PAPER
    if path.stat().st_size == 0:
        return EMPTY
    if suffix not in SINGLE:
        return Unreadable(
            False, _SEVERAL, f"no single-file format has the extension {suffix or '(none)'}", remedy=_ASK
        )
    if damage.cut_file((str(path),)):
        return cut(path.name, path.name)
    if _has_company(path):
        return Unreadable(False, _SEVERAL, "OME-TIFF that names other files", remedy=_ASK)
    return Readable(SINGLE[suffix], (str(path),), 1, False)


def _has_company(path: Path) -> bool:
    """Whether it is an OME-TIFF of several files. A single one that was renamed names its former self."""
    names = tiff.named_files(path)
    return len(names) > 1 or any((path.parent / name).exists() for name in names - {path.name})
