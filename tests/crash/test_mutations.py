"""Take out a line that keeps a guarantee, and a test must go red: mutations.py lists them."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("omero")
if sys.platform == "win32":
    pytest.skip("the crash tests", allow_module_level=True)

from tests.crash.mutations import MUTATIONS, Mutation, red_tests, stale


def test_each_line_to_take_out_is_there() -> None:
    assert {mutation.name: lines for mutation in MUTATIONS if (lines := stale(mutation))} == {}


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mutation", MUTATIONS, ids=[mutation.name for mutation in MUTATIONS])
def test_some_test_goes_red_when_we(mutation: Mutation) -> None:
    assert red_tests(mutation)
