"""omero-py's own programs against the sandbox, as an outside check: the command line and BlitzGateway, unchanged."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("omero")
pytest.importorskip("jpype")

import omero
import omero.clients
import omero.gateway
from images import fake, ome_set
from omero.rtypes import rstring
from omero_people import Person, begin_all, fileset, response, settings, told
from PIL import Image

from dropwatch.sandbox.samples import ome_tiff
from tests.conftest import Running

OMERO = Path(sys.executable).with_name("omero")
SOMEBODY = 64000  #: `omero` refuses to run as root
AS_SOMEBODY = (
    "setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups",
    # Python itself may lie where only root can read.
    "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
)  # fmt: skip
PLATE = "p&plates=1&plateRows=2&plateCols=3&fields=2.fake"


pytestmark = pytest.mark.usefixtures("every_client_ends")


@dataclass(frozen=True)
class Shell:
    """Where a person types ``omero``. *home* is their own."""

    home: Path
    port: int

    def omero(self, *words: str, fails: bool = False, **environ: str) -> str:
        """What the command prints; its end is as expected."""
        root = sys.platform == "linux" and os.geteuid() == 0
        done = subprocess.run(
            [*(AS_SOMEBODY if root else ()), sys.executable, "-Wignore", str(OMERO), *words],
            cwd=self.home,
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), "TERM": "dumb", **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=200,
            check=False,
        )

        assert (done.returncode != 0) is fails, f"omero {' '.join(words)}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def log_in(self, *words: str, password: str = "alice") -> str:
        """The way of the manual: host, port and user, the password out of argv."""
        return self.omero(
            "login",
            "-s",
            "127.0.0.1",
            "-p",
            str(self.port),
            *(words or ("-u", "alice")),
            OMERO_PASSWORD=password,
        )


@pytest.fixture
def shell(sandbox: Running) -> Iterator[Shell]:
    if not OMERO.exists():
        pytest.skip("omero-py has installed no `omero` here")
    root = sys.platform == "linux" and os.geteuid() == 0
    if root and shutil.which("setpriv") is None:
        pytest.skip("`omero` does not run as root, and there is no setpriv")
    # Not tmp_path: others may not look into that.
    with tempfile.TemporaryDirectory() as home:
        if root:
            os.chown(home, SOMEBODY, SOMEBODY)
        yield Shell(Path(home), sandbox.server.omero_tls_port)


@pytest.fixture
def imported(alice: Person, tmp_path: Path) -> Path:
    """A set of three files that is one image, in the dataset "day 3" with a tag; and a broken-off upload."""
    ome_set(tmp_path, ["t0.ome.tif", "t1.ome.tif", "t2.ome.tif"])
    dataset = omero.model.DatasetI(alice.make(omero.model.DatasetI(), "day 3"), False)
    tag = omero.model.TagAnnotationI()
    tag.textValue = rstring("confocal")
    response(
        begin_all(
            alice, tmp_path, ["t0.ome.tif", "t1.ome.tif", "t2.ome.tif"], "b1", dataset, annotations=[tag]
        )
    )
    alice.repository.importFileset(fileset("dropwatch/b2/f1/lost.tif"), settings()).close()
    return tmp_path


def cells(table: str) -> list[list[str]]:
    """The rows of a table that ``omero`` draws, without its header."""
    rows = [[cell.strip() for cell in line.split("|")] for line in table.splitlines() if "|" in line]
    return rows[1:]


# -- the command line --------------------------------------------------------------------------------------


def test_login_lists_a_session_and_logout_ends_it(sandbox: Running, shell: Shell) -> None:
    told = shell.log_in()
    listed = cells(shell.omero("sessions", "list"))
    key = listed[0][3]
    shell.omero("logout")
    refused = shell.omero("login", "-k", key, f"127.0.0.1:{shell.port}", fails=True)

    assert "Created session for alice@127.0.0.1" in told
    assert "Current group: lab-a" in told
    assert [row[1:3] + row[4:5] for row in listed] == [["alice", "lab-a", "Logged in"]]
    assert cells(shell.omero("sessions", "list")) == []
    assert "Bad session key" in refused


def test_wrong_password_is_told_and_admin_logs_in_for_others(sandbox: Running, shell: Shell) -> None:
    refused = shell.omero("login", f"alice@127.0.0.1:{shell.port}", "-w", "wrong", fails=True)
    told = shell.log_in("--sudo", "dropwatch", "-u", "carol", password="dropwatch")

    assert "Password check failed for 'alice'" in refused
    assert "Created session for carol" in told and "lab-b" in told


@pytest.mark.long
def test_people_and_groups_are_listed(shell: Shell) -> None:
    shell.log_in()
    users = {row[1]: row for row in cells(shell.omero("user", "list"))}
    groups = {row[1]: row for row in cells(shell.omero("group", "list"))}

    assert users["alice"][4] == "alice@example.org"
    assert users["mallory"][5] == ""  # not active
    assert groups["lab-a"][2] == "rw----" and groups["lab-b"][2] == "rwr---"
    assert groups["lab-a"][5] == "4"


@pytest.mark.long
def test_objects_are_made_changed_linked_and_deleted(shell: Shell) -> None:
    shell.log_in()
    made = shell.omero("obj", "new", "Dataset", "name=x")
    shell.omero("obj", "update", "Dataset:1", "name=y")
    shell.omero("obj", "new", "Project", "name=p")
    shell.omero("obj", "new", "ProjectDatasetLink", "parent=Project:1", "child=Dataset:1")
    shell.omero("delete", "Dataset:1", "--dry-run")
    name = shell.omero("obj", "get", "Dataset:1", "name")
    found = shell.omero("hql", "-q", "select d.id, d.name from Dataset d where d.name = 'y'")
    deleted = shell.omero("delete", "Dataset:1", "--report")

    assert made.splitlines()[-1] == "Dataset:1"
    assert name.splitlines()[-1] == "y"
    assert cells(found) == [["0", "1", "y"]]
    assert "Deleted objects\n  Dataset:1" in deleted
    assert "No object found" in shell.omero("obj", "get", "Dataset:1", fails=True)


def test_filesets_are_listed_with_files_log_and_images(
    shell: Shell, imported: Path, sandbox: Running
) -> None:
    shell.log_in()
    sets = [row[1:2] + row[3:5] for row in cells(shell.omero("fs", "sets"))]
    leftovers = [row[1] for row in cells(shell.omero("fs", "sets", "--without-images"))]
    images = [row[1:5] for row in cells(shell.omero("fs", "images"))]
    files = shell.omero("fs", "ls", "Fileset:1").splitlines()
    log = shell.omero("fs", "logfile", "Fileset:1")

    assert sets == [["2", "0", "1"], ["1", "1", "3"]]
    assert leftovers == ["2"]
    assert images == [["1", "t0.ome.tif", "1", "3"]]
    assert [name.rpartition("/")[2] for name in files if "/b1/f1/" in name] == [
        "t0.ome.tif",
        "t1.ome.tif",
        "t2.ome.tif",
    ]
    assert "METADATA_IMPORTED images [1]" in log and "IMPORT_DONE" in log


@pytest.mark.long
def test_files_come_back_as_they_were_and_a_deleted_fileset_does_not(shell: Shell, imported: Path) -> None:
    shell.log_in()
    shell.omero("download", "Fileset:1", "back")
    back = {path.name: path.read_bytes() for path in (shell.home / "back").rglob("*.tif")}
    tags = shell.omero("tag", "list")
    shell.omero("delete", "Fileset:1,2")

    assert back == {path.name: path.read_bytes() for path in imported.glob("*.tif")}
    assert "'confocal'" in tags
    assert cells(shell.omero("fs", "sets")) == []
    assert "No Fileset with input ID" in shell.omero("download", "Fileset:1", "again", fails=True)


@pytest.mark.long
def test_what_the_sandbox_cannot_do_is_refused_by_name(shell: Shell) -> None:
    shell.log_in()
    search = shell.omero("search", "Dataset", "day", fails=True)
    query = shell.omero("hql", "-q", "select max(d.id) from Dataset d", fails=True)

    assert "The sandbox does not know ::omero::api::ServiceFactory.createSearchService." in search
    assert "The sandbox does not know this part of a query: select max(d.id)" in query


# -- BlitzGateway ------------------------------------------------------------------------------------------


def test_gateway_walks_from_project_to_image_and_back(gateway: Any, alice: Person, imported: Path) -> None:
    link = omero.model.ProjectDatasetLinkI()
    link.parent, link.child = omero.model.ProjectI(), omero.model.DatasetI(1, False)
    link.parent.name = rstring("HeLa")
    alice.sf.getUpdateService().saveObject(link)
    (project,) = gateway.listProjects()
    (dataset,) = project.listChildren()
    (image,) = dataset.listChildren()

    assert (project.getName(), project.countChildren()) == ("HeLa", 1)
    assert (dataset.getName(), dataset.countChildren()) == ("day 3", 1)
    assert [each.getName() for each in image.getAncestry()] == ["day 3", "HeLa"]
    assert [each.getName() for each in gateway.getObjects("Image", opts={"dataset": 1})] == ["t0.ome.tif"]
    assert [each.getId() for each in gateway.getObjects("Dataset", attributes={"name": "day 3"})] == [1]
    assert [each.getValue() for each in image.listAnnotations()] == ["confocal"]
    assert image.getOwnerOmeName() == "alice"


def test_gateway_reads_sizes_files_and_a_picture(gateway: Any, imported: Path) -> None:
    image = gateway.getObject("Image", 1)
    pixels = image.getPrimaryPixels()
    picture = Image.open(BytesIO(image.getThumbnail()))

    assert (image.getSizeX(), image.getSizeY(), image.getSizeT()) == (16, 16, 3)
    assert (pixels.getSizeX(), pixels.getPixelsType().getValue()) == (16, "uint16")
    assert (picture.format, picture.size) == ("JPEG", (64, 64))
    assert gateway.getThumbnailSet([1], 32).keys() == {1}
    assert image.getImportedFilesInfo()["count"] == 3
    assert [each.getName() for each in image.getFileset().listFiles()] == [
        "t0.ome.tif",
        "t1.ome.tif",
        "t2.ome.tif",
    ]


def test_gateway_shows_a_plate_by_its_wells(gateway: Any, alice: Person, tmp_path: Path) -> None:
    fake(tmp_path, PLATE)
    screen = alice.make(omero.model.ScreenI(), "screen")
    response(begin_all(alice, tmp_path, [PLATE], "b1", omero.model.ScreenI(screen, False)))
    (plate,) = gateway.getObject("Screen", screen).listChildren()
    wells = {well.getWellPos(): well for well in plate.listChildren()}

    assert plate.getName() == "Plate Name 0"
    assert plate.getGridSize() == {"rows": 2, "columns": 3}
    assert plate.getNumberOfFields() == (0, 1)
    assert sorted(wells) == ["A1", "A2", "A3", "B1", "B2", "B3"]
    assert {well.countWellSample() for well in wells.values()} == {2}
    assert wells["B3"].getImage(1).getName() == f"{PLATE} [p 12]"
    assert list(gateway.getObjects("Image", opts={"orphaned": True})) == []


def test_admin_becomes_a_user_with_the_gateway(sandbox: Running) -> None:
    admin = omero.gateway.BlitzGateway(
        "dropwatch", "dropwatch", host="127.0.0.1", port=sandbox.server.omero_tls_port
    )
    assert admin.connect()
    alice, bob = admin.suConn("alice"), admin.suConn("bob", "lab-b")

    assert (alice.getUser().getName(), alice.getGroupFromContext().getName()) == ("alice", "lab-a")
    assert (bob.getUser().getName(), bob.getGroupFromContext().getName()) == ("bob", "lab-b")
    assert admin.suConn("nobody") is None
    for each in (alice, bob, admin):
        each.close()


# omero.callbacks calls the event's isSet().
@pytest.mark.filterwarnings("ignore:isSet:DeprecationWarning")
def test_gateway_deletes_all_images_of_a_fileset_or_none(
    sandbox: Running, gateway: Any, alice: Person, tmp_path: Path
) -> None:
    ome_tiff(tmp_path / "two.ome.tif", series=2)
    response(begin_all(alice, tmp_path, ["two.ome.tif"]))
    one, other = told(sandbox)[0]["images"]
    with pytest.raises(omero.CmdError):
        gateway.deleteObjects("Image", [one], wait=True)
    gateway.deleteObjects("Image", [one, other], wait=True)

    assert gateway.getObject("Image", other) is None
    assert gateway.getObject("Fileset", 1) is None
