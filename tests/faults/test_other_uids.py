"""A person drops, the daemon claims, root made the folders: three accounts. Bare uids, none is made for it.

What spool/permissions.py promises of each way to drop is tried here, with a daemon of no privilege and with one.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from world import Mail, SandboxProcess, World, wait_until

from dropwatch.doctor import Finding, State, look_at_user, on_duty
from dropwatch.spool.accounts import Account, Owner, find_account
from dropwatch.spool.folders import Spool
from dropwatch.spool.permissions import add_user, find_setfacl
from tests import unprivileged

if sys.platform != "linux" or os.geteuid() != 0 or find_setfacl() is None:
    pytest.skip("needs root on Linux, and setfacl", allow_module_level=True)

DAEMON = Owner(64000, 64000)
PEOPLE = {name: Account(name, uid, uid) for uid, name in enumerate(("alice", "bob", "carol"), 64001)}


@dataclass
class Site:
    """A world that other accounts can reach, and a daemon in it with an account of its own."""

    world: World
    daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)  #: that people are in, beside their own

    def start(self, *, privileged: bool = False) -> None:
        config = str(self.world.config)
        if privileged:
            who = [f"--reuid={DAEMON.uid}", f"--regid={DAEMON.gid}", "--clear-groups"]
            may = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
            python = [sys.executable, "-m", "dropwatch", "--config", config, "run"]
            with self.world.log.open("a") as log:
                self.daemons.append(
                    subprocess.Popen(["setpriv", *who, *may, *python], stdout=log, stderr=log)
                )
            wait_until(lambda: " start version=" in self.world.log.read_text(), what="the daemon starts")
        else:
            self.daemons.append(unprivileged.start(self.world, DAEMON.uid))

    def close(self) -> None:
        for daemon in self.daemons:
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(60)
            finally:
                daemon.kill()
                daemon.wait()

    def does(self, name: str, script: str, *, umask: int = 0o022) -> None:
        """Run a shell script as *name*, at the own desk. ``folder`` there has modes as people have them."""
        places = {place.upper(): str(self.home(name) / place) for place in ("inbox", "failed", "done")}
        subprocess.run(
            ["sh", "-euc", script],
            cwd=self.world.root / name,
            env={"PATH": os.environ["PATH"], **places},
            user=PEOPLE[name].uid,
            group=PEOPLE[name].gid,
            extra_groups=self.groups,
            umask=umask,
            check=True,
            timeout=200,
        )

    def home(self, name: str) -> Path:
        return self.world.spool / name

    def imported(self, name: str) -> set[str]:
        """The files that were imported as *name*, by the server's account."""
        found = [one for one in self.world.sandbox.imports() if one["user"] == name]
        return {file["client_path"].split("/", 3)[3] for one in found for file in one["files"]}

    def done(self, name: str) -> set[str]:
        """The drops of *name* that were imported, by the names of their folders."""
        return {path.name.split("_", 1)[1] for path in (self.home(name) / "done").iterdir()}

    def waits_for(self, name: str, *drops: str) -> None:
        """Wait until *drops* of *name* were imported."""
        wait_until(lambda: set(drops) <= self.done(name), what=f"{drops} of {name}\n{self.told()}")

    def told(self) -> str:
        return self.world.log.read_text()

    def mails(self, to: str, *words: str) -> list[Mail]:
        """The mails to *to* about this world's folders that say all of *words*, in subject or text."""
        mails = [mail for mail in self.world.sandbox.mails() if mail.to == to]
        return [
            mail for mail in mails if all(word in _words(mail) for word in (str(self.world.root), *words))
        ]

    def is_told_of(self, name: str, *drops: str) -> None:
        """Wait until *name* and the admins know of each of *drops*, and of the remedy."""
        remedy = "write permission on"
        for drop in drops:
            wait_until(
                lambda drop=drop: self.mails(f"{name}@example.org", drop, remedy), what=f"{drop} to {name}"
            )
            wait_until(
                lambda drop=drop: self.mails("admin@example.org", drop, remedy), what=f"{drop} to the admins"
            )


def _words(mail: Mail) -> str:
    return f"{mail.subject} {' '.join(mail.text.split())}"


@pytest.fixture
def site(sandbox_process: SandboxProcess) -> Iterator[Site]:
    from dropwatch.sandbox.samples import ome_tiff

    root = Path(tempfile.mkdtemp(prefix="dropwatch-uids-"))
    root.chmod(0o755)
    (root / "spool").mkdir()
    settings = {"users": {"alice": {"email": "alice@example.org"}}, "workers": {"imports": 1}}
    made = Site(World(root, sandbox_process, settings, users=()))
    try:
        shutil.rmtree(made.world.spool)
        made.world.state.mkdir()
        os.chown(made.world.state, DAEMON.uid, DAEMON.gid)
        for name, account in PEOPLE.items():
            _make_desk(root / name, account, ome_tiff)
            add_user(made.world.spool, name, owner=DAEMON, person=account, setfacl=find_setfacl())
        yield made
    finally:
        made.close()
        shutil.rmtree(root)


