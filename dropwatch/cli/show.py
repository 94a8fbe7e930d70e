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
from dropwatch.cli.contents import contents
from dropwatch.cli.tables import place, show, table, text
from dropwatch.model import Container
from dropwatch.outbox import Letter, Shelf
from dropwatch.record import PastClaim
from dropwatch.report import Store
from dropwatch.report.links import container_link
from dropwatch.report.words import clean_lines, moment, moment_beside
from dropwatch.status import Whole, plain_whole, whole
from dropwatch.status.pace import in_words


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
    images = [line for line in found.lines if not line.attachment]
    if images:
        yield _part("Image files", contents(found, images, noun="image file", details=details))
    attachments = [line for line in found.lines if line.attachment]
    if attachments:
        yield _part("Attachments", contents(found, attachments, noun="attachment", details=details))
    for claim in reversed(found.claims):
        yield _part(f"Claim {claim.claim}", _events(claim, zone))
    if found.letters:
        yield _part("Letters", _letters(found.letters, now, zone))


def _part(title: str, body: RenderableType) -> RenderableType:
    return Group(Text(), *([text(title, "dim")] if title else []), Padding(body, (0, 0, 0, 2)))


def _facts(found: Whole, now: float) -> Table:
    row, record, zone = found.row, found.record, found.site.timezone
    made = table("", "")
    made.columns[0].style = "dim"
    container = record.container if record else None
    archive = found.site.store is Store.ARCHIVE
    attempts = report.count(row.attempts, "attempt")
    ended = f"{row.verdict.value} after {attempts}" if row.verdict else ""
    facts = {
        "id": row.id or "",
        "user": row.user,
        "folder": str(row.path),
        "files": f"{report.count(row.files, 'file')}, {report.size(row.bytes)}",
        "in the archive" if archive else "in OMERO": _where(container, archive=archive),
        "link": container_link(found.site, container),
        "dropped": moment(row.since, zone) if row.claim is None and row.since else "",
        "claimed": moment(record.claimed_at, zone) if record and row.claim else "",
        "concluded": moment(record.concluded_at, zone) + f", {ended}"
        if record and record.concluded_at
        else "",
        "attempts": attempts if row.attempts and not row.verdict else "",
        "progress": in_words(row.progress, found.site.store) if row.progress else "",
        "next attempt": moment_beside(row.next_attempt, now, zone) if row.next_attempt else "",
    }
    for key, value in facts.items():
        if value:
            made.add_row(key, text(value))
    return made


def _where(container: Container | None, *, archive: bool) -> str:
    if container is None:
        return ""
    group = f", group {container.group}" if container.group else ""
    return f'{"folder" if archive else container.kind.value} "{container.name}"{group}'


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
