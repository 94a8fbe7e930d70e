"""Which files: those of a place that the person may use, or of this computer; and what is in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from nicegui import ui

from dropwatch import report
from dropwatch.model import Preview
from dropwatch.places import Source
from dropwatch.spool.submit import Wishes, submit_from
from dropwatch.web.house import House
from dropwatch.web.pages.new_draft import Picks, suggested
from dropwatch.web.pages.new_places import PlaceBrowser
from dropwatch.web.pages.preview_panel import PreviewPanel
from dropwatch.web.pieces import Say, hide
from dropwatch.web.upload_panel import UploadPanel
from dropwatch.web.visitor import DropFolder, Visitor

_DISK, _HERE = "From a microscope or data disk", "From this computer"


class Files:
    """The two ways, one of them open. *changed* is told whenever other files are chosen.

    into    -- the drop folder that uploads go to
    learned -- told when more is known of the same files
    """

    def __init__(
        self,
        house: House,
        visitor: Visitor,
        sources: Sequence[Source],
        into: DropFolder,
        changed: Callable[[], None],
        learned: Callable[[], None],
    ) -> None:
        self._house, self._visitor = house, visitor
        self._told_changed, self._learned = changed, learned
        self._sources = {source.name: source for source in sources}
        self.preview: Preview | None = None
        self._make_tabs(with_disk=bool(sources))
        with (
            ui.element("div").props(f'role=tabpanel aria-label="{_DISK}"').classes("dw-way") as self._of_disk
        ):
            self._browser = (
                PlaceBrowser(house.config, sources, house.lookout, self._changed, learned)
                if sources
                else None
            )
        with (
            ui.element("div").props(f'role=tabpanel aria-label="{_HERE}"').classes("dw-way") as self._of_here
        ):
            self._panels: dict[DropFolder, UploadPanel] = {}
            self._upload = self._panel(into)
        self._missing = Say("p", "", "dw-problem").props("role=alert")
        self._look = PreviewPanel(house.previews, self._previewed)
        self._show_way()
        self._tabs.on_value_change(self._turn)

    @property
    def picks(self) -> Picks:
        """What is chosen in a place."""
        return self._browser.picks if self._browser else Picks()

    @property
    def called(self) -> str:
        """What people would call it; "" where nothing says so."""
        if not self._uploads:
            return suggested(self.picks)
        paths = [staged.path for staged in self._upload.files()]
        tops = {path.partition("/")[0] for path in paths}
        if len(tops) == 1 and "/" in paths[0]:
            return tops.pop()
        return suggested(Picks(paths=tuple(paths[:1])))

    @property
    def told(self) -> str:
        """How much is chosen, in few words; "" when nothing is."""
        if self._uploads:
            draft = self._upload.draft
            if draft is None or not draft.count():
                return ""
            return f"{report.count(draft.count(), 'file')}, {report.size(draft.size())}"
        return self._browser.told if self._browser and self.picks.paths else ""

    @property
    def lacks(self) -> str:
        """What is to be done about them before they can be submitted; "" when nothing is."""
        if not self.told:
            return "Choose at least one file or folder."
        if self._uploads and not self._upload.ready:
            return "Wait until all files are uploaded."
        elsewhere = [folder for folder, panel in self._panels.items() if panel.seen.busy]
        if elsewhere:  # with the form they would go, too
            return (
                f"Files are still on their way to {elsewhere[0].user} in {elsewhere[0].spool}: wait for them."
            )
        return ""

    def say(self, problem: str) -> None:
        """Say *problem* beside them."""
        self._missing.say(problem)

    def restore(self, picks: Picks) -> None:
        """Choose what was chosen before a reload."""
        if self._browser is not None:
            self._browser.restore(picks)

    async def show(self) -> None:
        """Look at the place."""
        if self._browser is not None:
            await self._browser.show()

    def upload_to(self, folder: DropFolder) -> None:
        """Uploads go to *folder* from now on. What is on its way to another one goes on, out of sight."""
        hide(self._upload.element)
        with self._of_here:
            self._upload = self._panel(folder)
        hide(self._upload.element, False)
        self._changed()

    def leave(self) -> None:
        """They are handed over: nobody wants to know any more what is in them."""
        self._look.of("", Path(), ())

    async def drop(self, folder: DropFolder, wishes: Wishes) -> Path:
        """Hand them over; returns the batch's folder in the inbox. Raises as submit_from() and UploadPanel.submit()."""
        if self._uploads:
            return await self._upload.submit(wishes)
        picks, said = self.picks, wishes.__dict__
        hand_over = partial(
            submit_from, picks.place, picks.paths, spool=folder.spool, user=folder.user, **said
        )
        return await self._house.lookout.work(folder.spool, hand_over)

    # -- which of the two ------------------------------------------------------------------------------------

    def _make_tabs(self, *, with_disk: bool) -> None:
        with ui.tabs().props("no-caps align=left inline-label").classes("dw-tabs") as self._tabs:
            if with_disk:
                ui.tab(_DISK, icon="dns")
            ui.tab(_HERE, icon="computer")
        self._tabs.value = _DISK if with_disk else _HERE
        hide(self._tabs, not with_disk)

    @property
    def _uploads(self) -> bool:
        return bool(self._tabs.value == _HERE)

    def _panel(self, folder: DropFolder) -> UploadPanel:
        """One for each drop folder: to take it from the page ends what it uploads."""
        if folder not in self._panels:
            self._panels[folder] = UploadPanel(
                self._house, self._visitor, folder=folder, on_change=self._changed
            )
        return self._panels[folder]

    def _turn(self) -> None:
        self._show_way()
        self._changed()

    def _show_way(self) -> None:
        hide(self._of_disk, self._uploads)
        hide(self._of_here, not self._uploads)

    # -- what is in them -------------------------------------------------------------------------------------

    def _changed(self) -> None:
        if self._uploads:
            there = self._upload.folder if self._upload.ready else None
            here = [staged.path for staged in self._upload.files()] if there else ()
            self._look.of("your files", there or Path(), here)
        elif self.picks.paths:
            self._look.of(self.picks.place, self._sources[self.picks.place].path, self.picks.paths)
        else:
            self._look.of("", Path(), ())
        self._told_changed()

    def _previewed(self, preview: Preview | None) -> None:
        self.preview = preview
        self._learned()
