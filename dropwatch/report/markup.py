"""A letter as HTML that mail programs show well: one column, inline styles, nothing loaded, no script.

Everything that is not written in this file passes through ``escape``. The classes exist for dark mode only:
mail programs that know ``prefers-color-scheme`` also read the style sheet, the others see inline styles.
"""

from __future__ import annotations

import html
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
    Step,
    Steps,
    Tone,
    Trouble,
)
from dropwatch.report.words import clean, clean_lines

# Where ``note_before`` puts its box. No text of others can hold this: ``escape`` leaves no '<'.
_SLOT = "<!-- note -->"

_FONT = "font-family:'Segoe UI',-apple-system,Roboto,Helvetica,Arial,sans-serif"
_MONO = "font-family:Consolas,Menlo,'DejaVu Sans Mono',monospace"
_BREAK = "overflow-wrap:anywhere;word-break:break-word"
_INK, _MUTED, _LINE, _LINK = "#1f2328", "#59636e", "#d9dee3", "#0b5cad"
_TEXT = f"color:{_INK};{_FONT};font-size:15px;line-height:1.55"
# White text on each of these has a contrast of at least 4.5 to 1.
_BARS = {
    Tone.GOOD: "#1a7446",
    Tone.MIXED: "#a85a00",
    Tone.BAD: "#b3261e",
    Tone.QUIET: "#57606a",
    Tone.INFO: "#1f5fa8",
}
_DARK = """
:root{color-scheme:light dark;supported-color-schemes:light dark}
@media (prefers-color-scheme:dark){
.dw-page{background:#14171a!important}.dw-card{background:#1e2226!important}
.dw-ink{color:#e6e9ec!important}.dw-muted{color:#a2acb6!important}
.dw-line{border-color:#3a4148!important}.dw-box{background:#282d33!important;color:#e6e9ec!important}
.dw-link{color:#7ab8f5!important}.dw-note{background:#3a3115!important;color:#f1e3b0!important}
}
@media (max-width:480px){.dw-pad{padding-left:18px!important;padding-right:18px!important}}
"""


def escape(text: str) -> str:
    """Return *text* harmless inside HTML text and quoted attributes."""
    return html.escape(clean(text), quote=True)


def html_text(letter: Letter) -> str:
    """Return *letter* as a whole HTML document."""
    table = 'role="presentation" cellpadding="0" cellspacing="0" border="0"'
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{escape(letter.subject)}</title><style>{_DARK}</style></head>",
            '<body class="dw-page" style="margin:0;padding:0;background:#f1f3f5">',
            f'<table {table} width="100%" class="dw-page" style="background:#f1f3f5"><tr>'
            '<td align="center" style="padding:24px 10px">',
            f'<table {table} width="640" style="width:100%;max-width:640px;text-align:left">',
            _bar(letter),
            _SLOT,
            '<tr><td class="dw-card dw-pad" style="background:#ffffff;padding:8px 28px 28px;'
            'border-radius:0 0 8px 8px">',
            *(_markup(block) for block in letter.blocks),
            "</td></tr>",
            _foot(letter.foot),
            "</table></td></tr></table></body></html>\n",
        ]
    )


def note_before(note: str, page: str) -> str:
    """Return *page* with *note* in a box between its headline and its text."""
    box = (
        f'<tr><td class="dw-note dw-pad" style="background:#fff4d6;color:#4d3b00;padding:14px 28px;'
        f'{_FONT};font-size:14px;line-height:1.5">{escape(note)}</td></tr>'
    )
    return page.replace(_SLOT, box)


def _bar(letter: Letter) -> str:
    under = "".join(
        f'<div style="font-size:{size}px;line-height:1.45;color:#ffffff;padding-top:4px;{_BREAK}">'
        f"{escape(line)}</div>"
        for line, size in zip(letter.under, (16, 13, 13, 13), strict=False)
    )
    return (
        f'<tr><td class="dw-pad" bgcolor="{_BARS[letter.tone]}" style="background:{_BARS[letter.tone]};'
        f'padding:22px 28px 20px;border-radius:8px 8px 0 0;{_FONT}">'
        f'<div style="font-size:22px;line-height:1.3;font-weight:600;color:#ffffff;{_BREAK}">'
        f"{escape(letter.headline)}</div>{under}</td></tr>"
    )


def _foot(lines: tuple[str, ...]) -> str:
    if not lines:
        return ""
    texts = "<br>".join(map(escape, lines))
    return (
        f'<tr><td class="dw-muted dw-pad" style="padding:16px 28px;color:{_MUTED};{_FONT};'
        f'font-size:13px;line-height:1.5">{texts}</td></tr>'
    )


@singledispatch
def _markup(block: Block) -> str:
    raise TypeError(f"no markup for {type(block).__name__}")


@_markup.register
def _(block: Heading) -> str:
    return (
        f'<h2 class="dw-ink" style="margin:28px 0 8px;color:{_INK};{_FONT};font-size:16px;'
        f'line-height:1.4;font-weight:600">{escape(block.text)}</h2>'
    )


@_markup.register
def _(block: Say) -> str:
    return _paragraph(block.text)


