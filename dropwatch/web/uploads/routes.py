"""The door that files come in by: tus (resumable uploads, tus.io) at /uploads/files.

tuspyserver's routes read the body of a request before they ask who sends it, keep the body of a creation in memory,
and build addresses from what the request says of itself. So everybody is asked at this door first, a creation brings
no body, and the address that goes back is ours.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import Depends, FastAPI, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from tuspyserver import create_tus_router

from dropwatch.web.api.errors import say_problems
from dropwatch.web.doorkeeper import Doorkeeper
from dropwatch.web.entrance import lead_strangers, visitor_of
from dropwatch.web.uploads.lines import Line, Lines
from dropwatch.web.uploads.room import Refused
from dropwatch.web.uploads.storage import Storage
from dropwatch.web.uploads.uploads import Uploads

PATH = "/uploads"
_FILES = "files"
_LINE = "dropwatch.line"
_ENDLESS = 2**62  #: bytes; how much is really allowed is asked at creation (uploads.py)


def tus_at(uploads: Uploads, doorkeeper: Doorkeeper) -> ASGIApp:
    """What is to be mounted at PATH."""
    storage, lines = Storage(uploads), Lines()

    async def let_in(request: Request) -> AsyncIterator[None]:
        visitor = await storage.do(None, visitor_of, doorkeeper, request)
        file = request.path_params.get("uuid")
        request.state.visitor = visitor
        if file is None:
            _check_creation(request)
            yield
            return
        known = uploads.known(file)
        disk = known.staging.spool if known else None
        draft = await storage.do(disk, uploads.of, visitor, file)
        if request.method == "HEAD":  # here, where there is an answer that every browser reads
            await storage.do(disk, uploads.check_room, draft)
        if request.method != "PATCH":
            yield
            return
        with lines.open(request.scope[_LINE], file, visitor.name):
            yield

    app = FastAPI(openapi_url=None, dependencies=[Depends(let_in)])
    lead_strangers(app, uploads.config)
    say_problems(app)
    app.include_router(
        create_tus_router(
            _FILES,
            max_size=_ENDLESS,
            days_to_keep=max(1, round(uploads.config.web.upload_keep / 86400)),
            pre_create_dep=_creating(uploads, storage),
            file_dep=_made,
            storage=storage,
        )
    )
    return _own_addresses(app)


def _creating(uploads: Uploads, storage: Storage) -> Callable[[Request], Callable[..., Any]]:
    """What tuspyserver asks before it makes an upload; it is made there and then."""

    def creating(request: Request) -> Callable[..., Any]:
        async def create(metadata: dict[str, str], facts: dict[str, Any]) -> None:
            draft = await storage.do(None, uploads.draft, request.state.visitor, metadata.get("draft", ""))
            staged = await storage.do(
                draft.staging.spool,
                uploads.add,
                request.state.visitor,
                metadata.get("draft", ""),
                metadata.get("path", ""),
                int(facts["size"]),
                _number(metadata.get("modified", "")),
            )
            request.state.made = staged.id

        return create

    return creating


def _made(request: Request) -> Callable[..., Any]:
    """What tuspyserver asks for the id of what was made."""
    return lambda _: {"uid": getattr(request.state, "made", None)}


def _check_creation(request: Request) -> None:
    """Raise Refused for what we do not offer. The extensions are tus's: creation with upload, concatenation, and
    creation of what nobody knows the length of."""
    said = request.headers
    unknown = "upload-concat" in said or "upload-defer-length" in said
    body = said.get("content-length", "0") != "0" or "transfer-encoding" in said
    if request.method == "POST" and (unknown or body or not said.get("upload-length", "").isdigit()):
        raise Refused(400, "An upload begins with its length (Upload-Length) and without content.")


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.removeprefix("-").isdigit() and len(text) < 18 else 0


def _own_addresses(app: ASGIApp) -> ASGIApp:
    """*app*, with each request heard through a Line, and Location without host: a proxy in front knows that better.

    A line whose bytes are refused is closed: browsers read no answer before they have sent all of a file.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        line = Line(receive)

        async def send_ours(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    (name, _path_of(value) if name == b"location" else value)
                    for name, value in message["headers"]
                ]
                if scope["method"] == "PATCH" and message["status"] >= 400:
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        await app({**scope, _LINE: line}, line.listen if scope["type"] == "http" else receive, send_ours)

    def _path_of(location: bytes) -> bytes:
        return b"%s/%s/%s" % (PATH.encode(), _FILES.encode(), location.rpartition(b"/")[2])

    return answer
