"""Cancelling what nobody claimed yet: whoever dies in it, and whoever claims at the same moment, it is in one place."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("SIGKILL", allow_module_level=True)

from dropwatch import actions, config
from dropwatch.ledger import Ledger
from dropwatch.model import Place, Verdict
from dropwatch.pipeline import glance
from dropwatch.spool.folders import MEMORY
from dropwatch.status import find
from tests.lives import Life, Trap, dies_at
from tests.quiet import Quiet
from tests.world import wait_until

FILES = {"scan.fake": b"", "scan.tif": b"not opened before it is claimed"}
MOST = 60  #: points of one cancelling; there are about twenty


def cancel(file: Path, name: str) -> None:
    """As `dropwatch cancel` does."""
    settings = config.load(file)
    (one,) = find(settings, name, glance.inbox)
    actions.cancel(settings, one, time.time())


def drop(quiet: Quiet, kind: str) -> None:
    folder = quiet.inbox("alice") / "scan" if kind == "folder" else quiet.inbox("alice")
    folder.mkdir(exist_ok=True)
    for name, data in FILES.items():
        (folder / name).write_bytes(data)


def whole(quiet: Quiet) -> list[tuple[str, dict[str, bytes]]]:
    """Each place where something of the drop lies, and what of it."""
    found: dict[str, dict[str, bytes]] = {}
    for place in Place:
        for path in quiet.place("alice", place).rglob("scan.*"):
            if path.is_file():
                found.setdefault(place.value, {})[path.name] = path.read_bytes()
    return sorted(found.items())


def deaths(tmp_path: Path, kind: str, *, each: int = 1, syncs: bool = False) -> Iterator[Quiet]:
    """A world for *each* point of a cancelling, where it died there. *syncs*: also between the syncs of folders."""
    for point in count(1, each):
        assert point < MOST
        (tmp_path / str(point)).mkdir()
        quiet = Quiet(tmp_path / str(point), {"spools": {"settle": "0s"}})
        drop(quiet, kind)
        trap = Trap((str(quiet.spool),), quiet.root / "points.txt", at=point, syncs=syncs)
        if not dies_at(partial(cancel, quiet.config, "scan"), trap):
            assert point > 8
            return
        yield quiet


def verdict(quiet: Quiet, stem: str) -> Verdict | None:
    """What became of the batch with STEM.fake, which lies somewhere once."""
    (path,) = quiet.spool.rglob(f"{stem}.fake")
    record = Ledger(MEMORY).read(path.parent.parent)
    assert record is not None
    return record.verdict


def last_point(quiet: Quiet) -> str:
    return (quiet.root / "points.txt").read_text().splitlines()[-1]


@pytest.mark.parametrize(
    ("kind", "each"),
    [
        pytest.param("folder", 4, id="every fourth"),
        pytest.param("folder", 1, id="folder", marks=pytest.mark.long),
        pytest.param("loose", 1, id="loose", marks=pytest.mark.long),
    ],
)
def test_who_cancels_may_die_at_any_point(tmp_path: Path, kind: str, each: int) -> None:
    for quiet in deaths(tmp_path, kind, each=each):
        lies = whole(quiet)

        # Loose files move one by one; their record lists them all.
        assert len(lies) == 1 or kind == "loose", last_point(quiet)
        assert {name: data for _, files in lies for name, data in files.items()} == FILES, last_point(quiet)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["folder", "loose"])
def test_the_next_daemon_makes_it_good(tmp_path: Path, kind: str) -> None:
    ends = set()
    for quiet in deaths(tmp_path, kind, syncs=True):
        moved = [place for place, _ in whole(quiet)] != ["inbox"]
        wait_until(lambda quiet=quiet: _live_on(quiet), 60)

        ((_, files),) = whole(quiet)
        ends.add(verdict(quiet, "scan"))
        assert files == FILES, last_point(quiet)
        assert (verdict(quiet, "scan") is Verdict.CANCELLED) == moved, last_point(quiet)
    assert len(ends) == 2


def _live_on(quiet: Quiet) -> bool:
    """One life; whether nothing waits any more. A cancelling that came no further is left alone for a minute."""
    assert Life(quiet.config, quiet.log, once=True).end() == 0
    left = [path for path in quiet.place("alice", "processing").iterdir() if whole_of(path)]
    return not left and not any(quiet.inbox("alice").iterdir())


def whole_of(envelope: Path) -> list[Path]:
    return [path for path in envelope.iterdir() if path.name != ".dropwatch"]


@pytest.mark.long
@pytest.mark.timeout(300)
def test_daemon_and_who_cancels_want_the_same_drop_at_the_same_moment(tmp_path: Path) -> None:
    quiet = Quiet(tmp_path, {"spools": {"settle": "0s"}})
    cancelled, tried = set(), 60
    with quiet.daemon():
        for number in range(tried):
            name = f"run{number}"
            if number % 2:
                (quiet.inbox("alice") / f"{name}.a.fake").touch()
                (quiet.inbox("alice") / f"{name}.a.xml").touch()
            else:
                (quiet.inbox("alice") / f".{name}.part").mkdir()
                (quiet.inbox("alice") / f".{name}.part" / f"{name}.a.fake").touch()
                (quiet.inbox("alice") / f".{name}.part").rename(quiet.inbox("alice") / name)
            if _cancelled(quiet, name if number % 2 == 0 else f"{name}.a"):
                cancelled.add(name)
        wait_until(quiet.is_quiet, 120)

    names = set(map("run{}".format, range(tried)))
    print(f"{len(cancelled)} of {tried} were cancelled in time")
    assert {name for name in names if verdict(quiet, f"{name}.a") is Verdict.CANCELLED} == cancelled
    assert not [path for path in quiet.archive.rglob("*.fake") if path.name.split(".")[0] in cancelled]


def _cancelled(quiet: Quiet, name: str) -> bool:
    settings = config.load(quiet.config)
    for one in find(settings, name, glance.inbox):
        if one.place is Place.INBOX:
            try:
                actions.cancel(settings, one, time.time())
            except actions.Refused:
                return False
            return True
    return False
