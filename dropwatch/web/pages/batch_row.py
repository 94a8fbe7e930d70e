"""One batch in a list of batches. It changes what changed and leaves the rest: scrolling, focus, selected text."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from nicegui import ui

from dropwatch.report import Site, clean, site_of
from dropwatch.web.house import House
from dropwatch.web.listed import Listed, Stage
from dropwatch.web.pages import deeds, words
from dropwatch.web.pieces import Badge, Bar, Say, away, button, hide

_AGAIN = (Stage.NEEDS_YOU, Stage.CANCELLED)


class BatchRow(ui.element):
    """A line of the list, for *one*.

    look  -- shows the list as it is now
    whose -- also says whose batch it is
    """

    def __init__(self, house: House, one: Listed, look: Callable[[], None], *, whose: bool) -> None:
        super().__init__("li")
        self._house, self._whose, self.one = house, whose, one
        self._hand, self._look = deeds.Hand(house), look
        self._site: Site = site_of(house.config)
        self.classes("dw-batch")
        with self:
            with ui.element("div").classes("dw-batch-what") as self._what:
                with ui.element("h3"):
                    self._name = Say("a")
                self._facts = Say("div", classes="dw-quiet dw-small")
                self._why = Say("p", classes="dw-batch-why")
                self._bar: Bar | None = None  # most batches are done, and never need one
            with ui.element("div").classes("dw-batch-where"):
                word, sign, tone = words.STAGES[one.stage]
                self._badge = Badge(word, sign, tone)
                self._since = Say("div", classes="dw-quiet dw-small")
                self._open = away("", "")
                self._again = button("Try again", partial(self._do, deeds.retry), sign="refresh")
        self.show(one)

    async def _do(self, deed: deeds.Deed) -> None:
        if await self._hand.do(deed, self.one):
            self._look()

    def show(self, one: Listed) -> None:
        """Show *one*, which is the same batch as before."""
        row, self.one = one.row, one
        path = f"/batch/{one.key}"
        if self._name.props.get("href") != path:
            self._name.props["href"] = path
        self._show_name(row.name)
        self._facts.say(words.facts(one, whose=self._whose))
        self._badge.set(*words.STAGES[one.stage])
        self._since.say(words.since(row, self._house.clock(), self._site.timezone))
        self._show_progress()
        self._show_link()
        hide(self._again, one.stage not in _AGAIN or row.claim is None)

    def _show_name(self, name: str) -> None:
        """Buttons are told apart by it, also where they are listed without their line."""
        if self._name.text == clean(name):
            return
        self._name.say(name)
        self._again.props["aria-label"] = clean(f"Try again: {name}")

    def _show_progress(self) -> None:
        share, told = words.far(self.one.row, self._site)
        if told and self._bar is None:
            with self._what:
                self._bar = Bar("How far it is")
        if self._bar is not None:
            hide(self._bar, not told)
            self._bar.set(share, told)
        hide(self._why, bool(told))
        self._why.say(words.why(self.one.row))

    def _show_link(self) -> None:
        link = self.one.link
        hide(self._open, not link)
        if link and self._open.props.get("href") != link:
            self._open.props["href"] = link
            self._open.set_text(words.store(self._site))
