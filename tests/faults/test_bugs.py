"""A bug of ours in one batch never stops another, counts as an attempt, and is told to the admins once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dropwatch.daemon import Daemon
from dropwatch.model import Answers, Order
from dropwatch.task import make_importer
from facility import Facility
from threads import thread_staff

Make = Callable[..., Facility]


class Stumbling:
    """An importer with a bug: it breaks in *where* for the batch named "bad"; all else is the real one's."""

    def __init__(self, real: Any, where: str) -> None:
        self._real = real
        self._where = where

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)

        def call(*args: Any, **more: Any) -> Any:
            if name == self._where and isinstance(args[0], Order) and args[0].source == "bad":
                if self._where == "ask":
                    return Answers(None, None, "")  # type: ignore[arg-type]  # an answer that cannot be applied
                raise ZeroDivisionError("a bug of ours")
            return method(*args, **more)

        return call


def start(place: Facility, where: str) -> None:
    config = place.config()
    stumbling: Any = Stumbling(make_importer(config, {}), where)
    place.daemon = Daemon(config, thread_staff(config, stumbling), {})
    place.daemon.line.bug_wait = 0.2
    place.run_in_thread()


def both_end(place: Facility) -> Path:
    place.drop("alice", "bad", "a.ome.tif")
    place.drop("bob", "good", "b.ome.tif")
    place.until(lambda: place.retired("bob"))
    place.until(lambda: place.retired("alice"))
    place.until(lambda: [s for s in place.subjects("admin@") if s.startswith("Error in dropwatch")])

    assert place.imported() == ["b.ome.tif"]
    return place.batch("alice", "failed")


def test_bug_in_an_import_is_bounded_and_stops_nobody(facility: Make) -> None:
    place = facility(retry={"import": ["200ms"]})
    start(place, "import_")
    envelope = both_end(place)

    assert "dropwatch met an error of its own" in (envelope / "REPORT.txt").read_text()


def test_answer_that_cannot_be_applied_is_bounded_and_stops_nobody(facility: Make) -> None:
    place = facility(retry={"import": ["200ms"]})
    start(place, "ask")
    envelope = both_end(place)

    assert "dropwatch met an error of its own" in (envelope / "REPORT.txt").read_text()
