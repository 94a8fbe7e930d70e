"""All there is of one batch: every claim with its events and tries, images, letters. Only reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dropwatch import report
from dropwatch.config import Config
from dropwatch.ledger import Ledger
from dropwatch.outbox import Letter, Shelf
from dropwatch.outbox.shelves import Shelves
from dropwatch.record import Line, PastClaim, Record
from dropwatch.report import Site, Story
from dropwatch.spool.folders import MEMORY
from dropwatch.status.finding import Found
from dropwatch.status.picture import Row
from dropwatch.status.presence import presence
from dropwatch.status.rows import Reader


@dataclass(frozen=True)
class Whole:
    """One batch and its story.

    record, story -- None for a drop that was never claimed
    lines   -- what became of each fileset in the present claim
    tries   -- every line that was ever written, try by try, of all claims
    letters -- the letters about it that the outbox still has, each with its shelf; oldest first
    log     -- the end of its import.log, for admins
    """

    row: Row
    site: Site
    record: Record | None = None
    story: Story | None = None
    lines: tuple[Line, ...] = ()
    tries: tuple[Line, ...] = ()
    letters: tuple[tuple[Shelf, Letter], ...] = ()
    log: str = ""

    @property
    def claims(self) -> tuple[PastClaim, ...]:
        """Every claim, the present one last."""
        record = self.record
        if record is None:
            return ()
        now = PastClaim(record.claim, record.claimed_at, record.verdict, record.attempts, record.events)
        return (*record.history, now)


def whole(config: Config, now: float, found: Found, ledger: Ledger | None = None) -> Whole:
    """Read all that is known of the batch *found* at *now* (epoch seconds).

    ledger -- who reads records, where that is somebody special
    """
    reader = Reader(config, presence(config.state, now), now, ledger or Ledger(MEMORY))
    site, envelope, root = report.site_of(config), found.envelope, found.spool.root
    if envelope is None or not envelope.claim:
        assert found.dropped is not None, "what was never claimed lies in an inbox"
        return Whole(reader.dropped(root, found.dropped), site)
    record = reader.record(envelope)
    lines = tuple(reader.ledger.lines(envelope.path, record.claim))
    row = reader.dropped(root, found.dropped) if found.dropped else reader.envelope(root, envelope)
    return Whole(
        row=row,
        site=site,
        record=record,
        story=reader.story(root, envelope, record, lines),
        lines=lines,
        tries=tuple(line for line in reader.ledger.history(envelope.path) if line.outcome is not None),
        letters=tuple(_letters(config, record.batch)),
        log=reader.ledger.read_log(envelope.path),
    )


def _letters(config: Config, batch: str) -> Iterator[tuple[Shelf, Letter]]:
    shelves = Shelves(config.state / "outbox")
    found = [
        (shelf, letter)
        for shelf in Shelf
        for letter in shelves.scan(shelf)
        if isinstance(letter, Letter) and letter.batch == batch
    ]
    yield from sorted(found, key=lambda one: (one[1].created, one[1].id))
