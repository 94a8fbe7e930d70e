"""Worker processes that answer, hang, crash and are left alone. Real processes, real signals."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from queue import SimpleQueue

import pytest
from poison import POISONS, event

from dropwatch.errors import PermanentError, TemporaryError
from dropwatch.model import LookUpJob, Progress
from dropwatch.workers import DIED, Bug, Done, Squad, Work, Workers
from tests.alive import is_alive
from tests.unruly import Unruly

DEADLINE = 90.0


class Office:
    """Workers, and the answers they gave."""

    def __init__(
        self, size: int = 1, timeout: float = 60.0, patience: float = 0.0, goodbye: Path | None = None
    ) -> None:
        self.workers = Workers(
            {LookUpJob: Squad("askers", size, timeout, patience)}, partial(Unruly, goodbye)
        )
        self.answers: SimpleQueue[Done] = SimpleQueue()

    def ask(self, words: str) -> Work:
        return self.workers.submit(LookUpJob(words), self.answers.put)

    def answer(self) -> Done:
        return self.answers.get(timeout=DEADLINE)

    def tell(self, words: str) -> Done:
        self.ask(words)
        return self.answer()

    def pid(self) -> int:
        """The process that works here now: where a job may take a second only, a busy machine may need two of them."""
        while (found := self.tell("pid").value) is None:
            pass
        return int(found)


@pytest.fixture
def office() -> Iterator[Callable[..., Office]]:
    made: list[Office] = []

    def make(**how: object) -> Office:
        made.append(Office(**how))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.workers.close(0.0)


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "not in time"
        threading.Event().wait(0.02)


def test_a_worker_is_warm_and_reused(office: Callable[..., Office]) -> None:
    place = office(size=2)

    pids = {place.tell("pid").value for _ in range(5)}

    assert len(pids) == 1
    assert os.getpid() not in pids


def test_what_is_said_in_a_worker_is_a_line_of_the_log(
    office: Callable[..., Office], capfd: pytest.CaptureFixture[str]
) -> None:
    words = POISONS["line"] + POISONS["title"] + POISONS["half"]

    office().tell(f"say {words}")

    warning, bug = (event(line) for line in capfd.readouterr().err.splitlines())
    assert (warning["logger"], warning["text"]) == ("somebody", words)
    assert (bug["verb"], "ValueError" in bug["trace"]) == ("bug", True)


def test_two_jobs_of_a_squad_of_two_run_side_by_side(office: Callable[..., Office]) -> None:
    place = office(size=2)
    first = place.ask("wait")

    assert place.tell("pid").value
    assert place.workers.busy() == {"askers": 1}
    first.stop()
    assert place.answer().value == "stopped"


def test_a_third_job_waits_for_its_turn(office: Callable[..., Office]) -> None:
    place = office()
    first = place.ask("wait")
    place.ask("hello")
    until(first.progress)

    assert place.answers.empty()
    first.stop()
    assert [place.answer().value, place.answer().value] == ["stopped", "hello"]


@pytest.mark.parametrize("signal_", [signal.SIGKILL, signal.SIGSEGV])
def test_a_crash_is_a_temporary_failure_of_its_job_and_the_next_one_runs(
    office: Callable[..., Office], signal_: int
) -> None:
    place = office()

    done = place.tell(f"die {int(signal_)}")

    assert isinstance(done.error, TemporaryError)
    assert done.error.code == DIED
    assert str(int(signal_)) in done.error.detail
    assert place.tell("hello").value == "hello"
    assert place.workers.died == 1


def test_a_worker_that_dies_at_rest_is_replaced_without_a_failure(office: Callable[..., Office]) -> None:
    place = office()
    for _ in range(3):
        pid = place.tell("pid").value
        os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid: not is_alive(pid))

        assert place.tell("hello").value == "hello"
    assert place.workers.died == 0


def test_a_job_that_takes_too_long_loses_its_process_only(office: Callable[..., Office]) -> None:
    place = office(timeout=1.0)
    pid = place.pid()

    done = place.tell("hang")

    assert isinstance(done.error, TemporaryError)
    assert done.error.code == DIED
    assert place.pid() != pid
    assert not is_alive(pid)


def test_a_worker_without_progress_ends_itself(office: Callable[..., Office]) -> None:
    place = office(patience=0.5, timeout=2 * DEADLINE)

    done = place.tell("hang")

    assert isinstance(done.error, TemporaryError)
    assert place.tell("hello").value == "hello"


def test_progress_keeps_a_patient_worker_alive(office: Callable[..., Office]) -> None:
    place = office(patience=2.0)
    work = place.ask("wait")
    until(lambda: (seen := work.progress()) and seen.done > 210)  # of which each takes 10 ms at least

    assert isinstance(work.progress(), Progress)
    work.stop()
    assert place.answer().value == "stopped"


def test_our_errors_come_back_whole_and_foreign_ones_as_a_bug_with_their_trace(
    office: Callable[..., Office],
) -> None:
    place = office()

    permanent, bug, strange = (place.tell(word).error for word in ("permanent", "bug", "unpicklable"))

    assert isinstance(permanent, PermanentError)
    assert (permanent.message, permanent.remedy, permanent.detail, permanent.code) == ("no", "none", "d", "c")
    assert isinstance(bug, Bug)
    assert bug.name == "Unpicklable"
    assert "in perform" in bug.detail
    assert strange is not None
    assert place.tell("hello").value == "hello"


def test_a_stop_reaches_a_job_that_waits_for_a_worker(office: Callable[..., Office]) -> None:
    place = office()
    first, second = place.ask("wait"), place.ask("wait")

    second.stop()
    first.stop()

    assert [place.answer().value, place.answer().value] == ["stopped", "stopped"]


def test_closing_lets_running_jobs_end_stops_the_others_and_leaves_no_process(tmp_path: Path) -> None:
    place = Office(size=2, goodbye=tmp_path / "closed")
    pid = place.tell("pid").value
    running = place.ask("wait")
    until(running.progress)

    place.workers.close(0.2)

    assert place.answer().value == "stopped"
    assert not is_alive(pid)
    assert (tmp_path / "closed").read_text() == "closed"


def test_what_hangs_is_killed_when_the_workers_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dropwatch.workers.pools._GOODBYE", 0.5)
    place = Office()
    pid = place.tell("pid").value
    place.ask("hang")
    place.ask("hello")

    place.workers.close(0.0)

    assert {type(place.answer().error).__name__ for _ in range(2)} == {"Interrupted"}
    until(lambda: not is_alive(pid))


LONELY = """
import threading, time
from functools import partial
from dropwatch.model import LookUpJob
from dropwatch.workers import Squad, Workers
from tests.alive import is_alive
from tests.unruly import Unruly
if __name__ == "__main__":
    workers = Workers({LookUpJob: Squad("askers", 2, 60.0)}, partial(Unruly, None))
    first = threading.Event()
    workers.submit(LookUpJob("pid"), lambda done: (print(done.value, flush=True), first.set()))
    first.wait(30)
    workers.submit(LookUpJob("hang"), print)
    workers.submit(LookUpJob("pid"), lambda done: print(done.value, flush=True))
    time.sleep(100)
"""


def test_workers_die_with_their_parent_however_it_dies(tmp_path: Path) -> None:
    script = tmp_path / "lonely.py"
    script.write_text(LONELY)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as parent:
        assert parent.stdout is not None and parent.stderr is not None
        pids = {int(parent.stdout.readline()) for _ in range(2)}
        parent.kill()
        said = parent.stderr.read()  # to the end of the last of its processes

    assert said == "", "what a killed daemon leaves of semaphores is removed without a word"
    assert len(pids) == 2
    until(lambda: not any(is_alive(pid) for pid in pids))


def test_no_worker_of_this_test_run_is_a_fork() -> None:
    # A fork of a process with threads (Ice, Java, the mailroom) may hang.
    assert all(type(child).__name__ == "SpawnProcess" for child in multiprocessing.active_children())
