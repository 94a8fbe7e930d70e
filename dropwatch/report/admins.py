"""What admins are told of one batch: every name, number and log that helps to find the cause."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dropwatch.model import Failed, Verdict
from dropwatch.report.letter import (
    Block,
    Excerpt,
    Facts,
    Heading,
    Letter,
    Row,
    Rows,
    Say,
    Step,
    Steps,
    Tone,
    Trouble,
)
from dropwatch.report.links import container_link, log_link
from dropwatch.report.mails import fitted, news, typeset
from dropwatch.report.portions import REST, Most, about, left_out
from dropwatch.report.sections import remarks
from dropwatch.report.story import Entry, Site, Store, Story, Text
from dropwatch.report.troubles import Failures, advice, grouped, reasons
from dropwatch.report.words import count, duration, moment, named, number, sentence, size, subject

EXCERPT_LINES = 40  #: of a log or trace: the end, where the cause stands
EXCERPT_MOST = 4000  #: characters
NO_CLASS = "Error without a class"
EXCERPTS = 5  #: in one mail
_LOOK_AT = {
    Store.OMERO: "Look at the OMERO server: is it importing, is its disk full, does its log show an error?",
    Store.ARCHIVE: "Look at the archive: is it there, is its disk full, does it answer?",
}


def outcome_for_admins(story: Story, site: Site) -> Text:
    """Return the admins' mail on a batch that did not go well. It has a verdict (ValueError otherwise)."""
    said = news(story, site)
    tally = story.tally
    share = f"{number(tally.failed)} of {number(tally.total)} not imported" if tally.failed else said.headline
    line = subject(f"{named(story.user, 40)}: {share}", story.name, _codes(story))

    def compose(most: Most) -> Letter:
        blocks = (
            facts(story, site),
            *_container(story, site),
            *_problems(story, most),
            *_failures("Failed filesets", "fileset", story.failed(story.entries), site, most),
            *_failures("Failed attachments", "attachment", story.failed(story.attachments), site, most),
            *_next(story),
            *remarks(story, most),
        )
        return Letter(
            line, said.tone, share, (named(story.name), f"user {named(story.user)}"), blocks, (site.name,)
        )

    return fitted(compose)


def facts(story: Story, site: Site) -> Facts:
    """Return who, what, where and when of a batch."""
    rows = [
        ("User", story.user),
        ("Dropped by", story.sender or story.user),
        *_group(story, site),
        ("Batch", story.batch),
        ("Claim", story.claim),
        ("Folder", place(story)),
        *_counts(story, site),
        ("Attempts", str(story.attempts)),
    ]
    times = (
        ("Claimed", story.claimed_at),
        ("Concluded", story.concluded_at),
        ("Next attempt", story.next_attempt),
    )
    rows += [(label, moment(when, site.timezone)) for label, when in times if when is not None]
    return Facts(tuple(rows))


def _group(story: Story, site: Site) -> tuple[tuple[str, str], ...]:
    if site.store is Store.ARCHIVE:
        return (("Group", story.group),) if story.group else ()
    return (("OMERO group", story.group or "(the user's default group)"),)


def _counts(story: Story, site: Site) -> tuple[tuple[str, str], ...]:
    """How many there are of what, and what they came to."""
    tally, beside = story.tally, story.attachment_tally
    came_to = ((tally.imported, "imported"), (tally.skipped, "already there"), (tally.failed, "failed"))
    made = ((tally.images, "image"), (tally.plates, "plate")) if site.store is Store.OMERO else ()
    attached = ((beside.attached, "attached"), (beside.failed, "failed"), (beside.open, "not finished"))
    files = sum(entry.files for entry in story.entries)
    rows = (
        ("Filesets", _sorted_out(tally.total, (*came_to, (tally.open, "not finished")))),
        ("Made", ", ".join(count(amount, noun) for amount, noun in made if amount)),
        ("Attachments", _sorted_out(beside.total, attached) if beside.total else ""),
        (
            "Data",
            f"{size(sum(entry.bytes for entry in story.entries))} in {count(files, 'file')}" if files else "",
        ),
    )
    return tuple((label, value) for label, value in rows if value)


def _sorted_out(total: int, kinds: Iterable[tuple[int, str]]) -> str:
    many = [f"{number(amount)} {what}" for amount, what in kinds if amount]
    return f"{number(total)} ({', '.join(many)})" if many else "none"


def place(story: Story) -> str:
    """Return the path where the batch lies once this is read: letters are written before it retires."""
    if story.verdict is None or not story.spool_path:
        return story.path
    return "/".join(
        [story.spool_path.rstrip("/\\"), story.sender or story.user, story.home.value, story.folder]
    )


def detail(text: str, title: str = "") -> tuple[Block, ...]:
    """Return the end of a log or trace, short enough for a mail."""
    tail = "\n".join(text.strip("\n").split("\n")[-EXCERPT_LINES:])
    shown = tail if len(tail) <= EXCERPT_MOST else f"...{tail[-EXCERPT_MOST:]}"
    return (Excerpt(title, shown),) if shown else ()


