"""The parts of a list of batches: its lines, what needs somebody first, the stages to choose from, turning pages.

Each is made once and then shows what is different.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from nicegui import ui

from dropwatch.report.words import number
from dropwatch.web.house import House
from dropwatch.web.listed import Listed, Selection, Stage
from dropwatch.web.pages import words
from dropwatch.web.pages.batch_row import BatchRow
from dropwatch.web.pieces import Say, button, hide, icon

PART = 50  #: batches that are shown at a time


class Rows:
    """The lines of the list, each for the same batch as long as that is shown. look, whose -- as BatchRow has them"""

    def __init__(self, house: House, look: Callable[[], None], *, whose: bool) -> None:
        self._house, self._look, self._whose = house, look, whose
        self._rows: dict[str, BatchRow] = {}
        self._list = ui.element("ol").classes("dw-list dw-batches")

    def show(self, batches: Sequence[Listed]) -> None:
        """Show *batches*, in this order."""
        keyed = _keyed(batches)
        gone = {key: row for key, row in self._rows.items() if key not in keyed}
        for place, (key, one) in enumerate(keyed.items()):
            row = self._rows.get(key) or self._before(gone, key, one)
            if row is None:
                with self._list:
                    row = self._rows[key] = BatchRow(self._house, one, self._look, whose=self._whose)
            else:
                row.show(one)
            if self._list.default_slot.children[place] is not row:
                row.move(target_index=place)
        for key in gone:
            self._rows.pop(key).delete()

    def _before(self, gone: dict[str, BatchRow], key: str, one: Listed) -> BatchRow | None:
        """The line that *one* had under another key, before it was claimed (again)."""
        old = next((old for old, row in gone.items() if one.follows(row.one)), None)
        if old is None:
            return None
        row = self._rows[key] = self._rows.pop(old)
        del gone[old]
        return row


def _keyed(batches: Sequence[Listed]) -> dict[str, Listed]:
    """Two copies of an envelope have the same stamp."""
    keyed: dict[str, Listed] = {}
    for one in batches:
        keyed[one.key if one.key not in keyed else f"{one.key} {one.row.path}"] = one
    return keyed


class Urgent(ui.element):
    """A short list of what needs somebody."""

    def __init__(self) -> None:
        super().__init__("section")
        self._shown: tuple[Listed, ...] = ()
        self.classes("dw-urgent").props('aria-label="Needs you"')

    def show(self, batches: tuple[Listed, ...]) -> None:
        hide(self, not batches)
        if batches == self._shown:
            return
        self._shown = batches
        self.clear()
        with self:
            Say("h2", "Needs you")
            with ui.element("ul").classes("dw-list"):
                for one in batches:
                    with ui.element("li"):
                        icon("error")
                        with ui.element("span"):
                            with ui.element("a") as link:
                                Say("span", one.row.name)
                            link.props["href"] = f"/batch/{one.key}"
                            Say("span", f" \N{EN DASH} {words.why(one.row)}", "dw-quiet")


class Chips:
    """The stages, with how many batches there are in each; one or all can be chosen."""

    def __init__(self, choose: Callable[[Stage | None], None]) -> None:
        self._chips: dict[Stage | None, ui.button] = {}
        with ui.element("div").props('role="group" aria-label="Show"').classes("dw-chips"):
            for stage in (None, *Stage):
                chip = self._chips[stage] = button("", partial(choose, stage))
                chip.classes("dw-chip", remove="dw-icon-only")

    def show(self, selection: Selection, chosen: Stage | None) -> None:
        counts: dict[Stage | None, int] = {None: sum(selection.counts.values())}
        counts.update(selection.counts.items())
        for stage, chip in self._chips.items():
            amount = counts.get(stage, 0)
            name = words.STAGES[stage][0] if stage else "All"
            text, pressed = f"{name} {number(amount)}", "true" if stage is chosen else "false"
            if chip.text != text:
                chip.set_text(text)
            if chip.props.get("aria-pressed") != pressed:
                chip.props["aria-pressed"] = pressed
            hide(chip, not amount and stage is not None and stage is not chosen)


class Turn:
    """Turning pages of *part* each, where there is more than one."""

    def __init__(
        self,
        turn: Callable[[int], None],
        part: int = PART,
        *,
        before: str = "Newer",
        after: str = "Older",
        label: str = "More batches",
    ) -> None:
        self._page, self._part = 0, part
        with ui.element("nav").classes("dw-turn") as self._all:
            self._all.props["aria-label"] = label
            self._before = button(before, lambda: turn(self._page - 1), sign="chevron_left")
            self._where = Say("span", "", "dw-quiet")
            self._after = button(after, lambda: turn(self._page + 1), sign="chevron_right")

    def show(self, page: int, total: int) -> None:
        self._page = page
        first, last = page * self._part, min(total, (page + 1) * self._part)
        self._where.say(f"{number(first + 1)} to {number(last)} of {number(total)}")
        for able, one in ((page > 0, self._before), (last < total, self._after)):
            if one.enabled is not able:
                one.set_enabled(able)
        hide(self._all, total <= self._part and page == 0)