@_markup.register
def _(block: Button) -> str:
    # A cell with a background, not a padded link: Outlook paints only the cell.
    return (
        '<table role="presentation" cellpadding="0" cellspacing="0" border="0" style="margin:16px 0 4px"><tr>'
        f'<td bgcolor="{_LINK}" style="background:{_LINK};border-radius:5px;padding:9px 18px">'
        f'<a href="{escape(block.url)}" style="{_FONT};font-size:15px;color:#ffffff;text-decoration:none;'
        f'font-weight:600">{escape(block.text)}</a></td></tr></table>'
    )


@_markup.register
def _(block: Rows) -> str:
    cell = f"padding:6px 0;border-top:1px solid {_LINE};{_FONT};font-size:14px;line-height:1.45"
    rows = [
        f'<tr><td class="dw-ink dw-line" style="{cell};color:{_INK};{_BREAK};white-space:pre-wrap">'
        f'{escape(row.name)}</td><td class="dw-muted dw-line" align="right" valign="top" '
        f'style="{cell};padding-left:16px;color:{_MUTED};white-space:nowrap">'
        f"{_linked(row.note, row.url)}</td></tr>"
        for row in block.rows
    ]
    if block.more:
        rows.append(
            f'<tr><td colspan="2" class="dw-muted dw-line" style="{cell};color:{_MUTED}">'
            f"{escape(block.more)}</td></tr>"
        )
    if not rows:
        return ""
    return (
        '<table role="presentation" cellpadding="0" cellspacing="0" border="0" width="100%" '
        f'style="margin:8px 0">{"".join(rows)}</table>'
    )


@_markup.register
def _(block: Trouble) -> str:
    title = (
        f'<div class="dw-ink" style="color:{_INK};{_FONT};font-size:15px;font-weight:600;line-height:1.45;'
        f'{_BREAK}">{escape(block.title)}</div>'
    )
    reasons = (
        _bullets(block.reasons)
        if len(block.reasons) > 1
        else "".join(_paragraph(reason, above=4) for reason in block.reasons)
    )
    remedy = _paragraph(block.remedy, above=6, lead="What to do: ") if block.remedy else ""
    return (
        '<table role="presentation" cellpadding="0" cellspacing="0" border="0" width="100%" '
        'style="margin:14px 0"><tr><td style="border-left:4px solid #c9483f;padding:2px 0 2px 16px">'
        f"{title}{reasons}{remedy}{''.join(map(_box, block.lines))}{_markup(block.rows)}</td></tr></table>"
    )


@_markup.register
def _(block: Items) -> str:
    return _bullets((*block.items, block.more) if block.more else block.items)


@_markup.register
def _(block: Steps) -> str:
    if len(block.steps) == 1:
        return _paragraph(block.steps[0].text) + _path(block.steps[0])
    steps = "".join(
        f'<li style="margin:0 0 8px">{escape(step.text)}{_path(step)}</li>' for step in block.steps
    )
    return f'<ol class="dw-ink" style="margin:10px 0;padding-left:22px;{_TEXT}">{steps}</ol>'


@_markup.register
def _(block: Facts) -> str:
    cell = f"padding:3px 0;{_FONT};font-size:14px;line-height:1.45;vertical-align:top"
    rows = "".join(
        f'<tr><td class="dw-muted" style="{cell};padding-right:18px;color:{_MUTED};white-space:nowrap">'
        f'{escape(label)}</td><td class="dw-ink" style="{cell};color:{_INK};{_BREAK};white-space:pre-wrap">'
        f"{escape(value)}</td></tr>"
        for label, value in block.facts
    )
    return (
        '<table role="presentation" cellpadding="0" cellspacing="0" border="0" '
        f'style="margin:16px 0 8px">{rows}</table>'
    )


@_markup.register
def _(block: Excerpt) -> str:
    head = _paragraph(block.title) if block.title else ""
    link = f'<p style="margin:4px 0;{_TEXT}">{_linked(block.url, block.url)}</p>' if block.url else ""
    if not block.text:
        return head + link
    lines = "\n".join(html.escape(line, quote=True) for line in clean_lines(block.text))
    return (
        f'{head}{link}<pre class="dw-box" style="margin:8px 0;padding:10px 12px;background:#f1f3f5;'
        f"color:{_INK};border-radius:5px;{_MONO};font-size:12px;line-height:1.45;white-space:pre-wrap;"
        f'{_BREAK}">{lines}</pre>'
    )


def _paragraph(text: str, *, above: int = 12, lead: str = "") -> str:
    strong = f"<strong>{escape(lead)}</strong>" if lead else ""
    return f'<p class="dw-ink" style="margin:{above}px 0 0;{_TEXT};{_BREAK}">{strong}{escape(text)}</p>'


def _bullets(items: tuple[str, ...]) -> str:
    lines = "".join(f'<li style="margin:0 0 4px;{_BREAK}">{escape(item)}</li>' for item in items)
    return f'<ul class="dw-ink" style="margin:8px 0;padding-left:20px;{_TEXT}">{lines}</ul>'


def _path(step: Step) -> str:
    return _box(step.path) if step.path else ""


def _box(line: str) -> str:
    return (
        f'<div class="dw-box" style="margin:6px 0 2px;padding:8px 12px;background:#f1f3f5;color:{_INK};'
        f'border-radius:5px;{_MONO};font-size:13px;white-space:pre-wrap;{_BREAK}">{escape(line)}</div>'
    )


def _linked(text: str, url: str) -> str:
    if not url:
        return escape(text)
    return f'<a class="dw-link" href="{escape(url)}" style="color:{_LINK}">{escape(text)}</a>'
