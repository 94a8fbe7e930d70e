"""The image files and attachments of a batch, a part at a time: a batch may have a hundred thousand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nicegui import ui

from dropwatch.model import Attached, Failed, Image, Imported, Skipped
from dropwatch.record import Line
from dropwatch.report import Site, Store, count, named, size
from dropwatch.report.links import images_link, log_link
from dropwatch.report.words import number
from dropwatch.status import InHand
from dropwatch.status.pace import of_file
from dropwatch.web.pages.batch_list import Turn
from dropwatch.web.pieces import Badge, Say, Tone, away, hide, icon

PART = 50  #: lines that are shown at a time
_KINDS = {"Image", "Plate"}
_OUTCOMES = {
    Imported: ("In OMERO", "check_circle", Tone.GOOD),
    Skipped: ("Already there", "check_circle", Tone.GOOD),
    Attached: ("Attached", "attach_file", Tone.GOOD),
    Failed: ("Needs you", "error", Tone.BAD),
}
_OPEN = ("To come", "schedule", Tone.CALM)
_NOW = ("Importing", "sync", Tone.WORK)
_LEFT = ("Not imported", "block", Tone.CALM)


class Files:
    """A list of *noun*s (image files, attachments). Lines keep their place, so that nothing moves while one reads.

    remark -- stands above all of them
    """

    def __init__(self, site: Site, noun: str, remark: str = "") -> None:
        self._site, self._noun, self._page = site, noun, 0
        self._lines: Sequence[Line] = ()
        self._in_hand: Mapping[str, InHand] = {}
        self._over = False
        with ui.element("section").classes("dw-part") as self._all:
            self._title = Say("h2", f"{noun.capitalize()}s")
            if remark:
                Say("p", remark, "dw-quiet dw-small")
            with ui.element("ul").classes("dw-list dw-files") as self._list:
                self._rows: list[FileRow] = []
            self._turn = Turn(self._turn_to, PART, before="Before", after="Next", label=f"More {noun}s")

    def _turn_to(self, page: int) -> None:
        self._page = page
        self._show()

    def show(self, lines: Sequence[Line], in_hand: Sequence[InHand], *, over: bool) -> None:
        """*over*: whatever is open now stays so."""
        self._lines, self._over = lines, over
        self._in_hand = {one.fileset: one for one in in_hand}
        self._show()

    def _show(self) -> None:
        self._title.say(f"{self._noun.capitalize()}s ({number(len(self._lines))})")
        self._turn.show(self._page, len(self._lines))
        shown = self._lines[self._page * PART : (self._page + 1) * PART]
        while len(self._rows) > len(shown):
            self._rows.pop().delete()
        with self._list:
            while len(self._rows) < len(shown):
                self._rows.append(FileRow(self._site))
        for row, line in zip(self._rows, shown, strict=True):
            row.show(line, self._in_hand.get(line.fileset), over=self._over)
        hide(self._all, not self._lines)


class FileRow(ui.element):
    """One line of the list."""

    def __init__(self, site: Site) -> None:
        super().__init__("li")
        self.classes("dw-file")
        self._site = site
        with self:
            with ui.element("div").classes("dw-picture") as self._picture:
                icon("image")
                self._image, self._source = ui.element("div"), ""
            with ui.element("div").classes("dw-file-what"):
                self._name = Say("h3", "", "dw-file-name")
                self._facts = Say("div", "", "dw-quiet dw-small")
                self._reason, self._remedy = Say("p"), Say("p", "", "dw-remedy")
            with ui.element("div").classes("dw-file-where"):
                self._badge = Badge(*_OPEN)
                self._open, self._log = away("", ""), away("Server's log", "")

    def show(self, line: Line, now: InHand | None, *, over: bool) -> None:
        outcome = line.outcome
        images = outcome.images if isinstance(outcome, (Imported, Skipped)) else ()
        hide(self._picture, line.attachment)
        self._show_picture(images)
        self._name.say(named(line.name, 255))
        self._facts.say(_about(line, images))
        self._badge.set(*_state(line, now, self._site, over=over))
        self._show_words(line, now)
        _lead(
            self._open,
            images_link(self._site, images),
            "OMERO.web" if len(images) < 2 else "All in OMERO.web",
        )
        _lead(self._log, log_link(self._site, getattr(outcome, "log", None)), "Server's log")

    def _show_picture(self, images: Sequence[Image]) -> None:
        """A background: where there is no picture to be had, the sign behind it is seen."""
        first = next((one for one in images if one.id > 0 and one.kind in _KINDS), None)
        there = first is not None and self._site.store is Store.OMERO
        source = f"/api/images/{first.id}/thumbnail?kind={first.kind}" if first is not None and there else ""
        if source != self._source:
            self._source = source
            self._image.style(replace=f"background-image: url('{source}')" if source else "")

    def _show_words(self, line: Line, now: InHand | None) -> None:
        reason, remedy = "", ""
        match line.outcome:
            case Failed() as failed:
                reason, remedy = failed.reason, failed.remedy
            case Imported(warning=warning):
                reason = warning
            case None if now is not None:
                reason = of_file(now, self._site.store)
        for said, text in ((self._reason, reason), (self._remedy, remedy)):
            said.say(text)
            hide(said, not text)


def _state(line: Line, now: InHand | None, site: Site, *, over: bool) -> tuple[str, str, Tone]:
    if line.outcome is None or (isinstance(line.outcome, Failed) and not line.outcome.lasting and not over):
        return _NOW if now is not None else _LEFT if over else _OPEN
    word, sign, tone = _OUTCOMES[type(line.outcome)]
    return word.replace("OMERO", str(site.store)), sign, tone


def _about(line: Line, images: Sequence[Image]) -> str:
    parts = [count(line.files, "file") if line.files > 1 else "", size(line.bytes), line.format]
    many = max(line.series, len(images))
    parts += ["plate" if line.plate else count(many, "image") if many > 1 else ""]
    return " \N{MIDDLE DOT} ".join(part for part in parts if part)


def _lead(link: ui.link, address: str, text: str) -> None:
    hide(link, not address)
    if address and link.props.get("href") != address:
        link.props["href"] = address
        link.set_text(text)
