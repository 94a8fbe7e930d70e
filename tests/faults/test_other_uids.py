"""Three accounts: a person drops, the daemon claims, root made the folders. Real uids, no account is made for it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dropwatch.spool.accounts import Account, Owner
from dropwatch.spool.permissions import add_user, find_setfacl
from world import SandboxProcess, World, wait_until

if sys.platform != "linux" or os.geteuid() != 0 or find_setfacl() is None:
    pytest.skip("needs root on Linux, and setfacl", allow_module_level=True)

PEOPLE = {name: Account(name, uid, uid) for uid, name in enumerate(("alice", "bob", "carol"), 64001)}
DAEMON = Account("dropwatch", 64000, 64000)

#: Another account may not be able to read this Python (below /root, say): what is needed is loaded before.
RUN = """
import encodings.ascii, encodings.idna, encodings.latin_1, email.mime.multipart, getpass, multiprocessing, sys, os
import dropwatch.cli, dropwatch.daemon, dropwatch.importers.omero, dropwatch.workers, watchdog.observers, yagmail
config, uid, privileges = sys.argv[1:]
os.setgroups([]); os.setresgid(int(uid), int(uid), int(uid)); os.setresuid(int(uid), int(uid), int(uid))
sys.argv = ["dropwatch", "--config", config, "run"]
dropwatch.cli.main()
"""


@dataclass
class Place:
    """A world that other accounts can reach, and a daemon in it that is *DAEMON*."""

    world: World
    daemon: subprocess.Popen[str] | None = None

    def start(self) -> None:
        with self.world.log.open("a") as log:
            self.daemon = subprocess.Popen(
                [sys.executable, "-c", RUN, str(self.world.config), str(DAEMON.uid), ""],
                stdout=log,
                stderr=log,
                text=True,
            )

    def stop(self) -> None:
        if self.daemon:
            self.daemon.send_signal(signal.SIGTERM)
            try:
                self.daemon.wait(30)
            finally:
                self.daemon.kill()
                self.daemon.wait()

    def person_does(self, name: str, script: str) -> None:
        """Run a shell script as *name*, in the own inbox, with umask 022. $IMAGE is a file to drop."""
        account = PEOPLE[name]
        subprocess.run(
            ["sh", "-euc", script],
            cwd=self.world.root,
            env={"PATH": os.environ["PATH"], "IMAGE": str(self.world.root / "image.ome.tif"), "INBOX": str(self.inbox(name))},
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            umask=0o022,
            check=True,
            timeout=30,
        )

    def inbox(self, name: str) -> Path:
        return self.world.spool / name / "inbox"


@pytest.fixture
def place() -> Iterator[Place]:
    from dropwatch.sandbox.samples import ome_tiff

    root = Path(tempfile.mkdtemp(prefix="dropwatch-uids-"))
    root.chmod(0o755)
    sandbox = SandboxProcess(root / "sandbox")
    sandbox.start()
    (root / "spool").mkdir()
    made = Place(World(root, sandbox, users=()))
    try:
        shutil.rmtree(made.world.spool)
        ome_tiff(root / "image.ome.tif")
        made.world.state.mkdir()
        os.chown(made.world.state, DAEMON.uid, DAEMON.gid)
        for name, account in PEOPLE.items():
            desk = root / name
            desk.mkdir()
            os.chown(desk, account.uid, account.gid)
            add_user(made.world.spool, name, owner=Owner(DAEMON.uid, DAEMON.gid), person=account, setfacl=find_setfacl())
        yield made
    finally:
        made.stop()
        sandbox.stop()
        shutil.rmtree(root)


def test_x(place: Place) -> None:
    place.start()
    place.person_does("alice", 'mkdir "$INBOX/day 3"; cp "$IMAGE" "$INBOX/day 3/a.ome.tif"')
    try:
        wait_until(lambda: len(place.world.sandbox.imports())==1, 15)
    finally:
        print(place.world.log.read_text())
        os.system(f"find {place.world.spool} | xargs -d '\n' ls -ld")
