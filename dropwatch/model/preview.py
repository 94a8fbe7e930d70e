"""What would be imported of some files, as far as can be said before anything is submitted."""

from __future__ import annotations

from dataclasses import dataclass

from dropwatch.model.batch import Refused
from dropwatch.model.files import Fileset


@dataclass(frozen=True)
class Preview:
    """What was said of the chosen files. Paths are below the folder that they were chosen from.

    filesets   -- what would become images or plates
    refused    -- what would not, with the reason and the remedy in words
    aside      -- files that are no images: they would be left aside
    unfinished -- files whose names say that they are still being written: a batch waits for them
    files, bytes -- how much was chosen, folders with all that is in them
    unlooked   -- how many of these files nobody has looked at, because there were too many or it took too long
    by         -- who looked, as "Bio-Formats 7.3.1"; "" when there were only names to go by
    """

    filesets: tuple[Fileset, ...] = ()
    refused: tuple[Refused, ...] = ()
    aside: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    files: int = 0
    bytes: int = 0
    unlooked: int = 0
    by: str = ""

    @property
    def images(self) -> int:
        """How many images would come of it; an image file of unknown content counts as one."""
        return sum(max(1, one.series) for one in self.filesets)

    @property
    def plates(self) -> int:
        """How many filesets are plates: they go to a screen, all others to a dataset."""
        return sum(one.plate for one in self.filesets)
