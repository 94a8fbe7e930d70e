"""From a microscope or data disk: walk through the folders of the places, search below them, choose. It only looks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from nicegui import background_tasks, ui
from nicegui.events import ValueChangeEventArguments

from dropwatch import places, report
from dropwatch.config import Config
from dropwatch.errors import DropwatchError
from dropwatch.places import Entry, Source
from dropwatch.web.lookout import Lookout
from dropwatch.web.pages.new_basket import Basket
from dropwatch.web.pages.new_draft import Picks
from dropwatch.web.pages.new_listing import FolderList
from dropwatch.web.pages.new_submit import sorry
from dropwatch.web.pieces import Say, button, hide

MOST = 20_000  #: entries of one folder that a browser gets; the rest is found by searching
_FOUND = 500  #: hits of a search
_ENOUGH = 12.0  #: seconds after which a search, or counting, tells what it has
_PAUSE = 0.35  #: seconds without a key before we search
_SHOWN = 12  #: chosen things that are named one by one


class PlaceBrowser:
    """The places that one person may use, in one tab of a browser.

    picks   -- what is chosen, of the place that is shown
    changed -- told whenever that changed; learned -- told when its size is known
    """

    def __init__(
        self,
        config: Config,
        sources: Sequence[Source],
        lookout: Lookout,
        changed: Callable[[], None],
        learned: Callable[[], None],
    ) -> None:
        self._config, self._lookout = config, lookout
        self._changed, self._learned = changed, learned
        self._sources = {source.name: source for source in sources}
        self._source = sources[0]
        self._baskets = {source.name: Basket() for source in sources}
        self._folder = ""
        self._looking = self._measuring = 0
        self._size = ""
        self._build()

    @property
    def picks(self) -> Picks:
        return self._basket.picks(self._source.name)

    @property
    def told(self) -> str:
        """How much is chosen, in few words."""
        return self._size.partition(". ")[0] or self._told()

    def restore(self, picks: Picks) -> None:
        """Choose what was chosen before a reload."""
        if picks.place in self._sources:
            self._source = self._sources[picks.place]
            self._baskets[picks.place] = Basket.of(picks)
            self._folder = picks.paths[0].rpartition("/")[0] if picks.paths else ""
            self._select.value = picks.place
            self._tell()

    async def show(self, path: str | None = None, *, came_from: str = "") -> None:
        """Show the folder *path*; without one, the folder at hand anew."""
        self._folder = self._folder if path is None else path
        mine = self._begin()
        self._crumbs.refresh()
        source, folder = self._source, self._folder
        try:
            found = await self._lookout.look(source, lambda: places.listing(source, folder, most=MOST))
        except DropwatchError as err:
            self._say(mine, (), sorry(self._config, err))
            return
        cut = ""
        if found.more or found.cut:
            cut = f"The first {len(found.entries):,} of {found.total:,}; search to find the others."
        self._say(mine, found.entries, cut, none="This folder is empty.", at=came_from)

    # -- what it is made of ----------------------------------------------------------------------------------

    def _build(self) -> None:
        with ui.element("div").classes("dw-places").props("data-redrawn"):
            with ui.element("div").classes("dw-places-top"):
                self._select = (
                    ui.select(
                        list(self._sources),
                        value=self._source.name,
                        label="Where the files are",
                        on_change=self._go_to,
                    )
                    .props("outlined dense options-dense stack-label")
                    .classes("dw-place")
                )
                self._select.set_visibility(len(self._sources) > 1)
                self._words = (
                    ui.input("Search here and in all folders below", on_change=self._typed)
                    .props("outlined dense clearable type=search")
                    .classes("dw-search")
                )
                button("", self.show, sign="refresh", kind="plain", label="Look again").tooltip("Look again")
            self._crumbs()
            self._list = FolderList(
                self._config.site.timezone, choose=self._choose, open_=self._enter, up=self._leave
            )
            self._status = Say("p", "", "dw-quiet dw-small").props("role=status")
            with (
                ui.element("div")
                .classes("dw-basket")
                .props('role=group aria-label="Chosen files and folders"')
            ):
                with ui.element("div").classes("dw-basket-head"):
                    self._sum = Say("span", self._told(), "dw-grow").props("role=status")
                    self._nothing = button("Choose nothing", self._choose_nothing, kind="plain")
                self._chosen()
            hide(self._nothing)

    @ui.refreshable_method
    def _crumbs(self) -> None:
        steps = self._folder.split("/") if self._folder else []
        with ui.element("nav").classes("dw-crumbs").props('aria-label="Folder"'):
            self._crumb(self._source.name, "", last=not steps)
            for number, step in enumerate(steps, 1):
                ui.label("/").props("aria-hidden=true")
                self._crumb(places.label(step), "/".join(steps[:number]), last=number == len(steps))

    def _crumb(self, text: str, path: str, *, last: bool) -> None:
        if last:
            ui.label(text).props("aria-current=true").classes("dw-crumb")
        else:
            button(text, lambda: self._visit(path), kind="plain").classes("dw-crumb")

    @ui.refreshable_method
    def _chosen(self) -> None:
        chosen = list(self._basket.chosen.values())
        with ui.element("ul").classes("dw-basket-list"):
            for entry in chosen[:_SHOWN]:
                self._chip(entry)
        if len(chosen) > _SHOWN:
            ui.label(f"and {len(chosen) - _SHOWN:,} more").classes("dw-note")

    def _chip(self, entry: Entry) -> None:
        with ui.element("li").classes("dw-chip"):
            ui.icon("folder" if entry.is_folder else "insert_drive_file").props("aria-hidden=true")
            shown = report.clean(entry.path)
            ui.label(shown).classes("dw-chip-text").tooltip(shown)
            button(
                "", lambda: self._let_go([entry]), sign="close", kind="plain", label=f"Do not import {shown}"
            )

    # -- what a person does ----------------------------------------------------------------------------------

    async def _go_to(self, event: ValueChangeEventArguments[str]) -> None:
        if event.value != self._source.name and event.value in self._sources:
            self._source = self._sources[event.value]
            self._words.value = ""
            self._tell()
            await self.show("")

    async def _typed(self) -> None:
        mine = self._begin()
        await asyncio.sleep(_PAUSE)
        if mine != self._looking:
            return
        wanted = (self._words.value or "").strip()
        if not wanted:
            await self.show()
            return
        source, folder = self._source, self._folder
        try:
            found = await self._lookout.look(
                source,
                lambda: places.search(
                    source, wanted, folder, most=_FOUND, stopped=_until(lambda: mine != self._looking)
                ),
            )
        except DropwatchError as err:
            self._say(mine, (), sorry(self._config, err))
            return
        told = (
            report.count(len(found.entries), "hit")
            if found.complete
            else f"The first {len(found.entries):,} hits"
        )
        self._say(mine, found.entries, f"{told}.", none=f"Nothing here has {wanted} in its name.", deep=True)

    def _visit(self, path: str) -> None:
        came_from = self._folder
        self._words.set_value("") if self._words.value else None
        background_tasks.create(self.show(path, came_from=came_from))

    def _enter(self, entry: Entry) -> None:
        self._visit(entry.path)

    def _leave(self) -> None:
        if self._folder:
            self._visit(self._folder.rpartition("/")[0])

    def _choose(self, entries: list[Entry], on: bool) -> None:
        self._basket.put(entries) if on else self._basket.drop(entries)
        self._tell()

    def _choose_nothing(self) -> None:
        self._let_go(list(self._basket.chosen.values()))

    def _let_go(self, entries: list[Entry]) -> None:
        self._choose(list(entries), False)

    # -- what is told ----------------------------------------------------------------------------------------

    @property
    def _basket(self) -> Basket:
        return self._baskets[self._source.name]

    def _begin(self) -> int:
        self._looking += 1
        self._list.wait()
        return self._looking

    def _say(
        self,
        mine: int,
        entries: Sequence[Entry],
        told: str,
        *,
        none: str = "",
        at: str = "",
        deep: bool = False,
    ) -> None:
        if mine == self._looking:  # else something else was asked for meanwhile
            self._list.show(entries, [self._note(entry, deep) for entry in entries], none, at=at)
            self._status.say(told)
            self._mark()

    def _note(self, entry: Entry, deep: bool) -> str:
        """Where a hit lies; why something cannot be chosen."""
        if entry.refused:
            return entry.refused
        if entry.unfinished:
            return "still being written, by its name"
        above = entry.path.rpartition("/")[0].removeprefix(self._folder).strip("/")
        return f"in {report.clean(above)}" if deep and above else ""

    def _mark(self) -> None:
        self._list.tick(self._basket, whole=bool(self._folder) and self._basket.covers(self._folder))

    def _tell(self) -> None:
        self._size = ""
        self._mark()
        self._chosen.refresh()
        self._sum.say(self._told())
        hide(self._nothing, not self._basket.chosen)
        self._changed()
        background_tasks.create(self._measure())

    def _told(self) -> str:
        chosen = list(self._basket.chosen.values())
        if not chosen:
            return "Nothing chosen yet. Tick files, or whole folders."
        folders = sum(entry.is_folder for entry in chosen)
        files = len(chosen) - folders
        counts = [(folders, "folder"), (files, "file")]
        words = " and ".join(report.count(number, noun) for number, noun in counts if number)
        return f"{words} chosen{f': {self._size}' if self._size else ', counting …'}"

    async def _measure(self) -> None:
        self._measuring += 1
        mine, source, paths = self._measuring, self._source, list(self._basket.chosen)
        await asyncio.sleep(_PAUSE)
        if not paths or mine != self._measuring:
            return
        try:
            found = await self._lookout.look(
                source, lambda: places.measure(source, paths, stopped=_until(lambda: mine != self._measuring))
            )
        except DropwatchError as err:
            told = sorry(self._config, err)
        else:
            least = "" if found.complete else "at least "
            told = f"{least}{report.count(found.files, 'file')}, {report.size(found.bytes)}"
            if found.refused:
                first = found.refused[0]
                more = f" and {len(found.refused) - 1} more" if len(found.refused) > 1 else ""
                told += f". Left aside: {first.label} ({first.refused}){more}"
        if mine == self._measuring:
            self._size = told
            self._sum.say(self._told())
            self._learned()


def _until(given_up: Callable[[], bool]) -> Callable[[], bool]:
    """Whether a look is to end: nobody waits for it any more, or it took long enough."""
    end = time.monotonic() + _ENOUGH
    return lambda: given_up() or time.monotonic() > end
