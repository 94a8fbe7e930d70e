"""Uploads without a network: what is certain, whose it is, how much may come, and that a batch is dropped once."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
import stat
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropwatch import config
from dropwatch.config import Config
from dropwatch.config.values import Bytes
from dropwatch.errors import ManifestError, OperatorError, PermanentError
from dropwatch.spool.staging import UPLOADS, Dropped, Staged
from dropwatch.spool.submit import Wishes
from dropwatch.spool.upload_names import NotAllowed
from dropwatch.web.uploads.draft import Draft
from dropwatch.web.uploads.lines import Line, Lines, Message
from dropwatch.web.uploads.receiving import Receiving
from dropwatch.web.uploads.room import Refused, disk_trouble
from dropwatch.web.uploads.uploads import Uploads
from dropwatch.web.visitor import DropFolder, Visitor
from tests.lives import Trap, _forks
from tests.world import SandboxProcess, World, awaited, wait_until


@pytest.fixture
def world(tmp_path: Path) -> World:
    nowhere = SandboxProcess(tmp_path / "sandbox")
    nowhere.omero_port, nowhere.smtp_port = 1, 2
    return World(tmp_path, nowhere)


@pytest.fixture
def settings(world: World) -> Config:
    return config.load(world.config)


@pytest.fixture
def uploads(settings: Config) -> Iterator[Uploads]:
    made = Uploads(settings, time.time)
    yield made
    made.close()


def visitor(world: World, name: str = "alice") -> Visitor:
    return Visitor(name, (DropFolder(world.spool, name),))


def add(draft: Draft, path: str, size: int, modified: int) -> Staged:
    staged = draft.expect(path, size, modified)
    draft.write_down(staged)
    return staged


def upload(draft: Draft, path: str, data: bytes) -> None:
    staged = add(draft, path, len(data), 1_700_000_000_000)
    if data:
        coming = draft.receiving(staged.id)
        coming.write(data)
        coming.pause()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def inbox(world: World, user: str = "alice") -> list[str]:
    return names(world.spool / user / "inbox")


# -- what is certain --------------------------------------------------------------------------------------


def test_after_a_crash_a_file_goes_on_at_what_is_certain_and_not_at_what_was_written(
    world: World, settings: Config, uploads: Uploads
) -> None:
    first, lost, rest = b"a" * 1000, b"?" * 500, b"b" * 700
    draft = uploads.begin(visitor(world))
    staged = add(draft, "x.fake", 1700, 0)
    coming = draft.receiving(staged.id)
    coming.write(first)
    coming.pause()
    coming.write(lost)  # written, and then the power fails: what the disk has of it, nobody knows
    with draft.staging.place(staged).open("ab") as file:
        file.write(bytes(5000))

    again = Draft.load(draft.staging, lambda _: None)
    after = again.receiving(staged.id)
    known = again.file(staged.id).received
    after.write(rest)
    after.pause()

    assert known == 1000
    assert draft.staging.place(staged).read_bytes() == first + rest
    assert again.file(staged.id).whole
    assert again.file(staged.id).sha256 is None, "what came before the crash was not digested by us"


def test_each_offset_that_is_told_was_synced_before(world: World, uploads: Uploads) -> None:
    draft = uploads.begin(visitor(world))
    staged = add(draft, "x.fake", 3500, 0)
    happened: list[tuple[str, int]] = []

    def sync(handle: int) -> None:
        os.fsync(handle)
        happened.append(("synced", os.fstat(handle).st_size))

    def certain(staged: Staged) -> None:
        happened.append(("told", staged.received))

    coming = Receiving(draft.staging, staged, certain, sync=sync, mark=1000)
    for _ in range(7):
        coming.write(b"z" * 500)
    coming.pause()

    marks = (1000, 2000, 3000, 3500)
    assert happened == [fact for mark in marks for fact in (("synced", mark), ("told", mark))]


def test_what_a_file_lost_on_the_disk_is_asked_for_again(world: World, uploads: Uploads) -> None:
    draft = uploads.begin(visitor(world))
    upload(draft, "x.fake", b"12345")
    draft.staging.place(draft.files()[0]).write_bytes(b"1")

    again = Draft.load(draft.staging, lambda _: None)

    assert again.files()[0].received == 0


def test_who_discards_while_the_disk_is_at_it_waits_for_it_and_nobody_waits_for_both(
    world: World, uploads: Uploads
) -> None:
    """Discard all, pressed in mid-upload: a file is just being made sure of. Who only asks never waits."""
    draft = uploads.begin(visitor(world))
    staged, other = add(draft, "x.fake", 1000, 0), add(draft, "y.fake", 1000, 0)
    at_it, go_on = threading.Event(), threading.Event()

    def sync(handle: int) -> None:
        at_it.set()
        go_on.wait(10)

    coming = draft.receiving(staged.id)
    coming._sync = sync
    coming.write(b"x" * 500)
    receiving = threading.Thread(target=coming.pause, daemon=True)
    receiving.start()
    at_it.wait(10)
    discarding = threading.Thread(target=draft.discard, daemon=True)
    discarding.start()
    wait_until(lambda: draft._closed, 10)
    asked = [draft.file(other.id).path, *(one.path for one in draft.files())]
    go_on.set()
    for thread in (receiving, discarding):
        thread.join(10)

    assert asked == ["y.fake", "x.fake", "y.fake"]
    assert not receiving.is_alive()
    assert not discarding.is_alive()
    assert not draft.staging.folder.exists()


def test_an_empty_file_that_a_crash_took_is_there_all_the_same(world: World, uploads: Uploads) -> None:
    draft = uploads.begin(visitor(world))
    staged = add(draft, "run/empty.fake", 0, 1_700_000_000_000)
    draft.staging.place(staged).unlink()  # its note was on the disk, and then the power failed

    dropped = Draft.load(draft.staging, lambda _: None).submit(Wishes())

    assert (dropped / "empty.fake").stat().st_size == 0
    assert (dropped / "empty.fake").stat().st_mtime == 1_700_000_000


def test_a_line_gives_way_whether_it_listens_or_its_bytes_are_just_written() -> None:
    """Chromium sends the rest of a file again by itself, on a new line, in the moment that the old one is cut."""

    async def story() -> list[str]:
        lines, heard = Lines(), list[str]()
        coming: asyncio.Queue[Message] = asyncio.Queue()
        writing, listening = Line(coming.get), Line(coming.get)
        with lines.open(writing, "x", "alice"), lines.open(listening, "y", "alice"):
            coming.put_nowait({"type": "http.request"})
            heard.append((await writing.listen())["type"])
            waiting = asyncio.ensure_future(listening.listen())
            await asyncio.sleep(0)
            with lines.open(Line(coming.get), "x", "alice"), lines.open(Line(coming.get), "y", "alice"):
                heard += [(await one)["type"] for one in (writing.listen(), waiting)]
        return heard

    assert awaited(story()) == [
        "http.request",
        "http.disconnect",
        "http.disconnect",
    ]


# -- names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("../x.fake", "leads out"),
        ("a/../../x.fake", "leads out"),
        ("a//x.fake", "leads out"),
        ("/etc/passwd", "does not begin with /"),
        ("", "needs a name"),
        ("C:\\x.fake", "Windows allows none of"),
        ("a\\..\\..\\x.fake", "Windows allows none of"),
        ("x\0.fake", "cannot be seen"),
        ("x\n.fake", "cannot be seen"),
        ("x\u202egpj.exe", "cannot be seen"),
        ("x\ud800.fake", "no file name has"),
        ("aux.fake", "Windows allows no such name"),
        ("deep/COM1", "Windows allows no such name"),
        ("x.fake.", "Windows allows no such name"),
        ("x ", "Windows allows no such name"),
        (".dropwatch/record.json", "passed over"),
        ("x.fake.part", "still being written"),
        (".hidden", "still being written"),
        ("é" * 128, "too long"),
        ("d/" * 40 + "x.fake", "folders deep"),
        ("/".join(["n" * 200] * 11), "too long"),
    ],
)
def test_a_hostile_name_is_refused_in_words_and_nothing_is_written(
    world: World, uploads: Uploads, path: str, why: str
) -> None:
    draft = uploads.begin(visitor(world))

    with pytest.raises(NotAllowed) as refused:
        add(draft, path, 5, 0)

    assert why in str(refused.value)
    assert str(refused.value).isprintable()
    assert not any(draft.staging.files.iterdir())
    assert not any((draft.staging.folder / "uploads").iterdir())


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a/x.fake", "a/X.fake"),
        ("a/é.fake", "a/e\u0301.fake"),
        ("a/x.fake", "A/y.fake"),
        ("a", "a/b.fake"),
        ("a/b.fake", "a"),
        ("a/b/c.fake", "A/B"),
    ],
)
def test_two_names_that_may_be_one_file_never_come_together(
    world: World, uploads: Uploads, first: str, second: str
) -> None:
    draft = uploads.begin(visitor(world))
    kept = add(draft, first, 5, 0)

    with pytest.raises(NotAllowed, match="would be one file"):
        add(draft, second, 5, 0)
    draft.remove(kept.id)

    add(draft, second, 5, 0)
    assert [staged.path for staged in draft.files()] == [second]


# -- whose, and how much ----------------------------------------------------------------------------------


def test_an_upload_of_somebody_else_is_not_there(world: World, uploads: Uploads) -> None:
    draft = uploads.begin(visitor(world))
    staged = add(draft, "x.fake", 5, 0)
    bob = visitor(world, "bob")

    for ask in (
        lambda: uploads.draft(bob, draft.id),
        lambda: uploads.of(bob, staged.id),
        lambda: uploads.discard(bob, draft.id),
        lambda: uploads.submit(bob, draft.id, Wishes()),
        lambda: uploads.add(bob, draft.id, "y.fake", 5, 0),
        lambda: uploads.draft(bob, f"../alice/{draft.id}"),
        lambda: uploads.begin(bob, DropFolder(world.spool, "alice")),
    ):
        with pytest.raises(Refused) as refused:
            ask()
        assert refused.value.status == 404
    assert uploads.drafts(bob) == []


def test_who_uploads_too_much_is_told_how_much_may_be(world: World, settings: Config) -> None:
    web = settings.web.model_copy(update={"upload_limit": 1000})
    uploads = Uploads(settings.model_copy(update={"web": web}), time.time)
    me = visitor(world)
    draft, other = uploads.begin(me), uploads.begin(me)
    uploads.add(me, draft.id, "x.fake", 700, 0)

    with pytest.raises(Refused, match=r"1\.0 kB in all, and 700 bytes of yours wait") as refused:
        uploads.add(me, other.id, "y.fake", 400, 0)

    assert refused.value.status == 413
    uploads.add(me, other.id, "y.fake", 300, 0)
    uploads.add(visitor(world, "bob"), uploads.begin(visitor(world, "bob")).id, "z.fake", 1000, 0)


def test_a_file_that_is_asked_for_twice_counts_once_and_another_of_its_name_is_refused(
    world: World, settings: Config
) -> None:
    web = settings.web.model_copy(update={"upload_limit": 1000})
    uploads = Uploads(settings.model_copy(update={"web": web}), time.time)
    me = visitor(world)
    draft = uploads.begin(me)
    first = uploads.add(me, draft.id, "x.fake", 700, 0)

    again = uploads.add(me, draft.id, "x.fake", 700, 0)  # the answer was lost

    assert again == first
    with pytest.raises(NotAllowed, match=r"x\.fake is here already, and of another size or date") as refused:
        uploads.add(me, draft.id, "x.fake", 200, 0)
    assert refused.value.remedy == "Take it out, then add it again."


def test_an_upload_stops_before_the_disk_is_fuller_than_it_may_be(world: World, settings: Config) -> None:
    free = os.statvfs(world.spool).f_bavail * os.statvfs(world.spool).f_frsize
    tight = settings.limits.model_copy(
        update={"min_free": Bytes(free - 2**40 if free > 2**40 else free // 2)}
    )
    uploads = Uploads(settings.model_copy(update={"limits": tight}), time.time)
    me = visitor(world)
    draft = uploads.begin(me)
    with pytest.raises(Refused, match="too full") as refused:
        uploads.add(me, draft.id, "x.fake", free, 0)
    staged = uploads.add(me, draft.id, "x.fake", 4000, 0)

    # Somebody else fills the disk meanwhile.
    full = settings.limits.model_copy(update={"min_free": Bytes(2 * free + 2**40)})
    uploads.config = settings.model_copy(update={"limits": full})
    coming = draft.receiving(staged.id)
    coming.write(b"x" * 1000)
    with pytest.raises(Refused, match="too full"):
        coming.pause()

    assert refused.value.status == 507
    assert draft.file(staged.id).received == 1000, "what came is kept"


def test_only_what_nobody_touched_for_long_is_tidied_away(world: World, settings: Config) -> None:
    now = time.time()
    uploads = Uploads(settings, lambda: now)
    me = visitor(world)
    old, open_, fresh = (uploads.begin(me) for _ in range(3))
    upload(old, "x.fake", b"1")
    for draft in (old, open_):
        for place in (draft.staging.folder, draft.staging.folder / "uploads"):
            os.utime(place, (now - 15 * 86400, now - 15 * 86400))
    open_.staging.touch()

    uploads.begin(me)

    assert not old.staging.folder.exists()
    assert open_.staging.folder.exists()
    assert fresh.staging.folder.exists()


def test_what_is_left_of_old_uploads_goes_before_a_disk_is_called_full(
    world: World, settings: Config
) -> None:
    now = time.time()
    uploads = Uploads(settings, lambda: now)
    me = visitor(world)
    old = uploads.begin(me)
    for place in (old.staging.folder, old.staging.folder / "uploads"):
        os.utime(place, (now - 15 * 86400, now - 15 * 86400))
    full = settings.limits.model_copy(update={"min_free": Bytes(2**60)})
    uploads.config = settings.model_copy(update={"limits": full})

    with pytest.raises(Refused, match="too full"):
        uploads.begin(me)

    assert not old.staging.folder.exists()


def test_one_page_at_a_time_receives_uploads(world: World, settings: Config, uploads: Uploads) -> None:
    uploads.begin(visitor(world))
    second = Uploads(settings, time.time)

    with pytest.raises(OperatorError, match="Another page receives uploads"):
        second.begin(visitor(world))
    uploads.close()

    second.begin(visitor(world))
    second.close()


@pytest.mark.skipif(sys.platform == "win32", reason="modes")
def test_nobody_else_comes_to_what_is_uploaded_and_the_batch_is_as_open_as_its_inbox(
    world: World, uploads: Uploads
) -> None:
    (world.spool / "alice" / "inbox").chmod(0o2770)
    draft = uploads.begin(visitor(world))
    upload(draft, "run/deep/x.fake", b"1")
    closed = [world.spool / UPLOADS, world.spool / UPLOADS / "alice", draft.staging.folder]
    modes = [stat.S_IMODE(folder.stat().st_mode) for folder in closed]

    dropped = draft.submit(Wishes())

    assert modes == [0o700] * 3
    assert all(path.stat().st_mode & 0o070 == 0o070 for path in (dropped, dropped / "deep"))
    assert (dropped / "deep/x.fake").stat().st_mode & 0o040


# -- one batch --------------------------------------------------------------------------------------------


def test_what_was_uploaded_is_dropped_whole_with_a_list_that_proves_it(
    world: World, uploads: Uploads
) -> None:
    draft = uploads.begin(visitor(world))
    files = {"HeLa/a.fake": b"one", "HeLa/deep/b.fake": b"", "HeLa/c.fake": b"three"}
    for path, data in files.items():
        upload(draft, path, data)

    dropped = draft.submit(Wishes(target="Dataset:day 3", tags=["x"]))

    said = json.loads((dropped / "batch.json").read_bytes())
    assert dropped == world.spool / "alice/inbox/HeLa"
    assert (said["name"], said["target"], said["tags"]) == ("HeLa", "Dataset:day 3", ["x"])
    assert said["files"] == [
        {
            "path": path.removeprefix("HeLa/"),
            "size": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        for path, data in sorted(files.items())
    ]
    assert (dropped / "a.fake").stat().st_mtime == 1_700_000_000
    assert uploads.drafts(visitor(world)) == []


def test_after_a_restart_the_list_is_computed_from_the_disk(world: World, uploads: Uploads) -> None:
    draft = uploads.begin(visitor(world))
    staged = add(draft, "x.fake", 6, 0)
    for half in (b"abc", b"def"):
        coming = Draft.load(draft.staging, lambda _: None).receiving(staged.id)
        coming.write(half)
        coming.pause()

    dropped = Draft.load(draft.staging, lambda _: None).submit(Wishes())

    said = json.loads((dropped / "batch.json").read_bytes())
    assert said["files"][0]["sha256"] == hashlib.sha256(b"abcdef").hexdigest()


def test_what_is_not_whole_is_not_dropped_and_can_be_put_right(world: World, uploads: Uploads) -> None:
    draft = uploads.begin(visitor(world))
    staged = add(draft, "x.fake", 5, 0)
    with pytest.raises(PermanentError, match=r"not uploaded yet: x\.fake"):
        draft.submit(Wishes())
    draft.remove(staged.id)
    with pytest.raises(PermanentError, match="Nothing was uploaded"):
        draft.submit(Wishes())
    upload(draft, "y.fake", b"1")
    with pytest.raises(ManifestError):
        draft.submit(Wishes(target="Nonsense:of any kind"))

    nothing = inbox(world)
    dropped = draft.submit(Wishes(name="right"))

    assert nothing == []
    assert names(dropped) == ["batch.json", "y.fake"]
    with pytest.raises(Refused, match="was submitted"):
        add(draft, "z.fake", 1, 0)


def test_two_who_press_at_once_drop_one_batch(world: World, uploads: Uploads) -> None:
    draft = uploads.begin(visitor(world))
    upload(draft, "x.fake", b"1")
    answers: list[Path] = []
    gate = threading.Barrier(4)

    def press() -> None:
        gate.wait(60)
        answers.append(uploads.submit(visitor(world), draft.id, Wishes(name="once")))

    pressing = [threading.Thread(target=press) for _ in range(4)]
    for thread in pressing:
        thread.start()
    for thread in pressing:
        thread.join(60)

    assert set(answers) == {world.spool / "alice/inbox/once"}
    assert len(answers) == 4
    assert inbox(world) == ["once"]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is another file system")
@pytest.mark.parametrize("restarted", [False, True])
def test_what_was_not_dropped_in_the_end_never_counts_as_dropped(
    world: World, uploads: Uploads, restarted: bool
) -> None:
    """The rename fails, or the page dies before it. Then all files are taken out, as they are when it worked."""
    draft = uploads.begin(visitor(world))
    upload(draft, "run/x.fake", b"1")
    if restarted:
        draft.staging.will_drop(Dropped("run", "run"))
        draft = Draft.load(draft.staging, lambda _: None)
    else:
        (world.spool / "alice/inbox").rename(world.root / "away")
        (world.spool / "alice/inbox").symlink_to("/proc")  # nothing can be moved there
        with pytest.raises(OperatorError, match="different file systems"):
            draft.submit(Wishes())
        (world.spool / "alice/inbox").unlink()
        (world.root / "away").rename(world.spool / "alice/inbox")
    draft.remove(draft.files()[0].id)
    upload(draft, "other/y.fake", b"2")

    dropped = Draft.load(draft.staging, lambda _: None).submit(Wishes())

    assert names(dropped) == ["batch.json", "y.fake"]
    assert inbox(world) == ["other"]


def _submit_and_die(path: Path, draft: str, trap: Trap) -> None:
    uploads = Uploads(config.load(path), time.time)
    spool = uploads.config.spools[0].path
    trap.set()
    uploads.submit(Visitor("alice", (DropFolder(spool, "alice"),)), draft, Wishes(name="HeLa"))


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_killed_at_any_point_of_submitting_it_is_done_or_not_and_then_done_once(
    world: World, settings: Config
) -> None:
    """A batch of that name lies in the inbox already, so that a number is needed too."""
    (world.spool / "alice/inbox/HeLa").mkdir()
    at, survived = 0, False
    while not survived:
        at += 1
        uploads = Uploads(settings, time.time)
        draft = uploads.begin(visitor(world))
        upload(draft, "run/x.fake", b"12345")
        uploads.close()
        trap = Trap([str(world.spool)], world.root / "notes", at)
        life = _forks.Process(target=_submit_and_die, args=(world.config, draft.id, trap))
        life.start()
        life.join(60)
        survived = life.exitcode == 0
        between = {name: names(world.spool / "alice/inbox" / name) for name in inbox(world)}
        after = Uploads(settings, time.time)
        dropped = after.submit(visitor(world), draft.id, Wishes(name="HeLa"))
        after.close()

        assert life.exitcode in (0, -9)
        assert set(between) <= {"HeLa", "HeLa (2)"}, "nothing half in the inbox"
        assert between.get("HeLa (2)", ["batch.json", "x.fake"]) == ["batch.json", "x.fake"]
        assert (dropped.name, inbox(world)) == ("HeLa (2)", ["HeLa", "HeLa (2)"])
        for path in sorted(dropped.iterdir()):
            path.unlink()
        dropped.rmdir()

    assert at > 8, "it dies at many points"


def test_what_the_disk_refuses_is_told_in_words() -> None:
    with pytest.raises(Refused, match="too full") as full, disk_trouble():
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(Refused, match="does not answer") as broken, disk_trouble():
        raise OSError(errno.EIO, "Input/output error")

    assert (full.value.status, broken.value.status) == (507, 503)
