"""The doors to uploads: tus (resumable uploads) at /uploads/files, and what there is as JSON at /api/uploads.

tuspyserver's routes read the body of a request before they ask who sends it, keep the body of a creation in memory,
and build addresses from what the request says of itself. So everybody is asked at this door first, a creation brings
no body, and the address that goes back is ours.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import APIRouter, Body, Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from tuspyserver import create_tus_router

from dropwatch.errors import DropwatchError
from dropwatch.web.api.errors import documented
from dropwatch.web.doorkeeper import Doorkeeper
from dropwatch.web.entrance import asking_at, lead_strangers, visitor_of
from dropwatch.web.uploads.draft import Draft
from dropwatch.web.uploads.lines import Line, Lines
from dropwatch.web.uploads.room import Refused
from dropwatch.web.uploads.storage import Storage, status_of
from dropwatch.web.uploads.uploads import Uploads
from dropwatch.web.visitor import Visitor

PATH = "/uploads"
_FILES = "files"
_LINE = "dropwatch.line"
_ENDLESS = 2**62  #: bytes; how much is really allowed is asked at creation (uploads.py)


def tus_at(uploads: Uploads, doorkeeper: Doorkeeper) -> ASGIApp:
    """What is to be mounted at PATH."""
    storage, lines = Storage(uploads), Lines()

    async def let_in(request: Request) -> AsyncIterator[None]:
        visitor = await storage.do(visitor_of, doorkeeper, request)
        file = request.path_params.get("uuid")
        request.state.visitor = visitor
        if file is None:
            _check_creation(request)
            yield
            return
        await storage.do(uploads.of, visitor, file)
        if request.method != "PATCH":
            yield
            return
        with lines.open(request.scope[_LINE], file, visitor.name):
            yield

    app = FastAPI(openapi_url=None, dependencies=[Depends(let_in)])
    lead_strangers(app, uploads.config)
    app.add_exception_handler(DropwatchError, _say)
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
            staged = await storage.do(
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
    """*app*, with each request heard through a Line, and Location without host: a proxy in front knows that better."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        line = Line(receive)

        async def send_ours(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    (name, _path_of(value) if name == b"location" else value)
                    for name, value in message["headers"]
                ]
            await send(message)

        await app({**scope, _LINE: line}, line.listen if scope["type"] == "http" else receive, send_ours)

    def _path_of(location: bytes) -> bytes:
        return b"%s/%s/%s" % (PATH.encode(), _FILES.encode(), location.rpartition(b"/")[2])

    return answer


def _say(_: Request, error: Exception) -> Response:
    assert isinstance(error, DropwatchError), "registered for it alone"
    return JSONResponse({"detail": error.message, "remedy": error.remedy}, status_of(error))


# -- JSON ------------------------------------------------------------------------------------------------


def router(uploads: Uploads, doorkeeper: Doorkeeper) -> APIRouter:
    """The drafts of who asks. Their files come and go by tus, below PATH."""
    made, asking = APIRouter(prefix="/uploads", tags=["uploads"]), asking_at(doorkeeper)

    @made.get("", responses=documented())
    def drafts(visitor: Visitor = asking) -> list[dict[str, Any]]:
        """Your uploads that are not submitted yet, the latest first."""
        return [_summary(draft) for draft in uploads.drafts(visitor)]

    @made.post("", status_code=201, responses=documented(404, 413, 422, 507))
    def begin(
        user: str | None = Body(default=None, embed=True, description="which of your drop folders"),
        visitor: Visitor = asking,
    ) -> dict[str, Any]:
        """Begin an upload. Then send its files by tus (tus.io) to /uploads/files, each with the metadata `draft` (what
        is returned here), `path` ('/'-separated) and `modified` (milliseconds since 1970)."""
        folder = next((one for one in visitor.folders if one.user == user), None)
        if user is not None and folder is None:
            raise Refused(404, "You have no such drop folder.")
        return _summary(uploads.begin(visitor, folder))

    @made.get("/{draft}", responses=documented(404, 422))
    def files(draft: str, visitor: Visitor = asking) -> dict[str, Any]:
        """What is there of an upload, file by file. *id* is its name below /uploads/files."""
        found = uploads.draft(visitor, draft)
        return {**_summary(found), "list": [_file(staged) for staged in found.files()]}

    @made.delete("/{draft}", status_code=204, responses=documented(404, 422))
    def discard(draft: str, visitor: Visitor = asking) -> None:
        """Take an upload away, with all its files."""
        uploads.discard(visitor, draft)

    return made


def _summary(draft: Draft) -> dict[str, Any]:
    files = draft.files()
    return {
        "draft": draft.id,
        "user": draft.staging.user,
        "files": len(files),
        "size": draft.size(),
        "received": draft.size() - draft.awaited(),
    }


def _file(staged: Any) -> dict[str, Any]:
    return {
        "id": staged.id,
        "path": staged.path,
        "size": staged.size,
        "modified": staged.modified,
        "received": staged.received,
    }
