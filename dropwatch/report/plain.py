"""A letter as plain text: for mail programs without HTML, and for REPORT.txt. Layout in ASCII only."""

from __future__ import annotations

import textwrap
from functools import singledispatch

from dropwatch.report.letter import (
    Block,
    Button,
    Excerpt,
    Facts,
    Heading,
    Items,
    Letter,
    Rows,
    Say,
    Steps,
    Trouble,
)
from dropwatch.report.words import clean, clean_lines

WIDTH = 76


def plain_text(letter: Letter) -> str:
    """Return *letter* as text with LF line ends, without trailing blanks."""
    headline = clean(letter.headline)
    lines = [headline, "=" * min(len(headline), WIDTH), *map(clean, letter.under)]
    for block in letter.blocks:
        lines += ["", *_lines(block)]
    if letter.foot:
        lines += ["", "-- ", *(line for text in letter.foot for line in _wrap(text))]
    return "\n".join(line.rstrip() if line != "-- " else line for line in lines) + "\n"


def note_before(note: str, plain: str) -> str:
    """Return *plain* with *note* above it."""
    return "\n".join([*_wrap(note, "* ", "  "), "", plain])


@singledispatch
def _lines(block: Block) -> list[str]:
    raise TypeError(f"no plain text for {type(block).__name__}")


@_lines.register
def _(block: Heading) -> list[str]:
    return [clean(block.text), "-" * len(clean(block.text))]


@_lines.register
def _(block: Say) -> list[str]:
    return _wrap(block.text)


@_lines.register
def _(block: Button) -> list[str]:
    return [f"{clean(block.text)}:", f"  {clean(block.url)}"]


@_lines.register
def _(block: Rows) -> list[str]:
    lines = []
    for row in block.rows:
        lines.append(f"- {_noted(clean(row.name), clean(row.note))}")
        if row.url:
            lines.append(f"  {clean(row.url)}")
    return lines + ([f"- {clean(block.more)}"] if block.more else [])


@_lines.register
def _(block: Trouble) -> list[str]:
    lines = _wrap(block.title)
    for reason in block.reasons:
        lines += _wrap(reason, *(("  - ", "    ") if len(block.reasons) > 1 else ("  ", "  ")))
    if block.remedy:
        lines += _wrap(f"What to do: {block.remedy}", "  ", "  ")
    lines += [f"    {clean(line)}" for line in block.lines]
    return lines + [f"  {line}" for line in _lines(block.rows)]


@_lines.register
def _(block: Items) -> list[str]:
    lines = [line for item in block.items for line in _wrap(item, "- ", "  ")]
    return lines + ([f"- {clean(block.more)}"] if block.more else [])


@_lines.register
def _(block: Steps) -> list[str]:
    lines = []
    for place, step in enumerate(block.steps, 1):
        lead = f"{place}. " if len(block.steps) > 1 else ""
        lines += _wrap(step.text, lead, " " * len(lead))
        if step.path:
            lines.append(f"{' ' * len(lead)}  {clean(step.path)}")
    return lines


@_lines.register
def _(block: Facts) -> list[str]:
    width = max((len(clean(label)) for label, _ in block.facts), default=0)
    return [f"{clean(label):<{width}}  {clean(value)}" for label, value in block.facts]


@_lines.register
def _(block: Excerpt) -> list[str]:
    head = [f"{clean(block.title)}:"] if block.title else []
    link = [f"  {clean(block.url)}"] if block.url else []
    return head + link + [f"  | {line}" for line in clean_lines(block.text) if block.text]


def _noted(name: str, note: str) -> str:
    """``a.czi (image 1)``; behind a parenthesis no other one: ``a.ome.tif (with 11 more files), image 1``."""
    if not note:
        return name
    return f"{name}, {note}" if name.endswith(")") else f"{name} ({note})"


def _wrap(text: str, first: str = "", rest: str = "") -> list[str]:
    return textwrap.wrap(
        clean(text),
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
