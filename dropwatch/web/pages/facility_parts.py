"""What the page about the facility shows, part by part, and its buttons. It only draws: what a button does is given."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from nicegui import ui

from dropwatch.model import Place
from dropwatch.outbox import Letter
from dropwatch.report import count, named, size
from dropwatch.report.words import moment_beside, number, share
from dropwatch.status import Row
from dropwatch.web.overview import Daemon, Disk, Hand, Person, Watched
from dropwatch.web.pages.facility_desk import Desk
from dropwatch.web.pieces import Badge, Bar, Notice, Say, Tone, button, card, fact, facts
from dropwatch.web.troubles import Trouble

LOOKS = '<link rel="stylesheet" href="/static/facility.css">'
_ADDRESS = 40  #: characters of a mail address in a table
_STAGES = {"plan": "looking at the files", "server": "OMERO is processing", "": "begun"}


@dataclass(frozen=True)
class Times:
    """How moments are told: as briefly as they can be understood at *now* (epoch seconds), in the time *zone*."""

    now: float
    zone: str

    def at(self, when: float | None) -> str:
        return moment_beside(when, self.now, self.zone) if when else ""

    def due(self, letter: Letter) -> str:
        """When it is tried next."""
        due = letter.due_at(self.now)
        return "due now" if due <= self.now else f"next {self.at(due)}"


def letter_path(letter: Letter) -> str:
    """Where *letter* can be read."""
    return f"/facility/letters/{quote(letter.id, safe='')}"


def trouble(one: Trouble) -> None:
    """One thing that somebody has to see to."""
    Notice(Tone.BAD if one.bad else Tone.WAIT, one.what, one.more)


def daemon(one: Daemon, watched: tuple[Watched, ...], started: str) -> None:
    """Since when it runs, and how it notices what is dropped."""
    with card(), facts():
        fact("dropwatch", f"{one.version or 'unknown version'}, {one.life}")
        if started:
            fact("Started", started)
        if one.died:
            fact("Lost workers", f"{number(one.died)} since then; their work was tried again")
        for spool in watched:
            fact(f"Looks at {spool.path}", _watching(spool))


def _watching(spool: Watched) -> str:
    how = {"events": "at once when something is dropped", "poll": "again and again"}.get(
        spool.kind, "not yet"
    )
    why = f": {spool.why}" if spool.why else ""
    lost = (
        f"; the system lost events {count(spool.lost, 'time')}, and everything was looked at anew"
        if spool.lost
        else ""
    )
    return f"{how}{why}{lost}"


def waiting(row: Row, since: str) -> None:
    """The cells of a batch that is not through yet."""
    Say("td", since, "dw-nowrap")
    Say("td", row.user)
    with ui.element("td"):
        if row.claim:
            ui.link(named(row.name, 60), f"/batch/{row.claim}")
        else:
            Say("span", named(row.name, 60))
    with ui.element("td"):
        at_work = row.progress is not None
        if row.place is Place.INBOX:
            Badge("Inbox", "inbox", Tone.CALM)
        else:
            Badge(
                "Importing" if at_work else "Waits",
                "sync" if at_work else "schedule",
                Tone.WORK if at_work else Tone.WAIT,
            )
    Say("td", row.reason)


def hand(one: Hand) -> None:
    """What one worker does."""
    with card():
        Say("h3", one.at.file or one.row.name)
        Say("p", f"{one.row.user}: {one.row.name}", "dw-quiet dw-small")
        bar = Bar(f"Progress of {one.at.file or one.row.name}")
        known = one.at.total > 0 and one.at.stage in ("upload", "plan")
        words = (
            share(one.at.done, one.at.total)
            if one.at.stage == "upload"
            else _STAGES.get(one.at.stage, one.at.stage)
        )
        rate = f", {size(round(one.at.rate))}/s" if one.at.stage == "upload" and one.at.rate else ""
        bar.set(one.at.done / one.at.total if known else None, words + rate)


def person(one: Person, desk: Desk, last: str, all_held: bool) -> None:
    """The cells of a user."""
    with ui.element("th").props('scope="row"'):
        Say("span", one.user)
        if one.held and not all_held:
            Badge("On hold", "pause_circle", Tone.WAIT)
    Say("td", one.owner or "for several", "" if one.owner else "dw-quiet")
    Say("td", named(one.address, _ADDRESS) or "not known yet", "dw-nowrap" if one.address else "dw-quiet")
    for many, looks in (
        (one.waiting, ""),
        (one.importing, ""),
        (one.attention, "dw-attention"),
        (one.done, ""),
    ):
        Say("td", number(many), f"dw-number {looks if many else 'dw-quiet'}")
    Say("td", last, "dw-nowrap")
    with ui.element("td"):
        if all_held:
            return
        act, word = (desk.release, "Release") if one.held else (desk.hold, "Hold")
        button(word, lambda: act(one.user), kind="plain", label=f"{word} {one.user}")


def disk(one: Disk) -> None:
    """How full a disk is, with the line below which nothing more is taken up."""
    with card():
        Say("h3", one.what)
        Say("p", str(one.path), "dw-quiet dw-mono")
        if one.problem:
            Badge(one.problem, "error", Tone.BAD)
            return
        with ui.element("div").classes("dw-disk"):
            bar = Bar(f"Used of the disk of {one.path}")
            least = f"nothing more is taken up below {size(one.least)}"
            bar.set(1 - one.free / one.total, f"{size(one.free)} of {size(one.total)} free; {least}.")
            ui.element("div").classes("dw-least").style(f"left: {100 - 100 * one.least / one.total:.1f}%")
        if one.low:
            Badge("Nearly full", "error", Tone.BAD)


def dead(letter: Letter, desk: Desk, written: str) -> None:
    """The cells of a letter that was given up."""
    _letter(letter, written)
    Say("td", letter.error)
    with ui.element("td"):
        what = f"Send the letter to {letter.to} again"
        button("Send again", lambda: desk.send_again(letter.id), kind="plain", label=what)


def queued(letter: Letter, written: str, due: str) -> None:
    """The cells of a letter that waits."""
    _letter(letter, written)
    tries = f"tried {count(letter.attempts, 'time')}" if letter.attempts else "not tried yet"
    Say("td", ", ".join(filter(None, [tries, due, letter.error])))


def told(letter: Letter, written: str) -> None:
    """The cells of what the admins were mailed about."""
    Say("td", written, "dw-nowrap")
    with ui.element("td"):
        ui.link(named(letter.subject, 120), letter_path(letter))


def _letter(letter: Letter, written: str) -> None:
    Say("td", written, "dw-nowrap")
    Say("td", named(letter.to, _ADDRESS) or "nobody", "dw-nowrap")
    with ui.element("td"):
        ui.link(named(letter.subject or letter.id, 90), letter_path(letter))
