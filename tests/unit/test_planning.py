"""What planning makes of real folders with real files: filesets, refusals, attachments, targets, words."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from pathlib import Path

import pytest
import yaml

from dropwatch.formats import Look, Readable, Unreadable
from dropwatch.model import Attachment, Kind, Plan, Refused, Target
from dropwatch.sandbox.samples import corrupt_tiff, ome_tiff
from tests import images
from tests.drops import Drop, Told


@pytest.fixture
def drop(tmp_path: Path) -> Drop:
    return Drop(tmp_path / "spool")


def names(plan: Plan) -> list[str]:
    return [fileset.name for fileset in plan.filesets]


def only(refused: tuple[Refused, ...]) -> Refused:
    assert len(refused) == 1, refused
    return refused[0]


# -- real files --------------------------------------------------------------------------------------------


def test_twelve_files_of_one_image_are_one_fileset(drop: Drop) -> None:
    files = [f"set_T{number:02}.ome.tif" for number in range(12)]
    images.ome_set(drop.folder, files)
    ome_tiff(drop.folder / "single.ome.tif")

    made = drop.plan()

    assert [len(fileset.files) for fileset in made.filesets] == [12, 1]
    assert [file.path for file in made.filesets[0].files] == files
    assert made.filesets[0].format == "OME-TIFF"
    assert (made.refused, made.problems, made.notes) == ((), (), ())


def test_the_server_opens_the_file_that_bio_formats_opened(drop: Drop) -> None:
    files = [f"set_T{number:02}.ome.tif" for number in range(12)]
    images.ome_set(drop.folder, files)
    drop.say(files=[{"path": "set_T07.ome.tif"}])

    (fileset,) = drop.plan().filesets

    assert fileset.name == "set_T07.ome.tif"
    assert sorted(file.path for file in fileset.files) == files


def test_metadata_in_a_file_of_its_own_belongs_to_the_set(drop: Drop) -> None:
    images.companion_set(drop.folder, "z.companion.ome", ["a.ome.tif", "b.ome.tif"])

    made = drop.plan()

    assert [sorted(file.path for file in fileset.files) for fileset in made.filesets] == [
        ["a.ome.tif", "b.ome.tif", "z.companion.ome"]
    ]


def test_series_plates_and_pairs_are_told(drop: Drop) -> None:
    images.fake(drop.folder, images.THREE)
    images.pair(drop.folder, "brain")

    made = drop.plan()

    pair, three = made.filesets
    assert (pair.name, [file.path for file in pair.files]) == ("brain.hdr", ["brain.hdr", "brain.img"])
    assert (three.series, three.plate) == (3, False)
    assert made.order is not None
    assert made.order.target == Target(Kind.DATASET, name="HeLa")


def test_damaged_file_is_refused_and_the_others_go_on(drop: Drop) -> None:
    corrupt_tiff(drop.folder / "corrupt.tif")
    ome_tiff(drop.folder / "good.ome.tif")
    drop.file("readme.txt", "These are the files of day 3.")

    made = drop.plan()

    assert names(made) == ["good.ome.tif"]
    refused = only(made.refused)
    assert (refused.name, refused.error, refused.bytes) == ("corrupt.tif", "unreadable", 518)
    assert "damaged" in refused.reason
    assert refused.remedy
    assert "FormatException" in refused.detail
    assert made.notes == ("Left aside, not an image: readme.txt.",)


def test_hidden_files_are_left_aside_unless_the_manifest_lists_them(drop: Drop) -> None:
    for name in ("a.ome.tif", ".cells/b.ome.tif"):
        images.ome_set(drop.folder, [name])
    (drop.folder / ".metadata").write_text("settings")
    made = drop.plan()
    (drop.folder / "batch.yaml").write_text("files: [{path: .cells/b.ome.tif}]\n")
    listed = drop.plan()

    assert [one.name for one in made.filesets] == ["a.ome.tif"]
    assert made.notes == ("Left aside, because they are hidden: .cells/b.ome.tif, .metadata.",)
    assert [one.name for one in listed.filesets] == [".cells/b.ome.tif"]


def test_a_set_of_which_one_file_is_cut_is_refused_once(drop: Drop) -> None:
    files = [f"set_T{number:02}.ome.tif" for number in range(12)]
    images.ome_set(drop.folder, files)
    cut = drop.folder / files[7]
    cut.write_bytes(cut.read_bytes()[:-100])

    made = drop.plan()

    assert (only(made.refused).files, only(made.refused).error) == (12, "unreadable")
    assert "set_T07.ome.tif, which belongs to it" in only(made.refused).reason


def test_an_empty_file_is_a_broken_image_or_a_flag(drop: Drop) -> None:
    ome_tiff(drop.folder / "good.ome.tif")
    for name in ("broken.czi", "DONE", "scan.finished", "log.txt"):
        drop.file(name, "")

    made = drop.plan()

    assert (only(made.refused).name, only(made.refused).reason) == ("broken.czi", "The file is empty.")
    assert made.notes == ("Left aside, not an image: DONE, log.txt, scan.finished.",)


def test_a_set_that_names_a_file_outside_is_refused(drop: Drop) -> None:
    images.plain_tiff(drop.spool / "alice" / "other" / "secret.tif")
    up = "../../../other/secret.tif"
    images.ome_set(drop.folder, ["evil.ome.tif", up])
    ome_tiff(drop.folder / "good.ome.tif")

    made = drop.plan()

    assert names(made) == ["good.ome.tif"]
    refused = only(made.refused)
    assert (refused.name, refused.error, refused.files) == ("evil.ome.tif", "not-in-folder", 1)
    assert refused.reason == f"evil.ome.tif names {up}, which lies outside of the folder."


def test_a_file_outside_is_not_searched_for_damage(drop: Drop) -> None:
    secret = drop.spool / "alice" / "other" / "secret.ome.tif"
    images.plain_tiff(secret)
    secret.write_bytes(secret.read_bytes()[:600])
    drop.file("evil.pattern", str(secret))

    look = images.bioformats().look(drop.folder / "evil.pattern", drop.folder)

    assert str(secret) in look.used
    assert isinstance(look, Readable) or "Permission denied" in look.detail


def test_an_absolute_name_of_a_file_outside_is_refused(drop: Drop, tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere" / "secret.tif"
    images.plain_tiff(secret)
    drop.file("evil.pattern", str(secret))
    ome_tiff(drop.folder / "good.ome.tif")

    made = drop.plan()

    assert names(made) == ["good.ome.tif"]
    assert only(made.refused).name == "evil.pattern"
    assert "elsewhere/secret.tif, which lies outside" in only(made.refused).reason


def test_a_set_with_a_link_in_it_is_refused_whole(drop: Drop, tmp_path: Path) -> None:
    images.companion_set(drop.folder, "z.companion.ome", ["a.ome.tif", "b.ome.tif"])
    (drop.folder / "z.companion.ome").rename(tmp_path / "z.companion.ome")
    (drop.folder / "z.companion.ome").symlink_to(tmp_path / "z.companion.ome")

    made = drop.plan()

    assert made.filesets == ()
    assert [refused.name for refused in made.refused][:2] == ["z.companion.ome", "a.ome.tif"]
    assert made.refused[1].reason == "a.ome.tif names z.companion.ome, which is a link."
    assert sum(refused.files for refused in made.refused[1:]) == 2
    assert made.problems == ()  # what is refused says why nothing comes of it


def test_a_set_that_reaches_through_a_linked_folder_is_refused(drop: Drop, tmp_path: Path) -> None:
    images.ome_set(drop.folder, ["a.ome.tif", "sub/b.ome.tif"])
    (drop.folder / "sub").rename(tmp_path / "sub")
    (drop.folder / "sub").symlink_to(tmp_path / "sub")

    made = drop.plan()

    assert made.filesets == ()
    assert "a.ome.tif" in [refused.name for refused in made.refused]


def test_a_set_may_spread_over_folders_of_the_batch(drop: Drop) -> None:
    images.ome_set(drop.folder, ["up.ome.tif", "sub/down.ome.tif"])

    made = drop.plan()

    assert [sorted(file.path for file in fileset.files) for fileset in made.filesets] == [
        ["sub/down.ome.tif", "up.ome.tif"]
    ]
    assert made.refused == ()


def test_the_batch_of_many_kinds(drop: Drop, capsys: pytest.CaptureFixture[str]) -> None:
    """All of it in one folder; run with -s to read the table."""
    images.ome_set(drop.folder, [f"set_T{number:02}.ome.tif" for number in range(12)])
    ome_tiff(drop.folder / "single.ome.tif")
    images.fake(drop.folder, images.THREE)
    images.fake(drop.folder, images.PLATE)
    images.pair(drop.folder, "brain")
    corrupt_tiff(drop.folder / "corrupt.tif")
    drop.file("readme.txt", "These are the files of day 3.")
    drop.file("notes.pdf", "%PDF-1.4")
    images.plain_tiff(drop.spool / "alice" / "other" / "secret.tif")
    images.ome_set(drop.folder, ["evil.ome.tif", "../../../other/secret.tif"])
    drop.say(attachments=["notes.pdf"])

    made = drop.plan()
    with capsys.disabled():
        print("\n" + table(made))

    assert [(fileset.name, len(fileset.files), fileset.series) for fileset in made.filesets] == [
        ("brain.hdr", 2, 1),
        ("set_T00.ome.tif", 12, 1),
        ("single.ome.tif", 1, 1),
        (images.THREE, 1, 3),
        ("notes.pdf", 1, 0),
    ]
    assert [(refused.name, refused.error) for refused in made.refused] == [
        ("evil.ome.tif", "not-in-folder"),
        (images.PLATE, "needs-screen"),
        ("corrupt.tif", "unreadable"),
    ]
    assert made.notes == ("Left aside, not an image: readme.txt.",)


def table(plan: Plan) -> str:
    rows = [("name", "files", "bytes", "format", "images", "verdict")]
    for one in plan.filesets:
        what = "attach" if isinstance(one, Attachment) else "import"
        rows.append((one.name, str(len(one.files)), str(one.bytes), one.format, str(one.series), what))
    rows += [
        (no.name, str(no.files), str(no.bytes), "", "", f"refused ({no.error}): {no.reason} {no.remedy}")
        for no in plan.refused
    ]
    lines = [
        f"{name:52} {files:>5} {size:>6} {kind:15} {count:>6}  {verdict}"
        for name, files, size, kind, count, verdict in rows
    ]
    target = plan.order.target if plan.order else None
    return "\n".join([f"target {target}", *lines, *(f"note: {note}" for note in plan.notes)])


def test_a_damaged_set_is_refused_once_and_its_other_files_are_not_opened(drop: Drop) -> None:
    paths = [str(drop.file(f"p{number}.tif")) for number in range(5)]
    drop.file("single.tif")
    told = Told({"p0.tif": Unreadable(False, "p3.tif, which belongs to it, is cut.", used=tuple(paths))})

    made = drop.plan(told)

    assert told.asked == ["p0.tif", "single.tif"]
    assert names(made) == ["single.tif"]
    assert (only(made.refused).files, only(made.refused).reason) == (
        5,
        "p3.tif, which belongs to it, is cut.",
    )


def test_that_a_set_leads_out_is_told_even_where_it_is_damaged(drop: Drop) -> None:
    path = drop.file("a.tif")
    told = Told({"a.tif": Unreadable(False, "It is cut.", used=(str(path), "/etc/passwd"))})

    assert only(drop.plan(told).refused).error == "not-in-folder"


# -- what is no image --------------------------------------------------------------------------------------

NO_IMAGE = Unreadable(True, "It is not an image.", "loci.formats.UnknownFormatException: ...")


def test_a_listed_file_that_is_no_image_is_refused_and_not_left_aside(drop: Drop) -> None:
    drop.file("a.tif")
    drop.file("readme.txt")
    drop.say(files=[{"path": "a.tif"}, {"path": "readme.txt"}])

    made = drop.plan(Told({"readme.txt": NO_IMAGE}))

    assert names(made) == ["a.tif"]
    assert only(made.refused).name == "readme.txt"
    assert only(made.refused).error == "unknown-format"
    assert "does not know its format" in only(made.refused).reason
    assert made.notes == ()


def test_a_companion_that_is_no_image_by_itself_is_not_left_aside(drop: Drop) -> None:
    image, log = drop.file("a.dv"), drop.file("a.dv.log")

    # Both orders: the log is looked at last, or first.
    for first, last in ((image, log), (log, image)):
        told = Told({"a.dv": Readable("DV", (str(image), str(log)), 1, False), "a.dv.log": NO_IMAGE})
        drop.say(files=[{"path": first.name}, {"path": last.name}])
        made = drop.plan(told)

        assert [[file.path for file in fileset.files] for fileset in made.filesets] == [["a.dv", "a.dv.log"]]
        assert (made.refused, made.notes) == ((), ())


def test_a_folder_without_an_image_says_what_was_found(drop: Drop) -> None:
    for number in range(25):
        drop.file(f"notes{number:02}.txt")

    made = drop.plan(Told({f"notes{number:02}.txt": NO_IMAGE for number in range(25)}))

    (problem,) = made.problems
    assert problem.reason.startswith(
        "No file in the folder is an image that OMERO can read: notes00.txt, notes01"
    )
    assert problem.reason.endswith(" and 5 more.")
    assert "OME-TIFF" in problem.remedy
    assert (made.filesets, made.refused, made.notes) == ((), (), ())


def test_an_empty_folder_says_so(drop: Drop) -> None:
    drop.say(name="nothing")

    (problem,) = drop.plan(Told()).problems

    assert problem.reason == "There is no image file in the folder."
    assert problem.remedy == "Copy image files into it."


def test_one_closed_file_is_its_own_trouble(drop: Drop) -> None:
    drop.file("a.tif")
    drop.file("closed.tif")

    class Closed(Told):
        def look(self, path: Path, folder: Path) -> Look:
            if path.name == "closed.tif":
                raise PermissionError(13, "Permission denied")
            return super().look(path, folder)

    made = drop.plan(Closed())

    assert names(made) == ["a.tif"]
    assert only(made.refused).reason == "dropwatch may not read it."
    assert "read permission" in only(made.refused).remedy


# -- the list ----------------------------------------------------------------------------------------------


def test_a_file_that_a_listed_one_needs_comes_along(drop: Drop) -> None:
    a, b = drop.file("a.ome.tif"), drop.file("b.ome.tif")
    drop.file("other.tif")
    drop.say(files=[{"path": "a.ome.tif"}])

    made = drop.plan(Told({"a.ome.tif": Readable("OME-TIFF", (str(a), str(b)), 1, False)}))

    assert [[file.path for file in fileset.files] for fileset in made.filesets] == [
        ["a.ome.tif", "b.ome.tif"]
    ]
    assert made.notes == (
        "Imported too, because they belong to files that the manifest lists: b.ome.tif.",
        "Left aside, because the manifest does not list them: other.tif.",
    )


def test_each_listed_file_becomes_something(drop: Drop) -> None:
    listed = ["good.tif", "set1.tif", "set2.tif", "bad.tif", "text.txt", "out.tif", "notes.pdf"]
    paths = {name: drop.file(name) for name in listed}
    drop.say(files=[{"path": name} for name in listed], attachments=["notes.pdf"])
    told = {
        "set1.tif": Readable("T", (str(paths["set1.tif"]), str(paths["set2.tif"])), 1, False),
        "bad.tif": Unreadable(False, "The file is damaged."),
        "text.txt": NO_IMAGE,
        "out.tif": Readable("T", ("/etc/passwd",), 1, False),
    }

    made = drop.plan(Told(dict(told)))

    became = [file.path for fileset in made.filesets for file in fileset.files]
    became += [refused.name for refused in made.refused]
    assert sorted(became) == sorted(listed)


def test_a_listed_file_that_is_a_link_is_told_as_one(drop: Drop) -> None:
    drop.file("a.tif")
    (drop.folder / "b.tif").symlink_to("/etc/hostname")
    drop.say(files=[{"path": "a.tif"}, {"path": "b.tif"}, {"path": "C.tif"}], attachments=["A.tif", "no.pdf"])

    made = drop.plan(Told())

    assert [problem.reason for problem in made.problems] == [
        "Listed in the manifest but not there: b.tif (it is a link), C.tif.",
        "To be attached but not there: A.tif (there is a.tif), no.pdf.",
    ]


def test_the_checksums_of_all_files_of_a_set_go_along(drop: Drop) -> None:
    a, b = drop.file("a.tif"), drop.file("b.tif")
    drop.say(files=[{"path": "b.tif", "sha256": "b" * 64}, {"path": "a.tif", "sha256": "a" * 64}])

    made = drop.plan(Told({"b.tif": Readable("T", (str(a), str(b)), 1, False)}))

    assert made.filesets[0].listed == (("a.tif", "a" * 64), ("b.tif", "b" * 64))


# -- attachments -------------------------------------------------------------------------------------------


def test_attachments_come_last_and_are_never_looked_at(drop: Drop) -> None:
    drop.file("a.pdf")
    drop.file("b.tif")
    drop.say(attachments=["a.pdf", "batch.yaml"])
    told = Told()

    made = drop.plan(told)

    assert [(type(one).__name__, one.name) for one in made.filesets] == [
        ("Fileset", "b.tif"),
        ("Attachment", "a.pdf"),
        ("Attachment", "batch.yaml"),
    ]
    assert told.asked == ["b.tif"]
    assert made.notes == ()


def test_an_attachment_that_a_set_needs_is_both(drop: Drop) -> None:
    image, log = drop.file("a.dv"), drop.file("a.log")
    drop.say(attachments=["a.log"])

    made = drop.plan(Told({"a.dv": Readable("DV", (str(image), str(log)), 1, False)}))

    assert [[file.path for file in one.files] for one in made.filesets] == [["a.dv", "a.log"], ["a.log"]]


def test_the_same_file_as_image_and_as_attachment_has_two_ids(drop: Drop) -> None:
    drop.file("a.tif")
    drop.file("b.tif")
    as_image = {one.name: one.id for one in drop.plan(Told()).filesets}
    drop.say(attachments=["a.tif"])

    as_attachment = {one.name: one.id for one in drop.plan(Told()).filesets}

    assert as_attachment["a.tif"] != as_image["a.tif"]
    assert as_attachment["b.tif"] == as_image["b.tif"]


def test_attachments_of_the_defaults_are_taken_where_they_are(drop: Drop) -> None:
    (drop.spool / "alice" / "defaults.yaml").write_text("attachments: [notes.pdf, protocol.docx]")
    drop.file("a.tif")
    drop.file("notes.pdf")

    made = drop.plan(Told())

    assert made.problems == ()
    assert [one.name for one in made.filesets if isinstance(one, Attachment)] == ["notes.pdf"]


def test_nothing_is_attached_where_there_is_no_image(drop: Drop) -> None:
    drop.file("notes.pdf")
    drop.say(attachments=["notes.pdf"])

    made = drop.plan(Told())

    assert made.filesets == ()
    assert [problem.reason for problem in made.problems] == ["There is no image file in the folder."]
    assert made.notes == ("Not attached, because there is nothing to attach it to: notes.pdf.",)


# -- files that are never part of a set --------------------------------------------------------------------


def test_a_reader_that_takes_all_files_of_a_folder_gets_neither_manifest_nor_leftovers(drop: Drop) -> None:
    image, leftover = drop.file("a.tif"), drop.file("._a.tif")
    drop.say(name="x")
    used = (str(image), str(leftover), str(drop.folder / "batch.yaml"), str(drop.folder / "Thumbs.db"))

    made = drop.plan(Told({"a.tif": Readable("T", used, 1, False)}))

    assert [[file.path for file in one.files] for one in made.filesets] == [["a.tif"]]
    assert made.refused == ()


@pytest.mark.parametrize(
    ("used", "said"),
    [
        ("{folder}/gone.tif", "gone.tif, which is not there"),
        ("{folder}/../REPORT.txt", "../REPORT.txt, which lies outside of the folder"),
        ("{folder}/..", "which lies outside of the folder"),
        ("/etc/passwd", "/etc/passwd, which lies outside of the folder"),
        ("{folder}/link/a.tif", "link/a.tif, which lies behind a link"),
        ("{folder}/out/passwd", "out/passwd, which lies outside of the folder"),
        ("{folder}/out/../a.tif", "lies outside of the folder"),
        ("/etc/\x1b[31mred\n.tif", "/etc/\\x1b[31mred\\n.tif, which lies outside of the folder"),
        ("/x/" + "y" * 300, "..."),
    ],
)
def test_what_is_no_file_of_the_folder_is_no_part_of_a_set(drop: Drop, used: str, said: str) -> None:
    image = drop.file("a.tif")
    drop.file("sub/a.tif")
    (drop.folder / "link").symlink_to("sub")
    (drop.folder / "out").symlink_to("/etc")
    path = used.format(folder=drop.folder)

    made = drop.plan(Told({"a.tif": Readable("T", (str(image), path), 1, False)}))

    no = next(refused for refused in made.refused if refused.error == "not-in-folder")
    assert said in no.reason
    assert len(no.reason) < 250


def test_a_spool_behind_a_link_is_no_outside(drop: Drop, tmp_path: Path) -> None:
    (tmp_path / "way").symlink_to(drop.spool)
    image = drop.file("a.tif")
    other = tmp_path / "way" / drop.file("b.tif").relative_to(drop.spool)

    made = drop.plan(Told({"a.tif": Readable("T", (str(image), str(other)), 1, False)}))

    assert [[file.path for file in one.files] for one in made.filesets] == [["a.tif", "b.tif"]]


# -- where it goes -----------------------------------------------------------------------------------------


def plates(*names: str, folder: Path) -> Told:
    return Told({name: Readable("Plates", (str(folder / name),), 6, True) for name in names})


def test_plates_alone_go_to_a_screen_named_as_the_batch(drop: Drop) -> None:
    drop.file("p.xdce")
    drop.file("q.xdce")

    made = drop.plan(plates("p.xdce", "q.xdce", folder=drop.folder))

    assert made.order is not None
    assert made.order.target == Target(Kind.SCREEN, name="HeLa")
    assert [one.plate for one in made.filesets] == [True, True]


def test_plates_among_images_are_refused_with_what_to_write(drop: Drop) -> None:
    drop.file("a.tif")
    drop.file("p.xdce")

    made = drop.plan(plates("p.xdce", folder=drop.folder))

    assert names(made) == ["a.tif"]
    assert only(made.refused) == Refused(
        "p.xdce",
        "It is a plate: plates go to a screen, and the target is Dataset:HeLa.",
        "Put the plates into a folder of their own, with a file batch.yaml in it that says:\n"
        'target: "Screen:HeLa"',
        error="needs-screen",
        bytes=1,
    )


def test_a_plate_for_a_dataset_is_refused_with_the_line_to_write(drop: Drop) -> None:
    drop.file("p.xdce")
    drop.say(target="Dataset:day 3", name='7" plates')

    made = drop.plan(plates("p.xdce", folder=drop.folder))

    line = only(made.refused).remedy.removeprefix("Write this line into batch.yaml:\n")
    assert yaml.safe_load(line) == {"target": 'Screen:7" plates'}


def test_images_for_a_screen_are_refused_with_the_line_to_write(drop: Drop) -> None:
    drop.file("a.tif")
    drop.say(target="Screen:12")

    made = drop.plan(Told())

    assert only(made.refused).reason == (
        "It is no plate: images go to a dataset, and the target is Screen:12."
    )
    assert only(made.refused).remedy == 'Write this line into batch.yaml:\ntarget: "Dataset:HeLa"'


# -- files that are still open -----------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody can tell")
def test_files_that_somebody_still_writes_are_told_also_where_they_look_damaged(drop: Drop) -> None:
    for name in ("a.tif", "damaged.tif", "notes.pdf", "quiet.tif"):
        drop.file(name)
    drop.say(attachments=["notes.pdf"])
    told = Told({"damaged.tif": Unreadable(False, "It is cut.")})

    with (
        (drop.folder / "a.tif").open("a"),
        (drop.folder / "damaged.tif").open("a"),
        (drop.folder / "notes.pdf").open("a"),
    ):
        made = drop.plan(told)

    assert made.writing == ("a.tif", "damaged.tif", "notes.pdf")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who writes")
def test_a_manifest_that_somebody_still_writes_is_not_the_last_word(drop: Drop) -> None:
    drop.file("a.tif")
    with (drop.folder / "batch.yaml").open("w") as manifest:
        manifest.write("taget")
        manifest.flush()

        assert drop.plan(Told()).writing == ("batch.yaml",)


# -- the key in OMERO --------------------------------------------------------------------------------------


def test_the_id_of_a_single_file_is_what_it_always_was(drop: Drop) -> None:
    path = drop.file("a.tif")
    info = path.stat()
    text = "\0".join(("a.tif", str(info.st_size), str(info.st_mtime_ns), ""))

    made = drop.plan(Told())

    assert made.filesets[0].id == hashlib.sha256(text.encode()).hexdigest()[:20]


def test_the_id_of_a_set_depends_on_all_its_files_and_not_on_their_order(drop: Drop) -> None:
    a, b = drop.file("a.tif"), drop.file("b.tif")

    def key(*files: Path) -> str:
        told = Readable("T", tuple(map(str, files)), 1, False)
        return drop.plan(Told({"a.tif": told}, name=str(files))).filesets[0].id

    before = key(a, b)

    assert key(b, a) == before
    os.utime(b, ns=(1, 1))
    assert key(a, b) != before


# -- speed -------------------------------------------------------------------------------------------------


def test_10000_files_are_planned_in_a_moment(drop: Drop) -> None:
    """In seconds of our own work: how busy the machine is does not matter."""
    for number in range(10_000):
        (drop.folder / f"{number:05}.tif").touch()
    told, steps = Told(), []
    begun = time.process_time()

    made = drop.plan(told, lambda done, total: steps.append((done, total)))
    planned = time.process_time()
    again = drop.plan(told)
    replanned = time.process_time()

    assert len(made.filesets) == len(told.asked) == 10_000
    assert (steps[0], steps[-1]) == ((0, 10_000), (10_000, 10_000))
    assert again.filesets == made.filesets
    assert planned - begun < 3
    assert replanned - planned < 3
    print(f"10,000 files: {planned - begun:.2f} s, again {replanned - planned:.2f} s")
