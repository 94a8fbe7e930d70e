"""Mail addresses as OMERO knows them, kept in the state folder so that a batch that never reached OMERO can be told of.

Only what OMERO said stands in it: neither a record nor a manifest can put an address here.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from dropwatch.durable import write_durably


class Addresses:
    """OMERO user name -> mail address."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = _read(path)
        self._asked: set[str] = set()

    def get(self, owner: str) -> str | None:
        return self._known.get(owner)

    def owners(self) -> list[str]:
        """Everybody whose address is known: for whom something was imported."""
        return list(self._known)

    def learn(self, owner: str, email: str | None) -> None:
        """Note what OMERO said, which may be that there is none."""
        self._asked.add(owner)
        if email != self._known.get(owner):
            self._known = {name: address for name, address in self._known.items() if name != owner}
            if email:
                self._known[owner] = email
            with suppress(OSError):  # a full disk: it is known until we end, and OMERO is asked again then
                write_durably(self._path, json.dumps(self._known, indent=1).encode("ascii"))

    def was_asked(self, owner: str) -> bool:
        """Whether OMERO was asked for *owner* since we started: no need to ask again when it knew none."""
        return owner in self._asked


def _read(path: Path) -> dict[str, str]:
    try:
        known = json.loads(path.read_text("ascii"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {name: address for name, address in known.items() if isinstance(address, str)}
