"""Stories of batches, to be told: what becomes of image files, plates and attachments, and what goes wrong."""

from __future__ import annotations

from dataclasses import replace

from dropwatch.errors import OperatorError
from dropwatch.model import (
    Attached,
    Container,
    Failed,
    Image,
    Imported,
    Kind,
    Outcome,
    Place,
    Problem,
    Refused,
    Skipped,
    Verdict,
)
from dropwatch.report import Entry, Site, Store, Story

SITE = Site("Imaging Facility", "imaging@example.org", "Europe/Paris", "https://omero.example.org/webclient")
CLAIMED = 1_795_525_435.0  # 24 Nov 2026 13:03:55 UTC
DATASET = Container(Kind.DATASET, 12, "HeLa day 3", "imaging-lab", created=True)
DAMAGED = Failed(
    "The file is damaged: it ends in the middle of an image.",
    "Copy it again from the microscope, or leave it out.",
    lasting=True,
    error="PermanentError import-unknown-format",
    detail="loci.formats.FormatException: truncated\n\tat loci.formats.in.ZeissCZIReader.initFile(1234)",
    log=4711,
)


def entry(name: str, outcome: Outcome | None, files: int = 1, size: int = 120_000_000) -> Entry:
    return Entry(name, files, size, outcome, attempt=0 if outcome is None else 1)


def good(number: int, images: int = 1) -> Imported:
    return Imported(tuple(Image(number + extra) for extra in range(images)), fileset=number)


def tale(*entries: Entry, verdict: Verdict | None, **more: object) -> Story:
    story = Story(
        user="alice",
        name="HeLa day 3",
        batch="20261124-130355-k3f9",
        claim="20261124-130355-k3f9",
        path="/srv/dropwatch/alice/processing/20261124-130355-k3f9_HeLa day 3",
        sender="alice",
        group="imaging-lab",
        container=DATASET,
        entries=entries,
        verdict=verdict,
        attempts=1,
        claimed_at=CLAIMED,
        concluded_at=None if verdict is None else CLAIMED + 4020,
        place=Place.PROCESSING,
        spool_path="/srv/dropwatch",
    )
    return replace(story, **more)  # type: ignore[arg-type]


def all_imported() -> Story:
    return tale(*(entry(f"cell_{n:02}.czi", good(n)) for n in range(1, 13)), verdict=Verdict.IMPORTED)


def partial() -> Story:
    done = [entry(f"cell_{n:03}.czi", good(n)) for n in range(1, 98)]
    scenes = entry("overview.lif", good(500, images=14), size=2_400_000_000)
    many = entry("stack/run.vsi", good(600, images=2), files=31)
    return tale(*done, scenes, many, entry("x.czi", DAMAGED), verdict=Verdict.PARTIAL)


def mixed() -> Story:
    busy = Failed(
        "OMERO closed the connection again and again.",
        error="TemporaryError",
        detail="ConnectionLostException",
    )
    warned = replace(good(3), warning="thumbnails could not be made")
    return tale(
        entry("a.czi", warned),
        entry("b.czi", Skipped((Image(2),), fileset=2)),
        entry("c.czi", DAMAGED),
        replace(entry("d.czi", busy), attempt=8),
        replace(entry("e.czi", busy), attempt=8),
        verdict=Verdict.PARTIAL,
        notes=("batch.yaml says nothing about a group, so your default group was used",),
        attempts=8,
    )


def all_skipped() -> Story:
    return tale(
        *(entry(f"cell_{n}.czi", Skipped((Image(n),), fileset=n)) for n in range(1, 4)),
        verdict=Verdict.IMPORTED,
        container=replace(DATASET, created=False),
    )


def failed() -> Story:
    return tale(
        entry("x.czi", DAMAGED),
        entry("y.czi", DAMAGED),
        verdict=Verdict.FAILED,
        container=replace(DATASET, created=False),
    )


def bad_manifest() -> Story:
    problem = Problem(
        "The manifest batch.yaml has an error: taget is not a known key.",
        "Write target instead of taget, and save the file.",
        error="ManifestError",
    )
    return tale(verdict=Verdict.FAILED, container=None, group="", problems=(problem,))


def cancelled() -> Story:
    done = [entry(f"cell_{n:02}.czi", good(n)) for n in range(1, 5)]
    return tale(*done, entry("cell_05.czi", None), entry("cell_06.czi", None), verdict=Verdict.CANCELLED)


def plates() -> Story:
    screen = Container(Kind.SCREEN, 2, "Drug screen", "lab-b")
    wells = Imported((Image(3, "P1", "Plate"),), fileset=9)
    return tale(
        entry("P1/experiment.flex", wells, files=385, size=41_300_000_000),
        verdict=Verdict.IMPORTED,
        container=screen,
        sender="confocal1",
        group="lab-b",
    )


def waiting() -> Story:
    done = [entry(f"cell_{n:02}.czi", good(n)) for n in range(1, 5)]
    return tale(
        *done,
        entry("cell_05.czi", None),
        entry("cell_06.czi", Failed("The connection was lost.")),
        verdict=None,
        waiting_for="OMERO cannot be reached",
        next_attempt=CLAIMED + 3700,
    )


def given_up(refused: Refused) -> Entry:
    """What planning refused, as the line remembers it."""
    failed = Failed(refused.reason, refused.remedy, lasting=True, error=refused.error, detail=refused.detail)
    return Entry(refused.name, refused.files, refused.bytes, failed)


