"""Writers of all sorts against the rules of settling: what is listed is imported whole or not at all, also from a
writer that pauses for longer than any quiet period. What a quiet period cannot see is measured, and in the README.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dropwatch import config
from dropwatch.daemon import Daemon
from dropwatch.task.eyes import ByName
from tests.quiet import Quiet
from tests.threads import thread_staff
from tests.world import wait_until
from tests.writers import BY_RENAME, FILES, HOW, LISTED, MANIFESTS, content, listing

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="its writers are POSIX's"),
]

#: Their files look whole to everybody before they are, also to a list of sizes.
DECEITFUL = ("allocated-reopened", "rewritten")


@dataclass(frozen=True)
class Job:
    """A writer and its batch. *user*: alice's batches settle, bob's wait for a manifest. Either has an inbox for each
    kind of manifest, so that a look at one takes no time."""

    user: str
    how: str
    manifest: str
    name: str = ""

    @property
    def owner(self) -> str:
        return f"{self.user}-{self.manifest}"

    @property
    def batch(self) -> str:
        return self.name or f"{self.how}, {self.manifest}"


def outcome(quiet: Quiet, job: Job) -> str:
    """What came of it: "whole", "a part" (what was imported is right), "refused", or "incomplete"."""
    imported = list((quiet.archive / job.owner / job.batch).rglob("*.tif"))
    if any(path.read_bytes() != content(job.batch, path.name) for path in imported):
        return "incomplete"
    names = {path.name for path in imported}
    return "whole" if names == set(FILES) else "a part" if names else "refused"


def outcomes(quiet: Quiet, jobs: Iterable[Job], pause: float) -> dict[Job, str]:
    """Let all of them write at once, each way in a process of its own, and wait until all is retired."""
    jobs = list(jobs)
    by_how: dict[str, list[str]] = {}
    for job in jobs:
        folder = quiet.inbox(job.owner) / job.batch
        by_how.setdefault(job.how, []).append(f"{job.how}:{job.manifest}:{folder}")
    command = [sys.executable, "-m", "tests.writers", str(pause)]
    with quiet.daemon():
        writers = [subprocess.Popen([*command, *names]) for names in by_how.values()]
        try:
            assert [writer.wait(100) for writer in writers] == [0] * len(writers)
        finally:
            for writer in writers:
                writer.kill()
        wait_until(quiet.is_quiet, what=f"see {quiet.log}")
        return {job: outcome(quiet, job) for job in jobs}


def spool(root: Path, settle: str) -> Quiet:
    owners = {user: [Job(user, "", manifest).owner for manifest in MANIFESTS] for user in ("alice", "bob")}
    patient = {owner: {"start": "manifest"} for owner in owners["bob"]}
    return Quiet(root, {"spools": {"settle": settle}, "users": patient}, (*owners["alice"], *owners["bob"]))


def assert_kept(found: dict[Job, str]) -> None:
    """What holds however long a writer pauses."""
    for job, what in found.items():
        listed = job.manifest == "listed-first" or (job.user == "bob" and job.manifest == "listed-last")
        if listed:
            assert what != "incomplete", job
        if job.how in BY_RENAME:
            assert what != "incomplete", job
        if job.manifest == "listed-first" and job.how not in DECEITFUL:
            assert what == "whole", job
        if job.user == "bob" and job.manifest in ("listed-last", "unlisted-last", "torn-held"):
            assert what == "whole", job


def test_what_is_listed_is_imported_whole_or_not_at_all(tmp_path: Path) -> None:
    """Each of them pauses for twice the quiet period, again and again."""
    ways = ("reopened", "held-open", "allocated", "allocated-reopened", "rewritten", "firefox", "rsyncs-name")
    jobs = [Job("alice", how, "listed-first") for how in ways]
    jobs += [Job("bob", how, manifest) for how in ways for manifest in ("listed-last", "torn-held")]
    jobs += [Job("alice", how, "none") for how in ways if how in BY_RENAME]

    found = outcomes(spool(tmp_path, "400ms"), jobs, 0.8)

    assert_kept(found)
    assert found[Job("alice", "rsyncs-name", "none")] == "whole"


def test_a_writer_that_no_lease_tells_of_goes_on_through_the_claim(tmp_path: Path) -> None:
    """A file server writes for others without keeping the file open: the whole size first, the bytes later."""
    quiet = Quiet(tmp_path, {"retry": {"import": ["1s"] * 90}}, ("alice-none",))
    folder, batch = quiet.inbox("alice-none") / "run", "run"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_bytes(bytes(len(content(batch, name))))
    handles = {name: os.open(folder / name, os.O_RDONLY) for name in FILES}
    (folder / "batch.yaml").write_text(listing(batch))
    with quiet.daemon():
        wait_until(lambda: quiet.log.read_text().count("checksum-listed") >= len(FILES))
        for name, handle in handles.items():
            # As by a handle that leads to the file wherever it is now.
            Path(f"/proc/self/fd/{handle}").readlink().write_bytes(content(batch, name))
            os.close(handle)
        wait_until(quiet.is_quiet)

        assert len(list(quiet.place("alice-none", "done").iterdir())) == 1
        assert outcome(quiet, Job("alice", "", "none", "run")) == "whole"


@pytest.mark.long  # two minutes
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("settle", "pause"), [(4.0, 1.6), (1.0, 4.0)])
def test_every_writer_with_every_manifest(tmp_path: Path, settle: float, pause: float) -> None:
    """The table in the README is what this prints."""
    missing = [how for how in ("curl", "rsync") if shutil.which(how) is None]
    ways = [how for how in HOW if not any(how.startswith(tool) for tool in missing)]
    jobs = [Job("alice", how, manifest) for how in ways for manifest in MANIFESTS]
    jobs += [Job("bob", how, manifest) for how in ways for manifest in (*LISTED, "unlisted-last")]

    found = outcomes(spool(tmp_path, f"{settle}s"), jobs, pause)

    for user in ("alice", "bob"):
        columns = [manifest for manifest in MANIFESTS if Job(user, "tmp", manifest) in found]
        print(
            f"\n{user}, pauses of {pause / settle:.1f} settle\n{'':20}"
            + "".join(f"{one:>15}" for one in columns)
        )
        for how in ways:
            print(f"{how:20}" + "".join(f"{found[Job(user, how, one)]:>15}" for one in columns))
    assert_kept(found)


@pytest.mark.parametrize("hours", [2, -2])
def test_a_daemon_whose_clock_is_two_hours_off_settles_all_the_same(tmp_path: Path, hours: int) -> None:
    """The files have the time of the file server, or of the workstation."""
    quiet = Quiet(tmp_path)
    for name in ("a.tif", "b.tif"):
        path = quiet.inbox("alice") / "run" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
    os.utime(path, (time.time() - 7200, time.time() + 7200))
    settings = config.load(quiet.config)
    daemon = Daemon(
        settings, thread_staff(settings, look=ByName), {}, clock=lambda: time.time() + 3600 * hours
    )

    daemon.run(once=True)

    assert len(list(quiet.place("alice", "done").iterdir())) == 1
    assert sorted(path.name for path in (quiet.archive / "alice" / "run").iterdir()) == ["a.tif", "b.tif"]
