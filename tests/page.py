"""The page of a world in a process of its own, as `dropwatch web` starts it. It only starts, stops and kills."""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.world import wait_until


class Page:
    """`dropwatch web` for the configuration at *config*. After start(): *address*, and *link* when asked for.

    port -- 0 takes any free one; after a restart it is the same as before, as it is for people
    program -- the module that is run
    """

    def __init__(self, config: Path, log: Path, program: str = "dropwatch") -> None:
        self.config, self.log, self._program = config, log, program
        self.address = self.link = ""
        self._port = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, link_for: str = "", *, admin: bool = False) -> None:
        command = [sys.executable, "-m", self._program, "--config", str(self.config), "web"]
        command += ["--port", str(self._port)]
        command += ["--link-for", link_for, *(["--admin"] if admin else [])] if link_for else []
        with self.log.open("a") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        self.address = self._said(r"ready (\S+)")
        self._port = int(self.address.rpartition(":")[2])
        self.link = self._said(r"sign in (\S+)") if link_for else ""
        wait_until(self._answers, what=f"the page does not answer, see {self.log}")

    def link_to_come_in(self, name: str, *, admin: bool = False) -> str:
        """What `dropwatch web-link` prints while the page runs."""
        command = [sys.executable, "-m", "dropwatch", "--config", str(self.config), "web-link", name]
        command += ["--admin"] if admin else []
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=200).stdout.strip()

    def cookie(self, link: str) -> str:
        """Come in by *link* as a browser does, without one: the value of the header `Cookie` from then on."""
        address = urllib.parse.urlsplit(link)
        asked = http.client.HTTPConnection(self.address.removeprefix("http://"), timeout=200)
        headers = {"Origin": self.address, "Content-Type": "application/x-www-form-urlencoded"}
        asked.request("POST", address.path, address.query, headers)
        answer = asked.getresponse()
        asked.close()
        assert answer.status == 303, f"{answer.status} for the link"
        return answer.getheader("Set-Cookie", "").partition(";")[0]

    def stop(self) -> None:
        """As a service is stopped."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(60)
            finally:
                self.kill()

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def _said(self, pattern: str) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        found = re.fullmatch(pattern, line.strip())
        assert found, f"the page said {line!r}; see {self.log}"
        return found[1]

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/sign-in", timeout=200):
                return True
        except OSError:
            return False


@contextmanager
def running_page(
    config: Path, log: Path, link_for: str = "", *, admin: bool = False, program: str = "dropwatch"
) -> Iterator[Page]:
    """The page for the time of the block."""
    page = Page(config, log, program)
    page.start(link_for, admin=admin)
    try:
        yield page
    finally:
        page.stop()
