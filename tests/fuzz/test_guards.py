"""Take out a line that keeps a reader from failing, and a test must go red: guards.py lists them."""

from __future__ import annotations

import pytest

pytest.importorskip("omero")

from tests.crash.mutations import Mutation, red_tests
from tests.fuzz.guards import GUARDS


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("guard", GUARDS, ids=[guard.name for guard in GUARDS])
def test_some_test_goes_red_without(guard: Mutation) -> None:
    assert red_tests(guard)
