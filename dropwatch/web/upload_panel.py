"""The part of a page that uploads files of this computer, and what the page asks it. static/upload.js does the work.

What the browser says is only that something changed; what is there is asked of the disk.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from nicegui import ui

from dropwatch.errors import Unavailable
from dropwatch.spool.staging import Staged
from dropwatch.spool.submit import Wishes
from dropwatch.web.house import House
from dropwatch.web.lookout import WORKING
from dropwatch.web.uploads.draft import Draft
from dropwatch.web.uploads.room import Refused
from dropwatch.web.visitor import DropFolder, Visitor

_TUS = Path(__file__).parent / "static" / "vendor" / "tus.min.js"
_OPEN = 600.0  #: seconds between two signs that a draft is still open in a tab
#: What a page with a panel has in its head.
LOOKS = """<link rel="stylesheet" href="/static/upload.css">
<script src="/static/vendor/tus.min.js"></script>
<script type="module" src="/static/upload.js"></script>"""
_MISSING = (
    "Its part that speaks to the server is not installed here (tus-js-client); `make setup` fetches it."
)


@dataclass(frozen=True)
class Seen:
    """What the browser shows. *busy*: files are still on their way or wait for it."""

    files: int = 0
    done: int = 0
    size: int = 0
    received: int = 0
    busy: bool = False


class UploadPanel:
    """The panel of *visitor*, for *folder* (by default their first drop folder). The page has LOOKS in its head.

    on_change -- called, in the page, whenever files came, went or were completed; may be a coroutine function
    """

    def __init__(
        self,
        house: House,
        visitor: Visitor,
        *,
        folder: DropFolder | None = None,
        on_change: Callable[[], Awaitable[None] | None] | None = None,
    ) -> None:
        self._house, self._visitor, self._on_change = house, visitor, on_change
        self.draft: Draft | None = None  #: what is being put together; None before the first file
        self.seen = Seen()
        self.element = ui.element("dropwatch-upload")
        self.element.ignores_events_when_hidden = (
            False  # another panel is shown, and uploads go on in this one
        )
        self.element.props["data-off"] = _why_off(visitor)
        self.element.props["data-user"] = folder.user if folder else ""
        self.element.props["data-spool"] = str(folder.spool) if folder else ""
        self.element.on("changed", self._changed, js_handler="(event) => emit(event.detail)")
        ui.timer(_OPEN, self._touch)

    @property
    def folder(self) -> Path | None:
        """Where the files lie at their places, to look at; those that are whole are in files()."""
        return self.draft.staging.files if self.draft else None

    def files(self) -> list[Staged]:
        """The files of the draft, by path; *whole* says which are complete."""
        return self.draft.files() if self.draft else []

    @property
    def ready(self) -> bool:
        """Whether there are files, all of them are here, and none is still to come."""
        if self.draft is None or self.seen.busy:
            return False
        here = self.draft.count() == self.seen.files == self.seen.done
        return here and self.seen.files > 0 and not self.draft.awaited()

    async def submit(self, wishes: Wishes) -> Path:
        """Drop what was uploaded as one batch, and begin anew; returns the batch's folder in the inbox. Twice is once.

        Raises Refused, PermanentError (not all is there), ManifestError (the wishes), OSError.
        """
        if self.draft is None:
            raise Refused(422, "Nothing was uploaded yet.", remedy="Add files first.")
        if self.seen.busy:
            raise Refused(409, "Files are still on their way.", remedy="Wait for them, or take them out.")
        if lacking := self.seen.files - self.seen.done:
            raise Refused(
                409,
                f"{lacking} of {self.seen.files} files did not come through.",
                remedy="Try them again, or take them out.",
            )
        submit = partial(self._house.uploads.submit, self._visitor, self.draft.id, wishes)
        dropped = await self._house.lookout.work(self.draft.staging.spool, submit, WORKING)
        self.draft, self.seen = None, Seen()
        self.element.run_method("restart")
        return dropped

    async def _changed(self, event: Any) -> None:
        said = event.args if isinstance(event.args, dict) else {}
        named = str(said.get("draft") or "")
        try:
            find = partial(self._house.uploads.draft, self._visitor, named)
            draft = await self._house.lookout.work(None, find) if named else None
        except (Refused, Unavailable) as err:  # a disk that does not answer still has it
            draft = None if isinstance(err, Refused) and err.status == 404 else self.draft
        self.draft = draft
        known = {key: said.get(key, 0) for key in ("files", "done", "size", "received")}
        self.seen = Seen(**known, busy=bool(said.get("busy")))
        answer = self._on_change() if self._on_change else None
        if answer is not None:
            await answer

    async def _touch(self) -> None:
        if self.draft is not None:
            with suppress(Unavailable):
                await self._house.lookout.work(self.draft.staging.spool, self.draft.staging.touch)


def _why_off(visitor: Visitor) -> str:
    if not visitor.folders:
        return "You have no drop folder yet; ask the facility for one."
    return "" if _TUS.is_file() else _MISSING
