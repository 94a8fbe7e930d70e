"""Passwords come from a file or the environment, and never show up in an error."""

from __future__ import annotations

import os
import pickle
import traceback
from pathlib import Path

import pytest

from dropwatch.credentials import OMERO, read, warnings
from dropwatch.errors import OperatorError


def refusal(path: Path) -> OperatorError:
    with pytest.raises(OperatorError) as caught:
        read(path, OMERO, {}, concerns="omero")
    return caught.value


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_the_password_is_the_line_in_the_file(tmp_path: Path, ending: bytes) -> None:
    path = tmp_path / "omero.password"
    path.write_bytes("  pass wörd ".encode() + ending)

    assert read(path, OMERO, {}, concerns="omero") == "  pass wörd "


def test_a_byte_order_mark_from_windows_is_no_part_of_the_password(tmp_path: Path) -> None:
    path = tmp_path / "omero.password"
    path.write_text("secret", encoding="utf-8-sig")

    assert read(path, OMERO, {}, concerns="omero") == "secret"


def test_the_environment_wins_and_an_empty_variable_is_none(tmp_path: Path) -> None:
    path = tmp_path / "omero.password"
    path.write_text("from the file\n", encoding="utf-8")

    assert read(path, OMERO, {OMERO: "from outside"}, concerns="omero") == "from outside"
    assert read(path, OMERO, {OMERO: ""}, concerns="omero") == "from the file"
    assert read(None, OMERO, {}, concerns="omero") is None


def test_a_changed_password_needs_no_restart(tmp_path: Path) -> None:
    path = tmp_path / "omero.password"
    path.write_text("old\n", encoding="utf-8")
    read(path, OMERO, {}, concerns="omero")

    path.write_text("new\n", encoding="utf-8")

    assert read(path, OMERO, {}, concerns="omero") == "new"


def test_a_missing_file_pauses_what_it_concerns_and_says_what_to_do(tmp_path: Path) -> None:
    error = refusal(tmp_path / "omero.password")

    assert error.concerns == "omero"
    assert "omero.password cannot be read: No such file" in error.message
    assert OMERO in error.remedy


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"hunter2\nmore\n", b"hunter2\x00", b"hunter2\xff", b"hunter2" * 1000]
)
def test_a_file_that_holds_no_password_is_refused_without_repeating_it(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "omero.password"
    path.write_bytes(data)

    error = refusal(path)

    told = "".join(traceback.format_exception(error)) + repr(error.__dict__) + repr(pickle.dumps(error))
    assert error.concerns == "omero"
    assert "hunter2" not in told
    assert error.__context__ is None  # a UnicodeDecodeError would carry the bytes


def test_a_folder_is_no_password_file(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path).message


@pytest.mark.skipif(os.name != "posix", reason="Windows keeps permissions elsewhere")
@pytest.mark.parametrize(
    ("mode", "told"),
    [
        (0o600, None),
        (0o400, None),
        (0o640, None),
        (0o644, "chmod 600"),
        (0o602, "chmod 600"),
        (0o660, "chmod 640"),
    ],
)
def test_check_warns_of_a_file_that_others_can_read(tmp_path: Path, mode: int, told: str | None) -> None:
    path = tmp_path / "omero.password"
    path.write_text("hunter2\n", encoding="utf-8")
    path.chmod(mode)

    found = warnings(path)

    assert len(found) == (told is not None)
    assert told is None or told in found[0]


def test_check_leaves_a_missing_file_to_the_reading(tmp_path: Path) -> None:
    assert warnings(tmp_path / "none") == []
