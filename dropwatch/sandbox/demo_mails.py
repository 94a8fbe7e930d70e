"""The mails that the sandbox took in the demo. It only reads them."""

from __future__ import annotations

import email
import email.policy
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mail:
    """One mail. *id*: its Message-ID; *batch*: the id of the batch it is about, or ""; *text*: its plain form."""

    path: Path
    id: str
    to: str
    subject: str
    batch: str
    text: str


def received(folder: Path) -> list[Mail]:
    """All mails in *folder*, in the order of arrival."""
    return [_read(path) for path in sorted(folder.glob("*.eml"))]


def _read(path: Path) -> Mail:
    mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    body = mail.get_body(("plain",))
    text = "\n".join(str(body.get_content()).splitlines()) if body else ""
    batch = str(mail.get("X-Dropwatch-Batch", ""))
    return Mail(path, str(mail["Message-ID"]), str(mail["To"]), str(mail["Subject"]), batch, text)


class Postbox:
    """Tells which mails are new since the last look."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: set[Path] = set()

    def new(self) -> list[Mail]:
        fresh = [mail for mail in received(self._folder) if mail.path not in self._known]
        self._known.update(mail.path for mail in fresh)
        return fresh
