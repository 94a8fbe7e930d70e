"""One batch as a row: from its envelope and record, or from what lies in the inbox. Only reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dropwatch import report
from dropwatch.config import Config
from dropwatch.ledger import Ledger
from dropwatch.model import CLAIM_STAMP, Dropped, Envelope, Place
from dropwatch.record import Line, Record
from dropwatch.report import AttachmentTally, Story, Tally
from dropwatch.report.words import brief
from dropwatch.spool.folders import MEMORY, inner_folder, stamped_at
from dropwatch.spool.tree import snapshot
from dropwatch.status import pace
from dropwatch.status.picture import Progress, Row
from dropwatch.status.presence import Presence

_NOTHING = Tally(0, 0, 0, 0, 0)
_NO_ATTACHMENTS = AttachmentTally(0, 0, 0, 0)
_NOT_RUNNING = "dropwatch is not running"
_HELD = "held by an admin"


@dataclass(frozen=True)
class Reader:
    """Reads batches as they are at the moment *now* (epoch seconds)."""

    config: Config
    presence: Presence
    now: float
    ledger: Ledger = field(default_factory=lambda: Ledger(MEMORY))

    # -- claimed ---------------------------------------------------------------------------------------

    def envelope(self, spool: Path, envelope: Envelope) -> Row:
        """The row of a claimed batch."""
        record = self.record(envelope)
        lines = self.ledger.lines(envelope.path, record.claim)
        story = self.story(spool, envelope, record, lines)
        in_hand = self.presence.in_hand(record.batch) if envelope.place is Place.PROCESSING else ()
        files, size = _extent(envelope, lines)
        progress = pace.progress(lines, in_hand, size)
        if progress is not None and progress.stage == pace.FETCH:
            size = progress.total  # what lies there is the manifest
        return Row(
            id=record.batch,
            claim=record.claim,
            user=envelope.user,
            name=record.name,
            place=envelope.place,
            path=envelope.path,
            since=record.concluded_at or record.claimed_at,
            files=files,
            bytes=size,
            tally=story.tally,
            attachments=story.attachment_tally,
            running=pace.images_in_hand(lines, in_hand),
            attempts=record.attempts,
            next_attempt=story.next_attempt,
            verdict=record.verdict,
            reason=self._reason(story, progress),
            progress=progress,
        )

    def record(self, envelope: Envelope) -> Record:
        """The record of the present claim; what the envelope's name tells where it is lost."""
        record = self.ledger.read(envelope.path)
        if record is not None and record.claim == envelope.claim:
            return record
        batch = record.batch if record else envelope.claim
        name = envelope.folder or envelope.path.name[len(envelope.claim) + 1 :]
        return Record(batch, envelope.claim, envelope.user, name, envelope.folder, stamped_at(envelope.claim))

    def story(self, spool: Path, envelope: Envelope, record: Record, lines: Sequence[Line]) -> Story:
        """What there is to tell of a claimed batch."""
        waits = self.waits(spool, envelope.user, record) if record.verdict is None else ""
        told = report.tell(envelope, record, lines, spool, envelope.user, waits)
        return replace(told, next_attempt=None) if self.presence.in_hand(record.batch) else told

    def waits(self, spool: Path, user: str, record: Record) -> str:
        """What a batch in processing has to wait for, in words; "" when it goes on."""
        if not self.presence.running:
            return _NOT_RUNNING
        if self.presence.held(user):
            return _HELD
        store, place = (f"spool:{spool}", f"batch:{record.batch}"), f"place:{record.place}"
        # Until its files are here, it does not wait for the server.
        later = (place,) if record.place and not record.fetched else ("omero", f"user:{user}")
        paused = self.presence.pause(*store, *later)
        return paused.reason if paused else ""

    def _reason(self, story: Story, progress: Progress | None) -> str:
        site = report.site_of(self.config)
        if story.verdict is None and story.place in (Place.DONE, Place.FAILED):
            return f"its record is lost; {site.store} knows what was imported"
        if progress is not None and progress.stage in (pace.PLAN, pace.FETCH):
            return pace.in_words(progress, site.store)
        return report.reason(story, site, self.now)

    # -- not claimed yet -------------------------------------------------------------------------------

    def dropped(self, spool: Path, dropped: Dropped) -> Row:
        """The row of a drop."""
        batch = None
        if dropped.envelope is not None:
            record = self.ledger.read(dropped.envelope.path)
            batch = record.batch if record else dropped.envelope.claim or None
        return Row(
            id=batch,
            claim=None,
            user=dropped.user,
            name=dropped.name,
            place=Place.INBOX,
            path=dropped.path,
            since=dropped.since,
            files=dropped.files,
            bytes=dropped.bytes,
            tally=_NOTHING,
            attachments=_NO_ATTACHMENTS,
            running=0,
            attempts=0,
            next_attempt=None,
            verdict=None,
            reason=self._why_not_claimed(spool, dropped),
        )

    def _why_not_claimed(self, spool: Path, dropped: Dropped) -> str:
        paused = self.presence.pause(
            f"spool:{spool}",
            f"inbox:{dropped.user}",
            f"drop:{dropped.user}/{dropped.name}",
            f"space:{spool}",
            f"space:{self.config.state}",
        )
        if dropped.lacking:
            more = len(dropped.lacking) - 1
            waits = f"it lacks {dropped.lacking[0]}{f' and {more} more' if more else ''}"
            if dropped.given_up:
                waits += f"; given up after {brief(dropped.given_up)} without a change"
        elif not self.presence.running:
            waits = _NOT_RUNNING
        elif self.presence.held(dropped.user):
            waits = _HELD
        elif paused is not None:
            waits = paused.reason
        else:
            return "waiting to be taken up"
        return f"waiting: {report.clean(waits).rstrip('.')}"


def envelope_at(user: str, place: Place, path: Path) -> Envelope | None:
    """The envelope at *path*, or None when what lies there is none of ours."""
    stamp = CLAIM_STAMP.match(path.name)
    if stamp is None or path.name[stamp.end() : stamp.end() + 1] != "_" or path.is_symlink():
        return None
    return Envelope(user, place, path, stamp.group(), inner_folder(path)) if path.is_dir() else None


def _extent(envelope: Envelope, lines: Sequence[Line]) -> tuple[int, int]:
    """Number of files and bytes: as they were listed, else as they lie there."""
    if lines or not os.path.lexists(envelope.batch_folder) or envelope.batch_folder.is_symlink():
        return sum(line.files for line in lines), sum(line.bytes for line in lines)
    try:
        files = snapshot(envelope.batch_folder).files
    except OSError:
        return 0, 0
    return len(files), sum(file.size for file in files)
