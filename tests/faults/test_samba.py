"""The spool as a Windows share: a real Samba with the share we ship, smbclient as workstation, a humble daemon."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dropwatch.sandbox.samples import ome_tiff
from dropwatch.spool.accounts import Owner
from dropwatch.spool.permissions import add_user, find_setfacl
from tests import samba, unprivileged
from tests.samba import Samba
from tests.world import SandboxProcess, World, wait_until

pytestmark = [
    pytest.mark.skipif(bool(samba.missing()), reason=samba.missing() or "never"),
]

DAEMON = Owner(64000, 64000)
OMERO = {"games": "alice", "news": "bob"}


@dataclass
class Site:
    """Two people, each with a folder at the own *desk*; they reach the spool through the share only."""

    world: World
    share: Samba
    daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def desk(self) -> Path:
        return self.world.root / "desk"

    def start(self, *, capability: int = unprivileged.CAP_LEASE) -> None:
        self.daemons.append(unprivileged.start(self.world, DAEMON.uid, capability=capability))

    def close(self) -> None:
        for daemon in self.daemons:
            daemon.terminate()
            try:
                daemon.wait(60)
            finally:
                daemon.kill()
                daemon.wait()
        self.share.stop()

    def image(self, path: str, size: int = 64) -> bytes:
        """An image at the desk that is like no other; its bytes."""
        made = self.desk / path
        made.parent.mkdir(parents=True, exist_ok=True)
        ome_tiff(made, seed=int.from_bytes(os.urandom(4)), size=size)
        return made.read_bytes()

    def does(self, script: str, *, name: str = "games", fails: bool = False) -> str:
        return self.share.does(name, script, desk=self.desk, fails=fails)

    def acl(self, remote: str, *words: str, name: str = "games") -> str:
        """Look at, or change, the permissions of *remote* as Windows does; what is said of it."""
        return self.share.acl(name, remote, *words)

    def home(self, name: str = "games") -> Path:
        return self.world.spool / name

    def envelope(self, place: str, drop: str, name: str = "games", seconds: float = 30.0) -> Path:
        """The envelope of *drop* in *place*, once it is there."""
        told = f"{drop} is not in {place}: {self.world.log}"
        found = wait_until(lambda: list((self.home(name) / place).glob(f"2*_{drop}")), seconds, told)
        return Path(found[0])

    def imported(self, *images: bytes, name: str = "games") -> list[int]:
        """How often each of *images* was imported, whole and as that person's."""
        lines = [one for one in self.world.sandbox.imports() if one["user"] == OMERO[name]]
        sums = [file["sha1"] for one in lines for file in one["files"]]
        return [sums.count(hashlib.sha1(image).hexdigest()) for image in images]

    def kinds(self, to: str = "alice@example.org") -> list[str]:
        return [mail.kind for mail in self.world.sandbox.mails() if mail.to == to]


@pytest.fixture
def site(sandbox_process: SandboxProcess) -> Iterator[Site]:
    sandbox_process.set_faults()
    root = Path(tempfile.mkdtemp(prefix="dropwatch-samba-"))  # other accounts cannot reach tmp_path
    root.chmod(0o755)
    users = {name: {"omero": omero, "email": f"{omero}@example.org"} for name, omero in OMERO.items()}
    (root / "spool").mkdir()
    world = World(root, sandbox_process, {"users": users, "spools": {"settle": "1s"}}, users=())
    made = Site(world, Samba(root / "samba", world.spool))
    try:
        made.desk.mkdir()
        world.state.mkdir()
        os.chown(world.state, DAEMON.uid, DAEMON.gid)
        os.chown(root / "password", DAEMON.uid, DAEMON.gid)
        shutil.rmtree(world.spool)  # add_user() makes it, as `dropwatch user add` does
        for name in OMERO:
            person = samba.person(name)
            add_user(world.spool, name, owner=DAEMON, person=person, setfacl=find_setfacl())
        made.share.start()
        yield made
    finally:
        made.close()
        shutil.rmtree(root)
        sandbox_process.set_faults()


