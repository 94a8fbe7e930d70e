"""The checksums that an OMERO server offers, over the bytes of a file. It knows no OMERO object.

The text forms are those of omero-common's ``ChecksumProviderFactoryImpl`` and its test vectors: integers
are written in little-endian hex.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

BLOCK = 1 << 20

#: In the server's order of preference. Murmur3 is left out: it is not in the standard library.
ALGORITHMS = ("SHA1-160", "MD5-128", "CRC-32", "Adler-32", "File-Size-64")


def checksum(algorithm: str, path: Path) -> str:
    """The checksum of the file at *path* as OMERO writes it, e.g. 40 hex digits for ``SHA1-160``."""
    if algorithm == "SHA1-160":
        return _digest("sha1", path)
    if algorithm == "MD5-128":
        return _digest("md5", path)
    if algorithm == "CRC-32":
        return _rolling(zlib.crc32, 0, path)
    if algorithm == "Adler-32":
        return _rolling(zlib.adler32, 1, path)
    if algorithm == "File-Size-64":
        return path.stat().st_size.to_bytes(8, "little").hex()
    raise ValueError(f"The sandbox does not offer the checksum algorithm {algorithm!r}.")


def _digest(name: str, path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, name).hexdigest()


def _rolling(step: Callable[[bytes, int], int], start: int, path: Path) -> str:
    value = start
    for block in _blocks(path):
        value = step(block, value)
    return value.to_bytes(4, "little").hex()


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block
