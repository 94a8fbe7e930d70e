"""Users take turns, and nothing waits for anything that it need not wait for."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from dropwatch.daemon import Daemon
from dropwatch.importers.base import Importer
from dropwatch.model import Answers, Fileset, Order
from dropwatch.task import make_importer
from facility import DEADLINE, Facility
from threads import thread_staff

Make = Callable[..., Facility]

TOGETHER = 'target: "Project:HeLa/Dataset:day 3"\n'


def test_many_batches_of_one_user_do_not_hold_up_anothers_one(facility: Make) -> None:
    place = facility(workers={"imports": 1})
    for number in range(20):
        place.drop("alice", f"run {number:02}", f"{number:02}.ome.tif")
    place.start()
    place.until(lambda: len(place.imports()) >= 3)
    place.drop("bob", "the only one", "bob.ome.tif")
    place.until(lambda: place.retired("bob"))
    before = len(place.imports())
    place.until(lambda: place.retired("alice", 20))

    assert before < 17
    assert len(place.imports()) == 21


def test_bad_batch_is_told_while_a_long_import_holds_every_worker(facility: Make) -> None:
    place = facility(workers={"imports": 1})
    place.faults(omero={"hold_after_verify": True})
    place.drop("alice", "long", "a.ome.tif")
    place.start()
    place.until(lambda: place.ask_server("select id from originalfile where hash is not null"))
    place.drop("bob", "bad", "b.ome.tif", manifest="taget: x\n")
    place.until(lambda: place.subjects("bob@"))

    assert place.imports() == []
    place.faults()
    place.until(lambda: place.retired("alice"))


def test_dead_mail_host_does_not_hold_imports(facility: Make) -> None:
    place = facility()
    place.faults(smtp={"refuse": True})
    for number in range(5):
        place.drop("alice", f"run {number}", f"{number}.ome.tif")
    place.start()
    place.until(lambda: place.retired("alice", 5))

    assert place.mails() == []
    assert len(place.imports()) == 5


@dataclass
class Counting:
    """An importer that notes how many asks of each owner are under way at once; the first waits for a second one."""

    importer: Importer
    asking: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    together: int = 0
    beside: threading.Event = field(default_factory=threading.Event)

    def ask(self, order: Order, filesets: Sequence[Fileset]) -> Answers:
        self.asking[order.owner] += 1
        self.most[order.owner] = max(self.most[order.owner], self.asking[order.owner])
        self.together = max(self.together, self.asking.total())
        if self.together > 1:
            self.beside.set()
        self.beside.wait(DEADLINE / 2)
        threading.Event().wait(0.1)  # for one that must not come
        try:
            return self.importer.ask(order, filesets)
        finally:
            self.asking[order.owner] -= 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self.importer, name)


def test_an_owner_is_asked_about_once_at_a_time(facility: Make) -> None:
    """Two batches that want the same new dataset would both make one, and tidy up after."""
    place = facility(workers={"imports": 4, "per_user": 4})
    for number in range(4):
        for user in ("alice", "bob"):
            place.drop(user, f"{user} {number}", f"{user}{number}.ome.tif", manifest=TOGETHER)
    config = place.config()
    counting = Counting(make_importer(config, {}))
    place.daemon = Daemon(config, thread_staff(config, cast(Importer, counting)), {})
    place.run_in_thread()
    place.until(lambda: place.retired("alice", 4) and place.retired("bob", 4))

    assert counting.most == {"alice": 1, "bob": 1}
    assert counting.together == 2, "one owner waits for another"
    assert [name for (name,) in place.ask_server("select name from project")] == ["HeLa", "HeLa"]


def test_the_same_files_dropped_twice_at_once_are_imported_once(facility: Make) -> None:
    place = facility()
    first = place.drop("alice", "run 7", "a.ome.tif", manifest="target: 'Dataset:runs'")
    made = shutil.copytree(first, place.folder / "made" / "run 7 again", copy_function=shutil.copyfile)
    place.bring("alice", made)
    place.faults(omero={"slow_upload": "300ms", "slow_after_verify": "300ms"})

    place.start()
    place.until(lambda: place.retired("alice", 2))

    reports = [(one / "REPORT.txt").read_text() for one in place.envelopes("alice", "done")]
    assert place.imported() == ["a.ome.tif"]
    assert sum("already" in report for report in reports) == 1
