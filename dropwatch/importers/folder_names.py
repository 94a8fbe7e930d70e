"""The names that things have in the archive: every name of a batch as some folder on any system can carry it.

Names come from manifests and from other people's files. What Windows refuses or drops (``: * ?``, device names,
dots and blanks at the end), control characters and undecodable bytes are written as ``%XX``, byte by byte, as
in web addresses; a ``%`` that would then be misread becomes ``%25``. So ordinary names stay as they are, and
different names never become one. A name that is too long is cut, and ends with a digest of the whole.
"""

from __future__ import annotations

import hashlib
import re

LONGEST = 255  #: bytes of one name on ext4, xfs, btrfs and NTFS alike
_TAIL = 24  #: bytes of a long name's end that are kept: it tells the kind of file

_FORBIDDEN = frozenset('"*/:<>?\\|\x7f') | frozenset(map(chr, range(0x20)))
_MISREAD = re.compile(r"%(?=[0-9A-Fa-f]{2})")
_DROPPED = re.compile(r"[. ]+\Z")  # Windows drops these, so `..` and `a. ` would be something else there
_DEVICE = re.compile(
    r"(AUX|CLOCK\$|CON|CONIN\$|CONOUT\$|NUL|PRN|COM[0-9¹²³]|LPT[0-9¹²³])\s*(\.|\Z)", re.IGNORECASE
)


def safe_name(name: str) -> str:
    """*name*, one step of a path, as a folder can carry it. Never empty, at most LONGEST bytes."""
    text = "".join(_escape(char) if _cannot_stay(char) else char for char in _MISREAD.sub("%25", name))
    text = _DROPPED.sub(lambda found: "".join(map(_escape, found[0])), text)
    text = _escape(text[0]) + text[1:] if _DEVICE.match(text) else text
    return _cut(text or "%00", LONGEST)


def folder_name(name: str) -> str:
    """The same for a folder that the archive itself makes: not hidden, and never its own `.dropwatch`."""
    text = safe_name(name)
    return _cut(f"%2E{text[1:]}", LONGEST) if text.startswith(".") else text


def safe_path(relative: str) -> tuple[str, ...]:
    """The steps of the path of a file in its batch ('/'-separated), each as a folder can carry it."""
    return tuple(map(safe_name, relative.split("/")))


def aside(source: str, number: int) -> str:
    """What the folder for files whose names are taken is called: as the batch's own folder, and a number."""
    end = f" ({number})"
    return _cut(folder_name(source), LONGEST - len(end)) + end


def _cannot_stay(char: str) -> bool:
    return char in _FORBIDDEN or "\ud800" <= char <= "\udfff"


def _escape(char: str) -> str:
    if "\udc80" <= char <= "\udcff":  # one undecodable byte, as os.fsdecode left it
        return f"%{ord(char) - 0xDC00:02X}"
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))


def _cut(text: str, most: int) -> str:
    data = text.encode()
    if len(data) <= most:
        return text
    digest = f"~{hashlib.sha256(data).hexdigest()[:12]}"
    tail = data[-_TAIL:].decode(errors="ignore")
    dot = tail.find(".")
    ending = tail[dot:] if dot >= 0 else ""
    head = data[: most - len(digest) - len(ending.encode())].decode(errors="ignore")
    return f"{head}{digest}{ending}"
