"""One run of a fetch: what is whole stays, what is not bears no name, and the originals are only read."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from dropwatch import config
from dropwatch.errors import Interrupted, OperatorError, PermanentError, TemporaryError, Unavailable
from dropwatch.model import Batch, Envelope, Fetched, FetchJob, Place, Progress, Wanted
from dropwatch.places import find
from dropwatch.spool.fetched import Copies
from dropwatch.task.fetching import Fetching
from dropwatch.task.one_copy import MARK
from dropwatch.task.sides import find_copies

CLAIM = "20261124-080000-abcd"
MANY = 9 * 2**20  #: bytes; several blocks


@dataclass
class Site:
    """A place and an envelope. *at*: what happens when so many bytes have been copied or compared."""

    top: Path
    least: str = "0B"
    paths: tuple[str, ...] = ("run7",)
    at: dict[int, Callable[[], None]] = field(default_factory=dict)
    told: list[Progress] = field(default_factory=list)
    stop: bool = False
    mark: int = MARK
    claimed_at: float = 0.0

    def __post_init__(self) -> None:
        self.disk, self.envelope = (
            self.top / "disk",
            self.top / "spool" / "alice" / "processing" / f"{CLAIM}_x",
        )
        (self.disk / "run7").mkdir(parents=True)
        (self.envelope / ".dropwatch").mkdir(parents=True)
        (self.envelope / "x").mkdir()

    def put(self, name: str, size: int, seed: int = 0) -> Path:
        path = self.disk / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(hashlib.sha256(f"{name}{seed}".encode()).digest() * (size // 32))
        os.utime(path, ns=(10**18, 10**18 + 123456700 + seed * 100))
        return path

    def fetch(self) -> Fetched:
        self.fetching = Fetching(
            self.settings,
            FetchJob(self.batch, None, self.wanted),  # type: ignore[arg-type]
            find(self.settings, "disk"),
            self._tell,
            lambda: self.stop,
            self.mark,
        )
        return self.fetching.fetch()

    @property
    def settings(self) -> config.Config:
        return config.parse(
            f"spools: [{{path: {self.top}/spool}}]\nstate: {self.top}/state\nmail: null\nimporter: folder\n"
            f"folder: {{path: {self.top}/archive}}\nlimits: {{min_free: {self.least}}}\n"
            f"places: {{disk: {{path: {self.disk}, users: ['*']}}}}\n",
            source="dropwatch.yaml",
            read=lambda name: "",
        )

    @property
    def batch(self) -> Batch:
        envelope = Envelope("alice", Place.PROCESSING, self.envelope, CLAIM, "x")
        return Batch(envelope, CLAIM, "x", self.claimed_at, self.top / "spool")

    @property
    def wanted(self) -> Wanted:
        return Wanted("disk", self.paths)

    def _tell(self, progress: Progress) -> None:
        self.told.append(progress)
        for bytes_done in [done for done in self.at if progress.done >= done > 0]:
            self.at.pop(bytes_done)()

    def names(self) -> list[str]:
        top = Copies(self.envelope).folder
        return sorted(str(path.relative_to(top)) for path in top.rglob("*") if not path.is_dir())

    def is_complete(self) -> bool:
        return find_copies(self.batch, self.wanted) is not None


def same(one: Path, other: Path) -> bool:
    alike = one.stat().st_mtime_ns == other.stat().st_mtime_ns
    return alike and one.read_bytes() == other.read_bytes()


def test_copies_have_the_bytes_and_the_times_of_the_originals(tmp_path: Path) -> None:
    site = Site(tmp_path, paths=("run7", "b.czi", "run7/deep"))
    originals = {name: site.put(name, MANY) for name in ("run7/a.czi", "run7/deep/c.czi", "b.czi")}
    before = {name: (path.stat(), path.read_bytes()) for name, path in originals.items()}

    fetched = site.fetch()

    assert fetched == Fetched(3, 3 * MANY, 3 * MANY)
    assert site.names() == sorted(originals)
    assert all(same(path, Copies(site.envelope).folder / name) for name, path in originals.items())
    after = {name: (path.stat(), path.read_bytes()) for name, path in originals.items()}
    assert {name: info.st_ino for name, (info, _) in after.items()} == {
        name: info.st_ino for name, (info, _) in before.items()
    }
    assert [after[name][1] == before[name][1] for name in after] == [True] * 3
    assert (site.told[-1].done, site.told[-1].total) == (3 * MANY, 3 * MANY)
    assert site.is_complete()


def test_a_stopped_fetch_goes_on_where_it_ended_and_leaves_nothing_half(tmp_path: Path) -> None:
    site = Site(tmp_path)
    for name in ("run7/a.czi", "run7/b.czi"):
        site.put(name, MANY)
    site.at = {MANY + MANY // 2: lambda: setattr(site, "stop", True)}

    with pytest.raises(Interrupted):
        site.fetch()
    left, inode = site.names(), (Copies(site.envelope).folder / "run7/a.czi").stat().st_ino
    complete, site.stop = site.is_complete(), False
    fetched = site.fetch()

    assert (left, complete) == (["run7/a.czi"], False)
    assert fetched.copied == MANY
    assert (Copies(site.envelope).folder / "run7/a.czi").stat().st_ino == inode
    assert site.told[-1].before == MANY


LARGE = 3 * MANY  #: bytes; several marks


def interrupted(site: Site, at: int) -> Path:
    """A fetch of one large file that is stopped when so many bytes of it were copied; what is there of it."""
    site.mark = MANY // 2
    site.at = {at // 2: lambda: setattr(site, "stop", True)}  # each byte is copied and compared
    with pytest.raises(Interrupted):
        site.fetch()
    site.stop = False
    site.told.clear()
    return Copies(site.envelope).folder / "run7" / ".dropwatch.part"


def test_a_large_file_goes_on_where_it_was_certain(tmp_path: Path) -> None:
    site = Site(tmp_path)
    original = site.put("run7/a.czi", LARGE)
    part = interrupted(site, 2 * MANY)
    there, inode, complete = part.stat().st_size, part.stat().st_ino, site.is_complete()
    with part.open("ab") as file:
        file.write(bytes(LARGE))  # written, and never sure of

    fetched = site.fetch()

    copy = Copies(site.envelope).folder / "run7/a.czi"
    assert not complete
    assert there >= MANY
    assert copy.stat().st_ino == inode, "it is the same file, gone on with"
    assert 0 < fetched.copied <= LARGE - MANY
    assert same(original, copy)
    assert site.names() == ["run7/a.czi"]
    assert max(progress.done for progress in site.told) == LARGE
    assert site.is_complete()


def rewritten(site: Site, part: Path) -> None:
    with part.open("r+b") as file:
        file.write(b"spoiled")


def shortened(site: Site, part: Path) -> None:
    os.truncate(part, 5)


def replaced_by_a_link(site: Site, part: Path) -> None:
    part.rename(site.top / "theirs")
    part.symlink_to(site.top / "theirs")


def changed_in_its_place(site: Site, part: Path) -> None:
    site.put("run7/a.czi", LARGE, seed=1)


@pytest.mark.skipif(sys.platform == "win32", reason="links")
@pytest.mark.parametrize("spoil", [rewritten, shortened, replaced_by_a_link, changed_in_its_place])
def test_what_is_not_as_it_was_is_not_gone_on_with(
    tmp_path: Path, spoil: Callable[[Site, Path], None]
) -> None:
    site = Site(tmp_path)
    original = site.put("run7/a.czi", LARGE)
    part = interrupted(site, 2 * MANY)
    spoil(site, part)

    site.fetch()

    assert same(original, Copies(site.envelope).folder / "run7/a.czi")
    assert site.names() == ["run7/a.czi"]
    assert max(progress.done for progress in site.told) <= LARGE


def test_a_large_file_that_changes_while_it_is_gone_on_with_leaves_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path)
    original = site.put("run7/a.czi", LARGE)
    interrupted(site, MANY)
    site.at = {MANY // 2 + 1: lambda: os.utime(original, ns=(1, 10**18))}

    with pytest.raises(TemporaryError, match="changed in disk"):
        site.fetch()

    assert site.names() == []


def test_what_a_crash_left_half_copied_is_removed_and_made_anew(tmp_path: Path) -> None:
    site = Site(tmp_path)
    original = site.put("run7/a.czi", MANY)
    site.fetch()
    copies = Copies(site.envelope)
    (copies.folder / "run7" / ".dropwatch.part").write_bytes(b"half")
    (copies.folder / "run7" / "a.czi").write_bytes(b"half")  # as after a power cut
    complete = site.is_complete()

    site.fetch()

    assert not complete
    assert site.names() == ["run7/a.czi"]
    assert same(original, copies.folder / "run7/a.czi")
    assert site.is_complete()


def test_a_file_that_changes_while_it_is_copied_is_copied_again(tmp_path: Path) -> None:
    site = Site(tmp_path)
    original = site.put("run7/a.czi", MANY)
    site.at = {MANY // 4: lambda: os.utime(original, ns=(1, 10**18))}

    with pytest.raises(TemporaryError, match="changed in disk while it was being fetched"):
        site.fetch()
    left = site.names()
    site.fetch()

    assert left == []
    assert same(original, Copies(site.envelope).folder / "run7/a.czi")


@pytest.mark.parametrize("when", [1, MANY])
def test_a_file_that_comes_while_others_are_copied_is_fetched_too(tmp_path: Path, when: int) -> None:
    site = Site(tmp_path)
    site.put("run7/a.czi", MANY)
    site.at = {when: lambda: site.put("run7/b.czi", MANY) and None}

    with pytest.raises(TemporaryError, match="changed in disk"):
        site.fetch()
    complete = site.is_complete()
    fetched = site.fetch()

    assert not complete
    assert (fetched.files, fetched.copied, site.names()) == (2, MANY, ["run7/a.czi", "run7/b.czi"])


def test_a_file_that_shrinks_or_goes_while_it_is_copied_leaves_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path)
    original = site.put("run7/a.czi", MANY)
    site.at = {1: lambda: os.truncate(original, 100)}

    with pytest.raises(TemporaryError, match="changed in disk"):
        site.fetch()
    site.at = {1: original.unlink}
    site.put("run7/b.czi", 32)
    site.put("run7/a.czi", MANY)
    with pytest.raises(TemporaryError, match="changed in disk"):
        site.fetch()

    assert site.fetch() == Fetched(1, 32, 0)
    assert site.names() == ["run7/b.czi"]


def test_a_replaced_original_is_fetched_again_and_what_is_gone_goes_here_too(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.put("run7/a.czi", 320)
    site.put("run7/b.czi", 320)
    site.put("run7/deep/c.czi", 320)
    site.fetch()
    changed = site.put("run7/b.czi", 320, seed=1)
    shutil.rmtree(site.disk / "run7/deep")

    fetched = site.fetch()

    assert fetched == Fetched(2, 640, 320)
    assert site.names() == ["run7/a.czi", "run7/b.czi"]
    assert same(changed, Copies(site.envelope).folder / "run7/b.czi")


def test_a_disk_that_keeps_no_fractions_of_seconds_has_copies_all_the_same(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.put("run7/a.czi", 320)
    site.fetch()
    copy = Copies(site.envelope).folder / "run7/a.czi"
    os.utime(copy, ns=(10**18, copy.stat().st_mtime_ns // (2 * 10**9) * 2 * 10**9))

    complete, again = site.is_complete(), site.fetch()

    assert complete
    assert again == Fetched(1, 320, 0)


def test_what_was_fetched_once_is_enough_when_the_place_is_gone(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.put("run7/a.czi", 320)
    site.fetch()

    shutil.rmtree(site.disk / "run7")
    tidied = site.fetch()
    shutil.rmtree(site.disk)
    away = site.fetch()
    (Copies(site.envelope).folder / "run7/a.czi").unlink()

    assert tidied == away == Fetched(1, 320, 0)
    with pytest.raises(Unavailable):
        site.fetch()


def test_a_place_that_is_lost_in_the_middle_is_an_outage(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.put("run7/a.czi", MANY)
    site.put("run7/b.czi", MANY)
    site.at = {MANY: lambda: site.disk.rename(tmp_path / "unmounted") and None}

    with pytest.raises(Unavailable) as lost:
        site.fetch()
    (tmp_path / "unmounted").rename(site.disk)
    fetched = site.fetch()

    assert lost.value.concerns == "place:disk"
    assert fetched.copied == MANY


def test_nothing_is_copied_where_too_little_room_would_be_left(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    site = Site(tmp_path, least=f"{free}B")
    site.put("run7/a.czi", MANY)

    with pytest.raises(OperatorError, match="There is no room in the spool") as full:
        site.fetch()

    assert (full.value.code, site.names()) == ("storage-full", [])


def test_small_files_too_leave_the_room_that_has_to_stay_free(tmp_path: Path) -> None:
    """Somebody else fills the disk meanwhile."""
    site = Site(tmp_path)
    for name in "abc":
        site.put(f"run7/{name}.czi", 320)

    def fill() -> None:
        site.least = f"{2 * shutil.disk_usage(tmp_path).total}B"
        site.fetching.config = site.settings

    site.at = {320: fill}
    with pytest.raises(OperatorError, match="There is no room in the spool"):
        site.fetch()

    assert site.names() == ["run7/a.czi"]


def test_what_cannot_be_fetched_is_said_in_words(tmp_path: Path) -> None:
    site = Site(tmp_path)

    with pytest.raises(PermanentError, match="There is no file in run7"):
        site.put("other.czi", 32)
        site.fetch()
    with pytest.raises(PermanentError, match="run8 is not there in disk"):
        site.paths = ("run8",)
        site.fetch()
    site.put("run7/a.czi.part", 32)
    with pytest.raises(
        TemporaryError, match=r"Still being written in disk, their names say: run7/a.czi.part"
    ):
        site.paths = ("run7",)
        site.fetch()


@pytest.mark.skipif(sys.platform == "win32", reason="nobody may write there meanwhile")
def test_a_copy_that_reads_differently_gets_no_name(tmp_path: Path) -> None:
    """Somebody writes into the copy while it is made, as a failing disk would."""
    site = Site(tmp_path)
    site.put("run7/a.czi", MANY)

    def spoil() -> None:
        part = Copies(site.envelope).folder / "run7" / ".dropwatch.part"
        with part.open("r+b") as file:
            file.write(b"spoiled")

    site.at = {MANY // 4: spoil}
    with pytest.raises(TemporaryError, match="read differently from what was written"):
        site.fetch()

    assert site.names() == []


@pytest.mark.skipif(sys.platform != "linux", reason="a read lease tells it")
def test_a_file_that_is_open_for_writing_is_waited_for(tmp_path: Path) -> None:
    site = Site(tmp_path)
    original = site.put("run7/a.czi", 320)

    with original.open("ab"):
        site.claimed_at = time.time()
        with pytest.raises(TemporaryError, match=r"run7/a\.czi in disk is still open for writing"):
            site.fetch()
        site.claimed_at = 0.0  # long ago: it was waited for long enough
        assert site.fetch().files == 1


def test_a_file_that_goes_before_its_turn_is_not_missed(tmp_path: Path) -> None:
    """A folder was picked. An hour later one of its files is renamed, before it was copied."""
    site = Site(tmp_path)
    site.put("run7/a.czi", MANY)
    original = site.put("run7/b.czi", MANY)
    site.at = {1: lambda: original.rename(original.with_name("c.czi")) and None}

    with pytest.raises(TemporaryError, match=r"run7/b\.czi changed in disk"):
        site.fetch()

    assert site.fetch() == Fetched(2, 2 * MANY, MANY)
    assert site.names() == ["run7/a.czi", "run7/c.czi"]


@contextmanager
def not_as_root() -> Iterator[Path]:
    """A folder of the account that we are in the block: root may read everything."""
    with TemporaryDirectory() as name:
        if os.geteuid() != 0:
            yield Path(name)
            return
        os.chown(name, 65534, 65534)
        os.seteuid(65534)
        try:
            yield Path(name)
        finally:
            os.seteuid(0)


@pytest.mark.skipif(sys.platform == "win32", reason="modes")
def test_a_file_that_may_not_be_read_fails_by_name_and_the_others_are_fetched() -> None:
    with not_as_root() as folder:
        site = Site(folder)
        site.put("run7/a.czi", 320)
        site.put("run7/b.czi", 320).chmod(0)

        fetched = site.fetch()
        side = find_copies(site.batch, site.wanted)

    assert fetched == Fetched(1, 640, 640)
    assert side is not None
    assert [(odd.path, odd.what) for odd in side.snap.oddities] == [
        ("run7/b.czi", "a file that cannot be read")
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="links")
@pytest.mark.parametrize("at", ["files", "memory"])
def test_a_link_that_comes_while_copies_are_removed_costs_nobody_a_file(tmp_path: Path, at: str) -> None:
    """It comes in the moment between the look at our folder and what is removed in it."""
    site = Site(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "fetched").mkdir(parents=True)
    (elsewhere / "theirs").write_text("kept")
    (elsewhere / "fetched" / "theirs").write_text("kept")
    copies = Copies(site.envelope)
    copies.ensure()
    ours = copies.folder if at == "files" else copies.memory.parent
    ours.rename(tmp_path / "ours")
    ours.symlink_to(elsewhere)

    with pytest.raises(NotADirectoryError):
        copies.clear_out((), ())
    if at == "memory":
        with pytest.raises(NotADirectoryError):
            copies.remove()

    assert (elsewhere / "theirs").read_text() == "kept"
    assert (elsewhere / "fetched" / "theirs").read_text() == "kept"


@pytest.mark.skipif(sys.platform == "win32", reason="links")
def test_a_link_in_place_of_our_folder_leads_no_copy_out(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.put("run7/a.czi", 320)
    (tmp_path / "elsewhere").mkdir()
    copies = Copies(site.envelope)
    copies.ensure()
    copies.folder.rmdir()
    copies.folder.symlink_to(tmp_path / "elsewhere")

    site.fetch()

    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert site.names() == ["run7/a.czi"]
