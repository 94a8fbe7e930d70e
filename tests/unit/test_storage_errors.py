"""What an error of a disk or a share means, and the writes that survive one."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest

from dropwatch import storage
from dropwatch.durable import is_there, try_writing, write_durably
from dropwatch.errors import OperatorError, Unavailable
from dropwatch.pipeline.pauses import Pauses
from dropwatch.spool.moves import remove_ours


def error(name: str) -> OSError:
    number = getattr(errno, name)
    return OSError(number, os.strerror(number), "/srv/spool/alice")


@pytest.mark.parametrize("name", ["ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM"])
def test_what_only_an_admin_can_mend_says_so_with_the_remedy(name: str) -> None:
    if not hasattr(errno, name):
        pytest.skip("not on this system")
    fault = storage.sort(error(name), "The spool /srv/spool", "spool")

    assert isinstance(fault, OperatorError)
    assert "/srv/spool" in fault.message
    assert fault.remedy
    assert "/srv/spool/alice" in fault.detail


@pytest.mark.parametrize("name", ["EIO", "ESTALE", "ENOTCONN", "ENODEV", "EHOSTDOWN", "ETIMEDOUT"])
def test_a_share_that_does_not_answer_is_away_and_comes_back(name: str) -> None:
    if not hasattr(errno, name):
        pytest.skip("not on this system")
    fault = storage.sort(error(name), "The spool /srv/spool", "spool")

    assert isinstance(fault, Unavailable)
    assert fault.concerns == "spool"


@pytest.mark.parametrize(
    "name", ["ENOENT", "EEXIST", "ENOTEMPTY", "ENAMETOOLONG", "ELOOP", "EMFILE", "ENXIO"]
)
def test_what_a_name_or_a_program_is_to_blame_for_is_no_fault_of_the_storage(name: str) -> None:
    assert storage.sort(error(name), "The spool /srv/spool", "spool") is None


def test_a_write_that_fails_leaves_no_half_file_and_says_where(tmp_path: Path) -> None:
    (tmp_path / "record.json").mkdir()

    with pytest.raises(OSError) as caught:
        write_durably(tmp_path / "record.json", b"new")
    assert str(tmp_path) in str(caught.value.filename)
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


def test_what_cannot_be_looked_at_is_not_called_gone(tmp_path: Path) -> None:
    assert not is_there(tmp_path / "nothing")
    assert not is_there(tmp_path / "nothing" / "below")
    with pytest.raises(OSError, match="too long"):
        is_there(tmp_path / ("x" * 300))


def test_a_try_makes_nothing_where_the_share_is_not_mounted(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        try_writing(tmp_path, beside=".dropwatch-spool")
    assert list(tmp_path.iterdir()) == []

    (tmp_path / ".dropwatch-spool").write_text("{}")
    try_writing(tmp_path, beside=".dropwatch-spool")
    assert [path.name for path in tmp_path.iterdir()] == [".dropwatch-spool"]


def test_an_envelope_is_not_removed_with_what_came_into_it_meanwhile(tmp_path: Path) -> None:
    envelope = tmp_path / "envelope"
    (envelope / ".dropwatch").mkdir(parents=True)
    (envelope / ".dropwatch" / "record.json").write_text("{}")
    names = [path.name for path in envelope.iterdir()]
    (envelope / "HeLa").mkdir()
    (envelope / "HeLa" / "a.czi").write_bytes(b"image")

    with pytest.raises(OSError):
        remove_ours(envelope, names)
    assert (envelope / "HeLa" / "a.czi").read_bytes() == b"image"


def test_a_disk_at_the_edge_of_full_is_one_trouble_and_not_many() -> None:
    pauses = Pauses(1.0, random.Random(1))
    full = OperatorError("full", concerns="spool")
    first = pauses.fail("spool:x", full, 1000.0, most=30.0, relapse=60.0)
    pauses.told("spool:x")
    pauses.clear("spool:x", 1002.0)
    again = pauses.fail("spool:x", full, 1010.0, most=30.0, relapse=60.0)
    pauses.clear("spool:x", 1012.0)
    later = pauses.fail("spool:x", full, 2000.0, most=30.0, relapse=60.0)

    assert (again.told, again.pause.since, again.pause.times) == (True, first.pause.since, 2)
    assert (later.told, later.pause.since, later.pause.times) == (False, 2000.0, 1)
    assert again.pause.until <= 1040.0
