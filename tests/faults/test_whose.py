"""Whose images they become: by place and configuration; only an instrument's manifest may say so."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dropwatch.model import Place
from facility import Facility, text_of

Make = Callable[..., Facility]

MAY = {"confocal1": {"may_import_for": ["alice", "group:lab-b"]}}


@pytest.fixture
def instrument(facility: Make) -> Facility:
    place = facility(instruments=MAY)
    for folder in Place:
        (place.spool / "confocal1" / folder).mkdir(parents=True)
    place.start()
    return place


def test_instrument_imports_for_a_person_on_its_list(instrument: Facility) -> None:
    instrument.drop("confocal1", "run", "a.ome.tif", manifest="user: alice\n")
    instrument.until(lambda: instrument.retired("confocal1"))
    instrument.until(lambda: instrument.subjects("alice@"))

    assert [one["user"] for one in instrument.imports()] == ["alice"]


def test_instrument_imports_for_members_of_a_group_on_its_list(instrument: Facility) -> None:
    instrument.drop("confocal1", "run", "a.ome.tif", manifest="user: carol\n")
    instrument.until(lambda: instrument.retired("confocal1"))

    assert [one["user"] for one in instrument.imports()] == ["carol"]


@pytest.mark.parametrize(
    ("manifest", "word"),
    [("user: dave\n", "may not import for dave"), ("tags: [x]\n", "does not say whose images")],
    ids=["not on the list", "nobody named"],
)
def test_instrument_is_refused_in_words(instrument: Facility, manifest: str, word: str) -> None:
    instrument.drop("confocal1", "run", "a.ome.tif", manifest=manifest)
    instrument.until(lambda: instrument.retired("confocal1"))
    instrument.until(lambda: instrument.subjects("admin@"))
    told = " ".join((instrument.batch("confocal1", "failed") / "REPORT.txt").read_text().split())

    assert word in told
    assert instrument.imports() == []
    assert any(word in text_of(mail) for mail in instrument.mails("admin@"))


def test_defaults_of_a_user_fill_in_what_the_manifest_does_not_say(facility: Make) -> None:
    place = facility()
    (place.spool / "bob" / "defaults.yaml").write_text("group: lab-b\ntarget: Dataset:mine\n")
    place.drop("bob", "one", "a.ome.tif")
    place.drop("bob", "two", "b.ome.tif", manifest="target: Dataset:other\n")
    place.start()
    place.until(lambda: place.retired("bob", 2))

    assert {one["group"] for one in place.imports()} == {"lab-b"}
    assert sorted(place.ask_server("select name from dataset")) == [("mine",), ("other",)]


def test_user_that_waits_for_manifests_is_left_alone_without_one(facility: Make) -> None:
    place = facility(users={"alice": {"start": "manifest"}})
    folder = place.drop("alice", "run", "a.ome.tif")
    place.drop("bob", "run", "b.ome.tif")
    place.start()
    place.until(lambda: place.retired("bob"))

    assert folder.exists()
    (folder / "batch.yaml").write_text("tags: [now]\n")
    place.until(lambda: place.retired("alice"))
    assert place.imported() == ["a.ome.tif", "b.ome.tif"]
