"""The checksums that OMERO compares uploads by, computed here in the same spelling.

Names and spelling: omero-common's checksum providers; Murmur3 is left out, it is not in Python's library.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Sequence
from typing import Protocol

from dropwatch.errors import OperatorError


class Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class _Running:
    """A checksum that zlib computes, as OMERO spells it: four bytes, least significant first."""

    def __init__(self, step: Callable[[bytes, int], int], start: int) -> None:
        self._step = step
        self._value = start

    def update(self, data: bytes, /) -> None:
        self._value = self._step(data, self._value)

    def hexdigest(self) -> str:
        return self._value.to_bytes(4, "little").hex()


class _Size:
    """The number of bytes, eight bytes, least significant first."""

    def __init__(self) -> None:
        self._size = 0

    def update(self, data: bytes, /) -> None:
        self._size += len(data)

    def hexdigest(self) -> str:
        return self._size.to_bytes(8, "little").hex()


ALGORITHMS: dict[str, Callable[[], Digest]] = {
    # Best first: SHA-1 also finds what a disk or a network broke without anybody's intent, and is quick.
    "SHA1-160": lambda: hashlib.sha1(usedforsecurity=False),
    "MD5-128": lambda: hashlib.md5(usedforsecurity=False),
    "CRC-32": lambda: _Running(zlib.crc32, 0),
    "Adler-32": lambda: _Running(zlib.adler32, 1),
    "File-Size-64": _Size,
}


def choose(offered: Sequence[str]) -> str | None:
    """The best algorithm among those *offered* by a server, or None when we know none of them."""
    return next((name for name in ALGORITHMS if name in offered), None)


def algorithm_for(offered: Sequence[str]) -> str:
    """As choose(). Raises OperatorError when we know none of them."""
    chosen = choose(offered)
    if chosen is None:
        raise OperatorError(
            "OMERO offers no checksum that dropwatch can compute.",
            concerns="omero",
            remedy="Add SHA1-160 to omero.checksum.supported on the server.",
            detail=", ".join(offered),
        )
    return chosen
