"""What went wrong, in words: each reason once, with all that it happened to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dropwatch.model import Failed, Problem
from dropwatch.report.letter import Block, Heading, Say, Trouble
from dropwatch.report.portions import FILE, REST, Most, about, rows
from dropwatch.report.story import Entry, Story
from dropwatch.report.words import count, named, number, sentence

ATTACHMENT = "attachment"
LINES = 5  #: of one remedy

Failures = Iterable[tuple[Entry, Failed]]


def troubles(story: Story, most: Most) -> tuple[Block, ...]:
    """Return what went wrong: with the batch as a whole, with image files, with attachments."""
    blocks = [*_batch_troubles(story.problems, most), *_each(story.failed(story.entries), FILE, most)]
    failed = story.tally.failed
    need = f"{count(failed, FILE)} {'needs' if failed == 1 else 'need'} you" if failed else "What is wrong"
    beside = _each(story.failed(story.attachments), ATTACHMENT, most)
    return (
        *((Heading(need), *blocks) if blocks else ()),
        *((Heading("Could not be attached"), *beside) if beside else ()),
    )


def grouped(failures: Failures) -> list[list[tuple[Entry, Failed]]]:
    """Return the failures put together by what people read of them, in the order in which they first came."""
    groups: dict[tuple[str, str, str], list[tuple[Entry, Failed]]] = {}
    for entry, failed in failures:
        groups.setdefault((failed.reason, failed.remedy, failed.error), []).append((entry, failed))
    return list(groups.values())


def reasons(text: str, most: int) -> tuple[str, ...]:
    """Return a reason as sentences. A manifest's problems come as one text, a line each."""
    lines = [sentence(line) for line in text.split("\n") if line.strip()]
    left = len(lines) - most
    return (*lines[:most], *([f"And {number(left)} more."] if left > 0 else [])) or (
        "The reason is not known.",
    )


def advice(remedy: str) -> tuple[str, tuple[str, ...]]:
    """Return a remedy's sentence, and the lines below it: what to write into a file, to be copied as it is."""
    first, *rest = remedy.strip("\n").split("\n")
    return sentence(first), tuple(named(line, 255) for line in rest[:LINES])


def _each(failures: Failures, noun: str, most: Most) -> list[Block]:
    groups, shown = grouped(failures), 0
    blocks: list[Block] = []
    for members in groups[: most.groups]:
        blocks.append(_trouble(members, noun, max(0, most.failed - shown)))
        shown += len(members)
    if len(groups) > most.groups:
        left = sum(len(members) for members in groups[most.groups :])
        blocks.append(Say(f"{count(left, f'more {noun}')} failed for other reasons; {REST}."))
    return blocks


def _trouble(members: Sequence[tuple[Entry, Failed]], noun: str, room: int) -> Trouble:
    entry, failed = members[0]
    said = reasons(failed.reason, room + 1)
    if not failed.lasting and entry.attempt > 1:
        said = (*said[:-1], f"{said[-1]} Tried {entry.attempt} times.")
    if len(members) == 1:
        return Trouble(about(entry), said, *advice(failed.remedy))
    listed = rows([entry for entry, _ in members], room, noun)
    return Trouble(f"These {count(len(members), noun)}:", said, *advice(failed.remedy), listed)


def _batch_troubles(problems: Sequence[Problem], most: Most) -> list[Trouble]:
    by_remedy: dict[str, list[str]] = {}
    for problem in problems:
        by_remedy.setdefault(problem.remedy, []).append(problem.reason)
    return [
        Trouble("The batch as a whole", reasons("\n".join(said), most.remarks), *advice(remedy))
        for remedy, said in by_remedy.items()
    ]