def plate(name: str) -> Refused:
    """A plate in a batch that goes to a dataset, beside images."""
    reason = "It is a plate: plates go to a screen, and the target is Dataset:HeLa day 3."
    remedy = (
        "Put the plates into a folder of their own, with a file batch.yaml in it that says:\n"
        'target: "Screen:HeLa day 3"'
    )
    return Refused(f"{name}/well_000.tif", reason, remedy, "needs-screen", "", 1153, 4_800_000_000)


#: what planning says of files that cannot be imported
REFUSED = (
    plate("plates/P1"),
    plate("plates/P2"),
    Refused(
        "cut.tif",
        "The file is damaged or incomplete: its end is missing.",
        "Replace it by a good copy, or take it out of the folder.",
        "unreadable",
        bytes=31_000_000,
    ),
    Refused(
        "packed.tif",
        "Its format is known, but the way in which its pixels are packed is not.",
        "Open it in the program it comes from and save it anew there, for example as OME-TIFF; or take it out.",
        "unreadable",
        "loci.formats.codec.UnsupportedCompressionException: JPEG 2000 part 2",
        bytes=9_000_000,
    ),
    Refused(
        "outside.ome.tif",
        "outside.ome.tif names ../../../../bob/inbox/secret.tif, which lies outside of the folder.",
        "Put all files that belong together into one folder, and save them there so that they name nothing outside.",
        "not-in-folder",
        bytes=2_000_000,
    ),
    Refused(
        "run 7/frozen.lif",
        "Bio-Formats hangs or crashes at this file: it was tried twice, and had to be ended twice.",
        "Open it in the program it comes from and save it anew there, for example as OME-TIFF; or take it out.",
        "unreadable",
        bytes=700_000_000,
    ),
    Refused(
        "shortcut.czi",
        "It is a link, and dropwatch neither follows nor opens such things.",
        "Copy the file itself into the folder.",
    ),
)
CUT = Failed(REFUSED[2].reason, REFUSED[2].remedy, lasting=True, error=REFUSED[2].error)
TOO_LARGE = Failed(
    "OMERO did not take the file: it is larger than the server allows.",
    "Ask the facility.",
    lasting=True,
    error="PermanentError too-large",
)


def filesets() -> Story:
    """Everything at once: image files of many files, of many images, plates, pairs, and all that goes wrong."""
    three = good(21, images=3)
    return tale(
        replace(entry("set/set_0.ome.tif", good(1), files=12, size=240_000_000), format="OME-TIFF"),
        replace(entry("single.ome.tif", good(13), size=9_400_000), format="OME-TIFF"),
        replace(entry("tiles.lif", three, size=1_210_000_000), format="Leica Image File Format"),
        replace(entry("brain.hdr", Skipped((Image(7),), 7), files=2, size=44_000_000), format="Analyze 7.5"),
        *map(given_up, REFUSED),
        verdict=Verdict.PARTIAL,
        attachments=(
            entry("notes.pdf", Attached(301, 401), size=120_000),
            entry("protocol.docx", Attached(302, 402), size=80_000),
            entry("raw log.zip", TOO_LARGE, size=5_000_000_000),
        ),
        notes=("Left aside, not an image: readme.txt, run 7/positions.csv.",),
    )


def only_attachments_fail() -> Story:
    return tale(
        *(entry(f"cell_{n:02}.czi", good(n)) for n in range(1, 13)),
        verdict=Verdict.PARTIAL,
        attachments=(entry("notes.pdf", Attached(301, 401)), entry("raw log.zip", TOO_LARGE)),
    )


def only_attachments_come_through() -> Story:
    return tale(
        entry("cut.tif", CUT), verdict=Verdict.PARTIAL, attachments=(entry("notes.pdf", Attached(301, 401)),)
    )


def attaching() -> Story:
    """Images are there, attachments are still to come."""
    return tale(
        entry("a.czi", good(1)),
        entry("b.czi", good(2)),
        verdict=None,
        attachments=(
            entry("notes.pdf", Attached(301, 401)),
            entry("plan.docx", None),
            entry("log.zip", None),
        ),
    )


ARCHIVE = Site("Imaging Facility", "imaging@example.org", "Europe/Paris", store=Store.ARCHIVE)


def archived() -> Story:
    """A site without OMERO."""
    return tale(
        entry("set/set_0.ome.tif", good(1), files=12),
        entry("cut.tif", CUT),
        verdict=Verdict.PARTIAL,
        group="",
        container=Container(Kind.DATASET, 1_234_567, "alice/HeLa day 3", "", created=True),
        attachments=(entry("notes.pdf", Attached(301, 401)),),
    )


FAULT = OperatorError(
    "OMERO does not let dropwatch import for others",
    concerns="omero",
    remedy="Give the account dropwatch the privilege Sudo (omero user privileges)",
    detail="omero.SecurityViolation: no Sudo",
    code="no-sudo",
)

STORIES = {
    "all_imported": all_imported,
    "partial": partial,
    "mixed": mixed,
    "all_skipped": all_skipped,
    "failed": failed,
    "bad_manifest": bad_manifest,
    "cancelled": cancelled,
    "plates": plates,
    "filesets": filesets,
    "only_attachments_fail": only_attachments_fail,
    "only_attachments_come_through": only_attachments_come_through,
}
