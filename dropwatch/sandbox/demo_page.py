"""The demo's third program: the page, as somebody sees it who signs in once. Starts it, and only reads from it."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import urllib.parse
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from dropwatch.sandbox.demo_drops import Drop
from dropwatch.sandbox.demo_programs import Program, Stuck, await_, pause, without_ours
from dropwatch.sandbox.demo_scene import Scene

_READY = re.compile(r"^ready (http://\S+)$", re.MULTILINE)
_START = 60.0  #: seconds that it may take to start; the demo goes on meanwhile
_ANSWER = 20.0  #: seconds


class PageProgram(Program):
    """The page of *scene*, at a free port of this machine."""

    def __init__(self, scene: Scene) -> None:
        command = ["dropwatch", "--config", str(scene.config), "web", "--host", "127.0.0.1", "--port", "0"]
        super().__init__("page", command, scene.page_log)
        self._scene = scene

    def begin(self) -> None:
        """Start it, and wait for nothing."""
        self.start(lambda: True)

    def address(self) -> str:
        """Where it answers, as soon as it does. Raises Stuck."""
        await_(lambda: self._ready() is not None, _START, "The page did not start", self._wait)
        found = self._ready()
        return found[1] if found else ""

    def link(self, name: str, *, admin: bool = False) -> str:
        """What signs *name* in, once. Raises Stuck."""
        command = [sys.executable, "-m", "dropwatch", "--config", str(self._scene.config), "web-link", name]
        done = subprocess.run(
            [*command, *(["--admin"] if admin else [])],
            capture_output=True,
            text=True,
            timeout=_START,
            check=False,
            env=without_ours(),
        )
        if done.returncode:
            raise Stuck(f"No link to the page could be made: {done.stderr.strip()}")
        return done.stdout.strip()

    def problems(self, drops: Sequence[Drop]) -> list[str]:
        """What is not as told of *drops* in the list of an admin who signs in. Raises Stuck."""
        self.address()
        try:
            listed = _batches(self.link("root", admin=True))
        except (OSError, http.client.HTTPException, ValueError, KeyError) as err:
            return [f"it does not answer as it should: {err}"]
        return list(_differences(listed, drops))

    def _ready(self) -> re.Match[str] | None:
        return _READY.search(self._scene.page_log.read_text("utf-8", "replace"))

    def _wait(self) -> None:
        self.check()
        pause()


def _batches(link: str) -> list[dict[str, Any]]:
    """The batches that the page lists for who comes by *link*."""
    address = urllib.parse.urlsplit(link)
    page = http.client.HTTPConnection(address.netloc, timeout=_ANSWER)
    try:
        came_from = {
            "Origin": f"http://{address.netloc}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        page.request("POST", address.path, address.query, came_from)
        entered = page.getresponse()
        entered.read()
        cookie = (entered.getheader("Set-Cookie") or "").partition(";")[0]
        page.request("GET", "/api/batches", headers={"Cookie": cookie})
        listed = page.getresponse()
        if listed.status != http.client.OK:
            raise ValueError(f"status {listed.status}")
        return list(json.load(listed)["batches"])
    finally:
        page.close()


def _differences(listed: Sequence[dict[str, Any]], drops: Sequence[Drop]) -> Iterator[str]:
    for drop in drops:
        theirs = [one for one in listed if one["user"] == drop.user and drop.is_called(one["name"])]
        places = Counter(one["place"] for one in theirs)
        if places != Counter([drop.place.value]):
            yield f"{drop.user}/{drop.name} is in {', '.join(places) or 'nothing'}, and should be in {drop.place}"
    if len(listed) != len(drops):
        yield f"it lists {len(listed)} batches, and there are {len(drops)}"
