"""My batches: what lies where and why, live, newest first."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from nicegui import ui

from dropwatch.report import count, site_of
from dropwatch.report.words import number
from dropwatch.web.entrance import asking_at
from dropwatch.web.frame import frame
from dropwatch.web.house import House
from dropwatch.web.index import View
from dropwatch.web.listed import Listed, Selection, Stage, Wanted, of_visitor, select
from dropwatch.web.pages.batch_list import PART, Chips, Rows, Turn, Urgent
from dropwatch.web.pages.notices import Notices
from dropwatch.web.pieces import Say, empty, go, hide
from dropwatch.web.visitor import Visitor

EVERY = 1.0  #: seconds between two looks of an open page
PATIENCE = 20.0  #: seconds that making the page may take; a spool that hangs takes index.PATIENCE of them
RECENT = 14 * 86400.0  #: seconds; what needs somebody is told first for so long
FIRST = 3  #: of what needs somebody, told first


def register(house: House) -> None:
    """Hang up /."""
    asking = asking_at(house.doorkeeper)

    @ui.page("/", response_timeout=PATIENCE)
    async def batches(q: str = "", stage: str = "", page: int = 1, visitor: Visitor = asking) -> None:
        await asyncio.to_thread(house.index.fresh)
        with frame(house, visitor, "My batches", "/") as head:
            with head:
                go("New batch", "/new", sign="add", kind="main")
            shown = _Batches(house, visitor, q, _stage(stage), max(0, page - 1))
        ui.timer(EVERY, shown.look)


def _stage(said: str) -> Stage | None:
    with suppress(ValueError):
        return Stage(said)
    return None


class _Batches:
    """The page of one visitor. It keeps what it shows, so that it can change what is different only."""

    def __init__(self, house: House, visitor: Visitor, text: str, stage: Stage | None, page: int) -> None:
        self._house, self._visitor = house, visitor
        self._zone = site_of(house.config).timezone
        self._wanted, self._page = Wanted(text=text, stage=stage), page
        self._version = -1
        self._notices = Notices(house, visitor)
        self._urgent = Urgent()
        self._none = self._make_empty()
        with ui.element("section").props('aria-label="All batches"').classes("dw-part") as self._some:
            Say("h2", "All batches", "dw-unseen")
            self._make_search()
            self._chips = Chips(self._pick)
            self._list = Rows(house, whose=visitor.admin)
            self._nothing = Say("p", "No batch is like that.", "dw-quiet dw-nothing")
            self._turn = Turn(self._turn_to)
            self._older = Say("p", "", "dw-quiet dw-small")
        self.look()

    # -- what is made once -----------------------------------------------------------------------------

    def _make_empty(self) -> ui.element:
        inboxes = [str(folder.spool / folder.user / "inbox") for folder in self._visitor.folders]
        text = "Hand image files over, and they are imported into OMERO while you do something else."
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
            search = ui.input("Search name, target or file", value=self._wanted.text)
            search.props("outlined dense clearable debounce=200 type=search").classes("dw-grow")
            search.on_value_change(lambda event: self._want(text=event.value or ""))
            for label, key, days in (("From", "since", 0), ("To", "until", 1)):
                day = ui.input(label).props("outlined dense stack-label type=date")
                day.on_value_change(
                    lambda event, key=key, days=days: self._want(**{key: self._at(event.value, days)})
                )
            if self._visitor.admin:
                whose = ui.input("User").props("outlined dense clearable debounce=200")
                whose.on_value_change(lambda event: self._want(user=(event.value or "").strip()))

    def _at(self, said: str | None, days: int) -> float | None:
        """The beginning of the day *said*, *days* later, in the site's time zone."""
        try:
            day = date.fromisoformat(said or "") + timedelta(days=days)
        except (ValueError, OverflowError):
            return None
        return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(self._zone)).timestamp()

    # -- what the visitor does -------------------------------------------------------------------------

    def _want(self, **what: Any) -> None:
        self._wanted, self._page = replace(self._wanted, **what), 0
        self._again()

    def _pick(self, stage: Stage | None) -> None:
        self._want(stage=stage)

    def _turn_to(self, page: int) -> None:
        self._page = page
        self._again()
        ui.run_javascript("window.scrollTo({top: 0})")

    def _again(self) -> None:
        said = {
            "q": self._wanted.text,
            "stage": self._wanted.stage or "",
            "page": self._page + 1 if self._page else "",
        }
        query = urlencode({key: value for key, value in said.items() if value})
        # So that the page is the same after it was loaded again, and can be sent to somebody.
        ui.run_javascript(f"history.replaceState(null, '', '/{'?' if query else ''}{query}')")
        self._version = -1
        self.look()

    # -- what is looked at each second -----------------------------------------------------------------

    def look(self) -> None:
        """Show what is different from the last time."""
        view = self._house.index.latest()
        self._notices.show(view)
        if view.version == self._version:
            return
        self._version = view.version
        mine = list(of_visitor(view.batches, self._visitor))
        selection = select(mine, self._wanted, self._page * PART, PART)
        self._show(selection, view)
        self._show_urgent(mine)
        waits = view.unread > 0 or bool(view.troubles)
        hide(self._none, bool(mine) or waits)
        hide(self._some, not mine and not waits)

    def _show(self, selection: Selection, view: View) -> None:
        self._list.show(selection.rows)
        self._chips.show(selection, self._wanted.stage)
        self._turn.show(self._page, selection.total)
        hide(self._nothing, bool(selection.rows) or view.unread > 0)
        told = f"Older ones are still being read: {number(view.unread)} to go." if view.unread else ""
        if view.left_out:
            told = f"Not listed: {count(view.left_out, 'older one')}; the command line shows all."
        self._older.say(told)
        hide(self._older, not told)

    def _show_urgent(self, mine: list[Listed]) -> None:
        """Not to who is looking for something else."""
        anything = self._wanted == Wanted() and self._page == 0
        after = self._house.clock() - RECENT
        urgent = (one for one in mine if one.stage is Stage.NEEDS_YOU and (one.row.since or 0.0) > after)
        chosen = [one for one, _ in zip(urgent, range(FIRST), strict=False)] if anything else []
        self._urgent.show(tuple(chosen))