def _make_desk(desk: Path, account: Account, image: Callable[..., None]) -> None:
    """What a person has at home: ``folder`` (0755) with an image in it, and one in a folder below."""
    (desk / "folder" / "below").mkdir(parents=True)
    fresh = int.from_bytes(os.urandom(4), "big")  # what an earlier test imported would be skipped
    image(desk / "folder" / "a.ome.tif", seed=fresh)
    image(desk / "folder" / "below" / "b.ome.tif", seed=fresh + 1)
    for path in (desk, *desk.rglob("*")):
        os.chown(path, account.uid, account.gid)
        path.chmod(0o755 if path.is_dir() else 0o644)


# -- the table of spool/permissions.py ---------------------------------------------------------------------

SUBMIT = """
import encodings.ascii, encodings.utf_8_sig, os, sys
from dropwatch import submit
_, uid, folder, spool, *groups = sys.argv
os.setgroups(list(map(int, groups)))
os.setresgid(int(uid), int(uid), int(uid))
os.setresuid(int(uid), int(uid), int(uid))
os.umask(0o077)
submit([folder], spool=spool, user="alice", name="submitted")
"""

#: How alice drops, and whether a daemon without privilege may take it: with default ACLs, and with setgid alone.
WAYS = {
    "loose": ('cp folder/a.ome.tif "$INBOX/loose.ome.tif"', 0o022, True, True),
    "made": ('mkdir "$INBOX/made"; cp folder/a.ome.tif "$INBOX/made/"', 0o022, True, False),
    "made private": ('mkdir "$INBOX/made private"; cp folder/a.ome.tif "$INBOX/made private/"', 0o077, True, False),
    "made for the group": ('mkdir "$INBOX/made for the group"; cp folder/a.ome.tif "$INBOX/made for the group/"',
                           0o002, True, True),
    "copied": ('cp -r folder "$INBOX/copied"', 0o022, False, False),
    "copied with modes": ('cp -a folder "$INBOX/copied with modes"', 0o022, False, False),
    "moved": ('cp -r folder moved; mv moved "$INBOX/"', 0o022, False, False),
    "unpacked": ('cp -r folder unpacked; tar -cf - unpacked | tar -xf - -C "$INBOX"', 0o022, False, False),
    "submitted": ("", 0o077, True, True),
}  # fmt: skip


def drop_all(site: Site) -> None:
    for script, umask, _, _ in WAYS.values():
        site.does("alice", script, umask=umask)
    words = [str(PEOPLE["alice"].uid), str(site.world.root / "alice" / "folder"), str(site.world.spool)]
    subprocess.run([sys.executable, "-c", SUBMIT, *words, *map(str, site.groups)], check=True, timeout=200)


def refused(site: Site) -> set[str]:
    return {path.name for path in (site.home("alice") / "inbox").iterdir()}


def test_with_default_acls_whatever_is_made_in_the_inbox_is_taken(site: Site) -> None:
    site.start()
    drop_all(site)
    taken = {name for name, way in WAYS.items() if way[2]}

    site.waits_for("alice", *taken)

    assert refused(site) == WAYS.keys() - taken
    assert site.imported("alice") == {"a.ome.tif", "below/b.ome.tif", "loose.ome.tif"}
    site.is_told_of("alice", *refused(site))


def test_with_the_setgid_bit_alone_only_what_the_group_may_write_is_taken(site: Site) -> None:
    subprocess.run(["setfacl", "-R", "-b", site.home("alice")], check=True)
    member = Account("alice", PEOPLE["alice"].uid, PEOPLE["alice"].gid, (DAEMON.gid,))
    made = add_user(site.world.spool, "alice", owner=DAEMON, person=member, setfacl=None)
    site.groups = [DAEMON.gid]
    site.start()
    drop_all(site)
    taken = {name for name, way in WAYS.items() if way[3]}

    site.waits_for("alice", *taken)

    assert refused(site) == WAYS.keys() - taken
    assert ["There is no setfacl on this machine" in note for note in made.notes] == [True]


def test_a_privileged_daemon_takes_everything(site: Site) -> None:
    site.start(privileged=True)
    drop_all(site)

    site.waits_for("alice", *WAYS)

    assert refused(site) == set()
    assert site.mails("alice@example.org", "permission is missing") == []


# -- where a permission is missing -------------------------------------------------------------------------


