"""What the sandbox's OMERO server makes of the files it was given: images, plates and pictures, as a real one would."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("omero")
pytest.importorskip("jpype")

import numpy
import omero
import omero.clients
import omero.cmd
import omero.gateway
import omero.grid
import tifffile
from images import companion_set, fake, ome_set, pair, plain_tiff
from omero.rtypes import rint, unwrap
from omero_people import (
    ALICE,
    Person,
    begin,
    begin_all,
    logged_in,
    response,
    told,
)
from PIL import Image

from dropwatch.importers import omero_queries
from dropwatch.sandbox.samples import ome_tiff
from tests.conftest import Running

PLATE = "p&plates=1&plateRows=2&plateCols=3&fields=2.fake"


pytestmark = pytest.mark.usefixtures("every_client_ends")


def names(answer: Any, kind: type = omero.model.ImageI) -> list[str]:
    assert isinstance(answer, omero.grid.ImportResponse), answer
    return [each.name.val for each in answer.objects if isinstance(each, kind)]


def sizes(answer: Any) -> list[tuple[Any, ...]]:
    return [
        (*(unwrap(getattr(each, f"size{axis}")) for axis in "XYZCT"), unwrap(each.pixelsType.value))
        for each in answer.pixels
    ]


# -- images ----------------------------------------------------------------------------------------------


def test_one_image_is_named_as_its_file_and_has_its_real_size(alice: Person, tmp_path: Path) -> None:
    file = tmp_path / "stack.tif"
    pixels = numpy.zeros((5, 20, 30), numpy.uint8)
    tifffile.imwrite(file, pixels, photometric="minisblack", metadata={"axes": "ZYX"}, ome=True)
    answer = response(begin(alice, file))

    assert names(answer) == ["stack.tif"]
    assert sizes(answer) == [(30, 20, 5, 1, 1, "uint8")]


def test_each_series_is_an_image_named_after_file_and_series(alice: Person, tmp_path: Path) -> None:
    fake(tmp_path, "x&series=3&sizeX=40&sizeZ=2&pixelType=uint16.fake")
    answer = response(begin(alice, tmp_path / "x&series=3&sizeX=40&sizeZ=2&pixelType=uint16.fake"))
    file = "x&series=3&sizeX=40&sizeZ=2&pixelType=uint16.fake"

    assert names(answer) == [f"{file} [x]", f"{file} [x 2]", f"{file} [x 3]"]
    assert sizes(answer) == [(40, 512, 2, 1, 1, "uint16")] * 3


def test_name_that_the_client_gave_goes_before_the_files(alice: Person, tmp_path: Path) -> None:
    ome_tiff(tmp_path / "a.ome.tif", series=2)
    folder = tmp_path / ("long " * 40)
    folder.mkdir()
    ome_tiff(folder / ("n" * 240 + ".ome.tif"), series=2)
    process = begin(alice, tmp_path / "a.ome.tif", name="HeLa")
    cut = names(response(begin(alice, next(folder.iterdir()), "b2")))

    assert names(response(process)) == ["HeLa [a 1]", "HeLa [a 2]"]
    assert [len(name) for name in cut] == [255, 255]
    assert cut[0].startswith("…") and cut[0].endswith("n 1]")


# -- filesets of several files ------------------------------------------------------------------------------


def test_set_of_twelve_files_is_one_image(sandbox: Running, alice: Person, tmp_path: Path) -> None:
    files = [f"t{number:02}.ome.tif" for number in range(12)]
    ome_set(tmp_path, files)
    answer = response(begin_all(alice, tmp_path, files))

    assert names(answer) == ["t00.ome.tif"]
    assert sizes(answer) == [(16, 16, 1, 1, 12, "uint16")]
    assert len(told(sandbox)[0]["files"]) == 12


def test_files_of_a_set_find_each_other_in_folders_below(alice: Person, tmp_path: Path) -> None:
    companion_set(tmp_path, "set.companion.ome", ["day 1/a.ome.tif", "day 1/b.ome.tif"])
    answer = response(begin_all(alice, tmp_path, ["set.companion.ome", "day 1/a.ome.tif", "day 1/b.ome.tif"]))

    assert names(answer) == ["set.companion.ome"]
    assert sizes(answer) == [(16, 16, 1, 1, 2, "uint16")]


def test_header_and_pixels_are_one_image(alice: Person, tmp_path: Path) -> None:
    pair(tmp_path, "brain")
    answer = response(begin_all(alice, tmp_path, ["brain.hdr", "brain.img"]))

    assert names(answer) == ["brain.hdr"]
    assert sizes(answer)[0][:3] == (4, 4, 2)


def test_name_that_a_server_may_not_write_is_stored_under_another(alice: Person, tmp_path: Path) -> None:
    plain_tiff(tmp_path / "cells: a?.tif")
    answer = response(begin(alice, tmp_path / "cells: a?.tif"))

    assert names(answer) == ["cells; a%.tif"]


# -- plates --------------------------------------------------------------------------------------------------


@pytest.fixture
def plate(sandbox: Running, alice: Person, tmp_path: Path) -> Any:
    """The server's answer to a plate of 2 x 3 wells with 2 fields each, imported into a screen."""
    fake(tmp_path, PLATE)
    screen = alice.make(omero.model.ScreenI(), "screen")
    return response(begin(alice, tmp_path / PLATE, target=omero.model.ScreenI(screen, False)))


