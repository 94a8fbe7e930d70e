"""Who looks at the files of a batch: Bio-Formats where it can be had, otherwise a list of names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dropwatch.config import Config
from dropwatch.formats import BioFormats, Installation, Look, Missing, find, look_by_name
from dropwatch.task.looking import Looker


class ByBioFormats:
    """Looks into the files. Java is started here and now: a look that dies is to be the file's fault."""

    def __init__(self, installation: Installation, memory: int) -> None:
        self.name = f"Bio-Formats {installation.version}"
        self._reader = BioFormats(installation, memory)
        with self._reader.turn():
            pass

    def look(self, path: Path, folder: Path) -> Look:
        """See Looker.look."""
        return self._reader.look(path, folder)


class ByName:
    """Goes by the names of formats of which one file is one image; everything else is refused, with the remedy."""

    name = ""

    def look(self, path: Path, folder: Path) -> Look:
        """See Looker.look."""
        return look_by_name(path)


def find_reader(config: Config, environ: Mapping[str, str]) -> Installation | Missing:
    """The Bio-Formats that *config* leads to. Starts nothing."""
    return find(config.bioformats, environ, config.omero_cli.clientdir)


def looker(config: Config, environ: Mapping[str, str]) -> Looker:
    """Who looks, in this process."""
    found = find_reader(config, environ)
    return ByBioFormats(found, config.bioformats.memory) if isinstance(found, Installation) else ByName()
