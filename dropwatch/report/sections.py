"""The parts that mails and REPORT.txt share: what is in OMERO (or the archive), what to do, remarks.

Composes blocks only; everybody else composes letters out of these and a few sentences of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

from dropwatch.model import Failed, Image, Imported, Place, Skipped
from dropwatch.report.beside import holder
from dropwatch.report.letter import Block, Button, Heading, Items, Row, Rows, Say, Step, Steps
from dropwatch.report.links import container_link, images_link
from dropwatch.report.portions import FILE, REST, Most, about, left_out, rows
from dropwatch.report.story import Entry, Site, Store, Story, Tally
from dropwatch.report.words import clause, clean, count, listed, moment, named, number, sentence, size


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


def where(story: Story, site: Site) -> str:
    """Return where the images are: ``in OMERO, in the dataset "day 3" (group imaging-lab)``."""
    group = story.group or (story.container.group if story.container else "")
    beside = f" (group {named(group)})" if group else ""
    if story.container is None:
        return f"in {site.store}{beside}"
    new = "new " if story.container.created else ""
    return f'in {site.store}, in the {new}{holder(story, site)} "{named(story.container.name)}"{beside}'


def lead(story: Story, site: Site) -> tuple[Block, ...]:
    """Return the news in sentences, and the way to the images."""
    tally, said = story.tally, []
    if tally.imported:
        now = f"{count(tally.imported, FILE)} ({_extent(story)}) {are(tally.imported)} now"
        said.append(f"{now} {where(story, site)}{_made(tally, site)}.")
    if tally.skipped:
        place = "there" if tally.imported else where(story, site)
        again = "it was not imported again" if tally.skipped == 1 else "they were not imported again"
        also = f"{count(tally.skipped, FILE)} {were(tally.skipped)} already {place}, so {again}."
        said.append(also)
    if tally.failed and tally.there:
        said.append(f"{count(tally.failed, FILE)} could not be imported.")
    if not tally.there:
        said.append("Nothing was imported." if story.verdict else "Nothing has been imported yet.")
    link = container_link(site, story.container)
    open_it = f"Open the {holder(story, site)} in {site.store}"
    button = (Button(open_it, link),) if link and tally.there else ()
    return (Say(" ".join(said)), *button)


def _extent(story: Story) -> str:
    """``1.2 GB``, and how many files that are where an image file is made of several."""
    done = [entry for entry in story.entries if isinstance(entry.outcome, Imported)]
    files, total = sum(entry.files for entry in done), size(sum(entry.bytes for entry in done))
    return f"{count(files, 'file')}, {total}" if files > len(done) else total


def _made(tally: Tally, site: Site) -> str:
    """What the image files became, unless that is one image each; in an archive they stay files."""
    if site.store is Store.ARCHIVE or (tally.images <= tally.imported and not tally.plates):
        return ""
    kinds = ((tally.plates, "plate"), (tally.images, "image"))
    return f", as {listed([count(amount, noun) for amount, noun in kinds if amount])}"


def steps(story: Story, site: Site) -> tuple[Block, ...]:
    """Return what the reader can do now that the batch is concluded."""
    if story.verdict is None:
        return ()
    if story.home is Place.DONE:
        return (Say(f'{_files(story)} now in the folder "done" of {_drop_folder(story)}, unchanged.'),)
    find = Step(f'In {_drop_folder(story)}, open "failed" and find this folder:', named(story.folder, 255))
    mend = (Step("In it, put right what is named above."),) if _has_remedy(story) else ()
    there, rest = story.tally.there, ""
    if there:
        what = "will be imported" if there < story.tally.total else "will be added"
        rest = f" Only what is missing {what}; nothing comes twice."
    move = Step(f'Move the folder back to "inbox".{rest}')
    return (
        Heading("To import the rest" if 0 < there < story.tally.total else "To try again"),
        Steps((find, *mend, move)),
        Say(f"{_or_not(story, site)}, there is nothing to do. {_files(story)} unchanged."),
    )


def _or_not(story: Story, site: Site) -> str:
    tally = story.tally
    if tally.total and tally.there == tally.total:
        return "If you can do without what is missing"
    return f"If you do not need these images in {site.store}"


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
    shown = tuple(
        Row(about(entry), _images(images, site), images_link(site, images))
        for entry, images in entries[:most]
    )
    return Heading(title), Rows(shown, left_out(len(entries), len(shown)))


def _images(images: Sequence[Image], site: Site) -> str:
    if site.store is Store.ARCHIVE:
        return ""
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
    return Heading("Not imported"), rows(left, most.imported)


def to_come(story: Story) -> tuple[Block, ...]:
    """Return the image files of an open batch that are still to come, and what kept them back so far."""
    left = [entry for entry in story.entries if _is_open(story, entry)]
    if not left:
        return ()
    return Heading("Still to come"), Rows(tuple(Row(about(entry), _so_far(entry)) for entry in left))


def _is_open(story: Story, entry: Entry) -> bool:
    return entry.outcome is None or (isinstance(entry.outcome, Failed) and not story.given_up(entry.outcome))


def _so_far(entry: Entry) -> str:
    if not isinstance(entry.outcome, Failed):
        return size(entry.bytes)
    times = "once" if entry.attempt <= 1 else f"{number(entry.attempt)} times"
    return f"{size(entry.bytes)}, tried {times}: {clause(entry.outcome.reason, 100)}"


def remarks(story: Story, most: Most) -> tuple[Block, ...]:
    """Return what else is worth knowing: notes, and steps that went wrong after an import."""
    warnings: dict[str, list[str]] = {}
    for entry in story.entries:
        if isinstance(entry.outcome, Imported) and entry.outcome.warning:
            warnings.setdefault(entry.outcome.warning, []).append(entry.name)
    note = [story.container.note] if story.container and story.container.note else []
    said = [sentence(text) for text in dict.fromkeys([*note, *story.notes])]
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