def _codes(story: Story) -> str:
    errors = [problem.error for problem in story.problems] + [failed.error for _, failed in story.failures()]
    distinct = [error for error in dict.fromkeys(errors) if error]
    more = f" and {number(len(distinct) - 1)} more" if len(distinct) > 1 else ""
    return f"{named(distinct[0], 50)}{more}" if distinct else ""


def _container(story: Story, site: Site) -> tuple[Block, ...]:
    if story.container is None:
        return ()
    made = " (new)" if story.container.created else ""
    archive = site.store is Store.ARCHIVE
    what = "the folder" if archive else f"{story.container.kind}:{story.container.id}"
    target = f'Target: {what} "{named(story.container.name)}"{made}'
    link = container_link(site, story.container)
    return (Excerpt(target, "", link),) if link else (Say(target),)


def _problems(story: Story, most: Most) -> tuple[Block, ...]:
    blocks: list[Block] = []
    for problem in story.problems[: most.groups]:
        said = reasons(problem.reason, most.remarks)
        blocks.append(Trouble(problem.error or NO_CLASS, said, *advice(problem.remedy)))
        blocks += detail(problem.detail)
    return (Heading("The batch as a whole"), *blocks) if blocks else ()


def _failures(title: str, noun: str, failures: Failures, site: Site, most: Most) -> tuple[Block, ...]:
    groups, shown = grouped(failures), 0
    blocks: list[Block] = []
    for place, members in enumerate(groups[: most.groups]):
        blocks.append(_trouble(members, noun, site, max(0, most.failed - shown)))
        shown += len(members)
        if place < EXCERPTS:
            blocks += detail(next((failed.detail for _, failed in members if failed.detail), ""))
    if len(groups) > most.groups:
        blocks.append(Say(f"{count(len(groups) - most.groups, 'more kind')} of error; {REST}."))
    return (Heading(title), *blocks) if blocks else ()


def _trouble(members: Sequence[tuple[Entry, Failed]], noun: str, site: Site, room: int) -> Trouble:
    _, failed = members[0]
    rows = tuple(_row(entry, site, failed.log) for entry, failed in members[:room])
    title = f"{failed.error or NO_CLASS} ({count(len(members), noun)})"
    more = left_out(len(members), len(rows), noun)
    return Trouble(title, reasons(failed.reason, room + 1), *advice(failed.remedy), Rows(rows, more))


def _row(entry: Entry, site: Site, log: int | None) -> Row:
    link = log_link(site, log)
    # What planning refused was never tried: no byte of it went to the server.
    tried = count(entry.attempt, "attempt") if entry.attempt else "not tried"
    notes = (tried, entry.format, "import log" if link else "")
    return Row(about(entry), ", ".join(filter(None, notes)), link)


def _next(story: Story) -> tuple[Block, ...]:
    told = "The user gets a mail that says how to try again."
    ways = [Step("See the whole history of the batch:", f"dropwatch show {story.batch}")]
    if story.verdict is not Verdict.IMPORTED:
        ways.append(Step("Once the cause is gone, import what is missing:", f"dropwatch retry {story.batch}"))
    return Heading("Next steps"), Say(told), Steps(tuple(ways))


def bug(story: Story, error: str, trace: str, site: Site) -> Text:
    """Return the admins' mail on an error in dropwatch itself: its class and text, and its traceback."""
    line = subject(f"Error in dropwatch, user {named(story.user, 40)}", story.name, error.partition(":")[0])
    blocks = (
        Say("This is a fault of dropwatch, not of the user or the files."),
        Say("It counts as one attempt of this batch, which is tried again as scheduled. All others go on."),
        facts(story, site),
        *detail(trace, error),
        Heading("Next steps"),
        Say(
            "Please report it to the authors of dropwatch. Look through it first for names that are private."
        ),
    )
    return typeset(
        Letter(
            line,
            Tone.BAD,
            "An error in dropwatch",
            (named(story.name), f"user {named(story.user)}"),
            blocks,
            (site.name,),
        )
    )


def stuck(story: Story, seconds: float, site: Site) -> Text:
    """Return the admins' mail on a wait that is longer than its bound. *seconds*: how long it has lasted."""
    span = duration(seconds)
    line = subject(f"Waiting for {span}, user {named(story.user, 40)}", story.name, story.waiting_for)
    what = sentence(story.waiting_for) or "nobody knows why."
    blocks = (
        Say(f"This batch has been waiting for {span}: {what}"),
        Say("Nothing is lost, and it goes on by itself as soon as it can. But somebody should have a look."),
        facts(story, site),
        *_container(story, site),
        Heading("Next steps"),
        Steps(
            (
                Step(_LOOK_AT[site.store]),
                Step("See how far the batch is:", f"dropwatch show {story.batch}"),
                Step(
                    f"If it will not end, stop it. What is in {site.store} already stays:",
                    f"dropwatch cancel {story.batch}",
                ),
            )
        ),
    )
    under = (named(story.name), f"user {named(story.user)}")
    return typeset(Letter(line, Tone.MIXED, f"Waiting for {span}", under, blocks, (site.name,)))
