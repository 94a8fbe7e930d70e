"""The command ``show``: the whole story of one batch, as text or as JSON."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dropwatch import report
from dropwatch.cli.choice import Batch, InSpool, choose
from dropwatch.cli.command import answer, config_of
from dropwatch.cli.tables import place, show, table, text
from dropwatch.model import Failed, Image, Imported, Skipped
from dropwatch.outbox import Letter, Shelf
from dropwatch.record import Line, PastClaim
from dropwatch.report.links import container_link, images_link, log_link
from dropwatch.report.words import clean_lines, moment, moment_beside
from dropwatch.status import Whole, plain_whole, whole

FILES_SHOWN = 100  #: image files of each kind; the JSON has all
_STYLES = {"imported": "green", "already there": "green", "failed": "red", "open": "dim"}


def register(app: typer.Typer) -> None:
    app.command("show", rich_help_panel="Batches")(show_batch)


def show_batch(
    ctx: typer.Context,
    batch: Batch,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write everything as JSON to standard output; times in UTC.")
    ] = False,
    log: Annotated[
        bool,
        typer.Option("--log", help="Add what the server said of each failure, and the end of import.log."),
    ] = False,
    spool: InSpool = None,
) -> None:
    """Show the whole story of a batch: where it lies, its image files, links, errors, events and letters."""
    config, now = config_of(ctx), time.time()
    found = whole(config, now, choose(config, batch, spool))
    if as_json:
        answer({**plain_whole(found), **({"import_log": found.log} if log else {})})
        return
    show(Group(*_parts(found, now, details=log)))
    if log:
        show(Group(Text(), Text("import.log", style="dim"), *map(text, clean_lines(found.log.rstrip("\n")))))


def _parts(found: Whole, now: float, *, details: bool) -> Iterator[RenderableType]:
    zone = found.site.timezone
    yield Text.assemble(text(found.row.name, "bold"), "  ", place(found.row.place))
    yield text(found.row.reason)
    yield _part("", _facts(found, now))
    story = found.story
    if story is not None:
        said = [part for problem in story.problems for part in (problem.reason, problem.remedy) if part]
        said += [part for problem in story.problems for part in (problem.detail,) if part and details]
        said += story.notes
        if said:
            yield _part("Remarks", Group(*(text(line) for one in said for line in clean_lines(one))))
    if found.lines:
        yield _part("Image files", _files(found, details=details))
    for claim in reversed(found.claims):
        yield _part(f"Claim {claim.claim}", _events(claim, zone))
    if found.letters:
        yield _part("Letters", _letters(found.letters, now, zone))


def _part(title: str, body: RenderableType) -> RenderableType:
    return Group(Text(), *([Text(title, style="dim")] if title else []), Padding(body, (0, 0, 0, 2)))


def _facts(found: Whole, now: float) -> Table:
    row, record, zone = found.row, found.record, found.site.timezone
    made = table("", "")
    made.columns[0].style = "dim"
    container = record.container if record else None
    where = f'{container.kind.value} "{container.name}", group {container.group}' if container else ""
    attempts = report.count(row.attempts, "attempt")
    ended = f"{row.verdict.value} after {attempts}" if row.verdict else ""
    facts = {
        "id": row.id or "",
        "user": row.user,
        "folder": str(row.path),
        "files": f"{report.count(row.files, 'file')}, {report.size(row.bytes)}",
        "in OMERO": where,
        "link": container_link(found.site, container),
        "dropped": moment(row.since, zone) if row.claim is None and row.since else "",
        "claimed": moment(record.claimed_at, zone) if record and row.claim else "",
        "concluded": moment(record.concluded_at, zone) + f", {ended}"
        if record and record.concluded_at
        else "",
        "attempts": attempts if row.attempts and not row.verdict else "",
        "next attempt": moment_beside(row.next_attempt, now, zone) if row.next_attempt else "",
    }
    for key, value in facts.items():
        if value:
            made.add_row(key, text(value))
    return made


# -- image files ---------------------------------------------------------------------------------------


def _files(found: Whole, *, details: bool) -> RenderableType:
    """Failed ones first, then what is open, then what is in OMERO."""
    made = table("", "", "")
    made.columns[0].no_wrap = True
    left = 0
    for kind in (Failed, type(None), Imported, Skipped):
        lines = [line for line in found.lines if isinstance(line.outcome, kind)]
        left += max(0, len(lines) - FILES_SHOWN)
        for line in lines[:FILES_SHOWN]:
            _add(made, line, found, details=details)
    more = f"and {report.count(left, 'more image file')}: dropwatch show --json has them all"
    return Group(made, *([Text(more, style="dim")] if left else []))


def _add(made: Table, line: Line, found: Whole, *, details: bool) -> None:
    match line.outcome:
        case Imported(images=images, warning=warning):
            made.add_row(_kind("imported"), text(line.name), _images(images, found))
            if warning:
                made.add_row("", "", text(warning, "yellow"))
        case Skipped(images=images):
            made.add_row(_kind("already there"), text(line.name), _images(images, found))
        case Failed() as failed:
            made.add_row(_kind("failed"), text(line.name), _failure(line, failed, found, details=details))
        case _:
            made.add_row(_kind("open"), text(line.name), "")


def _kind(word: str) -> Text:
    return Text(word, style=_STYLES[word])


def _images(images: Sequence[Image], found: Whole) -> Text:
    """``image 12``, linked where the terminal can."""
    shown = Text(", ").join(
        Text(f"{image.kind.lower()} {image.id}", style=_link(images_link(found.site, [image])))
        for image in images[:5]
    )
    return shown.append(f" and {len(images) - 5} more" if len(images) > 5 else "")


def _link(address: str) -> str:
    return f"link {address}" if address else ""


def _failure(line: Line, failed: Failed, found: Whole, *, details: bool) -> RenderableType:
    tried = f" (attempt {line.attempt})" if line.attempt else ""
    parts = [text(one) for one in clean_lines(failed.reason)]
    parts += [text(failed.remedy, "italic")] if failed.remedy else []
    parts += [text(f"{failed.error}{tried}", "dim")] if failed.error else []
    parts += [text(one, "dim") for one in clean_lines(failed.detail)] if details and failed.detail else []
    address = log_link(found.site, failed.log)
    parts += [text(f"the server's import log: {address}", "dim")] if address else []
    return Group(*parts)


# -- what happened -------------------------------------------------------------------------------------


def _events(claim: PastClaim, zone: str) -> RenderableType:
    made = table("", "", "")
    made.columns[0].style = "dim"
    made.columns[0].no_wrap = made.columns[1].no_wrap = True
    for event in claim.events:
        made.add_row(_clock(event.at, claim.claimed_at, zone), text(event.verb), text(event.text))
    return made


def _clock(at: float, since: float, zone: str) -> str:
    """Seconds matter here; the day only when it is another one than that of the claim."""
    seconds = f"{time.gmtime(at).tm_sec:02}"  # no time zone of today shifts the seconds
    return f"{moment_beside(at, since, zone)}:{seconds}"


def _letters(letters: Sequence[tuple[Shelf, Letter]], now: float, zone: str) -> Table:
    made = table("", "", "", "", "")
    for column in made.columns[:4]:
        column.no_wrap = True
    styles = {
        Shelf.QUEUED: ("waits", "yellow"),
        Shelf.SENT: ("sent", "green"),
        Shelf.DEAD: ("given up", "red"),
    }
    for shelf, letter in letters:
        word, style = styles[shelf]
        said = letter.subject if shelf is Shelf.SENT else f"{letter.subject} {letter.error}".rstrip()
        when = moment_beside(letter.created, now, zone)
        made.add_row(
            Text(word, style=style), text(letter.kind), text(letter.to), Text(when, "dim"), text(said)
        )
    return made
