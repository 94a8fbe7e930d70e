"""What is remembered of looks: over attempts, over planners that die at a file, over journals that lie."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dropwatch.errors import OperatorError
from dropwatch.formats import Look, Readable
from dropwatch.task.looks import JOURNAL
from tests.drops import STAMP, Drop, Told

SPAWN = multiprocessing.get_context("spawn")


@dataclass
class Deadly:
    """Takes its process along at files called kill..., never comes back from those called hang..."""

    log: Path
    name: str = "Deadly 1.0"

    def look(self, path: Path, folder: Path) -> Look:
        with self.log.open("a") as file:
            file.write(path.name + "\n")
        if path.name.startswith("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        while path.name.startswith("hang"):
            time.sleep(1000)
        return Readable("T", (str(path),), 1, False)


@pytest.fixture
def drop(tmp_path: Path) -> Drop:
    return Drop(tmp_path / "spool")


def log(drop: Drop) -> Path:
    return drop.spool.parent / "asked"


def plan_in_a_process(spool: Path, died: bool) -> None:
    drop = Drop(spool)
    drop.plan(Deadly(log(drop)), died=died)


def planner(drop: Drop, *, died: bool = False) -> object:
    """Plan in a process of its own, which may be killed; its exit code. *died*: the daemon saw the one before die."""
    process = SPAWN.Process(target=plan_in_a_process, args=(drop.spool, died))
    process.start()
    end, hangs = time.monotonic() + 60, asked(drop).count("hang.tif")
    while process.is_alive() and time.monotonic() < end and asked(drop).count("hang.tif") == hangs:
        process.join(0.05)
    process.kill()
    process.join()
    return process.exitcode


def asked(drop: Drop) -> list[str]:
    return log(drop).read_text().split() if log(drop).exists() else []


def plan_here(drop: Drop, looker: Told, **how: object) -> tuple[list[str], list[str]]:
    """The names of what is imported and of what is refused."""
    made = drop.plan(looker, **how)  # type: ignore[arg-type]
    return [one.name for one in made.filesets], [no.name for no in made.refused]


# -- planners that die -------------------------------------------------------------------------------------


@pytest.mark.parametrize("deadly", ["kill.tif", "hang.tif"])
def test_a_file_that_ends_two_planners_is_refused_and_the_others_go_on(drop: Drop, deadly: str) -> None:
    for name in ("a.tif", deadly, "z.tif"):
        drop.file(name)

    codes = [planner(drop), planner(drop, died=True)]
    made = drop.plan(Told(name="Deadly 1.0"), died=True)

    assert codes == [-signal.SIGKILL, -signal.SIGKILL]
    assert [one.name for one in made.filesets] == ["a.tif", "z.tif"]
    (refused,) = made.refused
    assert (refused.name, refused.error) == (deadly, "unreadable")
    assert refused.reason.startswith("Bio-Formats hangs or crashes at this file")
    assert refused.remedy
    # The second time it came last, and nothing else was looked at twice.
    assert asked(drop) == ["a.tif", deadly, "z.tif", deadly]


def test_a_file_that_was_looked_at_when_somebody_ended_the_daemon_is_innocent(drop: Drop) -> None:
    for name in ("a.tif", "kill.tif", "z.tif"):
        drop.file(name)
    for _ in range(3):
        planner(drop)

    assert plan_here(drop, Told(name="Deadly 1.0")) == (["a.tif", "kill.tif", "z.tif"], [])


def test_a_file_that_takes_the_daemon_along_is_given_up_as_well(drop: Drop) -> None:
    drop.file("a.tif")
    died(drop, "a.tif", times=19, seen=0)
    assert plan_here(drop, Told()) == (["a.tif"], [])
    died(drop, "a.tif", times=20, seen=0)

    assert plan_here(drop, Told()) == ([], ["a.tif"])


def test_a_death_before_the_first_look_is_nobodys_fault(drop: Drop) -> None:
    drop.file("a.tif")
    died(drop, "a.tif", times=1)
    for _ in range(3):
        forge(drop, *read(drop), header())

        assert plan_here(drop, Told(), died=True) == (["a.tif"], [])


def test_two_files_that_kill_cost_four_planners(drop: Drop) -> None:
    for name in ("kill1.tif", "kill2.tif", "m.tif"):
        drop.file(name)

    for number in range(4):
        assert planner(drop, died=number > 0) == -signal.SIGKILL

    assert plan_here(drop, Told(name="Deadly 1.0"), died=True) == (["m.tif"], ["kill1.tif", "kill2.tif"])


def test_a_file_that_kills_is_not_opened_when_a_set_has_it(drop: Drop) -> None:
    image, deadly = drop.file("b.tif"), drop.file("a-kills.tif")
    died(drop, "a-kills.tif")
    told = Told({"b.tif": Readable("T", (str(image), str(deadly)), 1, False)})

    assert plan_here(drop, told) == (["b.tif"], [])
    assert told.asked == ["b.tif"]


def test_a_replaced_file_gets_its_chance(drop: Drop) -> None:
    drop.file("a.tif")
    died(drop, "a.tif", times=2)

    assert plan_here(drop, Told()) == ([], ["a.tif"])
    drop.file("a.tif", "another")
    assert plan_here(drop, Told()) == (["a.tif"], [])


def test_deaths_are_known_though_another_file_was_replaced(drop: Drop) -> None:
    drop.file("a.tif")
    drop.file("b.tif")
    died(drop, "a.tif", times=2)
    drop.plan(Told())
    drop.file("b.tif", "another")

    assert plan_here(drop, Told()) == (["b.tif"], ["a.tif"])
    drop.file("b.tif", "yet another")
    assert plan_here(drop, Told()) == (["b.tif"], ["a.tif"])


def test_a_reader_that_cannot_be_had_is_not_the_fault_of_the_file(drop: Drop) -> None:
    drop.file("a.tif")

    class Unstartable(Told):
        def look(self, path: Path, folder: Path) -> Look:
            raise OperatorError("Java does not start.", concerns="bioformats")

    for _ in range(3):
        with pytest.raises(OperatorError):
            drop.plan(Unstartable())

    assert plan_here(drop, Told()) == (["a.tif"], [])


# -- what holds, and for how long --------------------------------------------------------------------------


def test_looks_are_not_repeated_while_nothing_changes(drop: Drop) -> None:
    for name in ("a.tif", "sub/b.tif", "caf\u00e9 \udcff.tif"):
        drop.file(name)
    before, told = drop.plan(Told()), Told()

    again = drop.plan(told)

    assert told.asked == []
    assert again == before


@pytest.mark.parametrize("change", ["added", "changed", "gone", "link", "reader", "claim"])
def test_looks_are_repeated_when_anything_changes(drop: Drop, change: str) -> None:
    drop.file("a.tif")
    drop.file("b.tif")
    drop.plan(Told())
    if change == "added":
        drop.file("c.companion.ome")
    if change == "changed":
        drop.file("b.tif", "longer")
    if change == "gone":
        (drop.folder / "b.tif").unlink()
    if change == "link":
        (drop.folder / "c.tif").symlink_to("a.tif")
    told = Told(name="Told 2.0" if change == "reader" else "Told 1.0")

    drop.plan(told, claim="20261125-000000-aaaa" if change == "claim" else STAMP)

    assert "a.tif" in told.asked


def test_what_killed_in_another_claim_is_looked_at_anew(drop: Drop) -> None:
    drop.file("a.tif")
    died(drop, "a.tif", times=2)

    assert plan_here(drop, Told(), claim="20261125-000000-aaaa") == (["a.tif"], [])


def test_nothing_is_written_into_the_folder_of_the_user(drop: Drop) -> None:
    drop.file("a.tif")
    before = [(path, path.stat()) for path in [drop.folder, *drop.folder.iterdir()]]

    drop.plan(Told())

    assert [(path, path.stat()) for path in [drop.folder, *drop.folder.iterdir()]] == before
    assert os.listdir(drop.memory) == [JOURNAL]  # noqa: PTH208


# -- journals that are torn, forged, or not there ----------------------------------------------------------


def header(**other: str) -> dict[str, object]:
    return {"claim": STAMP, "state": "x", **other}


def died(drop: Drop, name: str, times: int = 1, seen: int | None = None) -> None:
    """As if *times* planners had died at *name*, and the daemon had seen all of them, or *seen*."""
    info = (drop.folder / name).stat()
    facts = {"size": info.st_size, "mtime": info.st_mtime_ns}
    seen = times if seen is None else seen
    blame = [{"blamed": name, **facts, "times": seen}] if seen else []
    forge(drop, header(), *[{"look": name, **facts}] * times, *blame)


def read(drop: Drop) -> list[object]:
    return [json.loads(line) for line in (drop.memory / JOURNAL).read_text().split("\n") if line]


def forge(drop: Drop, *lines: object) -> None:
    (drop.memory / JOURNAL).write_text("".join(json.dumps(line) + "\n" for line in lines))


def state_of(drop: Drop) -> str:
    drop.plan(Told())
    state = json.loads((drop.memory / JOURNAL).read_text().split("\n")[1])["state"]
    assert isinstance(state, str)
    return state


def test_a_forged_look_leads_nowhere_that_a_true_one_would_not(drop: Drop) -> None:
    info = drop.file("a.tif").stat()
    forge(
        drop,
        header(state=state_of(drop)),
        {"look": "a.tif", "size": info.st_size, "mtime": info.st_mtime_ns},
        {"seen": "a.tif", "format": "F", "series": 1, "plate": False, "used": ["a.tif", "/etc/passwd"]},
    )
    told = Told()

    imported, refused = plan_here(drop, told)

    assert told.asked == []  # it was believed ...
    assert (imported, refused) == ([], ["a.tif"])  # ... as far as the file itself would have been


def test_wherever_a_journal_was_torn_it_costs_a_look_and_no_more(drop: Drop) -> None:
    for name in ("a.tif", "b.tif"):
        drop.file(name)
    drop.plan(Told())
    whole = (drop.memory / JOURNAL).read_bytes()
    for length in range(len(whole)):
        (drop.memory / JOURNAL).write_bytes(whole[:length])
        first, second = Told(), Told()

        assert plan_here(drop, first) == (["a.tif", "b.tif"], [])
        assert first.asked in ([], ["b.tif"], ["a.tif", "b.tif"], ["b.tif", "a.tif"])
        assert plan_here(drop, second) == (["a.tif", "b.tif"], [])
        assert second.asked == []


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["a.tif", STAMP]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "claim",
                    "state",
                    "look",
                    "size",
                    "mtime",
                    "seen",
                    "used",
                    "format",
                    "series",
                    "plate",
                    "unknown",
                    "reason",
                    "detail",
                ]
            ),
            inner,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_json, max_size=6), st.binary(max_size=30))
def test_no_journal_stops_a_plan(drop: Drop, lines: list[object], rubbish: bytes) -> None:
    drop.file("a.tif")
    forge(drop, header(), *lines)
    with (drop.memory / JOURNAL).open("ab") as file:
        file.write(rubbish)

    made = drop.plan(Told())

    assert [one.name for one in (*made.filesets, *made.refused)] == ["a.tif"]


def test_a_journal_beyond_its_bound_is_begun_anew(drop: Drop) -> None:
    drop.file("a.tif")
    with (drop.memory / JOURNAL).open("wb") as file:
        file.truncate(65 * 2**20)

    assert plan_here(drop, Told()) == (["a.tif"], [])
    assert (drop.memory / JOURNAL).stat().st_size < 1000


@pytest.mark.parametrize("what", ["link", "hard link", "pipe", "folder", "no memory", "linked memory"])
def test_where_no_journal_can_be_kept_planning_goes_on(drop: Drop, tmp_path: Path, what: str) -> None:
    drop.file("a.tif")
    precious, elsewhere = tmp_path / "precious", tmp_path / "elsewhere"
    precious.write_text("precious")
    elsewhere.mkdir()
    if what == "link":
        (drop.memory / JOURNAL).symlink_to(precious)
    if what == "hard link":
        (drop.memory / JOURNAL).hardlink_to(precious)
    if what == "pipe":
        os.mkfifo(drop.memory / JOURNAL)
    if what == "folder":
        (drop.memory / JOURNAL).mkdir()
    if what in ("no memory", "linked memory"):
        drop.memory.rmdir()
    if what == "linked memory":
        drop.memory.symlink_to(elsewhere)

    for _ in range(2):
        assert plan_here(drop, Told()) == (["a.tif"], [])

    assert precious.read_text() == "precious"
    assert list(elsewhere.iterdir()) == []


def test_the_order_of_looks_does_not_matter_to_the_plan(drop: Drop) -> None:
    files = [str(drop.file(f"{name}.tif")) for name in "abcdef"]
    told = {
        "a.tif": Readable("T", (files[0],), 1, False),
        "b.tif": Readable("T", (files[1],), 1, False),
        "f.tif": Readable("T", (files[5], files[0], files[1]), 1, False),
    }
    plans = []
    for seed in range(6):
        order = sorted(f"{name}.tif" for name in "abcdef")
        random.Random(seed).shuffle(order)
        drop.say(files=[{"path": name} for name in order])
        plans.append({(one.id, one.files) for one in drop.plan(Told(dict(told), name=str(seed))).filesets})

    assert all(one == plans[0] for one in plans)
