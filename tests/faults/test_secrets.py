"""No password and no session key in any log, record, mail, argument or exception text."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dropwatch.sandbox.samples import corrupt_tiff
from facility import Facility

Make = Callable[..., Facility]

SERVICE = "s3rvice-Pa55-word"
UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def everything_written(place: Facility) -> dict[Path, bytes]:
    """All files that dropwatch itself wrote: spool, state, mails; neither configuration nor the sandbox's own."""
    roots = [place.spool, place.folder / "state", place.folder / "sandbox" / "mail"]
    files = [path for root in roots for path in root.rglob("*") if path.is_file() and path.suffix != ".tif"]
    return {path: path.read_bytes() for path in files}


def test_neither_password_nor_session_key_is_written_anywhere(
    facility: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    place = facility(retry={"import": ["200ms"] * 6})
    place.password.write_text(SERVICE + "\n")
    corrupt_tiff(place.drop("alice", "bad", "a.ome.tif", "b.ome.tif") / "b.ome.tif")
    place.start()
    place.until(lambda: place.subjects("admin@"))  # the login was refused
    place.password.write_text("dropwatch\n")
    place.faults(omero={"expire": 1, "lose_reply": 1})
    place.until(lambda: place.retired("alice"))
    place.until(lambda: len(place.subjects()) >= 3)
    place.stop()
    written = everything_written(place)

    assert written
    for path, data in written.items():
        assert SERVICE.encode() not in data, path
        if path.name != ".dropwatch-spool":
            assert not UUID.search(data), path
    assert SERVICE not in caplog.text
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("dropwatch"))
    assert not UUID.search(ours.encode())
