"""What stands before everything the page answers: which name it is asked by, from which page, and how much comes.

ASGI, so that it sees pages, API, uploads and NiceGUI's own routes and websocket alike. It knows no visitor.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import secrets
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dropwatch.config import Config

NONCE = "dropwatch.nonce"  #: key of the scope: what a script of this answer has to bear
_SAFE = {"GET", "HEAD", "OPTIONS"}
_LARGEST = 2**20  #: bytes of a request that is no upload
PATIENCE = 60.0  #: seconds that such a request may take to come: nobody holds its place for hours
_STREAMS = ("/uploads", "/_nicegui")  #: they take what comes in parts, and have bounds of their own
_WIRE = "/_nicegui_ws"  #: pages act by it, also by GET
_KEPT = ("/static/", "/_nicegui/")  #: the same for everybody: browsers may keep it
_STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: browsers would then send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), display-capture=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class Refusal:
    """Why a request goes no further; *status* is HTTP's."""

    status: int
    detail: str
    remedy: str


@dataclass(frozen=True)
class Guard:
    """Lets requests through to *app*. *names*: what it may be called; *url*: how browsers reach it, if configured;
    *patience*: seconds that a request may take to come."""

    app: ASGIApp
    names: frozenset[str]
    url: str | None
    patience: float = PATIENCE

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._by_name(headers) or self._by_origin(scope, headers)
        scope = {**scope, NONCE: secrets.token_urlsafe(16), "headers": _without_prefix(scope)}
        if scope["type"] == "websocket":
            await (self.app(scope, receive, send) if refusal is None else _hang_up(receive, send))
            return
        guarded = _Answer(scope, send)
        if refusal is None and not scope["path"].startswith(_STREAMS):
            receive, refusal = await _whole(headers, receive, self.patience)
        await (self.app(scope, receive, guarded) if refusal is None else _tell(refusal, guarded))

    def _by_name(self, headers: Headers) -> Refusal | None:
        """A site of somebody else whose name leads to our address (DNS rebinding) asks by its own name."""
        name = _host_of(headers.get("host", ""))
        if name in self.names or _is_address(name):
            return None
        return Refusal(
            421,
            f"This page does not answer to the name {name[:100] or '(none)'}.",
            "Use its own address. An admin can name another one: web.url in the configuration.",
        )

    def _by_origin(self, scope: Scope, headers: Headers) -> Refusal | None:
        """A page of somebody else may have its visitor's browser send us something, with the cookie that it has."""
        if scope["type"] == "http" and _bears_token(headers):
            return None
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        foreign = origin is not None and origin not in self._origins(scope, headers)
        if scope["type"] == "http" and scope["method"] in _SAFE and not scope["path"].startswith(_WIRE):
            allowed = not foreign  # site does not matter: everybody may link to us
        else:
            polled = scope["type"] == "http" and scope["method"] == "GET"  # browsers name no origin then
            allowed = not foreign and site in (None, "same-origin") and bool(site or origin or polled)
        if allowed:
            return None
        return Refusal(
            403,
            "This did not come from a page of ours.",
            "Open the page itself, and try there. Programs use a token. Behind a proxy, web.url has to be set.",
        )

    def _origins(self, scope: Scope, headers: Headers) -> Iterable[str]:
        scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
        return f"{scheme}://{headers.get('host', '')}", self.url or ""


@dataclass(frozen=True)
class _Answer:
    """Sends an answer with the headers that all have. What a room set itself stays."""

    scope: Scope
    send: Send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            headers.setdefault("Content-Security-Policy", _STRICT)
            if not self.scope["path"].startswith(_KEPT):
                headers["Cache-Control"] = "no-store"
        await self.send(message)


def names_of(config: Config, host: str) -> frozenset[str]:
    """What a page that listens at *host* may be called, addresses aside."""
    named = {"localhost", host, socket.gethostname(), _host_of(urlsplit(config.web.url or "").netloc)}
    return frozenset(name.casefold() for name in named if name)


def _host_of(text: str) -> str:
    """``Example.org:80`` is ``example.org``, ``[::1]:80`` is ``::1``."""
    host = text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]
    return host.casefold().removesuffix(".")


def _is_address(name: str) -> bool:
    """Nobody else can make an IP address lead here."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _bears_token(headers: Headers) -> bool:
    """A page of somebody else cannot make a browser send this without asking us first."""
    return headers.get("authorization", "").casefold().startswith("bearer ")


def _without_prefix(scope: Scope) -> list[tuple[bytes, bytes]]:
    """NiceGUI writes this header into its pages, whoever sent it."""
    return [(name, value) for name, value in scope["headers"] if name.lower() != b"x-forwarded-prefix"]


async def _whole(headers: Headers, receive: Receive, patience: float) -> tuple[Receive, Refusal | None]:
    """The body, read as far as it may go, in *patience* seconds."""
    too_large = Refusal(413, f"It is larger than {_LARGEST} bytes.", "Send less at a time.")
    said = headers.get("content-length", "0")
    if said.isdecimal() and int(said) > _LARGEST:
        return receive, too_large
    body = bytearray()
    try:
        async with asyncio.timeout(patience):
            while True:
                message = await receive()
                body += message.get("body", b"")
                if len(body) > _LARGEST:
                    return receive, too_large
                if message["type"] != "http.request" or not message.get("more_body"):
                    break
    except TimeoutError:
        return receive, Refusal(408, f"It took longer than {patience:g} seconds to come.", "Send it again.")
    parts: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

    async def again() -> Message:
        return parts.pop() if parts else await receive()

    return again, None


async def _tell(refusal: Refusal, send: Send) -> None:
    body = json.dumps({"detail": refusal.detail, "remedy": refusal.remedy}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _hang_up(receive: Receive, send: Send) -> None:
    await receive()  # websocket.connect
    await send({"type": "websocket.close", "code": 1008})
