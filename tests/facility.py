"""A small facility for stories: sandbox, spool, configuration, and a daemon in a thread that can be restarted.

Everything is real but the building: Ice, SMTP, directories. What needs a process of its own is in crash/.
"""

from __future__ import annotations

import email
import email.policy
import json
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import yaml

from dropwatch import config as configuration
from dropwatch.daemon import Daemon
from dropwatch.model import Place
from dropwatch.sandbox.samples import ome_tiff
from dropwatch.sandbox.server import Sandbox
from threads import thread_staff

DEADLINE = 90.0  #: seconds; only what is broken takes so long, also on a busy machine


@dataclass
class Facility:
    """folder -- of its own; settings -- merged over the defaults below."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    users: tuple[str, ...] = ("alice", "bob", "carol")

    def __post_init__(self) -> None:
        self.sandbox = Sandbox(self.folder / "sandbox")
        self.sandbox.start()
        self.spool = self.folder / "spool"
        for user in self.users:
            for place in Place:
                (self.spool / user / place).mkdir(parents=True)
        (self.spool / ".dropwatch-spool").write_text("{}")
        self.password = self.folder / "omero.password"
        self.password.write_text("dropwatch\n")
        self.password.chmod(0o600)
        self.daemon: Daemon | None = None
        self.thread: threading.Thread | None = None

    def config(self) -> configuration.Config:
        text = {
            "site": {"name": "Testing", "contact": "help@example.org", "timezone": "Europe/Paris"},
            "spools": [{"path": str(self.spool), "settle": "200ms", "sweep": "1s"}],
            "state": str(self.folder / "state"),
            "omero": {"host": "127.0.0.1", "port": self.sandbox.omero_port, "secure": False, "user": "dropwatch",
                      "password_file": str(self.password), "web": "http://localhost/webclient"},
            "mail": {"host": "127.0.0.1", "port": self.sandbox.smtp_port, "security": "none",
                     "from": "dropwatch@example.org", "admins": ["admin@example.org"]},
            "retry": {"import": ["300ms"] * 4, "mail": ["300ms"] * 8},
        }  # fmt: skip
        for key, value in self.settings.items():
            text[key] = {**text[key], **value} if isinstance(value, dict) and key in text else value
        source = self.folder / "dropwatch.yaml"
        source.write_text(yaml.safe_dump(text))
        return configuration.load(source)

    # -- the daemon ----------------------------------------------------------------------------------

    def start(self) -> None:
        config = self.config()
        self.daemon = Daemon(config, thread_staff(config), {})
        self.run_in_thread()

    def run_in_thread(self) -> None:
        assert self.daemon is not None
        self.thread = threading.Thread(target=self.daemon.run, name="daemon")
        self.thread.start()

    def stop(self) -> None:
        if self.daemon and self.thread:
            self.daemon.stop()
            self.thread.join(60)
            assert not self.thread.is_alive(), "the daemon did not stop"
        self.daemon = self.thread = None

    def close(self) -> None:
        self.stop()
        self.sandbox.stop()

    def faults(self, **faults: object) -> None:
        """Order trouble: ``omero={"busy": 3}``, ``smtp={"refuse": True}``; nothing ends it all."""
        new = self.folder / "faults.new"
        new.write_text(yaml.safe_dump(faults))
        new.replace(self.folder / "sandbox" / "faults.yaml")

    # -- dropping ------------------------------------------------------------------------------------

    def drop(
        self, user: str, name: str, *images: str, manifest: str | bytes | None = None, size: int = 64
    ) -> Path:
        """A folder with *images* made elsewhere and moved in whole."""
        made = self.folder / "made" / user / name
        made.mkdir(parents=True)
        for number, image in enumerate(images):
            path = made / image
            path.parent.mkdir(parents=True, exist_ok=True)
            ome_tiff(path, seed=hash((name, number)) % 1000, size=size)
        if manifest is not None:
            data = manifest.encode() if isinstance(manifest, str) else manifest
            (made / "batch.yaml").write_bytes(data)
        return self.bring(user, made)

    def bring(self, user: str, path: Path) -> Path:
        """Move *path* into *user*'s inbox."""
        return path.rename(self.spool / user / "inbox" / path.name)

    # -- looking -------------------------------------------------------------------------------------

    def envelopes(self, user: str, place: str) -> list[Path]:
        return sorted((self.spool / user / place).glob("2*_*"))

    def batch(self, user: str, place: str) -> Path:
        """The one envelope of *user* in *place*, once it is there."""
        self.until(lambda: len(self.envelopes(user, place)) == 1)
        return self.envelopes(user, place)[0]

    def imports(self) -> list[dict[str, Any]]:
        path = self.folder / "sandbox" / "omero" / "imports.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def imported(self) -> list[str]:
        """The name of each imported file, in alphabetical order."""
        return sorted(file["client_path"].split("/", 3)[3] for one in self.imports() for file in one["files"])

    def ask_server(self, sql: str) -> list[Any]:
        """Rows of the sandbox server's own memory."""
        with sqlite3.connect(self.folder / "sandbox" / "omero" / "omero.db") as db:
            return db.execute(sql).fetchall()

    def leftovers(self) -> list[Any]:
        """Filesets on the server that never became images."""
        return self.ask_server("select id from fileset where id not in (select fileset from image)")

    def mails(self, to: str = "") -> list[EmailMessage]:
        found = []
        for path in sorted((self.folder / "sandbox" / "mail").glob("*.eml")):
            mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            assert isinstance(mail, EmailMessage)
            if to in str(mail["to"]):
                found.append(mail)
        return found

    def subjects(self, to: str = "") -> list[str]:
        return [str(mail["subject"]) for mail in self.mails(to)]

    def until(self, condition: Callable[[], object], deadline: float = DEADLINE) -> None:
        """Wait until *condition* holds; fail with what there is when it does not in time."""
        end = time.monotonic() + deadline
        while not condition():
            assert time.monotonic() < end, f"not in time; there is:\n{self.picture()}"
            threading.Event().wait(0.02)

    def retired(self, user: str, count: int = 1) -> bool:
        """Whether *count* batches of *user* have ended and nothing else of theirs is about."""
        ended = len(self.envelopes(user, "done")) + len(self.envelopes(user, "failed"))
        waiting = [
            path for place in ("inbox", "processing") for path in (self.spool / user / place).iterdir()
        ]
        return ended == count and not waiting

    def picture(self) -> str:
        tree = "\n".join(str(path.relative_to(self.spool)) for path in sorted(self.spool.rglob("*")))
        return f"{tree}\nimports: {self.imported()}\nmails: {self.subjects()}"


def text_of(mail: EmailMessage) -> str:
    """The plain text of a mail, as one line of words: wrapped lines do not matter to a story."""
    body = mail.get_body(("plain",))
    assert body is not None
    return " ".join(str(body.get_content()).split())
