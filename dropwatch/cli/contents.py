"""What a batch consists of, as tables for ``show``: its image files and its attachments, with what became of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dropwatch import report
from dropwatch.cli.tables import table, text
from dropwatch.model import Attached, Failed, Image, Imported, Skipped
from dropwatch.record import Line
from dropwatch.report import Store
from dropwatch.report.links import images_link, log_link
from dropwatch.report.words import clean_lines
from dropwatch.status import InHand, Whole
from dropwatch.status.pace import of_file

SHOWN = 100  #: image files of each kind; the JSON has all
NAMES = 3  #: further files of one fileset; a plate has thousands
_STYLES = {
    "imported": "green",
    "already there": "green",
    "attached": "green",
    "failed": "red",
    "importing": "cyan",
    "open": "dim",
}


def contents(found: Whole, lines: Sequence[Line], *, noun: str, details: bool) -> RenderableType:
    """A table of *lines*: failed ones first, then what is open, then what is there. *noun*: one of them."""
    made = table("", "", "")
    made.columns[0].no_wrap = True
    in_hand = {one.fileset: one for one in found.row.progress.files} if found.row.progress else {}
    left = 0
    for kind in (Failed, type(None), Imported, Skipped, Attached):
        some = [line for line in lines if isinstance(line.outcome, kind)]
        left += max(0, len(some) - SHOWN)
        for line in some[:SHOWN]:
            _add(made, line, found, in_hand, details=details)
    more = f"and {report.count(left, f'more {noun}')}: dropwatch show --json has them all"
    return Group(made, *([Text(more, style="dim")] if left else []))


def _add(made: Table, line: Line, found: Whole, in_hand: Mapping[str, InHand], *, details: bool) -> None:
    match line.outcome:
        case Imported(images=images, warning=warning):
            made.add_row(_kind("imported"), _name(line), _images(images, found))
            if warning:
                made.add_row("", "", text(warning, "yellow"))
        case Skipped(images=images):
            made.add_row(_kind("already there"), _name(line), _images(images, found))
        case Attached():
            made.add_row(_kind("attached"), _name(line), "")
        case Failed() as failed:
            made.add_row(_kind("failed"), _name(line), _failure(line, failed, found, details=details))
        case _:
            now = in_hand.get(line.fileset)
            far = of_file(now, found.site.store) if now else ""
            made.add_row(_kind("importing" if now else "open"), _name(line), text(far, "cyan"))


def _kind(word: str) -> Text:
    return Text(word, style=_STYLES[word])


def _name(line: Line) -> RenderableType:
    """The name, and below it what belongs to it, unless it is one file with one image."""
    facts = [report.count(line.files, "file")] if line.files > 1 else []
    facts += ["plate"] if line.plate else [report.count(line.series, "image")] if line.series > 1 else []
    if not facts:
        return text(line.name)
    names = f": {_some(line)}" if line.more else ""
    return Group(text(line.name), text(f"{', '.join([*facts, *filter(None, [line.format])])}{names}", "dim"))


def _some(line: Line) -> str:
    """The first of the further files."""
    names = ", ".join(report.named(name, 60) for name in line.more[:NAMES])
    left = len(line.more) - NAMES
    return f"{names} and {left:,} more" if left > 0 else names


def _images(images: Sequence[Image], found: Whole) -> Text:
    """``image 12``, linked where the terminal can; in an archive, where it lies."""
    if found.site.store is Store.ARCHIVE:
        return text(images[0].name if images else "", "dim")
    shown = Text(", ").join(
        text(f"{image.kind.lower()} {image.id}", _link(images_link(found.site, [image])))
        for image in images[:5]
    )
    return shown.append(f" and {len(images) - 5:,} more" if len(images) > 5 else "")


def _link(address: str) -> str:
    return f"link {address}" if address else ""


def _failure(line: Line, failed: Failed, found: Whole, *, details: bool) -> RenderableType:
    tried = f" (attempt {line.attempt})" if line.attempt else ""
    parts = [text(one) for one in clean_lines(failed.reason)]
    parts += [text(one, "italic") for one in clean_lines(failed.remedy)] if failed.remedy else []
    parts += [text(f"{failed.error}{tried}", "dim")] if failed.error else []
    parts += [text(one, "dim") for one in clean_lines(failed.detail)] if details and failed.detail else []
    address = log_link(found.site, failed.log)
    parts += [text(f"the server's import log: {address}", "dim")] if address else []
    return Group(*parts)
