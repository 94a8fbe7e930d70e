"""The daemon on a share: sshfs mounts the spool, people write on the server's disk behind it, and the share fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dropwatch import config
from dropwatch.errors import TemporaryError
from dropwatch.importers.reading import blocks, opened
from dropwatch.model import FileFact
from dropwatch.sandbox.samples import ome_tiff
from dropwatch.spool.locks import is_held, locked
from dropwatch.task import open_workshop
from tests import drops, sshfs
from tests.lives import Life
from tests.sshfs import Sshfs
from tests.world import (
    PLACES,
    Drop,
    Mail,
    SandboxProcess,
    World,
    assert_imported_once,
    assert_told,
    leftovers,
    wait_until,
)

pytestmark = [
    pytest.mark.skipif(bool(sshfs.missing()), reason=sshfs.missing() or "never"),
]


@pytest.fixture
def share(tmp_path: Path) -> Iterator[Sshfs]:
    made = Sshfs(tmp_path / "spool", tmp_path / "share")
    yield made
    made.close()


@pytest.fixture
def world(tmp_path: Path, sandbox_process: SandboxProcess, share: Sshfs) -> Iterator[World]:
    sandbox_process.set_faults()
    settings = {"path": str(share.point), "settle": "300ms", "poll": "300ms"}
    made = World(tmp_path, sandbox_process, {"spools": settings, "limits": {"min_free": "1MiB"}})
    share.mount()
    yield made
    sandbox_process.set_faults()


def start(world: World, *, processes: bool = False) -> Life:
    make = partial(open_workshop, config.load(world.config)) if processes else None
    life = Life(world.config, world.log, make=make)
    wait_until(life.has_started)
    return life


def slides(world: World, count: int = 2, size: int = 64) -> dict[str, bytes]:
    """Image files that are like no others."""
    found = {}
    for number in range(count):
        path = world.root / "slide.ome.tif"
        ome_tiff(path, seed=int.from_bytes(os.urandom(4)), size=size)
        found[f"slide {number}.ome.tif"] = path.read_bytes()
    return found


def heartbeat(world: World) -> dict[str, Any]:
    try:
        return dict(json.loads((world.state / "heartbeat.json").read_text()))
    except (OSError, ValueError):
        return {}


def dropwatch(world: World, *words: str) -> str:
    """What a command says, standard error included."""
    command = [sys.executable, "-m", "dropwatch", "--config", str(world.config), *words]
    env = {**os.environ, "COLUMNS": "300"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, env=env, check=False)
    return done.stdout + done.stderr


def finish(world: World, *drops: Drop) -> None:
    wait_until(world.is_quiet, what=f"see {world.log}")
    for drop in drops:
        assert world.place(drop) == "done"
        world.assert_whole(drop)
        assert_imported_once(world, drop)
        assert_told(world, drop, world.sandbox.mails())
    assert list(leftovers(world, list(drops))) == []


def flat(text: str) -> str:
    """*text* as one line of words."""
    return " ".join(text.split())


WHY = "fuse.sshfs raises no events for what other machines do"


def test_a_spool_on_sshfs_is_polled_which_is_said_and_what_comes_behind_the_mount_is_imported(
    world: World, share: Sshfs
) -> None:
    life = start(world)
    try:
        wait_until(lambda: heartbeat(world).get("spools", {}).get(str(share.point), {}).get("watch"))
        first = world.drop("alice", "moved in", slides(world))
        second = world.drop("bob", "copied in", slides(world, 3), move=False)
        finish(world, first, second)
        told = heartbeat(world)["spools"]
        seen = dropwatch(world, "status")
        plain = json.loads(dropwatch(world, "status", "--json"))
    finally:
        code = life.stop()

    assert told == {str(share.point): {"watch": "poll", "why": WHY, "overflows": 0}}
    assert f"{share.point} is looked at every 0.3 s: {WHY}" in flat(seen)
    assert plain["daemon"]["spools"] == told
    assert code == 0


# -- what the hands do when the share fails ------------------------------------------------------------------


#: The server is gone and the mount with it; the mount is dead and stays.
LOST = [Sshfs.disconnect, Sshfs.die]


def fails(act: Callable[[], object]) -> bool:
    try:
        act()
    except OSError:
        return True
    return False


def fact_of(folder: Path, name: str) -> FileFact:
    info = (folder / name).stat()
    return FileFact(name, info.st_size, info.st_mtime_ns, info.st_ino)


@pytest.mark.parametrize("lost", LOST)
def test_a_file_whose_share_is_lost_while_it_is_read_failed_for_a_while_only(
    tmp_path: Path, share: Sshfs, lost: Callable[[Sshfs], None]
) -> None:
    share.real.mkdir()
    (share.real / "a.tif").write_bytes(bytes(5_000_000))
    share.mount()
    fact = fact_of(share.point, "a.tif")

    with pytest.raises(TemporaryError), opened(str(share.point), fact) as descriptor:
        for _ in blocks(descriptor, fact):
            lost(share)
    share.unmount()
    share.mount()
    with pytest.raises(TemporaryError), opened(str(share.point), fact) as descriptor:
        lost(share)
        wait_until(lambda: fails(lambda: os.fstat(descriptor)), what="the kernel forgets what it knew")


def test_a_planned_file_is_the_same_after_its_share_was_mounted_again(tmp_path: Path, share: Sshfs) -> None:
    """It is the user's, and has another inode then. On a disk, somebody else's file would have taken its place."""
    share.real.mkdir()
    share.mount()
    drop = drops.Drop(share.point)
    os.chown(drop.file("a.tif"), 64001, 64001)
    (fileset,) = drop.plan(drops.Told()).filesets
    share.unmount()
    share.mount()
    for path in (share.real, *share.real.rglob("*")):
        (share.point / path.relative_to(share.real)).stat()  # each gets a number in the order of these looks
    with opened(str(drop.folder), fileset.files[0]) as descriptor:
        read = b"".join(blocks(descriptor, fileset.files[0]))

    assert read == b"x"


@pytest.mark.parametrize("lost", LOST)
def test_a_lock_whose_share_was_lost_is_let_go_without_a_word(
    tmp_path: Path, share: Sshfs, lost: Callable[[Sshfs], None]
) -> None:
    share.real.mkdir()
    share.mount()
    with locked(share.point / "lock", shared=False) as got:
        second = is_held(share.point / "lock")
        lost(share)

    assert (got, second) == (True, True)


# -- the share fails ---------------------------------------------------------------------------------------


def in_mid_upload(world: World) -> bool:
    return bool(world.sandbox.filesets_without_images())


@pytest.mark.long
@pytest.mark.parametrize("processes", [False, True], ids=["threads", "processes"])
@pytest.mark.parametrize("lost", LOST)
def test_a_share_lost_in_mid_upload_and_mounted_again_loses_and_doubles_nothing(
    world: World, share: Sshfs, lost: Callable[[Sshfs], None], processes: bool
) -> None:
    world.sandbox.set_faults(omero={"slow_upload": "1s"})
    drop = world.drop("alice", "the run", slides(world, 4, 300))
    life = start(world, processes=processes)
    try:
        wait_until(lambda: in_mid_upload(world), what=f"see {world.log}")
        lost(share)
        wait_until(
            lambda: f"spool:{share.point}" in heartbeat(world).get("targets", {}), what="it is not said"
        )
        seen = dropwatch(world, "status")
        share.unmount()
        world.sandbox.set_faults()
        late = world.drop("bob", "while it was away", slides(world))
        share.mount()
        finish(world, drop, late)
    finally:
        code = life.stop()

    assert f"spool:{share.point}" in seen
    assert code == 0


# -- the share says nothing --------------------------------------------------------------------------------


def configure(world: World, **spools: object) -> Path:
    """Settle everything for the stories below; returns a second spool, on a disk of this machine, that carol uses."""
    second = world.root / "second"
    for place in PLACES:
        (second / "carol" / place).mkdir(parents=True)
    (second / ".dropwatch-spool").write_text("{}")
    settings = json.loads(world.config.read_text())
    settings["spools"][0] |= spools
    settings["spools"].append({**settings["spools"][0], "path": str(second)})
    settings["retry"]["outage_alert"] = "1s"
    world.config.write_text(json.dumps(settings))
    return second


def drop_at(spool: Path) -> Path:
    """Drop an image as carol; where it will lie in the end."""
    dropped = spool / "carol" / "inbox" / f"run {os.urandom(2).hex()}"
    dropped.mkdir()
    ome_tiff(dropped / "a.ome.tif", seed=int.from_bytes(os.urandom(4)))
    return spool / "carol" / "done"


def mails_that_say(world: World, words: str) -> list[Mail]:
    return [mail for mail in world.sandbox.mails() if words in flat(mail.text)]


@pytest.mark.long
@pytest.mark.parametrize("ending", ["the server goes on", "an admin unmounts it"])
def test_a_share_that_hangs_keeps_nobody_else_waiting_and_is_told_of(
    world: World, share: Sshfs, ending: str
) -> None:
    second, words = configure(world, poll="2s"), f"umount -f -l {share.point}"
    life = start(world)
    try:
        before = world.drop("alice", "before", slides(world))
        finish(world, before)
        share.hang()
        drop = world.drop("alice", "meanwhile", slides(world))
        wait_until(lambda: heartbeat(world).get("hanging"), what="it is in the heartbeat")
        done = drop_at(second)
        wait_until(lambda: list(done.iterdir()), what="the other spool is served")
        seen, found = dropwatch(world, "status"), dropwatch(world, "check")
        mails = wait_until(lambda: mails_that_say(world, words), what="the admins are told")
        if ending == "the server goes on":
            share.go_on()
        else:
            subprocess.run(["umount", "-f", "-l", share.point], check=True, timeout=200)
            share.unmount()
            share.mount()
        finish(world, drop)
        wait_until(lambda: not heartbeat(world)["hanging"])
    finally:
        share.go_on()
        code = life.stop()

    assert f"The spool {share.point} does not answer." in flat(seen)
    assert words in flat(seen)
    assert words in flat(found)
    assert mails[0].to == "admin@example.org"
    assert code == 0


@pytest.mark.long
def test_a_drop_folder_that_hangs_and_stops_everything_is_told_of_and_given_up_by_an_admin(
    tmp_path: Path, sandbox_process: SandboxProcess
) -> None:
    """Here only alice's folder is a share. Nobody looks first whether it answers, so the line itself waits."""
    sandbox_process.set_faults()
    world = World(tmp_path, sandbox_process, {"spools": {"settle": "300ms", "poll": "300ms"}})
    share = Sshfs(tmp_path / "alice", world.spool / "alice")
    (world.spool / "alice").rename(share.real)
    share.mount()
    second, words = configure(world), f"umount -f -l {world.spool}"
    life = start(world)
    try:
        wait_until(lambda: heartbeat(world).get("spools", {}).get(str(world.spool), {}).get("why"))
        told = heartbeat(world)["spools"][str(world.spool)]
        share.hang()
        wait_until(lambda: heartbeat(world).get("hanging"), what="it is in the heartbeat")
        done = drop_at(second)
        seen, found = dropwatch(world, "status"), dropwatch(world, "check")
        mails = wait_until(lambda: mails_that_say(world, words), what="the admins are told")
        subprocess.run(["umount", "-f", "-l", share.point], check=True, timeout=200)
        wait_until(lambda: list(done.iterdir()), what="the other spool is served")
    finally:
        share.go_on()
        share.close()
        code = life.stop()

    assert (
        told["why"]
        == f"fuse.sshfs ({world.spool / 'alice' / 'inbox'}) raises no events for what other machines do"
    )
    assert f"spool:{world.spool} cannot be served: It does not answer, and dropwatch waits for it" in flat(
        seen
    )
    assert words in flat(found)
    assert mails[0].to == "admin@example.org"
    assert code == 0
