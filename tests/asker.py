"""Asks a page as a browser or a program does, byte by byte as told: no cookie, origin or encoding of its own."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from dropwatch import config
from dropwatch.web.links import Links
from tests.page import Page


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def cookie(self) -> str:
        """What the browser would send from now on."""
        return self.headers.get("set-cookie", "").partition(";")[0]


@dataclass(frozen=True)
class Asker:
    """Somebody who asks *page*, always with *headers*; from the address *source*, where that is told."""

    page: Page
    headers: dict[str, str] = field(default_factory=dict)
    source: str = ""

    def having(self, **headers: str) -> Asker:
        """The same, with more headers."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **named})

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, b"", **headers)

    def post(self, path: str, data: Any = None, **headers: str) -> Answer:
        body = b"" if data is None else json.dumps(data).encode()
        return self.ask("POST", path, body, Content_Type="application/json", **headers)

    def send_form(self, path: str, **fields: str) -> Answer:
        kind = "application/x-www-form-urlencoded"
        return self.ask("POST", path, urlencode(fields).encode(), Content_Type=kind)

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        source = (self.source, 0) if self.source else None
        line = http.client.HTTPConnection(self.page.address.removeprefix("http://"), None, 60, source)
        try:
            line.request(method, path, body, self.having(**headers).headers)
            got = line.getresponse()
            return Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read())
        finally:
            line.close()


def stranger(page: Page) -> Asker:
    """Nobody whom the page knows, on a page of its own."""
    return Asker(page, {"Origin": page.address})


def visitor(page: Page, name: str, *, admin: bool = False) -> Asker:
    """Who came in by a link, made as `dropwatch web-link` makes it."""
    folder = config.load(page.config).state / "web"
    return stranger(page).having(Cookie=page.cookie(Links(folder, time.time).leave(name, admin=admin)))
