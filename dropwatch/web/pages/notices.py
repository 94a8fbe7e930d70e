"""What stands above every list: what is out of order now, so that nobody wonders why nothing moves."""

from __future__ import annotations

from dropwatch.report import site_of
from dropwatch.status.presence import EVERYBODY, Presence
from dropwatch.web.house import House
from dropwatch.web.index import View
from dropwatch.web.pages.words import when
from dropwatch.web.pieces import OUTAGE, Notice, Tone
from dropwatch.web.visitor import Visitor


class Notices:
    """The notices of one visitor; show() changes what is different."""

    def __init__(self, house: House, visitor: Visitor) -> None:
        self._house, self._visitor = house, visitor
        self._site = site_of(house.config)
        self._spool, self._daemon, self._store = Notice(Tone.BAD), Notice(Tone.WAIT), Notice(Tone.WAIT)

    def show(self, view: View) -> None:
        self._spool.set(*self._of_spools(view))
        self._daemon.set(*self._of_daemon(view.here))
        self._store.set(*self._of_store(view.here))

    def _of_spools(self, view: View) -> tuple[str, str]:
        """Whether what is shown is what is there."""
        mine = {f"user:{folder.user}" for folder in self._visitor.folders}
        told = [
            one
            for one in view.troubles
            if self._visitor.admin or one.name in mine or one.name[:6] == "spool:"
        ]
        if not told:
            return "", ""
        more = f"{told[0].reason} {told[0].remedy}" if self._visitor.admin else self._ask()
        return "The drop folders cannot be seen now: what is shown here may be old.", more

    def _of_daemon(self, here: Presence | None) -> tuple[str, str]:
        if here is None:
            return "", ""
        if not here.running:
            return "dropwatch is not running: batches wait until it does.", self._ask()
        users = {folder.user for folder in self._visitor.folders}
        if EVERYBODY in here.holds or users & set(here.holds):
            return "An admin holds the imports back: batches wait until they are let go.", self._ask()
        return "", ""

    def _of_store(self, here: Presence | None) -> tuple[str, str]:
        paused = here.pause("omero") if here is not None and here.running else None
        if paused is None:
            return "", ""
        zone, now = self._site.timezone, self._house.clock()
        parts = [f"Since {when(paused.since, now, zone)}." if paused.since else ""]
        parts += [f"Next try {when(paused.until, now, zone)}." if paused.until else ""]
        parts += [f"{paused.reason} {paused.remedy}" if self._visitor.admin else ""]
        return OUTAGE.replace("OMERO", str(self._site.store), 1), " ".join(part for part in parts if part)

    def _ask(self) -> str:
        return f"Ask {self._site.contact} if it takes long." if self._site.contact else ""
