"""The long day of soak.py, a short one by default. Thirty minutes of it: python -m tests.crash.soak --minutes 30"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("omero")
if sys.platform != "linux":
    pytest.skip("measures by /proc", allow_module_level=True)

from tests.crash.soak import soak


@pytest.mark.timeout(600)
def test_a_few_seconds_of_every_trouble_leave_everything_in_order(tmp_path: Path) -> None:
    with soak(tmp_path, 0.15, seed=4) as day:
        day.run()
        print(day.told())

        day.assert_all_is_well()


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_ten_minutes_of_every_trouble_leave_everything_in_order_and_the_daemon_as_it_was(
    tmp_path: Path,
) -> None:
    with soak(tmp_path, 10, seed=20261124) as day:
        day.run()
        print(day.told())

        day.assert_all_is_well()
        day.assert_flat()
