"""How the pages say where a batch is and since when."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from dropwatch.model import Place
from dropwatch.report import Site, Store, count, size
from dropwatch.report.words import cut, moment, moment_beside, number
from dropwatch.status import Row
from dropwatch.status.pace import in_words
from dropwatch.web.listed import Listed, Stage
from dropwatch.web.pieces import Tone

STAGES = {  # word, icon, tone
    Stage.WAITING: ("Waiting", "schedule", Tone.WAIT),
    Stage.IMPORTING: ("Importing", "sync", Tone.WORK),
    Stage.NEEDS_YOU: ("Needs you", "error", Tone.BAD),
    Stage.DONE: ("Done", "check_circle", Tone.GOOD),
    Stage.CANCELLED: ("Cancelled", "block", Tone.CALM),
}
_SINCE = {
    Place.INBOX: "dropped ",
    Place.PROCESSING: "taken up ",
    Place.DONE: "",
    Place.FAILED: "",
}


def why(row: Row) -> str:
    """The row's reason as a sentence of its own."""
    text = row.reason[:1].upper() + row.reason[1:]
    return text if text.endswith((".", "?", "!")) else f"{text}."


def when(at: float, now: float, zone: str) -> str:
    """``14:05``, ``24 Nov 14:05``, or with the year where it is another one."""
    years = {datetime.fromtimestamp(stamp, ZoneInfo(zone)).year for stamp in (at, now)}
    return moment_beside(at, now, zone) if len(years) == 1 else moment(at, zone)


def since(row: Row, now: float, zone: str) -> str:
    """``taken up 14:05``; of what has ended, the time alone."""
    return f"{_SINCE[row.place]}{when(row.since, now, zone)}" if row.since else ""


def facts(one: Listed, *, whose: bool) -> str:
    """What there is of it, in one line: ``3 image files · 12 MB · day 3``. *whose*: beginning with its user."""
    row = one.row
    files = count(row.tally.total, "image file") if row.tally.total else count(row.files, "file")
    parts = [row.user if whose else "", files, size(row.bytes), cut(one.where, 60)]
    return " \N{MIDDLE DOT} ".join(part for part in parts if part)


def far(row: Row, site: Site) -> tuple[float | None, str]:
    """How far it is: a share from 0 to 1, or None while that is not known; and in words."""
    progress = row.progress
    if progress is None:
        return None, ""
    files = progress.files
    if progress.stage == "plan":
        looked = next((one for one in files if one.total), None)
        share = looked.done / looked.total if looked else None
    else:
        share = progress.done / progress.total if progress.total else None
    words = in_words(progress, site.store)
    tally = row.tally
    done = f"{number(tally.there)} of {count(tally.total, 'image file')}" if tally.total else ""
    return share, " \N{MIDDLE DOT} ".join(part for part in (words[:1].upper() + words[1:], done) if part)


def store(site: Site) -> str:
    """What a link to the images is called."""
    return "OMERO.web" if site.store is Store.OMERO else str(site.store)
