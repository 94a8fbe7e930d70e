"""The JSON API: what the pages can do, for programs. /docs shows it. Each module is one concept; this one gathers them.

errors.py says what goes wrong, shapes.py how batches look.
"""

from __future__ import annotations

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer

from dropwatch.web.api import batches, facility, me, places, previews, submitting, targets, tokens, uploads
from dropwatch.web.house import House


def router(house: House) -> APIRouter:
    """All of it."""
    token = HTTPBearer(auto_error=False, description="A token of yours; the page itself sends its cookie.")
    made = APIRouter(dependencies=[Depends(token)])  # says so in the document; entrance.py is who asks
    for concept in (me, submitting, batches, places, previews, targets, tokens, facility, uploads):
        made.include_router(concept.router(house))
    return made