def test_plate_goes_to_its_screen_and_tells_of_itself(sandbox: Running, alice: Person, plate: Any) -> None:
    line = told(sandbox)[0]

    assert names(plate, omero.model.PlateI) == ["Plate Name 0"]
    assert len(names(plate)) == len(plate.pixels) == len(line["images"]) == 12
    assert line["plates"] == [each.id.val for each in plate.objects if isinstance(each, omero.model.PlateI)]
    assert alice.ask(omero_queries.PLATES_OF_FILESETS, owner=ALICE, ids=[line["fileset"]]) == [
        [line["fileset"], line["plates"][0], "Plate Name 0"]
    ]


def test_deleted_fileset_takes_its_plate_along(sandbox: Running, alice: Person, plate: Any) -> None:
    line = told(sandbox)[0]
    handle = alice.sf.submit(omero.cmd.Delete2(targetObjects={"Fileset": [line["fileset"]]}))

    assert isinstance(response(handle), omero.cmd.Delete2Response)
    assert alice.ask(omero_queries.PLATES_IN_SCREEN, id=1) == [[0]]
    for kind in ("Plate", "Well", "WellSample", "Image"):
        assert alice.ask(f"select count(x) from {kind} x") == [[0]]


def test_images_of_a_plate_go_to_a_dataset_and_a_file_without_plate_to_no_screen(
    sandbox: Running, alice: Person, tmp_path: Path
) -> None:
    fake(tmp_path, PLATE)
    plain_tiff(tmp_path / "plain.tif")
    dataset, screen = alice.make(omero.model.DatasetI(), "d"), alice.make(omero.model.ScreenI(), "s")
    response(begin(alice, tmp_path / PLATE, "b1", omero.model.DatasetI(dataset, False)))
    plain = response(begin(alice, tmp_path / "plain.tif", "b2", omero.model.ScreenI(screen, False)))

    assert alice.ask(omero_queries.IMAGES_IN_DATASET, id=dataset) == [[12]]
    assert alice.ask(omero_queries.PLATES_IN_SCREEN, id=screen) == [[0]]
    assert names(plain) == ["plain.tif"]
    assert told(sandbox)[1]["plates"] == []


# -- pictures --------------------------------------------------------------------------------------------------


def picture(data: bytes) -> Any:
    made = Image.open(BytesIO(data))
    assert made.format == "JPEG"
    return made


def test_picture_shows_the_pixels_in_the_shape_that_was_asked_for(alice: Person, tmp_path: Path) -> None:
    file = tmp_path / "half.tif"
    pixels = numpy.zeros((100, 200), numpy.uint16)
    pixels[:, 100:] = 4000
    tifffile.imwrite(file, pixels)
    answer = response(begin(alice, file))
    store = alice.sf.createThumbnailStore()
    assert store.setPixelsId(answer.pixels[0].id.val)
    by_side = picture(store.getThumbnailByLongestSide(rint(64)))
    exact = picture(store.getThumbnail(rint(30), rint(40)))
    usual = picture(store.getThumbnail(None, None))
    store.close()

    assert (by_side.size, exact.size, usual.size) == ((64, 32), (30, 40), (48, 48))
    grey = by_side.convert("L")
    assert (grey.getpixel((10, 16)), grey.getpixel((54, 16))) == (0, 255)


def test_each_series_has_a_picture_of_its_own_and_strangers_see_none(
    sandbox: Running, alice: Person, tmp_path: Path
) -> None:
    ome_tiff(tmp_path / "two.ome.tif", series=2)
    ids = [each.id.val for each in response(begin(alice, tmp_path / "two.ome.tif")).pixels]
    drawn = alice.sf.createThumbnailStore().getThumbnailByLongestSideSet(rint(32), ids)
    with logged_in(sandbox.server.omero_port, "carol") as carol:
        store = carol.sf.createThumbnailStore()
        nothing = store.getThumbnailSet(rint(8), rint(8), ids)

        with pytest.raises(omero.ResourceError, match="insufficient permissions"):
            store.setPixelsId(ids[0])
        with pytest.raises(omero.ApiUsageException, match="Pixels not set"):
            store.getThumbnail(rint(8), rint(8))
    assert len({bytes(data) for data in drawn.values()}) == 2
    assert nothing == {ids[0]: b"", ids[1]: b""}


# -- what cannot be read ---------------------------------------------------------------------------------------


def test_pixels_that_cannot_be_read_leave_the_images_and_answer_err(
    sandbox: Running, alice: Person, tmp_path: Path
) -> None:
    file = tmp_path / "packed.tif"
    tifffile.imwrite(
        file, numpy.random.default_rng(1).integers(0, 9, (64, 64), numpy.uint8), compression="zlib"
    )
    with tifffile.TiffFile(file) as tiff:
        start, length = tiff.pages[0].dataoffsets[0], tiff.pages[0].databytecounts[0]
    data = bytearray(file.read_bytes())
    data[start : start + length] = b"\xaa" * length
    file.write_bytes(data)
    answer = response(begin(alice, file))

    assert isinstance(answer, omero.cmd.ERR)
    assert answer.name == "import-file-exception"
    assert answer.parameters["filename"].endswith("packed.tif")
    assert [row[3] for row in alice.batch("b1")] == ["packed.tif"]
    assert len(told(sandbox)) == 1