def test_user_and_admins_are_told_and_the_rest_goes_on(site: Site) -> None:
    site.start()
    site.does(
        "alice", 'cp -r folder "$INBOX/a closed one"; mkdir "$INBOX/fine"; cp folder/a.ome.tif "$INBOX/fine/"'
    )
    site.does("alice", 'mkdir -m 700 "$INBOX/secret"; cp folder/a.ome.tif "$INBOX/secret/"')
    site.does("bob", 'mkdir "$INBOX/theirs"; cp folder/a.ome.tif "$INBOX/theirs/"')

    site.is_told_of("alice", "a closed one", "secret")

    site.waits_for("alice", "fine")
    site.waits_for("bob", "theirs")
    site.does("alice", 'chmod -R g+rwX "$INBOX/a closed one" "$INBOX/secret"')
    site.waits_for("alice", "a closed one", "secret")


def test_a_closed_file_fails_alone_and_is_told_once(site: Site) -> None:
    site.start()
    site.does(
        "alice",
        'mkdir "$INBOX/run"; cp folder/a.ome.tif folder/below/b.ome.tif "$INBOX/run/";'
        'chmod 600 "$INBOX/run/b.ome.tif"',
    )
    failed = site.home("alice") / "failed"
    wait_until(lambda: list(failed.glob("*_run")), what="the batch is given up")
    wait_until(lambda: site.mails("admin@example.org", "b.ome.tif"))

    assert "a.ome.tif" in site.imported("alice")
    assert "b.ome.tif\n  dropwatch may not read it." in next(failed.glob("*_run/REPORT.txt")).read_text()
    assert len(site.mails("admin@example.org", "b.ome.tif")) == 1


def test_read_only_files_closed_folders_and_folders_whose_owner_left(site: Site) -> None:
    site.does("alice", 'cd "$INBOX"; mkdir "read only" left closed closed/below "not to be changed"')
    for folder in ("read only", "left", "closed", "closed/below", "not to be changed"):
        site.does("alice", f'cp folder/a.ome.tif "$INBOX/{folder}/"')
    site.does("alice", 'chmod 444 "$INBOX/read only/a.ome.tif"; chmod 000 "$INBOX/closed/below"')
    inbox = site.home("alice") / "inbox"
    for path in (inbox / "left", inbox / "left" / "a.ome.tif"):
        os.chown(path, 64999, 64999)  # an account that has no name any more
    immutable = inbox / "not to be changed"
    flagged = subprocess.run(["chattr", "+i", immutable], capture_output=True, check=False).returncode == 0
    try:
        site.start()

        site.waits_for("alice", "read only", "left")
        wait_until(lambda: list((site.home("alice") / "failed").glob("*_closed/REPORT.txt")))
        (report,) = (site.home("alice") / "failed").glob("*_closed/REPORT.txt")
        wait_until(lambda: "may not look into" in report.read_text())
        if flagged:
            site.is_told_of("alice", "not to be changed")
    finally:
        subprocess.run(["chattr", "-i", immutable], capture_output=True, check=False)


def test_a_drop_folder_that_is_closed_to_the_daemon_stops_nobody_else(site: Site) -> None:
    os.chown(site.home("alice"), 0, 0)
    site.home("alice").chmod(0o700)
    left = site.home("carol") / "processing" / "20261124-140355-k3f9_left" / "left"
    left.mkdir(parents=True)
    shutil.copy(site.world.root / "carol" / "folder" / "a.ome.tif", left)
    for path in (left.parent, left, left / "a.ome.tif"):
        os.chown(path, DAEMON.uid, DAEMON.gid)
    site.start()
    site.does("bob", 'mkdir "$INBOX/theirs"; cp folder/a.ome.tif "$INBOX/theirs/"')

    site.waits_for("bob", "theirs")
    site.waits_for("carol", "left")
    wait_until(
        lambda: site.mails("admin@example.org", "Permission missing, user alice", str(site.home("alice")))
    )


def test_what_failed_can_be_moved_back_by_the_person(site: Site) -> None:
    site.start()
    site.does(
        "alice",
        'mkdir "$INBOX/typo"; cp folder/a.ome.tif "$INBOX/typo/"; echo "taget: x" > "$INBOX/typo/batch.yaml"',
    )
    failed = site.home("alice") / "failed"
    wait_until(lambda: list(failed.iterdir()))

    site.does("alice", 'cat "$FAILED"/*/REPORT.txt; rm "$FAILED"/*/typo/batch.yaml; mv "$FAILED"/* "$INBOX"')

    site.waits_for("alice", "typo")


def test_nobody_looks_into_the_drop_folder_of_another(site: Site) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        site.does("bob", f"ls {site.home('alice')}")


def test_a_person_may_write_defaults_and_not_take_the_four_places_away(site: Site) -> None:
    site.does("alice", f"echo 'tags: [mine]' > {site.home('alice')}/defaults.yaml")
    for place in ("inbox", "done"):
        with pytest.raises(subprocess.CalledProcessError):
            site.does("alice", f"mv {site.home('alice')}/{place} {site.home('alice')}/mine")

    assert sorted(path.name for path in site.home("alice").iterdir()) == [
        "defaults.yaml", "done", "failed", "inbox", "processing",
    ]  # fmt: skip


