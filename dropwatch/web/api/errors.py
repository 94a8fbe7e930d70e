"""What the API says when something cannot be had: always `{detail, remedy}`, with the status that fits.

Rooms raise their own errors; only here it is decided what HTTP calls them. No input makes a 5xx.
"""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from dropwatch.errors import (
    ConfigError,
    DropwatchError,
    ManifestError,
    OperatorError,
    PermanentError,
    TemporaryError,
    Unavailable,
)
from dropwatch.journal import line
from dropwatch.report import clean
from dropwatch.spool.upload_names import NotAllowed
from dropwatch.web.entrance import NotInPerson, NotSignedIn
from dropwatch.web.uploads.room import Refused

_MOST = 5  #: complaints about one request that are told


class Problem(BaseModel):
    """Why not."""

    detail: str = Field(description="What happened.", examples=["There is no batch HeLa."])
    remedy: str = Field(
        description="What to do about it; may be empty.", examples=["GET /api/batches lists them."]
    )


class NotThere(DropwatchError):
    """It is not there, or not theirs: for who asks that is the same."""


class Forbidden(DropwatchError):
    """Only an admin may."""


_STATUS: tuple[tuple[type[DropwatchError], int], ...] = (
    (NotSignedIn, 401),
    (NotInPerson, 403),
    (Forbidden, 403),
    (NotThere, 404),
    (ManifestError, 422),
    (NotAllowed, 422),
    (PermanentError, 409),
    (Unavailable, 503),
    (TemporaryError, 503),
    (OperatorError, 503),
    (ConfigError, 503),
)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: these answers are Problems, as are those that every route may give."""
    words = {
        400: "It cannot be understood.",
        401: "Not signed in, or the token is not good (any more).",
        403: "Only an admin may, or it came from a page of somebody else.",
        404: "It is not there, or not yours.",
        409: "It cannot be done as things are.",
        413: "It is too large.",
        421: "The page does not answer to that name.",
        422: "Something in it is not right.",
        507: "The disk is full.",
        503: "OMERO, a spool or a place does not answer now.",
    }
    return {
        status: {"model": Problem, "description": words[status]}
        for status in sorted({*statuses, 400, 401, 403, 413, 421, 503})
    }


def say_problems(app: FastAPI) -> None:
    """Let *app* answer so."""
    app.add_exception_handler(DropwatchError, _say)
    app.add_exception_handler(HTTPException, _say_http)
    app.add_exception_handler(RequestValidationError, _say_invalid)
    app.add_exception_handler(OSError, _say_storage)


def _say(request: Request, error: Exception) -> Response:
    assert isinstance(error, DropwatchError), "registered for it alone"
    if isinstance(error, Refused):  # of uploads, which say it themselves
        return _answer(error.status, error.message, error.remedy)
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 400)
    return _answer(status, error.message, error.remedy)


def _say_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "registered for it alone"
    said: Any = error.detail  # a room may have put a Problem in there already
    if isinstance(said, dict):
        return JSONResponse(said, error.status_code, error.headers)
    return JSONResponse({"detail": str(said), "remedy": ""}, error.status_code, error.headers)


def _say_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError), "registered for it alone"
    found = [f"{'.'.join(str(step) for step in one['loc'])}: {one['msg']}" for one in error.errors()]
    more = ["and more"] if len(found) > _MOST else []
    return _answer(422, clean("; ".join([*found[:_MOST], *more])), "/docs says what is expected.")


def _say_storage(request: Request, error: Exception) -> Response:
    assert isinstance(error, OSError), "registered for it alone"
    logging.getLogger("dropwatch").error(line("fail", path=request.url.path, error=str(error)))
    return _answer(
        503, f"A folder cannot be read or written to: {error.strerror or error}.", "Tell an admin."
    )


def _answer(status: int, detail: str, remedy: str) -> Response:
    return JSONResponse({"detail": clean(detail), "remedy": clean(remedy)}, status)
