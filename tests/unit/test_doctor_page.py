"""What `dropwatch check` says of the page: whether it can listen, and what lies between it and browsers."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from still import Facility

from dropwatch.config import load
from dropwatch.doctor.findings import State
from dropwatch.doctor.page import look_at_page
from tests.ports import free_port

Examine = Callable[..., list[tuple[State, str, str]]]
AT = "listen at 127.0.0.1, port"
CLEAR = "passwords and images cross the network in the clear"
HTTPS = "https://import.example.org"


@pytest.fixture
def examine(tmp_path: Path) -> Examine:
    facility = Facility(tmp_path)

    def look(**web: Any) -> list[tuple[State, str, str]]:
        facility.configure(web={"port": free_port(), **web})
        return [(one.state, one.text, one.remedy) for one in look_at_page(load(facility.file))]

    return look


def texts(found: list[tuple[State, str, str]]) -> list[str]:
    """But for what is said of the port."""
    return [text for _, text, _ in found[1:]]


# -- whether it can listen ---------------------------------------------------------------------------------


def test_it_says_whether_the_page_can_listen(examine: Examine) -> None:
    port = free_port()
    free = examine(port=port)
    with socket.create_server(("127.0.0.1", port)):
        taken = examine(port=port)
    elsewhere = examine(host="192.0.2.1", port=port)[0]

    assert free == [(State.OK, f"can {AT} {port}", "")]
    assert [(state, text) for state, text, _ in taken] == [
        (State.UNKNOWN, f"cannot {AT} {port}: another program listens there")
    ]
    assert elsewhere[0] is State.UNKNOWN
    assert "cannot listen at 192.0.2.1" in elsewhere[1]


@pytest.mark.parametrize(("shows", "runs"), [("/static/plain.css", True), ("Welcome to nginx!", False)])
def test_it_knows_the_page_from_another_program(examine: Examine, shows: str, runs: bool) -> None:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(shows.encode())

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            ((state, text, _),) = examine(port=server.server_port)
        finally:
            server.shutdown()
            thread.join(60)

    assert (state is State.OK, text.startswith("runs at")) == (runs, runs)


# -- what lies between -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("web", "said"),
    [
        ({}, []),
        ({"host": "localhost"}, []),
        ({"url": "http://localhost:8090"}, []),
        ({"url": HTTPS, "proxies": ["127.0.0.1"]}, []),
        ({"host": "0.0.0.0"}, [f"it listens at 0.0.0.0 without TLS: {CLEAR}"]),
        (
            {"host": "0.0.0.0", "url": HTTPS, "proxies": ["127.0.0.1"]},
            ["it listens at 0.0.0.0, where others may ask it past the web server with TLS"],
        ),
        (
            {"url": "http://import.example.org", "proxies": ["127.0.0.1"]},
            [f"browsers reach it at http://import.example.org, without TLS: {CLEAR}"],
        ),
        (
            {"proxies": ["127.0.0.1"]},
            [
                "web.proxies names a web server in front, and web.url is not set: cookies do not go by TLS alone"
            ],
        ),
        (
            {"url": HTTPS},
            ["web.url is that of a proxy, and web.proxies is empty: all visitors seem to be one to it"],
        ),
    ],
)
def test_it_says_what_crosses_the_network_in_the_clear_and_whom_the_page_takes_for_whom(
    examine: Examine, web: dict[str, Any], said: list[str]
) -> None:
    assert texts(examine(**web)) == said


def test_a_page_that_takes_all_visitors_for_one_is_ill(examine: Examine) -> None:
    state, _, remedy = examine(url=HTTPS)[1]

    assert state is State.NOT_OK
    assert "web: {proxies: [127.0.0.1]}" in remedy