def test_what_a_workstation_puts_is_imported_reported_and_moved_back_by_it(site: Site) -> None:
    site.start()
    plain = site.image("HeLa/plain.ome.tif")
    deep = site.image("HeLa/Färbung 1/ünd ein sehr langer Name " + "x" * 120 + ".ome.tif")
    typo = site.image("typo/a.ome.tif")
    (site.desk / "typo" / "batch.yaml").write_text("taget: x\n")
    (site.desk / "right.yaml").write_text("target: 'Dataset:right'\n")
    # Not under their names from the beginning: between two files a busy machine may pause for longer than it settles.
    for name, folder in (("HeLa day 3", "HeLa"), ("typo", "typo")):
        put = f'mkdir "{name}.part"; lcd {folder}; cd "{name}.part"; mput *'
        site.does(f'prompt; recurse; cd inbox; {put}; cd ..; rename "{name}.part" "{name}"')

    done, failed = site.envelope("done", "HeLa day 3"), site.envelope("failed", "typo")
    report = site.does(f'get "done/{done.name}/REPORT.txt" -')
    told = site.does(f'ls "done/{done.name}/*"')
    why = site.does(f'get "failed/{failed.name}/REPORT.txt" -')
    site.does(f'cd "failed/{failed.name}/typo"; del batch.yaml; put right.yaml batch.yaml')
    site.does(f'rename "failed/{failed.name}" "inbox/{failed.name}"')
    site.envelope("done", "typo")

    assert "plain.ome.tif" in report
    assert "taget" in why
    assert ".dropwatch" in told and " DH " in told
    assert site.imported(plain, deep, typo) == [1, 1, 1]
    wait_until(lambda: site.kinds().count("outcome") == 3, what="three mails")


@contextmanager
def held_open(site: Site, remote: str) -> Iterator[subprocess.Popen[bytes]]:
    """smbclient that writes *remote* from its standard input, and so keeps it open until that ends."""
    command = [*site.share.command("games"), "--command", f'put - "{remote}"']
    nowhere = subprocess.DEVNULL
    writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere)
    try:
        yield writer
    finally:
        writer.kill()
        writer.wait()


def writes(writer: subprocess.Popen[bytes], data: bytes) -> None:
    assert writer.stdin is not None
    writer.stdin.write(data)
    writer.stdin.flush()


@pytest.mark.parametrize(
    "capability",
    [
        pytest.param(unprivileged.CAP_LEASE, id="with CAP_LEASE"),
        pytest.param(-1, id="without", marks=pytest.mark.long),
    ],
)
def test_a_file_that_the_workstation_still_writes_at_the_claim_is_imported_whole(
    site: Site, capability: int
) -> None:
    site.start(capability=capability)
    whole = site.image("slow.ome.tif", 400)
    half = len(whole) // 2
    site.does("mkdir inbox/run")
    with held_open(site, "inbox/run/slow.ome.tif") as writer:
        writes(writer, whole[:half])
        taken = site.envelope("processing", "run")
        if capability == unprivileged.CAP_LEASE:
            wait_until(lambda: "still open for writing" in str(site.world.record(taken)), what="a wait")
        writes(writer, whole[half:])
        assert writer.stdin is not None
        writer.stdin.close()
        code = writer.wait(60)
    done = site.envelope("done", "run", seconds=60)

    assert code == 0
    assert taken.name == done.name
    assert (done / "run" / "slow.ome.tif").read_bytes() == whole
    assert site.imported(whole) == [1]
    if capability == unprivileged.CAP_LEASE:
        # Nothing was tried on half a file. (Without the wait above, Samba may set its time just after it was planned.)
        assert site.world.record(done)["attempts"] == 1


@pytest.mark.long
def test_a_person_sees_the_own_drop_folder_only_and_keeps_the_four_places(site: Site) -> None:
    site.image("a.ome.tif")
    site.does("cd inbox; put a.ome.tif")
    seen = site.does("ls; cd ..; ls; ls ../*; ls .*; get ../.dropwatch-spool -; cd ../news; ls", fails=True)
    others = site.does("ls inbox/*", name="news", fails=True)
    moved = site.does("rename inbox mine; rename done inbox/done; rmdir failed", fails=True)

    assert "NT_STATUS" in seen
    assert not [
        line for line in seen.splitlines() if line.lstrip().startswith(("news", ".dropwatch", "spool"))
    ]
    assert "a.ome.tif" not in others
    assert moved.count("NT_STATUS_ACCESS_DENIED") == 3
    assert sorted(path.name for path in site.home().iterdir()) == ["done", "failed", "inbox", "processing"]


