"""Trouble on order: how the faults file is read, counted down and shared with whoever writes it."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest
import yaml

from dropwatch.sandbox.faults import Faults, seconds


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "faults.yaml"


def test_missing_file_means_no_faults(path: Path) -> None:
    faults = Faults(path)

    assert faults.get("omero") == {}
    assert not faults.use("omero", "busy")


def test_number_counts_down_in_the_file_and_the_rest_stays(path: Path) -> None:
    path.write_text("omero: {busy: 2, refuse: true, slow_upload: 5s}\nsmtp: {code: 451}\n")
    faults = Faults(path)

    assert [faults.use("omero", "busy") for _ in range(3)] == [True, True, False]
    assert [faults.use("omero", name) for name in ("refuse", "slow_upload", "other")] == [True, True, False]
    assert yaml.safe_load(path.read_text()) == {
        "omero": {"busy": 0, "refuse": True, "slow_upload": "5s"},
        "smtp": {"code": 451},
    }


def test_file_is_read_anew_and_a_half_written_one_is_overlooked(path: Path) -> None:
    faults = Faults(path)
    path.write_text("omero: {busy: 1}")
    before = faults.get("omero")
    path.write_text("omero: {busy: [")
    during = faults.get("omero")
    path.write_text("omero: {internal: 1}")

    assert before == during == {"busy": 1}
    assert faults.get("omero") == {"internal": 1}


def test_threads_count_each_fault_once(path: Path) -> None:
    path.write_text("omero: {busy: 50}")
    faults = Faults(path)
    used: list[bool] = []
    threads = [
        Thread(target=lambda: used.extend(faults.use("omero", "busy") for _ in range(20))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert used.count(True) == 50


def test_bytes_are_spent_until_nothing_is_left(path: Path) -> None:
    path.write_text("omero: {drop_after_bytes: 100}")
    faults = Faults(path)

    assert [faults.spend("omero", "drop_after_bytes", 60) for _ in range(3)] == [False, True, False]


@pytest.mark.parametrize(
    ("text", "value"), [("5s", 5.0), ("500ms", 0.5), ("2m", 120.0), (3, 3.0), (None, 0.0)]
)
def test_durations(text: object, value: float) -> None:
    assert seconds(text) == value
