"""A site that archives into folders instead of OMERO, from drop to mail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from facility import Facility, text_of


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    made = tmp_path / "archive"
    made.mkdir()
    (made / ".dropwatch-archive").touch()
    return made


@pytest.fixture
def place(tmp_path: Path, archive: Path) -> Iterator[Facility]:
    users = {"alice": {"email": "alice@example.org"}}
    made = Facility(tmp_path, {"importer": "folder", "folder": {"path": str(archive)}, "users": users})
    yield made
    made.close()


def files(archive: Path) -> list[str]:
    found = (path.relative_to(archive).as_posix() for path in archive.rglob("*") if path.is_file())
    return sorted(path for path in found if not path.startswith(".dropwatch"))


def test_what_is_dropped_lies_in_the_archive_and_the_mail_says_where(place: Facility, archive: Path) -> None:
    place.drop("alice", "HeLa day 3", "a.ome.tif", "run 1/b.ome.tif")
    place.start()

    place.batch("alice", "done")

    place.until(lambda: place.mails("alice"))
    assert files(archive) == ["alice/HeLa day 3/a.ome.tif", "alice/HeLa day 3/run 1/b.ome.tif"]
    (mail,) = place.mails("alice")
    assert 'in the archive, in the new folder "alice/HeLa day 3"' in text_of(mail)
    assert "OMERO" not in text_of(mail)


def test_a_batch_waits_for_an_archive_that_is_not_mounted(place: Facility, archive: Path) -> None:
    (archive / ".dropwatch-archive").unlink()
    place.settings["retry"] = {"outage_alert": "300ms"}
    place.drop("alice", "day 3", "a.ome.tif")
    place.start()

    place.until(lambda: place.subjects("admin@"))

    assert len(list(archive.iterdir())) == 0
    assert "the archive" in place.subjects("admin@")[0]
    (archive / ".dropwatch-archive").touch()
    place.batch("alice", "done")
    assert files(archive) == ["alice/day 3/a.ome.tif"]
