"""My batches: what lies where and why, live, newest first."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from nicegui import ui

from dropwatch.report import count, site_of
from dropwatch.report.words import number
from dropwatch.web.entrance import asking_at
from dropwatch.web.frame import frame
from dropwatch.web.house import House
from dropwatch.web.index import View
from dropwatch.web.listed import Listed, Stage, of_visitor, select
from dropwatch.web.pages.asked import Asked
from dropwatch.web.pages.batch_list import PART, Chips, Rows, Turn, Urgent
from dropwatch.web.pages.notices import Notices
from dropwatch.web.pieces import Say, empty, go, hide
from dropwatch.web.visitor import Visitor

EVERY = 1.0  #: seconds between two looks of an open page
PATIENCE = 20.0  #: seconds that making the page may take; a spool that hangs takes index.PATIENCE of them
RECENT = 14 * 86400.0  #: seconds; what needs somebody is told first for so long
AT_ONCE = 12  #: lines of the list in the first answer: each takes the browser, and us, some milliseconds
FIRST = 3  #: of what needs somebody, told first


def register(house: House) -> None:
    """Hang up /."""
    asking = asking_at(house.doorkeeper)

    @ui.page("/", response_timeout=PATIENCE)
    async def batches(
        q: str = "",
        stage: str = "",
        user: str = "",
        since: str = "",
        until: str = "",
        page: str = "",
        visitor: Visitor = asking,
    ) -> None:
        await asyncio.to_thread(house.index.fresh)
        with frame(house, visitor, "My batches", "/") as head:
            with head:
                go("New batch", "/new", sign="add", kind="main")
            shown = _Batches(house, visitor, Asked(q, stage, user, since, until, page))
        ui.timer(EVERY, shown.look)


class _Batches:
    """The page of one visitor. It keeps what it shows, so that it can change what is different only."""

    def __init__(self, house: House, visitor: Visitor, asked: Asked) -> None:
        self._house, self._visitor, self._asked = house, visitor, asked
        self._zone = ZoneInfo(site_of(house.config).timezone)
        self._seen: Hashable = None
        self._painted = False
        self._notices = Notices(house, visitor)
        self._urgent = Urgent()
        self._none = self._make_empty()
        with ui.element("section").props('aria-label="All batches"').classes("dw-part") as self._some:
            Say("h2", "All batches", "dw-unseen")
            self._make_search()
            self._chips = Chips(self._pick)
            self._list = Rows(house, self.look, whose=visitor.admin)
            self._nothing = Say("p", "No batch is like that.", "dw-quiet dw-nothing")
            self._turn = Turn(self._turn_to)
            self._older = Say("p", "", "dw-quiet dw-small")
        self.look()

    # -- what is made once -----------------------------------------------------------------------------

    def _make_empty(self) -> ui.element:
        inboxes = [str(folder.spool / folder.user / "inbox") for folder in self._visitor.folders]
        store = site_of(self._house.config).store
        text = f"Hand image files over, and they are imported into {store} while you do something else."
        with empty("inbox", "No batches yet", text) as made:
            with ui.element("ul").classes("dw-ways"):
                with ui.element("li"):
                    Say("strong", "In this browser")
                    Say("p", "Pick files on a microscope's disk, or bring them from this computer.")
                with ui.element("li"):
                    Say("strong", "In your drop folder")
                    Say("p", "Copy or move a folder with your files into it:")
                    for path in inboxes:
                        Say("code", path)
            go("New batch", "/new", sign="add", kind="main")
        return made

    def _make_search(self) -> None:
        with ui.element("div").props('role="search" aria-label="Find batches"').classes("dw-search"):
            search = ui.input("Search name, target or file", value=self._asked.q)
            search.props("outlined dense clearable debounce=200 type=search").classes("dw-grow")
            search.on_value_change(lambda event: self._want(q=event.value or ""))
            for label, key, day in (
                ("From", "since", self._asked.since),
                ("To", "until", self._asked.until),
            ):
                field = ui.input(label, value=day).props("outlined dense stack-label type=date")
                field.on_value_change(lambda event, key=key: self._want(**{key: event.value or ""}))
            if self._visitor.admin:
                whose = ui.input("User", value=self._asked.user)
                whose.props("outlined dense clearable debounce=200")
                whose.on_value_change(lambda event: self._want(user=event.value or ""))

    # -- what the visitor does -------------------------------------------------------------------------

    def _want(self, **what: str) -> None:
        self._asked = replace(self._asked, **{"page": "", **what})
        ui.run_javascript(f"history.replaceState(null, '', '{self._asked.address}')")
        self._seen = None
        self.look()

    def _pick(self, stage: Stage | None) -> None:
        self._want(stage=stage or "")

    def _turn_to(self, page: int) -> None:
        self._want(page=str(page + 1) if page else "")
        ui.run_javascript("window.scrollTo({top: 0})")

    # -- what is looked at each second -----------------------------------------------------------------

    def look(self) -> None:
        """Show what is different from the last time."""
        view = self._house.index.latest()
        self._notices.show(view)
        # What was said of a time without its day is wrong from midnight on.
        seen = view.version, datetime.fromtimestamp(self._house.clock(), self._zone).date()
        if seen == self._seen:
            return
        self._seen = seen
        mine = list(of_visitor(view.batches, self._visitor))
        self._show(mine, view)
        self._show_urgent(mine)
        waits = view.unread > 0 or bool(view.troubles)
        hide(self._none, bool(mine) or waits)
        hide(self._some, not mine and not waits)

    def _show(self, mine: list[Listed], view: View) -> None:
        wanted, page = self._asked.wanted(self._zone.key), self._asked.number
        selection = select(mine, wanted, page * PART, PART)
        if page and not selection.rows:  # there are fewer by now, or (still) too few of them are read
            page = max(0, selection.total - 1) // PART
            selection = select(mine, wanted, page * PART, PART)
        # What a screen holds is painted first; the rest is there when somebody scrolls.
        first, self._painted = (None if self._painted else AT_ONCE), True
        self._list.show(selection.rows[:first])
        if first is not None and len(selection.rows) > first:
            self._seen = None
        self._chips.show(selection, wanted.stage)
        self._turn.show(page, selection.total)
        hide(self._nothing, bool(selection.rows) or view.unread > 0)
        told = f"Older ones are still being read: {number(view.unread)} to go." if view.unread else ""
        if view.left_out:
            told = f"Not listed: {count(view.left_out, 'older one')}; the command line shows all."
        self._older.say(told)
        hide(self._older, not told)

    def _show_urgent(self, mine: list[Listed]) -> None:
        """Not to who is looking for something else."""
        anything = self._asked == Asked()
        after = self._house.clock() - RECENT
        urgent = (one for one in mine if one.stage is Stage.NEEDS_YOU and (one.row.since or 0.0) > after)
        chosen = [one for one, _ in zip(urgent, range(FIRST), strict=False)] if anything else []
        self._urgent.show(tuple(chosen))
