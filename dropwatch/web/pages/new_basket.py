"""What is chosen in one place: files and whole folders, none of them twice. It looks at nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from dropwatch.places import Entry, label
from dropwatch.web.pages.new_draft import Picks


@dataclass
class Basket:
    """The chosen entries by their path."""

    chosen: dict[str, Entry] = field(default_factory=dict)

    @classmethod
    def of(cls, picks: Picks) -> Basket:
        """What was chosen before a reload. Whether it is still there, who looks finds out."""
        folders = set(picks.folders)
        return cls(
            {path: Entry(path, label(path.rpartition("/")[2]), path in folders) for path in picks.paths}
        )

    def put(self, entries: Iterable[Entry]) -> None:
        """Choose *entries*. A folder takes in what of it was chosen one by one; what is within it adds nothing."""
        for entry in entries:
            if entry.refused or self.covers(entry.path):
                continue
            if entry.is_folder:
                for path in [path for path in self.chosen if path.startswith(f"{entry.path}/")]:
                    del self.chosen[path]
            self.chosen[entry.path] = entry

    def drop(self, entries: Iterable[Entry]) -> None:
        """Choose *entries* no more."""
        for entry in entries:
            self.chosen.pop(entry.path, None)

    def covers(self, path: str) -> bool:
        """Whether *path* is chosen, or a folder above it is."""
        return path in self.chosen or any(above in self.chosen for above in _above(path))

    def reached(self) -> set[str]:
        """The folders with something chosen somewhere below them."""
        return {above for path in self.chosen for above in _above(path)}

    def picks(self, place: str) -> Picks:
        """All of it as it is kept and submitted."""
        folders = tuple(path for path, entry in self.chosen.items() if entry.is_folder)
        return Picks(place=place, paths=tuple(self.chosen), folders=folders)


def _above(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
