"""The private folder in which one `omero import` works: what it is to import, and how it gets into OMERO.

Why the files are shown through links below ``dropwatch/<batch id>/<fileset id>``: the Java client makes each client
path from the path it was given, ``File.getAbsolutePath`` without the first slash (omero-blitz
ImportContainer.fillData, FsFile), and follows no link for that; nor do the readers of Bio-Formats. So the key of
omero_keys.py stands in OMERO before the first byte, here as the end of the client path, wherever the batch lies
at the time. The reader sees the files of this fileset and no others, so it forms exactly one group.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from dropwatch.errors import DropwatchError, OperatorError, PermanentError
from dropwatch.importers import omero_keys
from dropwatch.model import Fileset, Order

HOLDS = sys.platform == "linux"  #: whether another process can be shown a file by our open descriptor
PREFIX = "dropwatch-cli-"

_SOMEBODY = "dropwatch"  # whose session it is; the program asks the server for the name


class Room:
    """A new private folder below *parent* (None: where temporary files go). Whoever made it removes it."""

    def __init__(self, parent: Path | None) -> None:
        try:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))  # for our eyes only
            self.temporary.mkdir()
            self.sessions.mkdir()
        except OSError as error:
            raise _no_room(error) from error

    @property
    def temporary(self) -> Path:
        return self.path / "tmp"

    @property
    def sessions(self) -> Path:
        return self.path / "sessions"

    @property
    def router(self) -> Path:
        return self.path / "ice.config"

    def show(self, order: Order, fileset: Fileset, held: Mapping[str, int]) -> dict[str, int]:
        """Lay out the fileset; the paths to give to the program, the one to open first, with their sizes.

        held -- descriptors by path, of files that are open and stay so (only where HOLDS)

        Raises PermanentError (a name that cannot be shown), OperatorError.
        """
        shown: dict[str, int] = {}
        for fact in fileset.files:
            # Through /proc a program opens the file that we have open; a name could be another file's by then.
            mine = f"/proc/{os.getpid()}/fd/{held[fact.path]}" if fact.path in held else ""
            link = self.path / omero_keys.client_path(order.batch, fileset.id, fact.path)
            try:
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(mine or os.path.join(order.folder_of(fileset), fact.path))  # noqa: PTH118 - as it is
            except OSError as error:
                raise _cannot_show(fact.path, error) from error
            shown[str(link)] = fact.size
        return shown

    def let_in(self, host: str, port: int, key: str) -> None:
        """Give the program the session with *key*, as if somebody had said `omero login` in this room.

        The files and their names are those of omero-py's ``util/sessions.py``. So the key stands in no argument
        and no environment of the program.
        """
        place = self.sessions / quote(host, safe="")
        mine = place / _SOMEBODY
        try:
            mine.mkdir(parents=True)
            (self.sessions / "._LASTHOST_").write_text(host)
            (self.sessions / "._LASTPORT_").write_text(str(port))
            (place / "._LASTUSER_").write_text(_SOMEBODY)
            (mine / "._LASTSESS_").write_text(key)
            told = {"host": host, "port": port, "user": _SOMEBODY, "sess": key}
            (mine / key).write_text("".join(f"omero.{name}={value}\n" for name, value in told.items()))
        except OSError as error:
            raise _no_room(error) from None  # its text would be the path, and that ends with the key

    def lead_in_the_open(self, host: str, port: int) -> None:
        """Have the program speak plain TCP, as a server without TLS does (the sandbox)."""
        self.router.write_text(f"Ice.Default.Router=OMERO.Glacier2/router:tcp -p {port} -h {host}\n")


def _cannot_show(path: str, error: OSError) -> DropwatchError:
    if error.errno == errno.ENAMETOOLONG:
        return PermanentError(
            f"OMERO cannot carry the name of {path}: it is too long.",
            remedy="Rename the file with fewer and plainer characters, and drop it again.",
            code="file-name",
        )
    return _no_room(error)


def _no_room(error: OSError) -> OperatorError:
    return OperatorError(
        "`omero import` cannot be given a temporary folder.",
        concerns="omero",
        remedy="Make space for temporary files on the machine that dropwatch runs on.",
        detail=f"{type(error).__name__}: {error.strerror}",
        code="omero-cli-room",
    )
