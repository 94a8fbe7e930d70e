"""A snapshot as JSON values, the shape that DESIGN section 10 promises. Times are ISO 8601, in UTC."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from dropwatch.model import Attached, Failed, Image, Imported, Outcome, Problem, Skipped
from dropwatch.outbox import Letter, Shelf
from dropwatch.record import Event, Line
from dropwatch.report import Site
from dropwatch.report.links import container_link, images_link, log_link
from dropwatch.status.picture import InHand, Progress, Row, Status, Target
from dropwatch.status.whole import Whole

_TIMES = ("started", "beat")


def moment(at: float | None) -> str | None:
    """Epoch seconds as ``2026-11-24T07:20:01.250Z``."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def plain_status(status: Status) -> dict[str, Any]:
    """The whole snapshot."""
    pulse = {key: value for key, value in status.pulse.items() if key != "targets"}
    pulse |= {key: moment(pulse[key]) for key in _TIMES if key in pulse}
    return {
        "daemon": {**pulse, "running": status.running, "holds": list(status.holds)},
        "targets": {target.name: _target(target) for target in status.targets},
        "outbox": dict(status.outbox),
        "batches": [plain_row(row) for row in status.rows],
    }


def plain_row(row: Row) -> dict[str, Any]:
    """One batch."""
    tally = row.tally
    return {
        "id": row.id,
        "claim": row.claim,
        "user": row.user,
        "name": row.name,
        "place": row.place.value,
        "path": str(row.path),
        "since": moment(row.since),
        "files": row.files,
        "bytes": row.bytes,
        "filesets": {
            "total": tally.total,
            "imported": tally.imported,
            "skipped": tally.skipped,
            "failed": tally.failed,
            "running": row.running,
        },
        "attachments": {
            "total": row.attachments.total,
            "attached": row.attachments.attached,
            "failed": row.attachments.failed,
        },
        "attempts": row.attempts,
        "next_attempt": moment(row.next_attempt),
        "verdict": row.verdict.value if row.verdict else None,
        "reason": row.reason,
        "progress": _progress(row.progress),
    }


def plain_whole(whole: Whole) -> dict[str, Any]:
    """One batch with its story: the row's keys, and what only ``show`` tells."""
    record, story, site = whole.record, whole.story, whole.site
    container = story.container if story else None
    row = plain_row(whole.row)
    row["filesets"]["each"] = [_each(line, site) for line in whole.lines if not line.attachment]
    row["attachments"]["each"] = [_each(line, site) for line in whole.lines if line.attachment]
    return {
        **row,
        "container": {
            "kind": container.kind.value,
            "id": container.id,
            "name": container.name,
            "group": container.group,
            "created": container.created,
            "note": container.note,
            "link": container_link(site, container),
        }
        if container
        else None,
        "group": record.group if record else "",
        "problems": [_problem(problem) for problem in record.problems] if record else [],
        "notes": list(record.notes) if record else [],
        "claimed_at": moment(record.claimed_at) if record else None,
        "concluded_at": moment(record.concluded_at) if record else None,
        "claims": [
            {
                "claim": claim.claim,
                "claimed_at": moment(claim.claimed_at),
                "verdict": claim.verdict.value if claim.verdict else None,
                "attempts": claim.attempts,
                "events": [_event(event) for event in claim.events],
                "tries": [_try(line, site) for line in whole.tries if line.claim == claim.claim],
            }
            for claim in whole.claims
        ],
        "letters": [plain_letter(letter, shelf) for shelf, letter in whole.letters],
    }


def plain_letter(letter: Letter, shelf: Shelf) -> dict[str, Any]:
    """A letter without its text."""
    return {
        "id": letter.id,
        "shelf": shelf.value,
        "kind": letter.kind,
        "batch": letter.batch or None,
        "claim": letter.claim or None,
        "user": letter.user or None,
        "to": letter.to,
        "subject": letter.subject,
        "created": moment(letter.created),
        "attempts": letter.attempts,
        "tried": moment(letter.tried or None),
        "next_attempt": moment(letter.not_before or letter.created) if shelf is Shelf.QUEUED else None,
        "error": letter.error or None,
    }


def _target(target: Target) -> dict[str, Any]:
    return {
        "since": moment(target.since),
        "until": moment(target.until),
        "times": target.times,
        "reason": target.reason,
        "remedy": target.remedy,
        "operator": target.operator,
    }


def _progress(progress: Progress | None) -> dict[str, Any] | None:
    if progress is None:
        return None
    return {**_far(progress), "files": [{"file": one.file, **_far(one)} for one in progress.files]}


def _far(one: Progress | InHand) -> dict[str, Any]:
    return {
        "stage": one.stage or None,
        "done": one.done,
        "total": one.total,
        "rate": None if one.rate is None else round(one.rate),
        "left": None if one.left is None else round(one.left),
    }


def _each(line: Line, site: Site) -> dict[str, Any]:
    """A fileset with the names of all its files, as far as they are known, or an attachment."""
    made: dict[str, Any] = {"format": line.format, "series": line.series, "plate": line.plate, "images": []}
    return {
        "id": line.fileset,
        "name": line.name,
        "files": [line.name, *line.more],
        "file_count": line.files,
        "bytes": line.bytes,
        **({} if line.attachment else made),
        **_tried(line, site),
    }


def _try(line: Line, site: Site) -> dict[str, Any]:
    return {"id": line.fileset, "name": line.name, **_tried(line, site)}


def _tried(line: Line, site: Site) -> dict[str, Any]:
    return {"attempt": line.attempt, "at": moment(line.at or None), **_outcome(line.outcome, site)}


def _outcome(outcome: Outcome | None, site: Site) -> dict[str, Any]:
    match outcome:
        case Imported():
            more = {
                "warning": outcome.warning or None,
                "log": outcome.log,
                "log_link": log_link(site, outcome.log),
            }
            return {"outcome": "imported", **_images(outcome.images, outcome.fileset, site), **more}
        case Skipped():
            return {"outcome": "skipped", **_images(outcome.images, outcome.fileset, site)}
        case Attached():
            return {"outcome": "attached", "annotation": outcome.annotation, "file": outcome.file}
        case Failed():
            return {
                "outcome": "failed",
                "lasting": outcome.lasting,
                "reason": outcome.reason,
                "remedy": outcome.remedy,
                "error": outcome.error,
                "detail": outcome.detail,
                "log": outcome.log,
                "log_link": log_link(site, outcome.log),
            }
        case _:
            return {"outcome": None}


def _images(images: Sequence[Image], fileset: int, site: Site) -> dict[str, Any]:
    shown = [
        {"id": image.id, "name": image.name, "kind": image.kind, "link": images_link(site, [image])}
        for image in images
    ]
    return {"fileset": fileset, "images": shown}


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "reason": problem.reason,
        "remedy": problem.remedy,
        "error": problem.error,
        "detail": problem.detail,
    }


def _event(event: Event) -> dict[str, Any]:
    return {"at": moment(event.at), "verb": event.verb, "text": event.text}
