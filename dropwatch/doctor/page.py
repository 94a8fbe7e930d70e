"""Looks whether the page can run here, and how it is reached. It listens for a moment, or asks who does."""

from __future__ import annotations

import errno
import ipaddress
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from urllib.parse import urlsplit

from dropwatch.config import Config
from dropwatch.config.sections import Web
from dropwatch.doctor.findings import Finding, ill, unknown, well

_NEEDS = ("nicegui", "itsdangerous", "tuspyserver", "fastapi_offline")  #: what dropwatch[web] brings
_OURS = b"/static/plain.css"  #: stands in the page where people sign in
_PATIENCE = 1.0  #: seconds


def lacking() -> list[str]:
    """What is not installed of what the page needs: it is an extra."""
    return [name for name in _NEEDS if find_spec(name) is None]


def look_at_page(config: Config) -> Iterator[Finding]:
    """Whether `dropwatch web` can run, and what crosses the network in the clear."""
    subject, web = "page", config.web
    if missing := lacking():
        what = f"it is not installed here ({', '.join(missing)} missing)"
        yield unknown(subject, what, 'If you want it, run: pip install "dropwatch[web]".')
        return
    yield _port(subject, web.host, web.port)
    yield from _way(subject, web)


def _way(subject: str, web: Web) -> Iterator[Finding]:
    """What lies between browsers and the page."""
    address = urlsplit(web.url) if web.url else None
    secure, clear = (
        address is not None and address.scheme == "https",
        "passwords and images cross the network",
    )
    if secure and not _is_loopback(web.host):
        yield unknown(
            subject,
            f"it listens at {web.host}, where others may ask it past the web server with TLS",
            "Listen at 127.0.0.1, or let a firewall admit that web server alone.",
        )
    elif not _is_loopback(web.host):
        yield unknown(
            subject,
            f"it listens at {web.host} without TLS: {clear} in the clear",
            "Put a web server with TLS in front (docs/page.md), listen at 127.0.0.1, and set web.url and web.proxies.",
        )
    elif address is not None and not secure and not _is_loopback(address.hostname or ""):
        yield unknown(
            subject,
            f"browsers reach it at {web.url}, without TLS: {clear} in the clear",
            "Give the web server in front a certificate, and let web.url begin with https.",
        )
    if web.proxies and address is None:
        yield unknown(
            subject,
            "web.proxies names a web server in front, and web.url is not set: cookies do not go by TLS alone",
            "Set web.url to the address by which browsers reach the page.",
        )
    if secure and not web.proxies:
        yield ill(
            subject,
            "web.url is that of a proxy, and web.proxies is empty: all visitors seem to be one to it",
            "Name the address that the proxy comes from, such as web: {proxies: [127.0.0.1]}.",
        )


def _port(subject: str, host: str, port: int) -> Finding:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family):
            return well(subject, f"can listen at {host}, port {port}")
    except OSError as err:
        if err.errno == errno.EADDRINUSE and _answers(host, port):
            return well(subject, f"runs at {host}, port {port}")
        why = "another program listens there" if err.errno == errno.EADDRINUSE else err.strerror or str(err)
        what = f"cannot listen at {host}, port {port}: {why}"
        return unknown(subject, what, "Name another web.host or web.port, if you want the page.")


def _answers(host: str, port: int) -> bool:
    """Whether it is our page that listens there."""
    at = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    address = f"http://[{at}]:{port}/sign-in" if ":" in at else f"http://{at}:{port}/sign-in"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(address, timeout=_PATIENCE) as answer:
            return _OURS in answer.read(2**16)
    except (OSError, urllib.error.URLError, ValueError):
        return False


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
