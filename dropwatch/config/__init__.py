"""Text of the configuration -> frozen Config, or every problem at once, each with its line.

Only ``load`` opens a file. No secret stands in the text; ``password_file`` names one for ``credentials.py``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import ValidationError

from dropwatch import document
from dropwatch.config import files
from dropwatch.config.files import Layers, Read
from dropwatch.config.sections import Instrument, Settings, Spool, User
from dropwatch.document import Problem, Unreadable
from dropwatch.document.section import cut_short, place_of, problems, spelled
from dropwatch.errors import ConfigError


class Config(Settings):
    """The configuration, and what others ask it. Names of users match whatever their case."""

    def user(self, name: str) -> User:
        """Settings of the drop-folder user *name*; the defaults when none are given."""
        return self.users.get(_listed(name, self.users), User())

    def omero_name(self, name: str) -> str:
        """What OMERO calls the drop-folder user *name*: as the configuration spells it, if it does."""
        return self.user(name).omero or _listed(name, self.users)

    def instrument(self, name: str) -> Instrument | None:
        """Settings of the instrument *name*, or None: an ordinary user."""
        return self.instruments.get(_listed(name, self.instruments))

    def may_send_to(self, address: str) -> bool:
        """May a manifest's ``notify`` name *address*?"""
        patterns = self.mail.send_to if self.mail else ()
        return any(fnmatchcase(address.casefold(), pattern.casefold()) for pattern in patterns)

    def spool_for(self, path: Path) -> Spool | None:
        """The spool that *path* lies in."""
        return next((spool for spool in self.spools if path.is_relative_to(spool.path)), None)


def load(path: Path) -> Config:
    """Read and check the file at *path*. Raises ConfigError."""
    source = str(path.absolute())
    return parse(_text(source), source=source, read=_text)


def _text(name: str) -> str:
    try:
        return document.decode(Path(name).read_bytes())
    except OSError as err:
        raise ConfigError([f"{name}: cannot be read: {err.strerror or err}"], source=name) from err
    except Unreadable as err:
        raise ConfigError([f"{name}:{err.line}: {err.message}"], source=name) from err


def parse(text: str, *, source: str, read: Read) -> Config:
    """Check *text*, the contents of the file *source*.

    read -- gives the text of an included file by its path; may raise ConfigError

    Relative paths start at the folder of the file that they stand in. Raises ConfigError with every problem.
    """
    layers = files.read(text, source, read)
    found = [*layers.problems, *_lacking(layers.value)]
    try:
        config = Config.model_validate(layers.value)
    except ValidationError as err:
        found += problems(err, "unknown setting")
    else:
        found += _contradictions(config)
        if not found:
            return config
    raise ConfigError(_told(found, layers, source), source=source)


def _lacking(value: Mapping[str, object]) -> Iterator[Problem]:
    importer = value.get("importer")
    if importer in (None, "omero", "omero-cli") and value.get("omero") is None:
        yield Problem(
            ("omero",), "missing; the importer needs to know its server: omero: {host: ..., user: ...}"
        )
    if importer == "folder" and value.get("folder") is None:
        yield Problem(
            ("folder",), "missing; the importer needs to know where to put the images: folder: {path: ...}"
        )


def _contradictions(config: Config) -> Iterator[Problem]:
    """What is wrong between settings that are right one by one."""
    for number, spool in enumerate(config.spools):
        if spool.incomplete.fail < spool.incomplete.tell:
            yield Problem(("spools", number, "incomplete", "fail"), "it must not be shorter than tell")
        if config.state.is_relative_to(spool.path):
            yield Problem(("state",), f"it must not lie in the spool {spool.path}, which users can write to")
        if config.folder is not None and _is_within(config.folder.path, spool.path):
            yield Problem(("folder", "path"), f"it must be apart from the spool {spool.path}")
    yield from _spools_within(config.spools)
    yield from _places_within(config)
    for key, names in (("users", config.users), ("instruments", config.instruments)):
        known: dict[str, str] = {}
        for name in names:
            first = known.setdefault(_folded(name), name)
            if first != name:
                yield Problem((key, name), f"it is the same drop folder as {first}")


def _places_within(config: Config) -> Iterator[Problem]:
    """Places that overlap what is ours: through one, everybody could read what others dropped, or our letters."""
    ours = [(spool.path, f"the spool {spool.path}") for spool in config.spools]
    ours.append((config.state, f"the state folder {config.state}"))
    if config.folder is not None:
        ours.append((config.folder.path, f"the archive {config.folder.path}"))
    known: dict[str, str] = {}
    for name, place in config.places.items():
        first = known.setdefault(_folded(name), name)
        if first != name:
            yield Problem(("places", name), f"it is the same name as {first}")
        for path, called in ours:
            if _is_within(place.path, path):
                yield Problem(("places", name, "path"), f"it must be apart from {called}")


def _spools_within(spools: Sequence[Spool]) -> Iterator[Problem]:
    """Spools that are the same folder, or lie one in the other; the later one is to blame."""
    numbers: dict[Path, int] = {}
    for number, spool in enumerate(spools):
        if (first := numbers.setdefault(spool.path, number)) != number:
            yield Problem(("spools", number, "path"), f"it must be apart from the spool {spools[first].path}")
    for path, number in numbers.items():
        for outer in path.parents:
            if outer in numbers:
                first, second = sorted((number, numbers[outer]))
                text = f"it must be apart from the spool {spools[first].path}"
                yield Problem(("spools", second, "path"), text)


def _is_within(one: Path, other: Path) -> bool:
    """Whether one of the two folders lies in the other."""
    return one.is_relative_to(other) or other.is_relative_to(one)


def _told(found: list[Problem], layers: Layers, source: str) -> list[str]:
    """``dropwatch.yaml:12: omero.prt: unknown setting; did you mean port?``, in the order of the file."""
    placed = []
    for problem in found:
        file, line = place_of(problem.path, layers.places) or (source, 0)
        where = f"{file}:{line}" if line else file
        what = ": ".join(part for part in (spelled(problem.path), problem.text) if part)
        placed.append((file != source, file, line, f"{where}: {what}"))
    return cut_short(entry[-1] for entry in sorted(placed))


def _listed(name: str, names: Mapping[str, object]) -> str:
    """*name* as *names* spells it; as it is when it is not among them."""
    return next((listed for listed in names if _folded(listed) == _folded(name)), name)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