# -- what check says of it -----------------------------------------------------------------------------------


def examined(site: Site, name: str = "alice") -> list[Finding]:
    """What the doctor finds when root asks, and the accounts are those of this test."""
    duty = on_duty(site.world.state)
    return list(look_at_user(Spool(site.world.spool), name, duty, os.environ, PEOPLE.get))


def test_check_drops_as_the_person_and_claims_as_the_daemon(site: Site) -> None:
    found = examined(site)

    told = f"a probe batch, dropped by alice, was claimed by {DAEMON.uid} and given back"
    assert found == [Finding(State.OK, "user alice", told)]
    assert [path for path in site.home("alice").rglob("*") if path.name.startswith(".")] == []


def test_a_daemon_that_is_not_in_the_group_of_the_folders_may_take_drops_too(site: Site) -> None:
    add_user(
        site.world.spool,
        "alice",
        owner=Owner(DAEMON.uid, 64999),
        person=PEOPLE["alice"],
        setfacl=find_setfacl(),
    )

    assert [one.state for one in examined(site)] == [State.OK]


def test_check_explains_what_the_daemon_may_not_take(site: Site) -> None:
    drop_all(site)

    found = examined(site)

    ill = [one for one in found if one.state is State.NOT_OK]
    names = {name for name, way in WAYS.items() if not way[2]}
    inbox = site.home("alice") / "inbox"
    assert len(ill) == len(names)
    for name in names:
        assert any(f"may not move {inbox / name} (mode" in one.text for one in ill), (name, ill)
    assert all(f"setfacl -R -m u:{DAEMON.uid}:rwX" in one.remedy for one in ill)
    assert all("CAP_DAC_OVERRIDE" in one.remedy for one in ill)
    for one in ill:
        subprocess.run(one.remedy.split(" (or ")[0], shell=True, check=True)
    assert [one.state for one in examined(site)] == [State.OK]


def test_check_knows_that_a_privileged_daemon_takes_everything(site: Site) -> None:
    site.start(privileged=True)
    wait_until((site.world.state / "heartbeat.json").exists)
    (site.home("alice") / "inbox" / "closed").mkdir(mode=0o700)

    duty = on_duty(site.world.state)

    assert (duty.running, duty.uid, duty.mighty) == (True, DAEMON.uid, True)
    assert [one.state for one in examined(site)] == [State.OK]


@pytest.mark.parametrize(
    ("breaks", "told", "remedy"),
    [
        (lambda site: site.world.spool.chmod(0o750), "alice may not drop anything: {spool} is closed",
         "Let alice pass through {spool}: chmod o+x {spool}"),
        (lambda site: (site.home("alice") / "inbox").chmod(0o700), "alice may not drop anything: {inbox}",
         "dropwatch user add alice (as root)"),
        (lambda site: os.chown(site.home("alice") / "processing", 0, 0), "may not list and change {processing}",
         "dropwatch user add alice (as root)"),
        (lambda site: os.system(f"setfacl -b {site.home('alice')}/failed"), "alice may not move a batch from failed",
         "dropwatch user add alice (as root)"),
        (lambda site: os.system(f"setfacl -k {site.home('alice')}/inbox"), "may not move what alice drops",
         "dropwatch user add alice (as root)"),
    ],
)  # fmt: skip
def test_check_names_what_is_closed_to_whom(
    site: Site, breaks: Callable[[Site], object], told: str, remedy: str
) -> None:
    breaks(site)

    found = examined(site)

    home = site.home("alice")
    words = {"spool": site.world.spool, "inbox": home / "inbox", "processing": home / "processing"}
    assert [one.state for one in found] == [State.NOT_OK]
    assert told.format(**words) in found[0].text
    assert remedy.format(**words) in found[0].remedy
    site.world.spool.chmod(0o755)
    add_user(site.world.spool, "alice", person=PEOPLE["alice"], setfacl=find_setfacl())
    assert [one.state for one in examined(site)] == [State.OK], "the remedy mends it"


def test_the_command_gives_folders_to_accounts_of_this_machine(site: Site) -> None:
    """`games` and `daemon` are accounts of every Linux; nothing has to be made for this."""
    person, daemon = find_account("games"), find_account("daemon")
    if person is None or daemon is None:
        pytest.skip("this machine has no account games or daemon")
    command = [sys.executable, "-m", "dropwatch", "--config", str(site.world.config), "user", "add", "games"]

    for words in (["--owner", "daemon"], []):
        done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=200, check=False)

        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[0] == str(site.home("games"))
    assert "✓ user games" in done.stdout
    assert "Mended the drop folder of games" in done.stderr
