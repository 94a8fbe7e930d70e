"""What pages are made of: headings, cards, badges, bars, notices, questions. Only how they look and are read aloud.

Whatever is shown is text, never HTML, and passes through report.clean: names come from others. A colour never says
anything alone: it stands beside an icon and a word.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from dropwatch.report import clean

Click = Callable[[], Awaitable[Any] | Any]


class Tone(StrEnum):
    """What a colour stands for; the value is its class in static/dropwatch.css."""

    CALM = ""
    WORK = "dw-work"
    GOOD = "dw-good"
    WAIT = "dw-wait"
    BAD = "dw-bad"


class Say(TextElement):
    """Text in an element of its own: ``Say("p", "...")``. say() changes it, and sends nothing when it is the same."""

    def __init__(self, tag: str, text: str = "", classes: str = "") -> None:
        super().__init__(tag=tag, text=clean(text))
        if classes:
            self.classes(classes)

    def say(self, text: str) -> None:
        cleaned = clean(text)
        if cleaned != self.text:
            self.set_text(cleaned)


def hide(element: ui.element, hidden: bool = True) -> None:
    """Take *element* off the page, or bring it back; sends nothing when it is so already."""
    if element.visible is hidden:
        element.set_visibility(not hidden)


@contextmanager
def part(title: str, classes: str = "") -> Iterator[ui.element]:
    """A part of the page under a heading of its own."""
    made = ui.element("section").classes(f"dw-part {classes}")
    made.props["aria-label"] = clean(title)
    with made:
        Say("h2", title)
        yield made


def card(tag: str = "div", classes: str = "") -> ui.element:
    """A sheet for what belongs together."""
    return ui.element(tag).classes(f"dw-card {classes}")


def icon(name: str) -> ui.icon:
    """A picture beside words that say the same."""
    return ui.icon(name).props('aria-hidden="true"')


class Badge(ui.element):
    """A word with its icon and colour, such as a verdict."""

    def __init__(self, word: str, sign: str, tone: Tone = Tone.CALM) -> None:
        super().__init__("span")
        self.classes(f"dw-badge {tone}")
        with self:
            self._icon, self._word, self._tone = icon(sign), Say("span", word), tone

    def set(self, word: str, sign: str, tone: Tone) -> None:
        self._word.say(word)
        if self._icon.name != sign:
            self._icon.set_name(sign)
        if self._tone is not tone:
            self.classes(add=tone, remove=self._tone)
            self._tone = tone


class Bar(ui.element):
    """A progress bar with its words."""

    def __init__(self, label: str) -> None:
        super().__init__("div")
        self.classes("dw-progress")
        with self:
            track = (
                ui.element("div")
                .classes("dw-track")
                .props('role="progressbar" aria-valuemin=0 aria-valuemax=100')
            )
            track.props["aria-label"] = clean(label)
            with track:
                self._fill = ui.element("div").classes("dw-fill")
            self._track, self._words, self._share = track, Say("span", "", "dw-small dw-quiet"), -2.0

    def set(self, share: float | None, words: str) -> None:
        """*share*: from 0 to 1; None while nobody knows."""
        self._words.say(words)
        now = -1.0 if share is None else round(max(0.0, min(1.0, share)), 3)
        if now == self._share:
            return
        self._share = now
        self._fill.style(f"width: {max(0.0, now) * 100:.1f}%")
        self._track.props.set_optional("aria-valuenow", None if share is None else round(now * 100))
        self.classes(**{"add" if share is None else "remove": "dw-unknown"})


def button(
    text: str, on_click: Click | None = None, *, sign: str = "", kind: str = "", label: str = ""
) -> ui.button:
    """A button. *kind*: "main" (one on a page), "danger", "plain" or ""; *label*: for who hears the page only."""
    looks = {"main": "dw-main-action", "danger": "dw-danger", "plain": "dw-plain", "": ""}
    made = ui.button(clean(text), on_click=on_click, icon=sign or None, color=None).props(
        "unelevated no-caps"
    )
    made.classes(f"dw-button {looks[kind]} {'' if text else 'dw-icon-only'}")
    if label:
        made.props["aria-label"] = clean(label)
    return made


def go(text: str, path: str, *, sign: str = "", kind: str = "") -> ui.button:
    """A link to another page that looks like a button."""
    made = button(text, sign=sign, kind=kind)
    made.props["href"] = path
    return made


def away(text: str, address: str, label: str = "") -> ui.link:
    """A link to somewhere else, such as OMERO.web, in a tab of its own."""
    made = ui.link(clean(text), address, new_tab=True).props('rel="noopener noreferrer"')
    if label:
        made.props["aria-label"] = f"{clean(label)} (opens in a new tab)"
    return made


class Notice(ui.element):
    """Something to know before anything else on the page; it is read aloud when it comes."""

    def __init__(self, tone: Tone = Tone.CALM, text: str = "", more: str = "") -> None:
        super().__init__("div")
        signs = {Tone.BAD: "error", Tone.WAIT: "schedule", Tone.GOOD: "check_circle"}
        self.classes(f"dw-notice {tone}").props(f'role="{"alert" if tone is Tone.BAD else "status"}"')
        with self:
            icon(signs.get(tone, "info"))
            with ui.element("div"):
                self._said, self._more = Say("p", text), Say("p", more, "dw-small dw-quiet")

    def set(self, text: str, more: str = "") -> None:
        """With no *text* there is nothing to know, and nothing to see."""
        self._said.say(text)
        self._more.say(more)
        hide(self, not text)


@contextmanager
def empty(sign: str, title: str, text: str) -> Iterator[ui.element]:
    """Instead of an empty list: why it is empty, and (in the block) what to do about it."""
    made = card(classes="dw-empty")
    with made:
        icon(sign)
        Say("h2", title)
        Say("p", text, "dw-quiet")
        yield made


async def confirm(
    question: str, text: str, *, yes: str, no: str = "Leave it as it is", danger: bool = False
) -> bool:
    """Ask before something that cannot be taken back. True when the answer is *yes*."""
    with ui.dialog() as dialog, ui.element("div").classes("dw-dialog"):
        asked = Say("h2", question)
        dialog.props["aria-labelledby"] = asked.html_id
        Say("p", text)
        with ui.element("div").classes("dw-actions"):
            button(no, lambda: dialog.submit(False)).props("autofocus")
            button(yes, lambda: dialog.submit(True), kind="danger" if danger else "main")
    answer = await dialog
    dialog.delete()
    return bool(answer)


def table(label: str, *columns: str) -> ui.element:
    """A table with these headings; gives its body. It can be moved sideways where the screen is narrow."""
    with ui.element("div").classes("dw-scroll").props('tabindex=0 role="region"') as around:
        around.props["aria-label"] = label
        with ui.element("table").classes("dw-table"):
            with ui.element("thead"), ui.element("tr"):
                for title in columns:
                    Say("th", title).props('scope="col"') if title else ui.element("td")
            return ui.element("tbody")


def facts() -> ui.element:
    """A list of names and values; each pair by fact()."""
    return ui.element("dl").classes("dw-facts")


def fact(name: str, value: str, classes: str = "") -> Say:
    """One pair of facts()."""
    Say("dt", name)
    return Say("dd", value, classes)


def tell(text: str, tone: Tone = Tone.CALM) -> None:
    """Say what came of something, above the page for a while; it is read aloud."""
    ui.notify(
        clean(text),
        position="bottom",
        timeout=15_000 if tone is Tone.BAD else 8_000,
        close_button="Close",
        classes=f"dw-told {tone}",
        multi_line=True,
    )


OUTAGE = "OMERO does not answer. Your batches wait and go on by themselves."