def test_permissions_that_windows_sets_do_not_lock_the_daemon_out(site: Site) -> None:
    """As robocopy /COPYALL does, or somebody with the tab "Security"."""
    image = site.image("run/a.ome.tif")
    site.does("prompt; recurse; cd inbox; mkdir run.part; lcd run; cd run.part; mput *")
    alone = "REVISION:1,OWNER:games,ACL:games:ALLOWED/0x0/FULL"
    for remote in ("inbox/run.part/a.ome.tif", "inbox/run.part"):
        site.acl(remote, "--set", alone)
    site.does("cd inbox; rename run.part run")
    site.start()
    site.envelope("done", "run")

    assert site.imported(image) == [1]


@pytest.mark.long
def test_a_batch_that_the_workstation_deletes_in_mid_import_is_withdrawn(site: Site) -> None:
    site.world.sandbox.set_faults(omero={"slow_upload": "1s"})
    site.start()
    site.image("run/a.ome.tif", 300)
    site.does("prompt; recurse; cd inbox; mput run")
    taken = site.envelope("processing", "run")
    wait_until(site.world.sandbox.filesets_without_images, what="in mid-upload")
    site.does(f"deltree processing/{taken.name}")
    wait_until(lambda: "withdrawn" in site.kinds(), what="the mail")
    site.world.sandbox.set_faults()
    second = site.image("next/b.ome.tif")
    site.does("prompt; recurse; cd inbox; mput next")
    site.envelope("done", "next")

    assert site.imported(second) == [1]
    assert list((site.home() / "processing").iterdir()) == []


@pytest.mark.long
def test_names_that_windows_has_and_names_that_it_has_not(site: Site) -> None:
    """Two names that differ by case only are one on a share; what Linux called oddly is seen under another name, and
    can be moved back by that one."""
    site.start()
    first, second = site.image("A.ome.tif"), site.image("a.ome.tif")
    site.does(
        "mkdir inbox/case.part; cd inbox/case.part; put A.ome.tif; put a.ome.tif; cd ..; rename case.part case"
    )
    done = site.envelope("done", "case")
    odd = site.home() / "inbox" / "what? a: day."
    odd.mkdir()
    (odd / "batch.yaml").write_text("taget: x")
    os.chown(odd, DAEMON.uid, DAEMON.gid)
    failed = site.envelope("failed", "what? a: day.".rstrip("."))
    told = site.does("ls failed/*")
    name = next(line.split()[0] for line in told.splitlines() if "~" in line)
    site.does(f"rename failed/{name} inbox/again")
    again = site.envelope("failed", "*a: day")

    assert [path.name for path in (done / "case").iterdir()] == ["A.ome.tif"]
    assert site.imported(first, second) == [0, 1]
    assert again.name != failed.name


@pytest.mark.long
def test_a_run_that_is_put_slowly_is_taken_when_its_manifest_comes_last(site: Site) -> None:
    site.world.config.write_text(
        site.world.config.read_text().replace('"email": "alice', '"start": "manifest", "email": "alice')
    )
    site.start()
    images = [site.image(f"run/{number}.ome.tif") for number in range(3)]
    (site.desk / "run.yaml").write_text("dropwatch: 1\n")
    site.does("mkdir inbox/run")
    for number in range(3):
        site.does(f"cd inbox/run; put run/{number}.ome.tif {number}.ome.tif")
    threading.Event().wait(3)  # three times the quiet period
    waiting = list((site.home() / "processing").iterdir())
    site.does("cd inbox/run; put run.yaml batch.yaml.part; rename batch.yaml.part batch.yaml")
    site.envelope("done", "run")

    assert waiting == []
    assert site.imported(*images) == [1, 1, 1]
