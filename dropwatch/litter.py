"""Names that say what a file is not: litter of desktops and file servers, and what a program has not finished writing.

Pure: only names are looked at, with the same answer wherever a user's files lie.
"""

from __future__ import annotations

import re


def _names(*patterns: str) -> re.Pattern[str]:
    return re.compile(rf"({'|'.join(patterns)})\Z", re.IGNORECASE | re.DOTALL)


#: Left by desktops, file servers, editors and programs that synchronize folders; never part of a batch.
_JUNK = _names(
    r"\.dropwatch",
    r"\.DS_Store|\._.*|__MACOSX|Icon\r|\.localized|\.apdisk|\.Apple(Double|DB|Desktop)|\.com\.apple\..*",
    r"\.Spotlight-V100|\.fseventsd|\.TemporaryItems|\.Trashes|\.VolumeIcon\.icns",
    r"(eh)?Thumbs\.db(:encryptable)?|desktop\.ini|\$RECYCLE\.BIN|System Volume Information",
    r"~\$.*|\.~lock\..*#|\..*\.sw[a-p]|\.#.*",  # of Office, LibreOffice, vim, Emacs
    r"\.Trash(-\d+)?|\.directory|lost\+found|\.fuse_hidden.*|\.nfs.*|\.smbdelete.*",
    r"@eaDir|#recycle|\.@__thumb|\.snapshots?",
    r"\.dropbox(\..*)?|\.st(folder|versions|ignore)|\.(csync_journal|sync_[0-9a-f]+)\.db.*|\.owncloudsync\.log.*",
)
#: Names that copying programs use until a file is whole: an ending, or a dot in front of a whole name (rsync, lftp).
_TEMPORARY = _names(r"\..*", r".*(\.tmp|\.part|\.partial|\.crdownload|\.filepart|\.download|\.aria2|~)")
#: A dot and no ending: no image is called so, half or whole. Settings of some program, for the most part.
_HIDDEN = _names(r"\.[^.]*")
#: What Zarr calls its own files.
_ZARR = _names(r"\.z(array|attrs|group|metadata)")


def is_junk(name: str) -> bool:
    return _JUNK.match(name) is not None


def is_temporary(name: str) -> bool:
    """Whether it may still be being written, with good reason (is_unfinished) or little (is_hidden)."""
    return _TEMPORARY.match(name) is not None and _ZARR.match(name) is None


def is_unfinished(path: str) -> bool:
    """Whether a step of the '/'-separated *path* is a name under which programs write what is not whole yet."""
    return any(is_temporary(step) and _HIDDEN.match(step) is None for step in path.split("/"))


def is_hidden(path: str) -> bool:
    """Whether a step of *path* is hidden, and none says more than that."""
    return any(map(is_temporary, path.split("/"))) and not is_unfinished(path)
