"""What holds for NiceGUI's pages: only their own scripts run, and they act for their own session alone.

A page that is open acts by a websocket. Each message of it, in and out, counts only while the session lasts by
which the page was opened: who signed out, or whose time is over, can neither act nor be shown anything more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any
from urllib.parse import parse_qs

from nicegui import Client, core
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dropwatch.web.doorkeeper import Doorkeeper
from dropwatch.web.guard import NONCE
from dropwatch.web.sessions import Session

_WIRE = "/_nicegui_ws"
_PAGE = "X-NiceGUI-Content"
# Vue makes functions of its templates ('unsafe-eval') and Quasar sets styles; a script in a text still does not run.
_POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


@dataclass(frozen=True)
class OwnScripts:
    """Marks the scripts that NiceGUI wrote into a page, so that no other runs. Inside of NiceGUI's compression."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started: list[Message] = []

        async def mark(message: Message) -> None:
            if message["type"] == "http.response.start" and _PAGE in Headers(raw=message["headers"]):
                started.append(message)
            elif started and message["type"] == "http.response.body":
                await _send_marked(started.pop(), message, scope[NONCE], send)
            else:
                await send(message)

        await self.app(scope, receive, mark if scope["type"] == "http" else send)


async def _send_marked(start: Message, body: Message, nonce: str, send: Send) -> None:
    """A page comes in one piece; texts of users in it are JSON without `<`."""
    marked = body["body"].replace(b"<script", f'<script nonce="{nonce}"'.encode())
    headers = MutableHeaders(scope=start)
    headers["Content-Length"] = str(len(marked))
    headers["Content-Security-Policy"] = _POLICY.format(nonce=nonce)
    await send(start)
    await send({**body, "body": marked})


@dataclass(frozen=True)
class Wire:
    """Lets through to *app* what comes by the websocket (or what stands in for it) of a session that lasts."""

    app: ASGIApp
    doorkeeper: Doorkeeper

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or not scope["path"].startswith(_WIRE):
            await self.app(scope, receive, send)
            return
        cookie = HTTPConnection(scope).cookies.get(self.doorkeeper.cookie)
        session = await asyncio.to_thread(self.doorkeeper.session, cookie)
        if session is None or not _opened_by(session, scope, self.doorkeeper):
            await _refuse(scope, receive, send)
        elif scope["type"] == "http":
            await self.app(scope, receive, send)
        else:
            await self.app(scope, *_while_it_lasts(lambda: self.doorkeeper.session(cookie), receive, send))


def bind_messages(doorkeeper: Doorkeeper) -> None:
    """Let messages act only for pages that the session of their socket has open.

    Each names the page that it is for, and NiceGUI takes its word. Whoever learned that name (it stands in an address)
    could act in a page of somebody else.
    """
    handlers = core.sio.handlers["/"]
    for event, handler in handlers.items():
        if event not in ("connect", "disconnect"):  # Wire has asked about the first; the second names no page
            handlers[event] = _for_own_pages(handler, doorkeeper)


def _for_own_pages(handler: Callable[..., Any], doorkeeper: Doorkeeper) -> Callable[..., Awaitable[Any]]:
    async def handle(socket: str, said: dict[str, Any]) -> Any:
        client = Client.instances.get(said.get("client_id", ""))
        if client is not None:
            asked = HTTPConnection(core.sio.get_environ(socket)["asgi.scope"])
            if _session_id(client, doorkeeper) != _signed(asked, doorkeeper):
                return False
        done = handler(socket, said)
        return await done if isawaitable(done) else done

    return handle


def end_pages(session: Session, doorkeeper: Doorkeeper) -> None:
    """Forget the pages that *session* has open. Only from NiceGUI's own thread."""
    for client in list(Client.instances.values()):
        if _session_id(client, doorkeeper) == session.id:
            client.delete()


def _opened_by(session: Session, scope: Scope, doorkeeper: Doorkeeper) -> bool:
    """Whether the page that the socket is for was opened by *session*: a browser has one cookie, and may have pages
    that somebody else opened before."""
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("client_id", [""])[0]
    client = Client.instances.get(asked)
    # A page that NiceGUI does not know (any more) is loaded again when NiceGUI itself says so.
    return client is None or _session_id(client, doorkeeper) == session.id


def _session_id(client: Client, doorkeeper: Doorkeeper) -> str | None:
    return _signed(client.request, doorkeeper)


def _signed(asked: HTTPConnection, doorkeeper: Doorkeeper) -> str | None:
    session = doorkeeper.sessions.signed(asked.cookies.get(doorkeeper.cookie))
    return session.id if session else None


def _while_it_lasts(
    lasts: Callable[[], Session | None], receive: Receive, send: Send
) -> tuple[Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]]:
    """*receive* and *send*, until the session is over: then the connection is."""

    async def listen() -> Message:
        message = await receive()
        if message["type"] == "websocket.receive" and lasts() is None:
            await send({"type": "websocket.close", "code": 1008})
            return {"type": "websocket.disconnect", "code": 1008}
        return message

    async def speak(message: Message) -> None:
        if message["type"] == "websocket.send" and lasts() is None:
            message = {"type": "websocket.close", "code": 1008}
        await send(message)

    return listen, speak


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
        await send({"type": "websocket.close", "code": 1008})
        return
    await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
