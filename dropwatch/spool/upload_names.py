"""Which file names an upload may have: such that every file server takes them and the daemon imports them.

A browser says what it likes. What comes out of here stays below the folder that it is joined to. Pure.
"""

from __future__ import annotations

import re
import unicodedata

from dropwatch.document import printable
from dropwatch.errors import PermanentError
from dropwatch.litter import is_junk, is_temporary

#: What Windows opens instead of a file, whatever follows the first dot ("Naming Files, Paths, and Namespaces").
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?\Z", re.IGNORECASE)
#: These turn the direction of what is shown, so that "gpj.exe" can look like a picture (Unicode, UAX 9).
_TURNING = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_NO_NAME = re.compile(r'[<>:"\\|?*]')
_STEP_BYTES = 255  #: of one name, on most file systems
_PATH_BYTES = 2000  #: the spool, an envelope and 255 bytes more have to fit into the 4095 that Linux opens
_DEEPEST = 32


class NotAllowed(PermanentError):
    """A file cannot be uploaded as it is called."""


def check(path: str) -> str:
    """*path*, if a file of a batch can be called so. Raises NotAllowed, in words for whoever has that file."""
    problem = _problem(path)
    if problem:
        raise NotAllowed(f"{printable(path)}: {problem}.", remedy="Rename it, then add it again.")
    return path


def _problem(path: str) -> str:
    if not path or path.startswith("/"):
        return "a file needs a name, and one that does not begin with /"
    try:
        longest = max(len(step.encode()) for step in path.split("/"))
    except UnicodeEncodeError:
        return "its name has characters that no file name has"
    if longest > _STEP_BYTES or len(path.encode()) > _PATH_BYTES:
        return f"its name is too long (at most {_STEP_BYTES} bytes, {_PATH_BYTES} with its folders)"
    if path.count("/") > _DEEPEST:
        return f"it lies more than {_DEEPEST} folders deep"
    return next((problem for step in path.split("/") if (problem := _problem_of_step(step))), "")


def _problem_of_step(step: str) -> str:
    if step in ("", ".", ".."):
        return "its name leads out of the folder"
    if any(unicodedata.category(char) in ("Cc", "Zl", "Zp") or char in _TURNING for char in step):
        return "its name has a character in it that cannot be seen"
    if _NO_NAME.search(step):
        return 'Windows allows none of < > : " \\ | ? * in a name'
    if _DEVICE.match(step) or step.endswith((".", " ")) or step.startswith(" "):
        return "Windows allows no such name"
    if is_junk(step):
        return "such files are litter of a desktop, and are passed over"
    if is_temporary(step):
        return "its name says that it is still being written"
    return ""


class Taken:
    """The names of a draft. Two that a file server may hold for one never come together."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}
        self._folders: dict[str, set[str]] = {}

    def add(self, path: str) -> None:
        """Take *path*. Raises NotAllowed when another name stands in its way."""
        other = self._in_the_way(path)
        if other:
            raise NotAllowed(
                f"{printable(path)} and {printable(other)} would be one file on many file servers.",
                remedy="Rename one of them, or take one out.",
            )
        self._files[_folded(path)] = path
        for folder in _above(path):
            self._folders.setdefault(_folded(folder), set()).add(path)

    def free(self, path: str) -> None:
        self._files.pop(_folded(path), None)
        for folder in _above(path):
            inside = self._folders.get(_folded(folder), set())
            inside.discard(path)
            if not inside:
                self._folders.pop(_folded(folder), None)

    def _in_the_way(self, path: str) -> str:
        same = self._files.get(_folded(path)) or min(self._folders.get(_folded(path), ()), default="")
        if same:
            return same
        for folder in _above(path):
            if other := self._files.get(_folded(folder)):
                return other
            # One folder, spelled twice: a server that tells them apart would make two of it.
            for inside in self._folders.get(_folded(folder), ()):
                if not inside.startswith(f"{folder}/"):
                    return inside
                break
        return ""


def top_folder(paths: list[str]) -> str:
    """The one folder that holds all of *paths*, which then is the batch itself; "" when there is none."""
    tops = {path.partition("/")[0] for path in paths}
    return tops.pop() if len(tops) == 1 and all("/" in path for path in paths) else ""


def _above(path: str) -> list[str]:
    steps = path.split("/")
    return ["/".join(steps[:count]) for count in range(1, len(steps))]


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()
