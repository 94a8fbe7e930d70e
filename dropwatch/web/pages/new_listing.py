"""The list that a person chooses from: rows for the browser, by numbers; what they stand for stays here.

No path goes to the browser and none comes from there: a row is known by its number in the list that was shown last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nicegui.element import Element
from nicegui.events import GenericEventArguments

from dropwatch.places import Entry
from dropwatch.report.words import moment, size
from dropwatch.web.pages.new_basket import Basket

_SCRIPT = Path(__file__).parents[1] / "static" / "folder_list.js"


class FolderList(Element, component=_SCRIPT):
    """Files and folders of a place, ten thousand of them if need be.

    zone -- time zone for the times; choose -- told the entries and whether they are to be chosen;
    open_ -- told a folder; up -- told that the folder above is wanted
    """

    def __init__(
        self,
        zone: str,
        *,
        choose: Callable[[list[Entry], bool], None],
        open_: Callable[[Entry], Any],
        up: Callable[[], Any],
    ) -> None:
        super().__init__()
        self._zone = zone
        self._entries: dict[str, Entry] = {}
        self._shown = 0
        self._whole = False
        self._props["label"] = "Files and folders"
        self.on("choose", lambda event: choose(self._meant(event), _is_on(event)))
        self.on("open", lambda event: [open_(entry) for entry in self._folders(event)])
        self.on("up", up)

    def wait(self) -> None:
        """Say that the next list is on its way."""
        self.run_method("wait")

    def show(self, entries: Sequence[Entry], notes: Sequence[str], none: str, *, at: str = "") -> None:
        """Show *entries*.

        notes -- what stands beside the name of each; none -- what to say when there are none; at -- the path of
        the entry that the keyboard is at
        """
        self._shown += 1  # a late click on a row of the list before means nothing any more
        self._entries = {f"{self._shown}-{number}": entry for number, entry in enumerate(entries)}
        rows = [
            self._row(number, entry, note)
            for (number, entry), note in zip(self._entries.items(), notes, strict=True)
        ]
        here = next((number for number, entry in self._entries.items() if entry.path == at), "")
        self.run_method("show", {"rows": rows, "none": none, "at": here})

    def tick(self, basket: Basket, *, whole: bool) -> None:
        """Show what of the list is chosen. *whole*: the folder as such is, or one above it."""
        reached = basket.reached()
        on = [number for number, entry in self._entries.items() if basket.covers(entry.path)]
        partly = [number for number, entry in self._entries.items() if entry.path in reached]
        self.run_method("mark", {"on": on, "partly": partly, "whole": whole})

    def _row(self, number: str, entry: Entry, note: str) -> dict[str, Any]:
        return {
            "id": number,
            "label": entry.label,
            "folder": entry.is_folder,
            "bytes": entry.size,
            "changed": entry.mtime,
            "sizeText": "" if entry.size is None else size(entry.size),
            "changedText": "" if entry.mtime is None else moment(entry.mtime, self._zone),
            "refused": bool(entry.refused),
            "note": note,
        }

    def _meant(self, event: GenericEventArguments) -> list[Entry]:
        ids = event.args.get("ids") if isinstance(event.args, dict) else None
        return [self._entries[one] for one in ids or () if isinstance(one, str) and one in self._entries]

    def _folders(self, event: GenericEventArguments) -> list[Entry]:
        entry = self._entries.get(event.args) if isinstance(event.args, str) else None
        return [entry] if entry is not None and entry.is_folder else []


def _is_on(event: GenericEventArguments) -> bool:
    return isinstance(event.args, dict) and event.args.get("on") is True
