"""The page about the facility as a whole: which parts it has, and what each of them shows of an Overview."""

from __future__ import annotations

from dataclasses import replace

from nicegui import ui

from dropwatch.outbox import Letter
from dropwatch.report.words import count, number
from dropwatch.status import Row
from dropwatch.web.overview import Daemon, Overview, Person, Watched
from dropwatch.web.pages import facility_parts as parts
from dropwatch.web.pages.facility_desk import Desk
from dropwatch.web.pages.facility_parts import Times
from dropwatch.web.pieces import Notice, Say, Tone, button, hide, part, table
from dropwatch.web.redraw import Parts
from dropwatch.web.troubles import troubles

QUEUE_MOST = 50  #: batches that the queue shows: the oldest matter


class Sheet:
    """All parts. *head*: the line with the heading; *desk*: does what the buttons ask for."""

    def __init__(self, head: ui.element, zone: str, desk: Desk) -> None:
        self._zone = zone
        self._parts = (
            _Troubles(),
            _Everybody(head, desk),
            _Queue(),
            _Workers(),
            _People(desk),
            _Machine(),
            _Letters(desk),
            _Told(),
        )

    def show(self, seen: Overview) -> None:
        """Show *seen*; what has not changed is left alone."""
        times = Times(seen.at, self._zone)
        for one in self._parts:
            one.show(seen, times)


class _Troubles:
    """What needs somebody, or that nothing does."""

    def __init__(self) -> None:
        with ui.element("section").classes("dw-part").props('aria-label="What needs you"'):
            self._good = Notice(Tone.GOOD, "All is well: dropwatch runs, and nothing needs you.")
            self._bad = Parts(ui.element("div").classes("dw-part"), "div", parts.trouble)

    def show(self, seen: Overview, times: Times) -> None:
        found = list(troubles(seen, times.zone))
        self._bad.show(found)
        hide(self._good, bool(found))


class _Everybody:
    """The buttons that stop and start everything."""

    def __init__(self, head: ui.element, desk: Desk) -> None:
        with head:
            self._hold = button("Hold everything", lambda: desk.hold(None), sign="pause_circle")
            self._release = button(
                "Release everything", lambda: desk.release(None), sign="play_circle", kind="main"
            )

    def show(self, seen: Overview, times: Times) -> None:
        hide(self._hold, seen.all_held)
        hide(self._release, not seen.all_held)


class _Queue:
    """What is not through yet, the oldest first."""

    def __init__(self) -> None:
        with part("Queue"):
            self._none = Say("p", "Nothing waits, and nothing is being imported.", "dw-quiet")
            with ui.element("div") as self._some:
                body = table("Queue, oldest first", "Since", "User", "Batch", "", "Why")
            self._rows = Parts[tuple[Row, str]](body, "tr", lambda shown: parts.waiting(*shown))
            self._more = Say("p", "", "dw-quiet")

    def show(self, seen: Overview, times: Times) -> None:
        first = seen.queue[:QUEUE_MOST]
        self._rows.show((str(row.path), (row, times.at(row.since))) for row in first)
        left = len(seen.queue) - len(first)
        self._more.say(f"and {number(left)} more that came later" if left else "")
        hide(self._more, not left)
        hide(self._some, not first)
        hide(self._none, bool(first))


class _Workers:
    """What the workers have in hand."""

    def __init__(self) -> None:
        with part("Workers"):
            self._busy = Say("p", "", "dw-quiet")
            self._hands = Parts(ui.element("div").classes("dw-grid"), "div", parts.hand)

    def show(self, seen: Overview, times: Times) -> None:
        at_work = len(seen.hands)
        seats = f"at most {count(seen.seats, 'import')} at a time"
        self._busy.say(
            f"{number(at_work)} at work; {seats}." if at_work else f"None has anything to do; {seats}."
        )
        self._hands.show(((hand.row.id, hand.at.fileset), hand) for hand in seen.hands)


class _People:
    """Everybody who has a drop folder."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        with part("Users"):
            self._none = Say(
                "p", "Nobody has a drop folder yet: `dropwatch user add NAME` makes one.", "dw-quiet"
            )
            columns = (
                "Drop folder",
                "OMERO name",
                "Mail",
                "Waiting",
                "Importing",
                "Need attention",
                "Done",
                "Last batch",
                "",
            )
            with ui.element("div") as self._some:
                self._rows = Parts(table("Users", *columns), "tr", self._draw)

    def _draw(self, shown: tuple[Person, str, bool]) -> None:
        person, last, all_held = shown
        parts.person(person, self._desk, last, all_held)

    def show(self, seen: Overview, times: Times) -> None:
        self._rows.show(
            ((place, person.user), (person, times.at(person.last), seen.all_held))
            for place, person in enumerate(seen.people)
        )
        hide(self._some, not seen.people)
        hide(self._none, bool(seen.people))


class _Machine:
    """The daemon, and the disks."""

    def __init__(self) -> None:
        with part("Daemon and disks"):
            self._daemon = Parts[tuple[Daemon, tuple[Watched, ...], str]](
                ui.element("div"), "div", lambda shown: parts.daemon(*shown)
            )
            self._disks = Parts(ui.element("div").classes("dw-grid"), "div", parts.disk)

    def show(self, seen: Overview, times: Times) -> None:
        self._daemon.show(
            [("", (replace(seen.daemon, beat=0.0), seen.watched, times.at(seen.daemon.started)))]
        )
        self._disks.show((disk.path, disk) for disk in seen.disks)


class _Letters:
    """The letters that were given up, and those that wait."""

    def __init__(self, desk: Desk) -> None:
        with part("Letters"):
            self._sum = Say("p", "", "dw-quiet")
            with ui.element("div").classes("dw-part") as self._some_dead:
                with ui.element("div").classes("dw-row"):
                    Say("h3", "Could not be delivered")
                    button("Send all again", lambda: desk.send_again(None), sign="forward_to_inbox")
                body = table("Letters that could not be delivered", "Written", "To", "Letter", "Why", "")
                self._dead = Parts[tuple[Letter, str]](
                    body, "tr", lambda shown: parts.dead(shown[0], desk, shown[1])
                )
            with ui.element("div").classes("dw-part") as self._some_queued:
                Say("h3", "Waiting to be sent")
                body = table("Letters that wait", "Written", "To", "Letter", "How it stands")
                self._queued = Parts[tuple[Letter, str, str]](body, "tr", lambda shown: parts.queued(*shown))

    def show(self, seen: Overview, times: Times) -> None:
        waiting, sent = seen.letters.get("queued", 0), seen.letters.get("sent", 0)
        self._sum.say(f"{number(waiting)} waiting, {number(sent)} sent in the last 30 days.")
        self._dead.show((one.id, (one, times.at(one.created))) for one in seen.dead)
        self._queued.show((one.id, (one, times.at(one.created), times.due(one))) for one in seen.queued)
        hide(self._some_dead, not seen.dead)
        hide(self._some_queued, not seen.queued)


class _Told:
    """What the admins were mailed about."""

    def __init__(self) -> None:
        with part("Mailed to the admins"):
            self._none = Say("p", "Nothing in the last 30 days.", "dw-quiet")
            with ui.element("div") as self._some:
                body = table("Mailed to the admins, newest first", "When", "What")
            self._rows = Parts[tuple[Letter, str]](body, "tr", lambda shown: parts.told(*shown))

    def show(self, seen: Overview, times: Times) -> None:
        self._rows.show((one.id, (one, times.at(one.created))) for one in seen.told)
        hide(self._some, not seen.told)
        hide(self._none, bool(seen.told))
