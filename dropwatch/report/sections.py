"""The parts that mails and REPORT.txt share: what is in OMERO, what went wrong, what to do.

Composes blocks only; everybody else composes letters out of these and a few sentences of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dropwatch.model import Failed, Image, Imported, Place, Problem, Skipped
from dropwatch.report.letter import Block, Button, Heading, Items, Row, Rows, Say, Step, Steps, Trouble
from dropwatch.report.links import container_link, images_link
from dropwatch.report.story import Entry, Site, Story
from dropwatch.report.words import clean, count, listed, moment, named, number, sentence, size

FILE = "image file"
REST = "see REPORT.txt in the folder"


@dataclass(frozen=True)
class Most:
    """How much of a long batch a text shows; the rest is counted."""

    imported: int
    failed: int
    groups: int
    remarks: int


EVERYTHING = Most(imported=10**9, failed=10**9, groups=10**9, remarks=10**9)


def are(value: int) -> str:
    return "is" if value == 1 else "are"


def were(value: int) -> str:
    return "was" if value == 1 else "were"


def under(story: Story, site: Site) -> tuple[str, ...]:
    """Return the lines below a headline: which batch, whose, when."""
    who = f"dropped by {named(story.sender or story.user)}"
    if story.sender and story.sender != story.user:
        who += f" for {named(story.user)}"
    times = []
    if story.claimed_at is not None:
        times.append(f"taken up {moment(story.claimed_at, site.timezone)}")
    if story.concluded_at is not None:
        times.append(f"finished {moment(story.concluded_at, site.timezone)}")
    return named(story.name), ", ".join([who, *times])


def where(story: Story) -> str:
    """Return where in OMERO the images are: ``in the dataset "day 3" (group imaging-lab)``."""
    group = story.group or (story.container.group if story.container else "")
    beside = f" (group {named(group)})" if group else ""
    if story.container is None:
        return f"in OMERO{beside}"
    new = "new " if story.container.created else ""
    return f'in OMERO, in the {new}{story.container.kind.lower()} "{named(story.container.name)}"{beside}'


def lead(story: Story, site: Site) -> tuple[Block, ...]:
    """Return the news in sentences, and the way to the images."""
    tally, said = story.tally, []
    if tally.imported:
        now = f"{count(tally.imported, FILE)} ({size(story.bytes_imported)}) {are(tally.imported)} now"
        said.append(f"{now} {where(story)}.")
    if tally.skipped:
        place = "there" if tally.imported else where(story)
        again = "it was not imported again" if tally.skipped == 1 else "they were not imported again"
        also = f"{count(tally.skipped, FILE)} {were(tally.skipped)} already {place}, so {again}."
        said.append(also)
    if tally.failed and tally.there:
        said.append(f"{count(tally.failed, FILE)} could not be imported.")
    if not tally.there:
        said.append("Nothing was imported." if story.verdict else "Nothing has been imported yet.")
    link = container_link(site, story.container)
    kind = story.container.kind.lower() if story.container else ""
    button = (Button(f"Open the {kind} in OMERO", link),) if link and tally.there else ()
    return (Say(" ".join(said)), *button)


def troubles(story: Story, most: Most) -> tuple[Block, ...]:
    """Return what went wrong, each reason once, with the files it happened to."""
    groups, shown = grouped(story.failures()), 0
    blocks: list[Block] = [*_batch_troubles(story.problems, most)]
    for members in groups[: most.groups]:
        blocks.append(_trouble(members, max(0, most.failed - shown)))
        shown += len(members)
    if len(groups) > most.groups:
        left = sum(len(members) for members in groups[most.groups :])
        blocks.append(Say(f"{count(left, 'more image file')} failed for other reasons; {REST}."))
    if not blocks:
        return ()
    failed = story.tally.failed
    need = f"{count(failed, FILE)} {'needs' if failed == 1 else 'need'} you" if failed else "What is wrong"
    return (Heading(need), *blocks)


def grouped(failures: Iterable[tuple[Entry, Failed]]) -> list[list[tuple[Entry, Failed]]]:
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


def _trouble(members: Sequence[tuple[Entry, Failed]], room: int) -> Trouble:
    entry, failed = members[0]
    said = reasons(failed.reason, room + 1)
    if not failed.lasting and entry.attempt > 1:
        said = (*said[:-1], f"{said[-1]} Tried {entry.attempt} times.")
    if len(members) == 1:
        return Trouble(about(entry), said, sentence(failed.remedy))
    rows = _rows([entry for entry, _ in members], room)
    return Trouble(f"These {count(len(members), FILE)}:", said, sentence(failed.remedy), rows)


def _batch_troubles(problems: Sequence[Problem], most: Most) -> list[Trouble]:
    by_remedy: dict[str, list[str]] = {}
    for problem in problems:
        by_remedy.setdefault(problem.remedy, []).append(problem.reason)
    return [
        Trouble("The batch as a whole", reasons("\n".join(said), most.remarks), sentence(remedy))
        for remedy, said in by_remedy.items()
    ]


def about(entry: Entry) -> str:
    """Return an image file's name, and how many files belong to it."""
    more = f" (with {count(entry.files - 1, 'more file')})" if entry.files > 1 else ""
    return f"{named(entry.name)}{more}"


