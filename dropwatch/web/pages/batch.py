"""The page of one batch: everything `dropwatch show` tells, for people, live.

A batch that moves on keeps its page: it is followed by its id, and a drop by its name until it has one.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial

from fastapi.responses import Response
from nicegui import ui

from dropwatch.errors import DropwatchError
from dropwatch.model import Place
from dropwatch.report import site_of
from dropwatch.status import Whole
from dropwatch.web import plain
from dropwatch.web.entrance import asking_at
from dropwatch.web.frame import frame
from dropwatch.web.house import House
from dropwatch.web.index import View
from dropwatch.web.listed import Listed, Stage, of_visitor
from dropwatch.web.order import Wishes, wishes
from dropwatch.web.pages import batch_story as story
from dropwatch.web.pages import deeds, words
from dropwatch.web.pages.batch_files import Files
from dropwatch.web.pages.notices import Notices
from dropwatch.web.pieces import Badge, Bar, Say, away, button, hide
from dropwatch.web.visitor import Visitor

EVERY = 1.0  #: seconds between two looks of an open page
PATIENCE = 20.0  #: seconds that making the page may take; a spool that hangs takes index.PATIENCE of them
FIRST = 1.0  #: seconds that the page waits for its details before it is shown; most batches are small
SHARE = 10.0  #: reading all of a batch takes at most one part in eleven of the time
_NOT_YOURS = "These are the images of {user}: a picture is shown of those that you may see in {store}."
LETTERS = (
    10.0  #: seconds after which all is read again though the batch is the same: letters go their own way
)


def register(house: House) -> None:
    """Hang up /batch/KEY."""
    asking = asking_at(house.doorkeeper)

    @ui.page("/batch/{key}", response_timeout=PATIENCE)
    async def batch(key: str, visitor: Visitor = asking) -> Response | None:
        one = await house.lookout.work(None, partial(house.index.lookup, visitor, key))
        if one is None:
            return _no_such(house)
        with frame(house, visitor, one.row.name, "/batch") as head:
            shown = _Batch(house, visitor, one, head)
        reading = asyncio.create_task(shown.read())
        await asyncio.wait({reading}, timeout=FIRST)
        ui.timer(EVERY, shown.look)
        return None


def _no_such(house: House) -> Response:
    """The same whether there is none or it is somebody else's."""
    content = plain.paragraph(
        "There is no such batch. It may have been moved away in the drop folder, or it is somebody else's."
    )
    return plain.page(house.config.site.name, "Not found", content + plain.link("/", "To my batches"), 404)


