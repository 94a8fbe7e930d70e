"""The attachments of a batch, in words. They are no image files and are never counted as such."""

from __future__ import annotations

from collections.abc import Sequence

from dropwatch.model import Attached
from dropwatch.report.letter import Block, Heading, Items, Say
from dropwatch.report.portions import Most, left_out
from dropwatch.report.story import Entry, Site, Store, Story
from dropwatch.report.words import count, named

NAMED = 5  #: names in one sentence


def holder(story: Story, site: Site) -> str:
    """Return what people call the thing that the images are in: ``dataset``, ``screen``, ``folder``."""
    if site.store is Store.ARCHIVE:
        return "folder"
    return story.container.kind.lower() if story.container else "dataset"


def attachments(story: Story, site: Site) -> tuple[Block, ...]:
    """Return what became of the attachments, in a paragraph of its own."""
    attached = [entry for entry in story.attachments if isinstance(entry.outcome, Attached)]
    failed = [entry for entry, _ in story.failed(story.attachments)]
    tried = (entry for entry in story.attachments if not isinstance(entry.outcome, Attached))
    left = [entry for entry in tried if not story.given_up(entry.outcome)]
    said = [
        _said(attached, ("was", "were"), f"attached{_to(story, site)}"),
        _said(failed, ("could", "could"), "not be attached"),
        _said(left, ("was", "were"), "not attached")
        if story.verdict
        else _said(left, ("is", "are"), "still to be attached"),
    ]
    text = " ".join(filter(None, said))
    return (Say(text),) if text else ()


def attached(story: Story, most: Most) -> tuple[Block, ...]:
    """Return the names of all that was attached, where the sentence could not name them all."""
    names = [named(entry.name) for entry in story.attachments if isinstance(entry.outcome, Attached)]
    if len(names) <= NAMED:
        return ()
    shown = tuple(names[: most.imported])
    return Heading("Attached"), Items(shown, left_out(len(names), len(shown), "attachment"))


def _to(story: Story, site: Site) -> str:
    # In an archive an attachment is one more file beside the images.
    return "" if site.store is Store.ARCHIVE else f" to the {holder(story, site)}"


def _said(entries: Sequence[Entry], verb: tuple[str, str], what: str) -> str:
    if not entries:
        return ""
    names = ", ".join(named(entry.name, 60) for entry in entries[:NAMED])
    left = len(entries) - NAMED
    more = f" and {left:,} more" if left > 0 else ""
    return f"{count(len(entries), 'file')} {verb[len(entries) > 1]} {what}: {names}{more}."
