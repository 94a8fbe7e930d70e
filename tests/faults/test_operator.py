"""Faults that an admin has to mend: told at once with the remedy, not hammered, resumed by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from facility import Facility, text_of

Make = Callable[..., Facility]

PATIENT = {"import": ["300ms"], "mail": ["300ms"] * 8}


def test_wrong_service_password_pauses_all_and_resumes_when_it_is_put_right(facility: Make) -> None:
    place = facility(retry=PATIENT)
    place.password.write_text("wrong\n")
    place.drop("alice", "run", "a.ome.tif")
    place.drop("bob", "run", "b.ome.tif")
    place.start()
    place.until(lambda: place.subjects("admin@"))
    told = text_of(place.mails("admin@")[0])

    assert "password" in told
    assert place.imports() == []
    place.password.write_text("dropwatch\n")
    place.until(lambda: place.retired("alice") and place.retired("bob"))
    assert place.imported() == ["a.ome.tif", "b.ome.tif"]
    assert len(place.subjects("admin@")) == 1


def test_service_account_without_sudo_is_told_with_the_remedy(facility: Make) -> None:
    place = facility(retry=PATIENT, omero={"user": "nosudo"})
    place.password.write_text("nosudo\n")
    place.drop("alice", "run", "a.ome.tif")
    place.start()
    place.until(lambda: place.subjects("admin@"))

    assert "Sudo" in text_of(place.mails("admin@")[0])
    assert place.imports() == []


@pytest.mark.parametrize(("name", "word"), [("nobody", "nobody"), ("mallory", "inactive")])
def test_unknown_or_inactive_user_pauses_that_user_only(facility: Make, name: str, word: str) -> None:
    place = facility(retry=PATIENT, users={"carol": {"omero": name, "email": "carol@example.org"}})
    place.drop("carol", "run", "c.ome.tif")
    place.drop("alice", "run", "a.ome.tif")
    place.start()
    place.until(lambda: place.retired("alice"))
    place.until(lambda: place.subjects("admin@") and place.subjects("carol@"))
    place.until(lambda: place.subjects("alice@"))

    assert word in text_of(place.mails("admin@")[0])
    assert place.imported() == ["a.ome.tif"]
    assert len(place.envelopes("carol", "processing")) == 1
    assert len(place.subjects("carol@")) == 1


def test_full_server_disk_pauses_and_resumes(facility: Make) -> None:
    place = facility(retry={"import": ["300ms"] * 4})
    place.faults(omero={"disk_full": True})
    place.drop("alice", "run", "a.ome.tif")
    place.start()
    place.until(lambda: place.subjects("admin@"))
    place.faults()
    place.until(lambda: place.retired("alice"))

    assert place.imported() == ["a.ome.tif"]
    assert place.leftovers() == []


def test_user_without_any_address_leaves_the_letter_to_the_admins(facility: Make) -> None:
    place = facility(users={"alice": {"omero": "dave"}})
    place.drop("alice", "run", "a.ome.tif")
    place.start()
    place.until(lambda: place.subjects("admin@"))

    assert "no mail address" in text_of(place.mails("admin@")[0]).lower()
    assert place.imported() == ["a.ome.tif"]
