"""What people are told of input that cannot be imported as it is. None of it stops the daemon.

The table is the promise: what was dropped, what the user's mail and REPORT.txt say, whether the admins hear of it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dropwatch.sandbox.samples import corrupt_tiff, ome_tiff
from facility import Facility, text_of

Make = Callable[..., Facility]

SHORT = {"settle": "200ms", "incomplete": {"tell": "500ms", "fail": "1500ms"}}


@dataclass(frozen=True)
class Drop:
    """manifest -- text of batch.yaml, {size} being that of a.ome.tif; make -- what else to put into the folder

    words    -- what mail and REPORT.txt must say, all of them
    imported -- the files that get into OMERO all the same
    """

    words: tuple[str, ...]
    manifest: str | bytes | None = None
    make: Callable[[Path], object] = lambda folder: None
    imported: tuple[str, ...] = ()
    manifest_name: str = "batch.yaml"
    image: bool = True


def broken_link(folder: Path) -> None:
    (folder / "b.ome.tif").symlink_to("/etc/passwd")


def folder_link(folder: Path) -> None:
    (folder / "more").symlink_to("/etc")


TABLE = {
    "unknown dataset": Drop(("no dataset 4711",), "target: Dataset:4711\n"),
    "no permission in the group": Drop(("lab-b", "not a member"), "group: lab-b\n"),
    "corrupt file": Drop(
        ("bad.ome.tif", "damaged"),
        make=lambda folder: corrupt_tiff(folder / "bad.ome.tif"),
        imported=("a.ome.tif",),
    ),
    "empty file": Drop(
        ("empty.tif", "The file is empty"),
        make=lambda folder: (folder / "empty.tif").touch(),
        imported=("a.ome.tif",),
    ),
    "empty folder": Drop(("no image file",), image=False),
    "unknown key": Drop(("taget", "did you mean target"), "taget: Dataset:x\n"),
    "wrong type": Drop(("tags", "list"), "tags: {a: b}\n"),
    "missing file": Drop(
        ("Listed in the manifest but not there", "b.ome.tif"), "files: [{path: b.ome.tif}]\n"
    ),
    "wrong size": Drop(("Of another size", "a.ome.tif"), "files: [{path: a.ome.tif, size: 5}]\n"),
    "wrong checksum": Drop(
        ("not the file that the manifest lists", "a.ome.tif"),
        "files: [{path: a.ome.tif, sha256: " + "0" * 64 + "}]\n",
    ),
    "truncated while being written": Drop(("batch.yaml", "not valid YAML"), "files: [{path: a.ome.tif, si"),
    "dots": Drop(("leads out of the folder",), "files: [{path: ../../secret.tif}]\n"),
    "absolute path": Drop(("must be relative",), "files: [{path: /etc/passwd}]\n"),
    "symlink": Drop(("b.ome.tif", "is a link"), make=broken_link, imported=("a.ome.tif",)),
    "symlink to a folder": Drop(("more", "is a link"), make=folder_link, imported=("a.ome.tif",)),
    "pipe": Drop(
        ("p.tif", "a pipe"), make=lambda folder: os.mkfifo(folder / "p.tif"), imported=("a.ome.tif",)
    ),
    "YAML bomb": Drop(("anchor",), "a: &a [x,x]\nb: &b [*a,*a]\nfiles: [*b,*b]\n"),
    "undecodable": Drop(("batch.yaml",), b"name: caf\xe9\nfiles: [\xff]\n"),
    "nearly a manifest's name": Drop(("Did you mean batch.yaml",), "name: x\n", manifest_name="bacth.yaml"),
    "user in an ordinary inbox": Drop(("only instruments may",), "user: bob\n"),
}


@pytest.mark.parametrize("case", TABLE.values(), ids=TABLE)
def test_user_and_report_say_what_is_wrong(facility: Make, case: Drop) -> None:
    place = facility(spools=None)
    place.settings["spools"] = [{"path": str(place.spool), "sweep": "1s", **SHORT}]
    made = place.folder / "run"
    made.mkdir()
    if case.image:
        ome_tiff(made / "a.ome.tif")
    case.make(made)
    if case.manifest is not None:
        data = case.manifest if isinstance(case.manifest, bytes) else case.manifest.encode()
        (made / case.manifest_name).write_bytes(data)
    place.bring("alice", made)
    place.start()
    place.until(lambda: place.retired("alice"))
    place.until(lambda: any("mported" in subject for subject in place.subjects("alice@")))
    place.until(lambda: place.subjects("admin@"))
    mail = text_of(place.mails("alice@")[-1])
    report = " ".join((place.batch("alice", "failed") / "REPORT.txt").read_text().split())

    for word in case.words:
        assert word in mail
        assert word in report
    assert place.imported() == sorted(case.imported)
    assert place.daemon is not None and place.thread is not None and place.thread.is_alive()


READABLE = {
    "batch.yaml.txt": ("batch.yaml.txt", b"target: Dataset:mine\n"),
    "UTF-16": ("batch.yaml", "target: Dataset:mine\n".encode("utf-16")),
    "BOM and CRLF": ("BATCH.YML", b"\xef\xbb\xbftarget: Dataset:mine\r\n"),
    "JSON": ("batch.json", b'{"target": "Dataset:mine"}'),
}


@pytest.mark.parametrize(("name", "data"), READABLE.values(), ids=READABLE)
def test_manifests_as_windows_and_people_write_them(facility: Make, name: str, data: bytes) -> None:
    place = facility()
    made = place.folder / "run"
    made.mkdir()
    ome_tiff(made / "a.ome.tif")
    (made / name).write_bytes(data)
    place.bring("alice", made)
    place.start()
    place.until(lambda: place.retired("alice"))

    assert place.imported() == ["a.ome.tif"]
    assert place.ask_server("select name from dataset") == [("mine",)]


def test_incomplete_drop_is_told_then_failed_with_the_names(facility: Make) -> None:
    place = facility(spools=None)
    incomplete = {"tell": "100ms", "fail": "4s"}  # time enough for a look in between
    place.settings["spools"] = [{"path": str(place.spool), "sweep": "1s", **SHORT, "incomplete": incomplete}]
    place.start()
    place.drop("alice", "run", "a.ome.tif", manifest="files: [{path: a.ome.tif}, {path: b.ome.tif}]\n")
    place.until(lambda: place.subjects("alice@"))
    waiting = text_of(place.mails("alice@")[0])
    place.until(lambda: place.retired("alice"))
    place.until(lambda: len(place.subjects("alice@")) == 2)

    assert "b.ome.tif (not there)" in waiting
    assert "b.ome.tif" in text_of(place.mails("alice@")[1])
    assert place.imports() == []


def test_batch_that_takes_long_is_told_once(facility: Make) -> None:
    place = facility(mail={"delay_notice": "500ms"})
    place.faults(omero={"refuse": True})
    place.drop("alice", "run", "a.ome.tif")
    place.start()
    place.until(place.subjects)
    time.sleep(1)  # a second notice would come within this time
    place.faults()
    place.until(lambda: place.retired("alice"))
    place.until(lambda: len(place.subjects()) >= 2)

    # Nobody knew alice's address while OMERO was away, so the admins got the notice.
    assert len(place.subjects("admin@")) == 1
    assert len(place.subjects("alice@")) == 1


def test_recipients_that_the_facility_allows_are_told_and_others_named(facility: Make) -> None:
    place = facility(mail={"send_to": ["*@example.org"]})
    manifest = "notify: [pi@example.org, stranger@elsewhere.net]\n"
    place.drop("alice", "run", "a.ome.tif", manifest=manifest)
    place.start()
    place.until(lambda: place.retired("alice"))
    place.until(lambda: place.subjects("pi@") and place.subjects("alice@"))

    assert place.subjects("stranger@") == []
    assert "stranger@elsewhere.net" in text_of(place.mails("alice@")[0])
