"""From a record and its lines to the story that texts are made of. The pipeline and `status` tell it alike."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dropwatch.config import Config
from dropwatch.model import Envelope
from dropwatch.record import Line, Record
from dropwatch.report.story import Entry, Site, Store, Story


def site_of(config: Config) -> Site:
    """The facility, as its users know it."""
    contact = config.site.contact or (config.mail.admins[0] if config.mail else "")
    if config.importer == "folder":
        return Site(config.site.name, contact, config.site.timezone, store=Store.ARCHIVE)
    web = (config.omero.web or "") if config.omero else ""
    return Site(config.site.name, contact, config.site.timezone, web)


def tell(
    envelope: Envelope,
    record: Record,
    lines: Iterable[Line],
    spool: Path,
    user: str,
    waiting_for: str = "",
) -> Story:
    """The story of a claimed batch. *user*: whose images they become."""
    # While an attempt is open, not_before is already that of the one after it.
    resting = record.verdict is None and not record.attempting
    retrying = resting and record.attempts > 0 and record.not_before > 0
    known = tuple(lines)
    return Story(
        user=user,
        name=record.name,
        batch=record.batch,
        claim=record.claim,
        path=str(envelope.path),
        sender=envelope.user,
        group=record.group,
        container=record.container,
        entries=tuple(_entry(line) for line in known if not line.attachment),
        attachments=tuple(_entry(line) for line in known if line.attachment),
        verdict=record.verdict,
        problems=record.problems,
        notes=record.notes,
        attempts=record.attempts,
        next_attempt=record.not_before if retrying else None,
        waiting_for=waiting_for,
        claimed_at=record.claimed_at,
        concluded_at=record.concluded_at,
        place=envelope.place,
        spool_path=str(spool),
    )


def _entry(line: Line) -> Entry:
    return Entry(line.name, line.files, line.bytes, line.outcome, line.attempt, line.format)
