"""Whole batches of many kinds of files, from the drop folder to the letter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropwatch.sandbox.samples import corrupt_tiff, ome_tiff
from tests import images
from tests.facility import Facility, text_of


@pytest.fixture
def facility(tmp_path: Path) -> Iterator[Facility]:
    made = Facility(tmp_path, settings={"bioformats": {"timeout": "60s"}})
    yield made
    made.close()


def folder(facility: Facility, name: str) -> Path:
    made = facility.folder / "made" / name
    made.mkdir(parents=True)
    return made


def everything(made: Path, secret: Path) -> None:
    """The batch of the acceptance."""
    images.ome_set(made, [f"set_T{number:02}.ome.tif" for number in range(12)])
    ome_tiff(made / "single.ome.tif")
    images.fake(made, images.THREE)
    images.fake(made, images.PLATE)
    images.pair(made, "brain")
    corrupt_tiff(made / "corrupt.tif")
    (made / "readme.txt").write_text("These are the files of day 3.")
    (made / "notes.pdf").write_bytes(b"%PDF-1.4")
    images.plain_tiff(secret)
    images.ome_set(made, ["evil.ome.tif", "../../../secret/secret.tif"])
    (made / "batch.yaml").write_text("attachments: [notes.pdf]\n")


def verdicts(envelope: Path) -> dict[str, tuple[int, str, int]]:
    """By name: how many files, what became of it, how many images."""
    lines = [
        json.loads(line) for line in (envelope / ".dropwatch" / "filesets.jsonl").read_text().splitlines()
    ]
    return {
        line["name"]: (
            line["files"],
            line.get("kind", ""),
            len((line.get("outcome") or {}).get("images", ())),
        )
        for line in lines
    }


def test_a_batch_of_many_kinds(facility: Facility, capsys: pytest.CaptureFixture[str]) -> None:
    """Run with -s to read the table and the letter."""
    made = folder(facility, "HeLa day 3")
    everything(made, facility.spool / "alice" / "secret" / "secret.tif")
    facility.bring("alice", made)

    facility.start()
    facility.until(lambda: facility.retired("alice"), 120)
    facility.until(lambda: facility.subjects("alice"))

    (envelope,) = facility.envelopes("alice", "failed")
    became = verdicts(envelope)
    letter = facility.mails("alice")[0]
    with capsys.disabled():
        print()
        for name, (files, kind, count) in became.items():
            print(f"{name:52} {files:>3} files {count:>2} images  {kind}")
        print(letter["subject"])
        print(letter.get_body(("plain",)).get_content())  # type: ignore[union-attr]
    assert became == {
        "brain.hdr": (2, "imported", 1),
        "set_T00.ome.tif": (12, "imported", 1),
        "single.ome.tif": (1, "imported", 1),
        images.THREE: (1, "imported", 3),
        "notes.pdf": (1, "attached", 0),
        "evil.ome.tif": (1, "failed", 0),
        images.PLATE: (1, "failed", 0),
        "corrupt.tif": (1, "failed", 0),
    }
    text = text_of(letter)
    assert "evil.ome.tif names ../../../secret/secret.tif, which lies outside of the folder." in text
    assert "Left aside, not an image: readme.txt." in text
    assert 'target: "Screen:HeLa day 3"' in text
    assert sorted(len(one["files"]) for one in facility.imports()) == [1, 1, 2, 12]
    assert not any("secret.tif" in name for name in facility.imported())


def test_plates_alone_make_a_screen(facility: Facility) -> None:
    made = folder(facility, "Plates")
    images.fake(made, images.PLATE)
    facility.bring("alice", made)

    facility.start()
    facility.until(lambda: facility.retired("alice"), 120)

    assert len(facility.envelopes("alice", "done")) == 1
    (one,) = facility.imports()
    assert "Screen" in str(one["target"])


def test_a_batch_without_an_image_fails_in_words_and_leaves_no_trace_in_omero(facility: Facility) -> None:
    made = folder(facility, "Notes")
    (made / "readme.txt").write_text("nothing")
    facility.bring("alice", made)

    facility.start()
    facility.until(lambda: facility.retired("alice"), 120)
    facility.until(lambda: facility.subjects("alice"))

    assert len(facility.envelopes("alice", "failed")) == 1
    assert "No file in the folder is an image that OMERO can read: readme.txt." in text_of(
        facility.mails("alice")[0]
    )
    assert facility.imports() == []


def test_a_damaged_image_fails_before_a_byte_of_it_is_uploaded(facility: Facility) -> None:
    made = folder(facility, "Damaged")
    corrupt_tiff(made / "corrupt.tif")
    facility.bring("alice", made)

    facility.start()
    facility.until(lambda: facility.retired("alice"), 120)
    facility.until(lambda: facility.subjects("alice"))

    text = text_of(facility.mails("alice")[0])
    assert "corrupt.tif" in text
    assert "damaged" in text
    assert facility.leftovers() == []
    assert facility.ask_server("select count(*) from fileset") == [(0,)]
