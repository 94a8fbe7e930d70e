"""The mails a user gets about one batch: its outcome, its delay, its withdrawal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from dropwatch.model import Attached, Verdict
from dropwatch.report import markup, plain
from dropwatch.report.beside import attached, attachments
from dropwatch.report.letter import Block, Heading, Letter, Say, Tone
from dropwatch.report.portions import FILE, Most
from dropwatch.report.sections import (
    are,
    foot,
    imported,
    lead,
    remarks,
    skipped,
    steps,
    under,
    untried,
)
from dropwatch.report.story import Entry, Site, Store, Story, Tally, Text
from dropwatch.report.troubles import ATTACHMENT, troubles
from dropwatch.report.words import clause, count, listed, moment, named, number, sentence, subject

HTML_MOST = 100_000  #: bytes; some mail services cut longer messages off

# Tried in turn until the mail is small enough; the last one always is.
_PORTIONS = (
    Most(imported=20, failed=50, groups=10, remarks=20),
    Most(imported=10, failed=20, groups=5, remarks=10),
    Most(imported=3, failed=5, groups=3, remarks=3),
)


def typeset(letter: Letter) -> Text:
    """Return *letter* in both forms."""
    return Text(letter.subject, plain.plain_text(letter), markup.html_text(letter))


def fitted(compose: Callable[[Most], Letter]) -> Text:
    """Return the fullest form of a letter that stays below ``HTML_MOST``."""
    for most in _PORTIONS[:-1]:
        text = typeset(compose(most))
        if len(text.html.encode()) <= HTML_MOST:
            return text
    return typeset(compose(_PORTIONS[-1]))


@dataclass(frozen=True)
class News:
    """The outcome in a few words. *head* and *tail* make the subject: ``head: batch - tail``."""

    tone: Tone
    headline: str
    head: str
    tail: str = ""


def news(story: Story, site: Site) -> News:
    """Return what a concluded batch came to."""
    tally = story.tally
    match story.verdict:
        case Verdict.IMPORTED:
            return _all_there(tally, site.store)
        case Verdict.PARTIAL if tally.there == tally.total:
            return _beside(story, _all_there(tally, site.store))
        case Verdict.PARTIAL if tally.there:
            return _partial(story, tally, site.store)
        case Verdict.CANCELLED:
            return _cancelled(tally, site.store)
        case Verdict.FAILED | Verdict.PARTIAL:  # of image files nothing is there, at best attachments
            return News(Tone.BAD, "Not imported", "Not imported", _why(story))
        case None:
            raise ValueError(f"batch {story.batch} has no verdict yet")


def _all_there(tally: Tally, store: Store) -> News:
    if not tally.total:
        return News(Tone.GOOD, "Nothing to import", "Nothing to import")
    if not tally.imported:
        return News(Tone.GOOD, f"Already in {store}", f"Already in {store}", "nothing was imported twice")
    every = f"All {count(tally.total, FILE)}" if tally.total > 1 else f"1 {FILE}"
    if tally.skipped:
        some = f"{count(tally.imported, FILE)} imported, {number(tally.skipped)} already there"
        return News(Tone.GOOD, f"{every} are in {store}", some)
    return News(Tone.GOOD, f"{every} imported", f"{every} imported")


def _beside(story: Story, images: News) -> News:
    """All images are there, but something beside them is not."""
    tally = story.attachment_tally
    missing = tally.failed + tally.open
    if not missing:
        return replace(images, tone=Tone.MIXED, tail=_why(story))
    headline = f"{images.headline}, {count(missing, ATTACHMENT)} missing"
    return News(Tone.MIXED, headline, images.head, f"{_called(_lacking(story), 'file')} not attached")


def _partial(story: Story, tally: Tally, store: Store) -> News:
    share = f"{number(tally.there)} of {number(tally.total)}"
    did = f"{are(tally.there)} in {store}" if tally.skipped else "imported"
    return News(Tone.MIXED, f"{share} image files {did}", f"{share} {did}", _why(story))


def _cancelled(tally: Tally, store: Store) -> News:
    if not tally.there:
        return News(Tone.QUIET, "Cancelled", "Cancelled", "nothing was imported")
    share = f"{number(tally.there)} of {number(tally.total)}"
    return News(
        Tone.QUIET, f"Cancelled: {share} image files are in {store}", "Cancelled", f"{share} are in {store}"
    )


def _lacking(story: Story) -> list[Entry]:
    return [entry for entry in story.attachments if not isinstance(entry.outcome, Attached)]


def _called(entries: list[Entry], noun: str) -> str:
    """The name of one, the number of many."""
    return named(entries[0].name, 36) if len(entries) == 1 else count(len(entries), noun)


def _why(story: Story) -> str:
    """What needs the reader: the one thing that failed, or how many of which kind."""
    failed = [entry for entry, _ in story.failed(story.entries)]
    beside = [entry for entry, _ in story.failed(story.attachments)]
    if len(failed) + len(beside) == 1:
        return f"{_called(failed or beside, FILE)} needs you"
    if failed or beside:
        kinds = ((failed, FILE), (beside, ATTACHMENT))
        return f"{listed([count(len(entries), noun) for entries, noun in kinds if entries])} need you"
    if len(story.problems) == 1 and "\n" not in story.problems[0].reason.strip():
        return clause(story.problems[0].reason)
    lines = sum(len(problem.reason.strip().splitlines()) for problem in story.problems)
    return f"{count(lines, 'thing')} to put right" if lines else ""


def outcome(story: Story, site: Site) -> Text:
    """Return the mail that tells how a batch ended. The story has a verdict (ValueError otherwise)."""
    said = news(story, site)

    def compose(most: Most) -> Letter:
        blocks = (
            *lead(story, site),
            *attachments(story, site),
            *troubles(story, most),
            *untried(story, most),
            *steps(story, site),
            *imported(story, site, most),
            *skipped(story, site, most),
            *attached(story, most),
            *remarks(story, most),
        )
        line = subject(said.head, story.name, said.tail)
        return Letter(line, said.tone, said.headline, under(story, site), blocks, foot(site))

    return fitted(compose)


def progress(story: Story, site: Site) -> tuple[Block, ...]:
    """Return how far an open batch is, what it waits for and until when."""
    tally = story.tally
    blocks: list[Block] = [*lead(story, site)] if tally.total else [Say("Nothing has been imported yet.")]
    if tally.open:
        left = f"{count(tally.open, FILE)} {are(tally.open)} still to come."
        blocks.append(Say(left))
    blocks += attachments(story, site)
    if story.waiting_for:
        blocks.append(Say(f"Why it is waiting: {sentence(story.waiting_for)}"))
    if story.next_attempt is not None:
        blocks.append(Say(f"Next attempt: {moment(story.next_attempt, site.timezone)}."))
    return tuple(blocks)


def delay(story: Story, site: Site) -> Text:
    """Return the mail that is sent once when a batch takes longer than people expect."""
    tally = story.tally
    so_far = (
        f"{number(tally.there)} of {number(tally.total)} in {site.store} so far"
        if tally.there
        else "nothing imported yet"
    )
    ahead = (
        Heading("What happens next"),
        Say(
            "You need not do anything. It goes on by itself, and you get a mail when it is finished. "
            "Please leave the folder where it is."
        ),
    )

    def compose(most: Most) -> Letter:
        blocks = (*progress(story, site), *troubles(story, most), *ahead, *remarks(story, most))
        line = subject("Taking longer", story.name, so_far)
        return Letter(line, Tone.INFO, "This takes longer than usual", under(story, site), blocks, foot(site))

    return fitted(compose)


def withdrawn(story: Story, site: Site) -> Text:
    """Return the mail for a batch that somebody took out of "processing" while it was being imported."""
    tally = story.tally
    late = f"An image file that {site.store} was just reading in may still appear there."
    rest = (
        'To import the rest, put the folder into "inbox" of your drop folder. Only what is missing will be '
        "imported. If you wanted to stop it, there is nothing to do."
    )

    def compose(most: Most) -> Letter:
        said = Say('The folder was taken out of "processing", so its import was stopped.')
        blocks = (said, *lead(story, site), Say(late), Heading("What you can do"), Say(rest))
        line = subject("Stopped", story.name, "the folder was taken out of processing")
        shown = (*blocks, *imported(story, site, most), *skipped(story, site, most), *remarks(story, most))
        share = f"{number(tally.there)} of {number(tally.total)} image files are in {site.store}"
        headline = f"Stopped: {share}" if tally.total else "Stopped"
        return Letter(line, Tone.QUIET, headline, under(story, site), shown, foot(site))

    return fitted(compose)
