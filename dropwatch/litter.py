"""Names that say what a file is not: litter of desktops and file servers, and what a program has not finished writing.

Pure: only names are looked at, with the same answer wherever a user's files lie.
"""

from __future__ import annotations

import re

#: Left by desktops and file servers; never part of a batch.
_JUNK = re.compile(
    r"(\.DS_Store|\._.*|Thumbs\.db|desktop\.ini|~\$.*|\.smbdelete.*|\.nfs.*|@eaDir|__MACOSX|lost\+found|\.dropwatch)\Z",
    re.IGNORECASE | re.DOTALL,
)
#: Names that copying programs use until a file is whole.
_TEMPORARY = re.compile(
    r"(\..*|.*(\.tmp|\.part|\.partial|\.crdownload|\.filepart|~))\Z", re.IGNORECASE | re.DOTALL
)


def is_junk(name: str) -> bool:
    return _JUNK.match(name) is not None


def is_temporary(name: str) -> bool:
    return _TEMPORARY.match(name) is not None