def left_out(total: int, shown: int) -> str:
    """Return the last line of a list that shows *shown* of *total* image files, or ""."""
    if shown >= total:
        return ""
    return f"and {count(total - shown, 'more image file')}; {REST}" if shown else f"{REST} for their names"


def _rows(entries: Sequence[Entry], most: int) -> Rows:
    rows = tuple(Row(about(entry), size(entry.bytes)) for entry in entries[:most])
    return Rows(rows, left_out(len(entries), len(rows)))


def steps(story: Story) -> tuple[Block, ...]:
    """Return what the reader can do now that the batch is concluded."""
    if story.verdict is None:
        return ()
    if story.home is Place.DONE:
        return (Say(f'{_files(story)} now in the folder "done" of {_drop_folder(story)}, unchanged.'),)
    find = Step(f'In {_drop_folder(story)}, open "failed" and find this folder:', named(story.folder, 255))
    mend = (Step("In it, put right what is named above."),) if _has_remedy(story) else ()
    rest = " Only what is missing will be imported; nothing comes twice." if story.tally.there else ""
    move = Step(f'Move the folder back to "inbox".{rest}')
    return (
        Heading("To import the rest" if story.tally.there else "To try again"),
        Steps((find, *mend, move)),
        Say(f"If you do not need these images in OMERO, there is nothing to do. {_files(story)} unchanged."),
    )


def _has_remedy(story: Story) -> bool:
    remedies = [problem.remedy for problem in story.problems]
    return any(remedies) or any(failed.remedy for _, failed in story.failures())


def _own(story: Story) -> bool:
    return story.sender in ("", story.user)


def _files(story: Story) -> str:
    return "The files you dropped are" if _own(story) else "The files are"


def _drop_folder(story: Story) -> str:
    return "your drop folder" if _own(story) else f"the drop folder of {named(story.sender)}"


def imported(story: Story, site: Site, most: Most) -> tuple[Block, ...]:
    """Return the image files that this batch brought into OMERO, with links."""
    done = [(entry, entry.outcome.images) for entry in story.entries if isinstance(entry.outcome, Imported)]
    return _in_omero("Imported", done, site, most.imported)


def skipped(story: Story, site: Site, most: Most) -> tuple[Block, ...]:
    """Return the image files that were there already, with links."""
    there = [(entry, entry.outcome.images) for entry in story.entries if isinstance(entry.outcome, Skipped)]
    return _in_omero("Already there", there, site, most.imported)


def _in_omero(
    title: str, entries: Sequence[tuple[Entry, tuple[Image, ...]]], site: Site, most: int
) -> tuple[Block, ...]:
    if not entries:
        return ()
    rows = tuple(
        Row(about(entry), _images(images), images_link(site, images)) for entry, images in entries[:most]
    )
    return Heading(title), Rows(rows, left_out(len(entries), len(rows)))


def _images(images: Sequence[Image]) -> str:
    if len(images) == 1:
        return f"{images[0].kind.lower()} {images[0].id}"
    plates = sum(image.kind == "Plate" for image in images)
    kinds = ((len(images) - plates, "image"), (plates, "plate"))
    return listed([count(amount, noun) for amount, noun in kinds if amount]) if images else ""


def untried(story: Story, most: Most) -> tuple[Block, ...]:
    """Return the image files of a concluded batch that were never finished."""
    left = [entry for entry in story.entries if entry.outcome is None]
    if not left or story.verdict is None:
        return ()
    return Heading("Not imported"), _rows(left, most.imported)


def remarks(story: Story, most: Most) -> tuple[Block, ...]:
    """Return what else is worth knowing: notes, and steps that went wrong after an import."""
    warnings: dict[str, list[str]] = {}
    for entry in story.entries:
        if isinstance(entry.outcome, Imported) and entry.outcome.warning:
            warnings.setdefault(entry.outcome.warning, []).append(entry.name)
    note = [story.container.note] if story.container and story.container.note else []
    said = [sentence(text) for text in [*note, *story.notes]]
    said += [f"{_names(names)}: {sentence(warning)}" for warning, names in warnings.items()]
    if not said:
        return ()
    left = len(said) - most.remarks
    return Heading("Remarks"), Items(
        tuple(said[: most.remarks]), f"and {count(left, 'more remark')}; {REST}" if left > 0 else ""
    )


def _names(names: Sequence[str]) -> str:
    shown = [named(name) for name in names[:3]]
    return (
        listed(shown)
        if len(names) <= 3
        else f"{', '.join(shown)} and {count(len(names) - 3, 'more image file')}"
    )


def foot(site: Site, *, forward: bool = True) -> tuple[str, ...]:
    """Return whom to ask."""
    if not site.contact:
        return (clean(site.name),)
    how = " and forward this mail" if forward else ""
    return (f"Questions? Write to {site.contact}{how}.", site.name)