class _Batch:
    """The page of *one*. It keeps what it shows, so that it can change what is different only."""

    def __init__(self, house: House, visitor: Visitor, one: Listed, head: ui.element) -> None:
        self._house, self._visitor, self._one = house, visitor, one
        self._site, self._gone = site_of(house.config), False
        self._read_at, self._took, self._stale = 0.0, 0.0, True
        self._reading, self._hand = False, deeds.Hand(house)
        with head:
            self._badge = Badge(*words.STAGES[one.stage])
        self._notices = Notices(house, visitor)
        self._lost = Say(
            "p", "It is not where it was: somebody moved it out of the drop folder.", "dw-notice dw-wait"
        ).props("role=status")
        with ui.element("div").classes("dw-card"):
            self._why, self._bar = Say("p"), Bar("How far it is")
            self._make_deeds()
        self._troubles = story.Told("What needs you", story.tell_troubles)
        whose = (one.spool, one.row.user)
        theirs = "" if visitor.owns(*whose) else _NOT_YOURS.format(user=one.row.user, store=self._site.store)
        self._files = Files(self._site, "image file", theirs)
        self._attachments = Files(self._site, "attachment")
        self._notes = story.Told("Remarks", story.tell_notes)
        self._facts = story.Told("About this batch", story.tell_facts)
        self._claims = story.Told("What happened", story.tell_claims)
        self._letters = story.Told("Mails", story.tell_letters)
        self._log = story.Told("Technical log", story.tell_log, folded=True)
        self._show()

    def _make_deeds(self) -> None:
        with ui.element("div").classes("dw-row") as self._deeds:
            self._open = away("", "").classes("dw-button-link")
            self._retry = button("Try again", partial(self._do, deeds.retry), sign="refresh", kind="main")
            self._again = button("Submit again", partial(self._do, deeds.again), sign="refresh")
            self._forgo = button("Do not import", partial(self._do, deeds.forgo), sign="undo")
            self._withdraw = button("Do not try again", partial(self._do, deeds.withdraw), sign="undo")
            self._cancel = button(
                "Stop the import", partial(self._do, deeds.cancel), sign="block", kind="danger"
            )

    async def _do(self, deed: deeds.Deed) -> None:
        if await self._hand.do(deed, self._one):
            self._stale = True
            await self.look()

    # -- each second -----------------------------------------------------------------------------------

    async def look(self) -> None:
        """Show what is different from the last time."""
        view = self._house.index.latest()
        self._notices.show(view)
        now = self._follow(view)
        self._gone = now is None and not view.troubles and not view.unread
        hide(self._lost, not self._gone)
        hide(self._deeds, self._gone)
        if now is not None and now is not self._one:
            self._stale = self._stale or now.row != self._one.row
            self._one = now
            self._show()
        rested = time.monotonic() - self._read_at
        if rested > self._took * SHARE and (self._stale or rested > LETTERS):
            await self.read()

    def _follow(self, view: View) -> Listed | None:
        """The batch of this page, wherever it lies by now."""
        one, seen = self._one, list(of_visitor(view.batches, self._visitor))
        same = [other for other in seen if other.key == one.key and other.row.path == one.row.path]
        same = same or [other for other in seen if other.follows(one)]
        return same[0] if same else None

    def _show(self) -> None:
        one, row = self._one, self._one.row
        self._badge.set(*words.STAGES[one.stage])
        share, told = words.far(row, self._site)
        hide(self._bar, not told)
        if told:
            self._bar.set(share, told)
        self._why.say(words.why(row))
        hide(self._lost, not self._gone)
        self._show_deeds()

    def _show_deeds(self) -> None:
        """Each only where it makes sense."""
        one, row = self._one, self._one.row
        ended = row.place in (Place.DONE, Place.FAILED)
        hide(self._retry, not (ended and one.stage is not Stage.DONE))
        hide(self._again, one.stage is not Stage.DONE or not ended)
        hide(self._forgo, row.place is not Place.INBOX or row.id is not None)
        hide(self._withdraw, row.place is not Place.INBOX or row.id is None)
        hide(self._cancel, row.place is not Place.PROCESSING or row.verdict is not None)
        hide(self._open, not one.link)
        if one.link and self._open.props.get("href") != one.link:
            self._open.props["href"] = one.link
            self._open.set_text(f"Open in {words.store(self._site)}")

    # -- all of it -------------------------------------------------------------------------------------

    async def read(self) -> None:
        """Read and show everything; when the batch cannot be read now, what is shown stays."""
        if self._reading:
            return
        begun, self._stale, self._reading = time.monotonic(), False, True
        try:
            read = await self._house.lookout.work(self._one.spool, self._read)
        except (DropwatchError, OSError):
            read = None
        finally:
            self._reading = False
        self._read_at = time.monotonic()
        self._took = self._read_at - begun
        if read is not None:
            self._show_all(*read)

    def _read(self) -> tuple[Whole, Wishes | None] | None:
        found = self._house.index.found(self._one)
        if found is None:
            return None
        return self._house.index.whole(found), wishes(found.envelope) if found.envelope else None

    def _show_all(self, whole: Whole, asked: Wishes | None) -> None:
        zone, over = whole.site.timezone, self._one.row.verdict is not None
        in_hand = whole.row.progress.files if whole.row.progress else ()
        bad = whole.story if whole.story and (whole.story.problems or any(whole.story.failures())) else None
        self._troubles.show(bad)
        for files, attachments in ((self._files, False), (self._attachments, True)):
            files.show([line for line in whole.lines if line.attachment is attachments], in_hand, over=over)
        self._notes.show(whole.record.notes if whole.record else ())
        self._facts.show(story.facts_of(whole, asked))
        self._claims.show((whole.claims, zone) if whole.claims else None)
        self._letters.show((whole.letters, zone) if whole.letters else None)
        self._log.show(whole.log)
