"""Where the demo plays: one folder with everything in it. Only this module knows what lies where in there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dropwatch.model import Place
from dropwatch.spool.folders import Spool
from dropwatch.spool.permissions import add_user

USERS = ("alice", "bob", "carol")
ADMIN = "admin@example.org"

_CONFIG = """\
# Made by `dropwatch demo`. The intervals are short, so that there is something to see;
# config.example.yaml tells about each key.
site: {{name: Demo Imaging Facility, contact: help@example.org}}
spools:
  - path: {spool}
    settle: 2s
    sweep: 5s
state: {state}
omero:
  host: 127.0.0.1
  port: {omero}
  secure: false
  user: dropwatch
  password_file: {password}
  web: https://omero.example.org/webclient
mail:
  host: 127.0.0.1
  port: {smtp}
  security: none
  from: dropwatch@example.org
  admins: [{admin}]
places:
  confocal1-disk: {{path: {samples}, users: ["*"]}}
web:
  admins: [root]
retry:
  import: [2s, 5s, 15s, 1m]
  mail: [1s, 2s, 5s, 15s, 1m, 5m]
"""


@dataclass(frozen=True)
class Scene:
    """The demo's folder, absolute, and what lies in it.

    samples -- the images before they were dropped: what arrives is compared with them
    """

    folder: Path

    @property
    def samples(self) -> Path:
        return self.folder / "samples"

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def config(self) -> Path:
        return self.folder / "dropwatch.yaml"

    @property
    def log(self) -> Path:
        return self.folder / "daemon.log"

    @property
    def page_log(self) -> Path:
        return self.folder / "page.log"

    @property
    def sandbox(self) -> Path:
        return self.folder / "sandbox"

    @property
    def sandbox_log(self) -> Path:
        return self.folder / "sandbox.log"

    @property
    def imports(self) -> Path:
        return self.sandbox / "omero" / "imports.jsonl"

    @property
    def repository(self) -> Path:
        """Where the sandbox's OMERO keeps what was uploaded."""
        return self.sandbox / "omero" / "ManagedRepository"

    @property
    def mails(self) -> Path:
        return self.sandbox / "mail"

    def inbox(self, user: str) -> Path:
        return Spool(self.spool).folder(user, Place.INBOX)


def set_faults(scene: Scene, **sections: Mapping[str, object]) -> None:
    """Order trouble from the sandbox: ``set_faults(scene, smtp={"refuse": True})``; nothing ends all trouble."""
    scene.sandbox.mkdir(exist_ok=True)
    new = scene.sandbox / "faults.yaml.demo"
    new.write_text(
        json.dumps({name: dict(faults) for name, faults in sections.items()}), encoding="utf-8"
    )  # JSON is YAML
    new.replace(scene.sandbox / "faults.yaml")


def furnish(scene: Scene, omero_port: int, smtp_port: int) -> None:
    """Make the configuration and the drop folders, as an admin would. Raises OSError."""
    password = scene.folder / "omero.password"
    password.touch(mode=0o600)
    password.write_text("dropwatch\n", encoding="ascii")  # everybody's in a sandbox
    text = _CONFIG.format(
        spool=json.dumps(str(scene.spool)),
        state=json.dumps(str(scene.state)),
        samples=json.dumps(str(scene.samples)),
        omero=omero_port,
        password=json.dumps(str(password)),
        smtp=smtp_port,
        admin=ADMIN,
    )
    scene.config.write_text(text, encoding="utf-8")
    for user in USERS:
        add_user(scene.spool, user)
