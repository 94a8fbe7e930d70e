"""How a batch is told whose image files are many files, many images or a plate, and that has attachments."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tales import (
    ARCHIVE,
    CLAIMED,
    CUT,
    SITE,
    TOO_LARGE,
    archived,
    attaching,
    entry,
    filesets,
    good,
    only_attachments_come_through,
    only_attachments_fail,
    tale,
    waiting,
)

from dropwatch import report
from dropwatch.config import Config
from dropwatch.manifest import parse
from dropwatch.model import Attached, Envelope, Failed, Image, Imported, Kind, Place, Target, Verdict
from dropwatch.record import Line, Record
from dropwatch.report import AttachmentTally, Tally
from dropwatch.report.markup import escape


def flat(text: str) -> str:
    """*text* as it was before its lines were broken."""
    return " ".join(text.split())


# -- image files ----------------------------------------------------------------------------------------


def test_an_image_file_of_many_files_is_counted_once_and_says_how_many_it_is() -> None:
    text = report.outcome(filesets(), SITE)

    assert text.subject.startswith("4 of 11 are in OMERO")
    assert "set/set_0.ome.tif (with 11 more files), image 1" in text.plain
    assert "brain.hdr (with 1 more file)" in text.plain
    assert "3 image files (14 files, 1.5 GB) are now in OMERO" in flat(text.plain)


def test_what_image_files_became_is_told_where_it_is_not_one_image_each() -> None:
    plates = Imported((Image(3, "P1", "Plate"), Image(4, "P2", "Plate")), fileset=9)
    both = tale(entry("P.flex", plates), entry("a.lif", good(1, images=12)), verdict=Verdict.IMPORTED)
    plain = tale(entry("a.czi", good(1)), verdict=Verdict.IMPORTED)

    assert "(group imaging-lab), as 2 plates and 12 images." in flat(report.outcome(both, SITE).plain)
    assert both.tally == Tally(2, 2, 0, 0, 0, images=12, plates=2)
    assert ", as " not in report.outcome(plain, SITE).plain


def test_each_trouble_of_a_mixed_batch_has_its_reason_and_its_remedy() -> None:
    text, told = report.outcome(filesets(), SITE), report.outcome_for_admins(filesets(), SITE)

    for _, failed in filesets().failures():
        assert failed.reason in flat(text.plain)
        assert f"What to do: {flat(failed.remedy)}" in flat(text.plain)
        assert failed.reason in flat(told.plain)
        assert failed.error in told.plain
        assert failed.detail in told.plain
    assert "Left aside, not an image: readme.txt, run 7/positions.csv." in flat(text.plain)
    assert "loci.formats" not in text.plain


def test_what_was_refused_before_a_byte_went_out_is_not_called_an_attempt() -> None:
    told = report.outcome_for_admins(filesets(), SITE).plain

    assert "plates/P1/well_000.tif (with 1,152 more files), not tried\n" in told
    assert "0 attempts" not in told


def test_a_line_for_the_manifest_stands_alone_and_is_right_as_it_is() -> None:
    text = report.outcome(filesets(), SITE)
    line = next(line for line in text.plain.splitlines() if "target:" in line).strip()

    assert parse(line.encode()).target == Target(Kind.SCREEN, "HeLa day 3")
    assert f">{escape(line)}</div>" in text.html


def test_admins_see_the_format_of_what_failed() -> None:
    story = tale(replace(entry("a.lif", CUT), format="Leica Image File Format"), verdict=Verdict.FAILED)

    assert "a.lif (1 attempt, Leica Image File Format)" in report.outcome_for_admins(story, SITE).plain


def test_a_remark_that_comes_twice_is_told_once() -> None:
    note = "Several datasets match, the newest was taken."
    story = filesets()
    assert story.container is not None
    doubled = replace(story, container=replace(story.container, note=note), notes=(note,))

    assert report.outcome(doubled, SITE).plain.count("Several datasets match") == 1


# -- attachments ----------------------------------------------------------------------------------------


def test_attachments_have_a_sentence_of_their_own_and_are_no_image_files() -> None:
    text = report.outcome(filesets(), SITE)
    said = flat(text.plain)

    assert "2 files were attached to the dataset: notes.pdf, protocol.docx." in said
    assert "1 file could not be attached: raw log.zip." in said
    assert filesets().tally.total == 11
    assert filesets().attachment_tally == AttachmentTally(3, attached=2, failed=1, open=0)


def test_of_many_attachments_the_sentence_names_a_few_and_a_list_the_rest() -> None:
    files = tuple(entry(f"note {n}.pdf", Attached(n, n)) for n in range(1, 40))
    story = tale(entry("a.czi", good(1)), verdict=Verdict.IMPORTED, attachments=files)
    mail, page = report.outcome(story, SITE).plain, report.report_txt(story, SITE)

    assert "39 files were attached to the dataset: note 1.pdf, note 2.pdf," in flat(mail)
    assert "note 5.pdf and 34 more." in flat(mail)
    assert "and 19 more attachments; see REPORT.txt in the folder" in mail
    assert "- note 39.pdf" in page


def test_a_batch_that_fails_in_its_attachments_only_does_not_call_an_image_file_failed() -> None:
    text = report.outcome(only_attachments_fail(), SITE)
    told = report.outcome_for_admins(only_attachments_fail(), SITE)

    assert text.subject == "All 12 image files imported: HeLa day 3 \u2014 raw log.zip not attached"
    assert text.plain.startswith("All 12 image files imported, 1 attachment missing\n")
    assert told.plain.startswith("All 12 image files imported, 1 attachment missing\n")
    assert "needs you" not in text.plain
    assert "could not be imported" not in text.plain
    assert "Could not be attached\n-----" in text.plain
    assert "Filesets     12 (12 imported)\n" in told.plain
    assert "Attachments  2 (1 attached, 1 failed)\n" in told.plain


def test_an_attachment_alone_is_no_success() -> None:
    text = report.outcome(only_attachments_come_through(), SITE)

    assert text.subject == "Not imported: HeLa day 3 \u2014 cut.tif needs you"
    assert "Nothing was imported." in text.plain
    assert "1 file was attached to the dataset: notes.pdf." in text.plain


def test_attachments_that_are_still_to_come_are_told_apart() -> None:
    page = report.report_txt(attaching(), SITE)

    assert page.startswith("Importing: 2 of 2 image files in OMERO so far\n")
    assert "2 files are still to be attached: plan.docx, log.zip." in flat(page)
    assert report.reason(attaching(), SITE, CLAIMED) == "importing, 2 of 2 done, 2 attachments left"


def test_status_row_names_an_attachment_that_failed_as_such() -> None:
    row = report.reason(only_attachments_fail(), SITE, CLAIMED)

    assert row.startswith("12 of 12 in OMERO; raw log.zip not attached: OMERO did not take the file")


# -- what is still to come -------------------------------------------------------------------------------


def test_report_names_what_is_still_to_come_and_what_kept_it_back() -> None:
    page = report.report_txt(waiting(), SITE)

    assert "Still to come\n-------------\n\n- cell_05.czi (120 MB)\n" in page
    assert "- cell_06.czi (120 MB, tried once: the connection was lost)\n" in page


# -- a site without OMERO ---------------------------------------------------------------------------------


def test_with_the_folder_importer_no_text_speaks_of_omero() -> None:
    story = archived()
    opened = replace(attaching(), container=story.container)
    texts = [
        report.outcome(story, ARCHIVE),
        report.outcome_for_admins(story, ARCHIVE),
        report.outcome(replace(story, verdict=Verdict.CANCELLED), ARCHIVE),
        report.delay(opened, ARCHIVE),
        report.withdrawn(opened, ARCHIVE),
        report.stuck(opened, 60, ARCHIVE),
        report.split_run("alice", "HeLa", ARCHIVE),
        report.no_address(report.outcome(story, ARCHIVE), "alice", ARCHIVE),
        report.dead_letter(report.DeadLetter("i", "a@example.org", "News", 8, "550"), ARCHIVE),
    ]
    pages = [report.report_txt(story, ARCHIVE), report.report_txt(opened, ARCHIVE)]
    rows = [report.reason(story, ARCHIVE, CLAIMED), report.reason(opened, ARCHIVE, CLAIMED)]

    for text in [*(part for mail in texts for part in (mail.subject, mail.plain, mail.html)), *pages, *rows]:
        assert "OMERO" not in text
        assert "dataset" not in text.lower()
    assert 'in the archive, in the new folder "alice/HeLa day 3".' in flat(texts[0].plain)


def test_the_configuration_says_whether_the_images_go_to_omero() -> None:
    known = {
        "site": {"name": "F"},
        "spools": [{"path": "/s"}],
        "state": "/t",
        "mail": None,
        "omero": {"host": "h", "user": "u", "web": "https://omero.example.org/web"},
        "folder": {"path": "/archive"},
    }
    omero, archive = (
        report.site_of(Config.model_validate({**known, "importer": importer}))
        for importer in ("omero", "folder")
    )

    assert (omero.store, omero.web) == (report.Store.OMERO, "https://omero.example.org/web")
    assert (archive.store, archive.web) == (report.Store.ARCHIVE, "")


# -- from records -----------------------------------------------------------------------------------------


def test_the_story_of_a_record_keeps_attachments_apart() -> None:
    claim = "20261124-130355-abcd"
    path = Path("/s/alice/processing") / f"{claim}_x"
    envelope = Envelope("alice", Place.PROCESSING, path, claim, "x")
    record = Record(claim, claim, "alice", "x", "x", CLAIMED)
    lines = [
        Line(
            claim, "1", "set_0.ome.tif", 12, 100, more=("set_1.ome.tif",), format="OME-TIFF", outcome=good(1)
        ),
        Line(claim, "2", "notes.pdf", 1, 5, attachment=True, outcome=TOO_LARGE),
        Line(claim, "3", "old.czi", 1, 5, outcome=Failed("The connection was lost.")),
    ]
    story = report.tell(envelope, record, lines, path, "alice")

    assert [one.name for one in story.entries] == ["set_0.ome.tif", "old.czi"]
    assert [one.name for one in story.attachments] == ["notes.pdf"]
    assert (story.tally.total, story.tally.open) == (2, 1)
    assert [failed for _, failed in story.failures()] == [TOO_LARGE]
