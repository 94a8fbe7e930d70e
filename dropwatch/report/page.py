"""REPORT.txt, and the one line of a status row."""

from __future__ import annotations

from dropwatch.model import Place, Verdict
from dropwatch.report.beside import attached, attachments
from dropwatch.report.letter import Block, Heading, Letter, Say, Tone
from dropwatch.report.mails import news, progress
from dropwatch.report.plain import plain_text
from dropwatch.report.portions import EVERYTHING
from dropwatch.report.sections import (
    foot,
    imported,
    lead,
    remarks,
    skipped,
    steps,
    to_come,
    under,
    untried,
)
from dropwatch.report.story import Site, Store, Story, Tally
from dropwatch.report.troubles import ATTACHMENT, troubles
from dropwatch.report.words import clause, count, moment_beside, named, number

REASON_MOST = 160  #: characters of a status row's reason


def report_txt(story: Story, site: Site) -> str:
    """Return REPORT.txt: every image file of the batch, what happened to it so far and what comes next."""
    body = _concluded(story, site) if story.verdict else _open(story, site)
    blocks = (
        *body,
        *imported(story, site, EVERYTHING),
        *skipped(story, site, EVERYTHING),
        *attached(story, EVERYTHING),
        *remarks(story, EVERYTHING),
    )
    headline = news(story, site).headline if story.verdict else _state(story, site.store)
    return plain_text(Letter("", Tone.INFO, headline, under(story, site), blocks, foot(site, forward=False)))


def _concluded(story: Story, site: Site) -> tuple[Block, ...]:
    return (
        *lead(story, site),
        *attachments(story, site),
        *troubles(story, EVERYTHING),
        *untried(story, EVERYTHING),
        *steps(story, site),
    )


def _open(story: Story, site: Site) -> tuple[Block, ...]:
    ahead = Say(
        "You need not do anything: it goes on by itself, and you get a mail when it is finished. "
        'Please leave this folder in "processing". If you take it out, the import stops.'
    )
    return (
        *progress(story, site),
        *troubles(story, EVERYTHING),
        Heading("What comes next"),
        ahead,
        *to_come(story),
    )


def _state(story: Story, store: Store) -> str:
    tally = story.tally
    if not tally.total:
        return "Waiting" if story.waiting_for else "Getting ready"
    doing = "Waiting" if story.waiting_for or story.next_attempt is not None else "Importing"
    return f"{doing}: {number(tally.there)} of {number(tally.total)} image files in {store} so far"


def reason(story: Story, site: Site, now: float) -> str:
    """Return one line that says why the batch is where it is. *now* (epoch seconds) shortens the times."""
    if story.verdict is not None:
        return _ended(story, site.store)
    tally, beside = story.tally, story.attachment_tally.open
    parts = []
    if tally.total:
        waits = story.waiting_for or story.next_attempt is not None
        parts.append(_left(tally) if waits else _importing(tally))
    if beside and not tally.open:
        parts.append(f"{count(beside, ATTACHMENT)} left")
    if story.waiting_for:
        parts.append(f"waiting: {clause(story.waiting_for, REASON_MOST)}")
    if story.next_attempt is not None:
        parts.append(f"next attempt {moment_beside(story.next_attempt, now, site.timezone)}")
    return ", ".join(parts) or ("waiting to be taken up" if story.place is Place.INBOX else "getting ready")


def _left(tally: Tally) -> str:
    return f"{number(tally.open)} of {number(tally.total)} left"


def _importing(tally: Tally) -> str:
    failed = f", {number(tally.failed)} failed" if tally.failed else ""
    return f"importing, {number(tally.there)} of {number(tally.total)} done{failed}"


def _ended(story: Story, store: Store) -> str:
    tally, attached_files = story.tally, story.attachment_tally.attached
    if story.verdict is Verdict.IMPORTED:
        already = f", {number(tally.skipped)} already there" if tally.skipped else ""
        beside = f", {count(attached_files, 'file')} attached" if attached_files else ""
        return f"{number(tally.imported)} of {number(tally.total)} imported{already}{beside}"
    share = f"{number(tally.there)} of {number(tally.total)} in {store}" if tally.total else "not imported"
    if story.verdict is Verdict.CANCELLED:
        return f"cancelled, {share}"
    why = [f"{named(entry.name, 50)}: {clause(it.reason, 90)}" for entry, it in story.failed(story.entries)]
    why += [
        f"{named(entry.name, 50)} not attached: {clause(it.reason, 90)}"
        for entry, it in story.failed(story.attachments)
    ]
    why = why or [clause(problem.reason, 120) for problem in story.problems]
    more = f" (and {number(len(why) - 1)} more)" if len(why) > 1 else ""
    return f"{share}; {why[0]}{more}" if why else share
