"""What somebody asked of My batches, as it stands in the address of the page."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from dropwatch.web.listed import Stage, Wanted
from dropwatch.web.pages.asked import Asked


def test_the_address_brings_back_all_that_was_asked() -> None:
    asked = Asked("a b&c'", "needs you", "bob", "2026-11-24", "2026-11-25", "3")

    assert Asked(**dict(parse_qsl(urlsplit(asked.address).query))) == asked
    assert "'" not in asked.address  # it stands in a script
    assert Asked().address == "/"


def test_days_begin_and_end_where_the_facility_is() -> None:
    wanted = Asked(q="hela", stage="done", since="2026-11-24", until="2026-11-24").wanted("Europe/Paris")

    assert wanted == Wanted(text="hela", stage=Stage.DONE, since=1795474800.0, until=1795474800.0 + 86400)


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "2026-02-30", "tomorrow", "²"])
@pytest.mark.parametrize("page", ["0", "-7", "two", "²", "9" * 5000])
def test_what_makes_no_sense_asks_for_nothing(day: str, page: str) -> None:
    asked = Asked(stage="nowhere", until=day, page=page)

    assert asked.number == 0
    assert asked.wanted("Europe/Paris").stage is None
    assert asked.wanted("Europe/Paris").until is None or day == "0001-01-01"
