"""A real mail server for trying and testing: it takes mail by SMTP and stores each one as a file.

It listens on the loopback only, and reads its faults anew at each step; see faults.py for how they count.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import time
from email.utils import formatdate
from pathlib import Path
from threading import Thread
from typing import Any

from aiosmtpd.smtp import MISSING, SMTP, AuthResult, Envelope, LoginPassword, Session

from dropwatch.sandbox.certificate import self_signed
from dropwatch.sandbox.faults import Faults

_HOST = "127.0.0.1"
_LOGIN = LoginPassword(b"dropwatch", b"dropwatch")
_SECTION = "smtp"
_START_SECONDS = 10.0


class MailServer:
    """Takes mail on the loopback and stores it as *folder*/mail/*.eml, in the order of arrival.

    port   -- 0 for any free one; the real one is in ``port`` after start()
    faults -- the section ``smtp``:
              ``refuse: true`` or ``n``: connections are closed at once;
              ``code: 451``: what mails are answered with, the next ``count: n`` of them or all,
              ``at: rcpt`` or ``data``, ``only: ADDRESS``;
              ``lose_reply: n``: the mail is stored, and the connection cut instead of the answer;
              ``require_login: true``

    STARTTLS with a self-signed certificate (the PEM file ``certificate``) and a login as dropwatch with
    password dropwatch are offered. start() after stop() listens on the same port again.
    """

    def __init__(self, folder: Path, port: int, faults: Faults) -> None:
        self.port = port
        self.mail = folder / "mail"
        self.certificate = folder / "smtp" / "certificate.pem"
        self._key = folder / "smtp" / "key.pem"
        self._faults = faults
        self._sessions: set[_Protocol] = set()
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Server, Thread] | None = None

    def start(self) -> None:
        """Listen. Returns when connections are taken. Raises OSError when the port is in use."""
        assert self._running is None, "it runs already"
        self.mail.mkdir(parents=True, exist_ok=True)
        self_signed(self.certificate, self._key)
        trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        trust.load_cert_chain(self.certificate, self._key)
        # aiosmtpd warns of its own old name for the login, at each login.
        logging.getLogger("mail.log").setLevel(logging.ERROR)
        handler = _Handler(_Mailbox(self.mail), self._faults)
        loop = asyncio.new_event_loop()
        thread = Thread(target=loop.run_forever, name="sandbox-smtp", daemon=True)
        thread.start()
        listening = loop.create_server(
            lambda: _Protocol(self._sessions, self._faults, handler, trust, loop), _HOST, self.port
        )
        try:
            server = asyncio.run_coroutine_threadsafe(listening, loop).result(_START_SECONDS)
        except OSError:
            _end(loop, thread)
            raise
        self.port = int(server.sockets[0].getsockname()[1])
        self._running = loop, server, thread

    def stop(self) -> None:
        """Stop listening and cut what is connected. Does nothing when it does not run."""
        if self._running is None:
            return
        loop, server, thread = self._running
        self._running = None
        asyncio.run_coroutine_threadsafe(self._close(server), loop).result(_START_SECONDS)
        _end(loop, thread)

    async def _close(self, server: asyncio.Server) -> None:
        server.close()
        for session in tuple(self._sessions):
            session.cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def _end(loop: asyncio.AbstractEventLoop, thread: Thread) -> None:
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


class _Protocol(SMTP):
    """One connection."""

    def __init__(
        self,
        sessions: set[_Protocol],
        faults: Faults,
        handler: _Handler,
        trust: ssl.SSLContext,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(
            handler,
            hostname="sandbox",
            ident="dropwatch sandbox",
            tls_context=trust,
            auth_require_tls=False,
            authenticator=_authenticate,
            enable_SMTPUTF8=True,
            loop=loop,
        )
        self._sessions = sessions
        self._faults = faults

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self in self._sessions:
            return  # after STARTTLS the same connection is made once more
        self._sessions.add(self)
        if self._faults.use(_SECTION, "refuse"):
            self.cut()

    def connection_lost(self, error: Exception | None) -> None:
        self._sessions.discard(self)
        super().connection_lost(error)

    def cut(self) -> None:
        """End the connection without a word."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()


class _Handler:
    """Decides about each mail. aiosmtpd finds the methods by their names."""

    def __init__(self, mailbox: _Mailbox, faults: Faults) -> None:
        self._mailbox = mailbox
        self._faults = faults

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> Any:
        faults = self._faults.get(_SECTION)
        if faults.get("require_login") and not session.authenticated:
            return "530 5.7.0 Authentication required"
        return MISSING  # aiosmtpd's own way on

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> Any:
        return self._refusal("rcpt", [address]) or MISSING

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> Any:
        refusal = self._refusal("data", envelope.rcpt_tos)
        if refusal:
            return refusal
        self._mailbox.store(session, envelope)
        if self._faults.use(_SECTION, "lose_reply"):
            assert isinstance(server, _Protocol)
            server.cut()
            await asyncio.Event().wait()  # until the lost connection cancels us: no reply is sent
        return "250 OK"

    def _refusal(self, at: str, recipients: list[str]) -> str:
        """The answer on order, or an empty string. A mail is refused at rcpt unless the faults say data."""
        faults = self._faults.get(_SECTION)
        only = faults.get("only")
        if not faults.get("code") or str(faults.get("at", "rcpt")) != at or (only and only not in recipients):
            return ""
        if "count" in faults and not self._faults.use(_SECTION, "count"):
            return ""
        return f"{faults['code']} refused on order of faults.yaml"


class _Mailbox:
    """A directory of mails. Names sort by arrival; a mail appears whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last = 0

    def store(self, session: Session, envelope: Envelope) -> None:
        self._last = max(self._last + 1, time.time_ns())
        temporary = self._folder / f".{self._last}.tmp"
        with temporary.open("wb") as file:
            file.write(_trace(session, envelope).encode("utf-8", "surrogateescape"))
            file.write(envelope.original_content or b"")
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self._folder / f"{self._last:020d}.eml")


def _trace(session: Session, envelope: Envelope) -> str:
    """What the connection knew and the mail does not: the real sender and recipients, TLS and login."""
    # RFC 3848: the S is for TLS, the A for a login.
    protocol = "ESMTP" + ("S" if session.ssl else "") + ("A" if session.authenticated else "")
    return "".join(
        (
            f"Return-Path: <{envelope.mail_from}>\r\n",
            *(f"Delivered-To: {address}\r\n" for address in envelope.rcpt_tos),
            f"Received: from {session.host_name} by sandbox with {protocol}; {formatdate()}\r\n",
        )
    )


def _authenticate(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
) -> AuthResult:
    return AuthResult(success=data == _LOGIN, handled=False)
