"""Users take turns, and nothing waits for anything that it need not wait for."""

from __future__ import annotations

from collections.abc import Callable

from facility import Facility

Make = Callable[..., Facility]


def test_many_batches_of_one_user_do_not_hold_up_anothers_one(facility: Make) -> None:
    place = facility(workers={"imports": 1})
    for number in range(40):
        place.drop("alice", f"run {number:02}", f"{number:02}.ome.tif")
    place.start()
    place.until(lambda: len(place.imports()) >= 3)
    place.drop("bob", "the only one", "bob.ome.tif")
    place.until(lambda: place.retired("bob"))
    before = len(place.imports())
    place.until(lambda: place.retired("alice", 40), 90)

    assert before < 30
    assert len(place.imports()) == 41


def test_bad_batch_is_told_while_a_long_import_holds_every_worker(facility: Make) -> None:
    place = facility(workers={"imports": 1})
    place.faults(omero={"slow_after_verify": "6s"})
    place.drop("alice", "long", "a.ome.tif")
    place.start()
    place.until(lambda: place.ask_server("select id from originalfile where hash is not null"))
    place.drop("bob", "bad", "b.ome.tif", manifest="taget: x\n")
    place.until(lambda: place.subjects("bob@"))

    assert place.imports() == []
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
