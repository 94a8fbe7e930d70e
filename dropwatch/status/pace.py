"""How far a batch is: from what the workers say of themselves to bytes, a rate, and a few words. Only counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dropwatch.model import Attached, Failed, Imported, Skipped
from dropwatch.record import Line
from dropwatch.report import Store
from dropwatch.report.words import brief, number, share, size
from dropwatch.status.picture import InHand, Progress

PLAN, FETCH, UPLOAD, SERVER = "plan", "fetch", "upload", "server"  #: the stages of importers/base.py
_PROCESSING = {Store.OMERO: "OMERO is processing", Store.ARCHIVE: "the copy is checked"}


def progress(lines: Sequence[Line], in_hand: tuple[InHand, ...], extent: int) -> Progress | None:
    """How far the import is, or None while no worker has anything of it, or has not said yet what it does with files
    that nobody has listed: what lies there may be a manifest alone, and its 130 bytes are not what is imported.

    extent -- bytes that lie there, for as long as there are no lines yet
    """
    if not in_hand or not (lines or any(one.stage for one in in_hand)):
        return None
    if in_hand[0].stage == FETCH:
        one = in_hand[0]
        return Progress(one.done, one.total, in_hand, FETCH, one.rate, one.left)
    known = {line.fileset: line for line in lines}
    # What was given up never comes, so it must not keep the rest from being whole.
    total = sum(line.bytes for line in lines if not _given_up(line)) if lines else extent
    there = sum(line.bytes for line in lines if isinstance(line.outcome, (Imported, Skipped, Attached)))
    done = min(total, there + sum(_uploaded(one, known.get(one.fileset)) for one in in_hand))
    rates = [one.rate for one in in_hand if one.stage == UPLOAD and one.rate]
    rate = sum(rates) if rates else None
    return Progress(done, total, in_hand, _stage(in_hand), rate, (total - done) / rate if rate else None)


def images_in_hand(lines: Iterable[Line], in_hand: Iterable[InHand]) -> int:
    """How many image files the workers are importing."""
    attachments = {line.fileset for line in lines if line.attachment}
    return sum(one.stage not in (PLAN, FETCH) and one.fileset not in attachments for one in in_hand)


def in_words(far: Progress, store: Store) -> str:
    """``1.2 of 5.0 GB, 48 MB/s, about 1 min left``; while planning: ``looking at file 57 of 1,000``; before
    that, perhaps ``fetching 1.2 of 5.0 GB, 48 MB/s, about 1 min left``."""
    if far.stage == PLAN:
        return _looking(far.files)
    if far.stage == FETCH:
        return _fetching(far)
    parts = [share(far.done, far.total)]
    parts += _speed(far.rate, far.left) if far.stage == UPLOAD else []
    parts += [_PROCESSING[store]] if far.stage == SERVER else []
    return ", ".join(parts)


def of_file(one: InHand, store: Store) -> str:
    """How far one image file is, in words."""
    if one.stage == SERVER:
        return _PROCESSING[store]
    if one.stage == UPLOAD and one.total:
        return ", ".join([share(one.done, one.total), *_speed(one.rate, one.left)])
    return "begun"


def _given_up(line: Line) -> bool:
    return isinstance(line.outcome, Failed) and line.outcome.lasting


def _uploaded(one: InHand, line: Line | None) -> int:
    if one.stage == UPLOAD:
        return min(one.done, one.total)
    return line.bytes if one.stage == SERVER and line else 0


def _stage(in_hand: Sequence[InHand]) -> str:
    """What most matters of it: as long as something is uploaded, that."""
    stages = {one.stage for one in in_hand}
    return next((stage for stage in (UPLOAD, PLAN, SERVER) if stage in stages), "")


def _looking(files: Sequence[InHand]) -> str:
    one = next(one for one in files if one.stage == PLAN)
    if not one.total:
        return "looking at the files"
    return f"looking at file {number(max(1, min(one.done, one.total)))} of {number(one.total)}"


def _fetching(far: Progress) -> str:
    if not far.total:
        return "looking at what is to be fetched"
    return ", ".join([f"fetching {share(far.done, far.total)}", *_speed(far.rate, far.left)])


def _speed(rate: float | None, left: float | None) -> list[str]:
    if not rate:
        return []
    return [f"{size(round(rate))}/s", *([f"about {brief(left)} left"] if left is not None else [])]
