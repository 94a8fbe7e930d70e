"""Does a share answer? With a share that answers when the test says so."""

from __future__ import annotations

import threading
from pathlib import Path

from dropwatch.spool.knock import FRESH, Knock
from tests.world import wait_until


class Share:
    """Answers while *up*; *asked* counts."""

    def __init__(self) -> None:
        self.up = threading.Event()
        self.asked = 0

    def ask(self, root: Path) -> None:
        self.asked += 1
        assert self.up.wait(60)

    def knock(self, clock: list[float], patience: float = 0.05) -> Knock:
        return Knock(Path("share"), patience=patience, ask=self.ask, clock=lambda: clock[0])


def test_a_share_that_hangs_is_asked_once_and_nobody_waits_for_it_twice() -> None:
    share, clock = Share(), [100.0]
    knock = share.knock(clock)
    first = knock.answers()
    clock[0] += 60.0
    again = [knock.answers() for _ in range(1000)]

    assert (first, any(again), share.asked) == (False, False, 1)
    assert knock.waits() == 60.0
    share.up.set()


def test_a_share_that_answers_again_is_known_to() -> None:
    share, clock = Share(), [100.0]
    knock = share.knock(clock, patience=60.0)
    share.up.set()
    before = knock.answers()
    share.up.clear()
    fresh = knock.answers()
    clock[0] += FRESH * 2
    knock._patience = 0.05
    hung = knock.answers()
    share.up.set()
    wait_until(knock.answers)

    assert (before, fresh, hung, knock.answers(), knock.waits()) == (True, True, False, True, 0.0)


def test_an_error_is_an_answer_and_so_is_a_real_folder(tmp_path: Path) -> None:
    assert Knock(tmp_path).answers()
    assert Knock(tmp_path / "not there").answers()
