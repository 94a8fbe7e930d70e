"""Pages of plain HTML, for whom no NiceGUI page is made: strangers, and people whom we have to turn away.

They hold no script but two files of our own, so that nothing in them can act; every text is escaped here.
"""

from __future__ import annotations

from html import escape

from fastapi.responses import HTMLResponse

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · {site}</title>
<link rel="icon" href="/static/favicon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/static/dropwatch.css">
<link rel="stylesheet" href="/static/plain.css">
</head>
<body class="dw-plain">
<script src="/static/dark.js"></script>
<main class="dw-card">
<p class="dw-card-site">{site}</p>
<h1>{title}</h1>
{content}
</main>
</body>
</html>
"""


def page(site: str, title: str, content: str, status: int = 200, **headers: str) -> HTMLResponse:
    """A page. *content* is HTML already, *site* and *title* are not."""
    return HTMLResponse(
        _PAGE.format(site=escape(site), title=escape(title), content=content),
        status,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def paragraph(text: str, style: str = "") -> str:
    """*text* as a paragraph of its own."""
    return f'<p class="{escape(style)}">{escape(text)}</p>' if text else ""


def alert(text: str) -> str:
    """What went wrong; a screen reader says it at once."""
    return f'<p class="dw-alert" role="alert">{escape(text)}</p>' if text else ""


def link(path: str, text: str) -> str:
    """A link to another page of ours."""
    return f'<p><a href="{escape(path)}">{escape(text)}</a></p>'


def button(action: str, text: str, **hidden: str) -> str:
    """A form that is only a button. *hidden*: what it sends along."""
    fields = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in hidden.items()
    )
    return f'<form method="post" action="{escape(action)}">{fields}<button type="submit">{escape(text)}</button></form>'
