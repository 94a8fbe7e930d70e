"""/docs: the JSON API as a page to read and to try. Every file of it comes from this server.

Swagger UI comes with the package fastapi-offline, whose files alone are used.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

import fastapi_offline
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

OPENAPI = "/openapi.json"
_FILES = "/static/swagger"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API · {site}</title>
<link rel="icon" href="/static/favicon.svg" type="image/svg+xml">
<link rel="stylesheet" href="{files}/swagger-ui.css">
<link rel="stylesheet" href="/static/docs.css">
</head>
<body>
<main id="docs" data-openapi="{openapi}"></main>
<script src="{files}/swagger-ui-bundle.js"></script>
<script src="/static/docs.js"></script>
</body>
</html>
"""
# Swagger UI sets styles of its elements, and draws with images that stand in its style sheet.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def hang_up(app: FastAPI, site: str) -> None:
    """Serve the page from *app*. *site*: name of the facility."""
    folder = Path(fastapi_offline.__file__).parent / "static"
    app.mount(_FILES, StaticFiles(directory=folder), name="swagger")

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        page = _PAGE.format(site=escape(site), files=_FILES, openapi=OPENAPI)
        return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})
