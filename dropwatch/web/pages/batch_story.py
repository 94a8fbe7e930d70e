"""What there is to tell of one batch beside its files: what went wrong, where it is, what happened, letters, log.

Each part is made anew only when what it tells is different.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from dropwatch.outbox import Letter, Shelf
from dropwatch.record import PastClaim
from dropwatch.report import Story, count, moment, size
from dropwatch.report.letter import Heading, Trouble
from dropwatch.report.letter import Say as Said
from dropwatch.report.links import container_link
from dropwatch.report.portions import Most
from dropwatch.report.sections import where
from dropwatch.report.troubles import troubles
from dropwatch.report.words import clean_lines, moment_beside, sentence
from dropwatch.status import Whole
from dropwatch.web.order import Wishes
from dropwatch.web.pieces import Badge, Say, Tone, away, fact, facts, hide, icon

MOST = Most(imported=0, failed=30, groups=12, remarks=20)  #: of what went wrong; the files below have all
EVENTS = 200  #: of one claim that are shown, the last ones
_VERBS = {
    "claim": "Taken up",
    "verify": "Checksums compared",
    "fetch": "Fetching begun",
    "fetched": "Files fetched",
    "resume": "Taken up after a stop",
    "plan": "Files looked at",
    "ask": "OMERO asked what it has",
    "import": "Import begun",
    "record": "Result kept",
    "defer": "Put off",
    "cancel": "Cancelled",
    "conclude": "Came to its end",
    "notify": "Mail written",
    "retire": "Put away",
}
_ENDS = {  # verdicts
    "imported": "everything is imported",
    "partial": "a part of it is imported",
    "failed": "nothing is imported",
}
_SHELVES = {
    Shelf.QUEUED: ("Waits", "schedule", Tone.WAIT),
    Shelf.SENT: ("Sent", "check_circle", Tone.GOOD),
    Shelf.DEAD: ("Given up", "error", Tone.BAD),
}


class Told(ui.element):
    """A part of the page that is made by *make* of what show() is given, anew when that is something else."""

    def __init__(self, title: str, make: Callable[[Any], None], *, folded: bool = False) -> None:
        super().__init__("details" if folded else "section")
        self._make = make
        self._shown: Hashable = None
        self.classes("dw-part dw-told-part")
        with self:
            if folded:
                with ui.element("summary"):
                    Say("h2", title)
            else:
                Say("h2", title)
            self._body = ui.element("div").classes("dw-card")

    def show(self, said: Hashable) -> None:
        """With nothing to tell there is no part."""
        hide(self, not said)
        if not said or said == self._shown:
            return
        self._shown = said
        self._body.clear()
        with self._body:
            self._make(said)


def tell_troubles(story: Story) -> None:
    """What went wrong, each reason once, with what to do."""
    for block in troubles(story, MOST):
        match block:
            case Heading(text=text):
                Say("h3", text)
            case Said(text=text):
                Say("p", text, "dw-quiet")
            case Trouble():
                _tell_trouble(block)


def _tell_trouble(trouble: Trouble) -> None:
    with ui.element("div").classes("dw-trouble"):
        icon("error")
        with ui.element("div"):
            Say("strong", trouble.title)
            for reason in trouble.reasons:
                Say("p", reason)
            if trouble.remedy:
                Say("p", f"What to do: {trouble.remedy}", "dw-remedy")
            for line in trouble.lines:
                Say("code", line)
            with ui.element("ul").classes("dw-names"):
                for row in trouble.rows.rows:
                    Say("li", row.name)
                if trouble.rows.more:
                    Say("li", trouble.rows.more, "dw-quiet")


@dataclass(frozen=True)
class Fact:
    """One thing about the batch; *link* leads to it, *code* is shown as such."""

    name: str
    value: str
    link: str = ""
    code: bool = False


def facts_of(whole: Whole, asked: Wishes | None) -> tuple[Fact, ...]:
    """Where it is and what was asked for."""
    row, record, zone = whole.row, whole.record, whole.site.timezone
    found = [*_where(whole), Fact("Files", f"{count(row.files, 'file')}, {size(row.bytes)}")]
    if record is not None and row.claim:
        found.append(Fact("Taken up", moment(record.claimed_at, zone)))
    elif row.since:
        found.append(Fact("Dropped", moment(row.since, zone)))
    if record is not None and record.concluded_at:
        after = count(row.attempts, "attempt")
        found.append(Fact("Came to its end", f"{moment(record.concluded_at, zone)}, after {after}"))
    if row.next_attempt:
        found.append(Fact("Next attempt", moment(row.next_attempt, zone)))
    found += [Fact(*one) for one in (asked.facts if asked else ())]
    found.append(Fact("Folder", str(row.path), code=True))
    found += [Fact("Batch id", row.id, code=True)] if row.id else []
    return (*found, Fact("Dropped by", row.user))


def _where(whole: Whole) -> Iterator[Fact]:
    story, site = whole.story, whole.site
    if story is not None and story.container is not None:
        text = where(story, site).removeprefix(f"in {site.store}, in the ")
        yield Fact(f"In {site.store}", text[:1].upper() + text[1:], container_link(site, story.container))
        if story.container.note:
            yield Fact("Remark", sentence(story.container.note))


def tell_facts(found: tuple[Fact, ...]) -> None:
    with facts():
        for one in found:
            if not one.link:
                fact(one.name, one.value, "dw-mono" if one.code else "dw-prose")
                continue
            Say("dt", one.name)
            with ui.element("dd"):
                away(one.value, one.link)


def tell_notes(notes: tuple[str, ...]) -> None:
    """Files left aside, and what else is worth knowing."""
    with ui.element("ul").classes("dw-names"):
        for note in notes[:200]:
            Say("li", sentence(note))


def tell_claims(said: tuple[tuple[PastClaim, ...], str]) -> None:
    """What happened, the last claim first."""
    claims, zone = said
    for claim in reversed(claims):
        title = f"Taken up {moment(claim.claimed_at, zone)}" if len(claims) > 1 else ""
        if title:
            Say("h3", title)
        with ui.element("ol").classes("dw-events"):
            if len(claim.events) > EVENTS:
                Say("li", f"{len(claim.events) - EVENTS:,} before", "dw-quiet")
            for event in claim.events[-EVENTS:]:
                with ui.element("li"):
                    seconds = f"{time.gmtime(event.at).tm_sec:02}"
                    Say("time", f"{moment_beside(event.at, claim.claimed_at, zone)}:{seconds}", "dw-quiet")
                    text = _ENDS.get(event.text, event.text)
                    Say("span", ": ".join(filter(None, [_VERBS.get(event.verb, event.verb), text])))


def tell_letters(said: tuple[tuple[tuple[Shelf, Letter], ...], str]) -> None:
    """The letters, each with what became of it."""
    letters, zone = said
    with ui.element("ul").classes("dw-list dw-letters"):
        for shelf, letter in letters:
            with ui.element("li"):
                Badge(*_SHELVES[shelf])
                with ui.element("div"):
                    Say("div", letter.subject)
                    Say("div", f"to {letter.to}, {moment(letter.created, zone)}", "dw-quiet dw-small")
                    if letter.error and shelf is not Shelf.SENT:
                        Say("p", letter.error, "dw-small")


def tell_log(log: str) -> None:
    """The end of import.log."""
    Say("pre", classes="dw-log").set_text("\n".join(clean_lines(log.rstrip("\n"))))
