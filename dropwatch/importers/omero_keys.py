"""The keys under which filesets stand in OMERO, and the names their files have there. Text in, text out.

A key is the client path of a fileset's entries: ``dropwatch/<batch id>/<fileset id>/<relative path>``. OMERO
commits it with the fileset, before the first byte is uploaded (omero-blitz RepositoryDaoImpl.saveFileset).
That of an attachment is the path of its OriginalFile: ``dropwatch/<batch id>/<attachment id>/``.

OMERO refuses some characters and names (omero-blitz FilePathRestrictionInstance.java, "Windows required" and
"UNIX required"), and Ice carries only Unicode. What cannot pass is written as ``%XX``, byte by byte, as in
web addresses; a ``%`` that would then be misread becomes ``%25``. So different files never share a key, and
ordinary names stay as they are.
"""

from __future__ import annotations

import re

from dropwatch.errors import PermanentError
from dropwatch.model import CLAIM_STAMP

ROOT = "dropwatch"
ANY_BATCH = f"{ROOT}/%"  #: what ``like`` matches against the keys of all batches

_FORBIDDEN = frozenset('"*/:<>?\\|') | frozenset(map(chr, range(0x20)))
_MISREAD = re.compile(r"%(?=[0-9A-Fa-f]{2})")
_RESERVED = re.compile(r"(?i)(\$|(AUX|CLOCK\$|CON|NUL|PRN|COM[1-9]|LPT[1-9])(\.|$))")
_FILESET_ID = re.compile(r"[0-9A-Za-z-]+")
_IN_PATH = re.compile(rf"(?:^|/){ROOT}/({CLAIM_STAMP.pattern})/({_FILESET_ID.pattern})/")


def client_path(batch: str, fileset: str, relative: str) -> str:
    """The key of one file. *relative* is '/'-separated, undecodable bytes as surrogates."""
    return f"{_stem(batch, fileset)}{'/'.join(map(safe_name, relative.split('/')))}"


def attachment_path(batch: str, attachment: str) -> str:
    """The key of an attachment: the path of its OriginalFile."""
    return _stem(batch, attachment)


def pattern(batch: str, fileset: str | None = None) -> str:
    """What HQL's ``like`` matches against the keys of a batch, or of one fileset in it."""
    return f"{_stem(batch, fileset)}%"


def fileset_of(path: str) -> str:
    """The id of the fileset or attachment in a key (str); empty when *path* holds no key."""
    return told_by(path)[1]


def told_by(path: str) -> tuple[str, str]:
    """Batch id and fileset id in a key; empty strings when *path* holds no key.

    A Java client puts the way to its files in front of the key (omero_cli_room).
    """
    found = _IN_PATH.search(path)
    return (found[1], found[2]) if found else ("", "")


def safe_name(name: str) -> str:
    """*name*, one component of a path, as OMERO and Ice can carry it."""
    text = "".join(_escape(char) if _cannot_pass(char) else char for char in _MISREAD.sub("%25", name))
    return _escape(text[0]) + text[1:] if _RESERVED.match(text) else text


def image_name(relative: str) -> str | None:
    """What to call the images where OMERO's own choice, the file's name on the server, is an escaped one."""
    name = relative.rpartition("/")[2]
    return name if name != safe_name(name) and name.isprintable() else None


def _stem(batch: str, fileset: str | None) -> str:
    # Both become part of a pattern, and a record may be forged: no wildcard gets in.
    if not CLAIM_STAMP.fullmatch(batch) or (fileset is not None and not _FILESET_ID.fullmatch(fileset)):
        raise PermanentError(
            f"{batch!r} is not a batch id.",
            remedy="Move the folder itself (not the numbered one around it) back to inbox.",
            code="bad-batch-id",
        )
    return f"{ROOT}/{batch}/" if fileset is None else f"{ROOT}/{batch}/{fileset}/"


def _cannot_pass(char: str) -> bool:
    return char in _FORBIDDEN or "\ud800" <= char <= "\udfff"


def _escape(char: str) -> str:
    if "\udc80" <= char <= "\udcff":  # one undecodable byte, as os.fsdecode left it
        return f"%{ord(char) - 0xDC00:02X}"
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))
