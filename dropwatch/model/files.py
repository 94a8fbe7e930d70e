"""Files of a batch, and the filesets that they form."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FileFact:
    """One regular file of a batch, as the file system described it. Nothing was opened.

    path     -- relative to the batch's folder, '/'-separated, undecodable bytes as surrogates (str)
    size     -- bytes
    mtime_ns -- last modification by the file server's clock, nanoseconds
    inode    -- 0 where the file system has none
    """

    path: str
    size: int
    mtime_ns: int
    inode: int = 0


@dataclass(frozen=True)
class ListedFile:
    """A file as a manifest lists it; size in bytes and sha256 in lower-case hex where given."""

    path: str
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Fileset:
    """Files that form one import, OMERO's own word. ``files[0]`` is the one the server opens.

    id     -- digest of relative paths, sizes, mtimes and listed checksums: a replaced file is another fileset
    listed -- sha256 by relative path, for the files whose checksum the manifest lists
    format -- as Bio-Formats calls it; empty when it was not asked
    series -- how many images are in it; 0 when that is not known
    plate  -- it makes a plate (a screening format) and so needs a screen to go to
    fetched -- its files are copies that the daemon fetched from a place, and lie with them
    """

    id: str
    files: tuple[FileFact, ...]
    listed: tuple[tuple[str, str], ...] = ()
    format: str = ""
    series: int = 0
    plate: bool = False
    fetched: bool = False

    @property
    def name(self) -> str:
        """What people call it: the path of the file that the server opens."""
        return self.files[0].path

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class Attachment(Fileset):
    """One file that becomes a file annotation of the target, as it is. It goes through the same life as a fileset."""
