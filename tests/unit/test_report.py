"""The words that people read, told by stories. tests/unit/golden/ holds the main texts as they are sent.

After a change of words, look at every text that changed and write the files anew by hand:
``DROPWATCH_WRITE_GOLDEN=1 pytest tests/unit/test_report.py``.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tales import (
    ARCHIVE,
    CLAIMED,
    DAMAGED,
    FAULT,
    SITE,
    STORIES,
    all_imported,
    all_skipped,
    archived,
    attaching,
    bad_manifest,
    cancelled,
    entry,
    failed,
    good,
    partial,
    plates,
    tale,
    waiting,
)

from dropwatch import report
from dropwatch.errors import OperatorError
from dropwatch.model import (
    Attached,
    Container,
    Failed,
    Image,
    Imported,
    Kind,
    Place,
    Problem,
    Skipped,
    Verdict,
)
from dropwatch.report import Story, Text
from dropwatch.report import letter as letters
from dropwatch.report.mails import typeset
from dropwatch.report.words import subject

GOLDEN = Path(__file__).parent / "golden"


def mails() -> dict[str, Text]:
    letter = report.DeadLetter(
        "20261124-k3f9-outcome-alice", "alice@example.org", "Not imported", 8, "550 no such user"
    )
    missing = ["b.czi (has 10 of 20 bytes)", "c.czi"]
    texts = {f"outcome_{name}": report.outcome(story(), SITE) for name, story in STORIES.items()}
    texts |= {
        f"admins_{name}": report.outcome_for_admins(STORIES[name](), SITE)
        for name in ("partial", "mixed", "bad_manifest", "filesets", "only_attachments_fail")
    }
    return texts | {
        "outcome_archived": report.outcome(archived(), ARCHIVE),
        "admins_archived": report.outcome_for_admins(archived(), ARCHIVE),
        "delay": report.delay(waiting(), SITE),
        "withdrawn": report.withdrawn(replace(cancelled(), verdict=None, concluded_at=None), SITE),
        "incomplete": report.incomplete("alice", "HeLa day 3", missing, SITE, CLAIMED + 86400),
        "split_run": report.split_run("alice", "HeLa day 3", SITE),
        "permission": report.permission(
            "alice", "inbox/HeLa day 3", "copy the folder instead of moving it", SITE
        ),
        "permission_admins": report.permission_for_admins(
            "alice", "/srv/dropwatch/alice/inbox/HeLa day 3", "setfacl -m u:dropwatch:rwx on the folder", SITE
        ),
        "operator": report.operator(FAULT, ["alice", "bob"], SITE),
        "operator_user": report.operator_for_user(waiting(), FAULT, SITE),
        "outage": report.outage(
            "OMERO", CLAIMED, "Connection refused (omero.example.org, port 4064)", 3, SITE
        ),
        "outage_over": report.outage_over("the mail server", CLAIMED, CLAIMED + 4800, 1, SITE),
        "dead_letter": report.dead_letter(letter, SITE),
        "no_address": report.no_address(report.outcome(failed(), SITE), "alice", SITE),
        "bug": report.bug(
            waiting(), "KeyError: 'images'", "Traceback (most recent call last):\n  File 'x.py'", SITE
        ),
        "low_space": report.low_space("/srv/dropwatch", 3_000_000_000, 50_000_000_000, 2, SITE),
        "stuck": report.stuck(
            replace(waiting(), waiting_for="OMERO is still reading in cell_05.czi"), 6 * 3600, SITE
        ),
    }


def golden() -> dict[str, str]:
    files = {}
    for name, text in mails().items():
        files[f"{name}.txt"] = f"Subject: {text.subject}\n\n{text.plain}"
        files[f"{name}.html"] = text.html
    opened = {"waiting": waiting, "attaching": attaching}
    told = {name: report.report_txt(story(), SITE) for name, story in (STORIES | opened).items()}
    told["archived"] = report.report_txt(archived(), ARCHIVE)
    return files | {f"REPORT_{name}.txt": page for name, page in told.items()}


@pytest.mark.parametrize("name", sorted(golden()))
def test_text_is_as_it_was_looked_at(name: str) -> None:
    text = golden()[name]
    if os.environ.get("DROPWATCH_WRITE_GOLDEN"):
        (GOLDEN / name).write_text(text, encoding="utf-8", newline="\n")

    assert text == (GOLDEN / name).read_text(encoding="utf-8")


# -- subjects, counts, rows -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("all_imported", "All 12 image files imported: HeLa day 3"),
        ("partial", "99 of 100 imported: HeLa day 3 \u2014 x.czi needs you"),
        ("mixed", "2 of 5 are in OMERO: HeLa day 3 \u2014 3 image files need you"),
        ("all_skipped", "Already in OMERO: HeLa day 3 \u2014 nothing was imported twice"),
        ("failed", "Not imported: HeLa day 3 \u2014 2 image files need you"),
        ("cancelled", "Cancelled: HeLa day 3 \u2014 4 of 6 are in OMERO"),
        ("plates", "1 image file imported: HeLa day 3"),
    ],
)
def test_subject_says_what_happened_and_to_what(name: str, line: str) -> None:
    assert report.outcome(STORIES[name](), SITE).subject == line


def test_long_names_leave_room_for_the_news_in_the_subject() -> None:
    story = replace(partial(), name="Knockdown of everything " * 8)
    text = report.outcome(story, SITE)

    assert len(text.subject) <= 120
    assert text.subject.startswith("99 of 100 imported: Knockdown")
    assert text.subject.endswith("\u2014 x.czi needs you")


def test_a_story_without_verdict_has_no_outcome() -> None:
    with pytest.raises(ValueError, match="no verdict"):
        report.outcome(waiting(), SITE)


def test_one_is_singular_and_many_are_plural() -> None:
    one = report.outcome(tale(entry("a.czi", good(1)), verdict=Verdict.IMPORTED), SITE).plain
    two = report.outcome(
        tale(entry("a.czi", Skipped((), 1)), entry("b.czi", Skipped((), 2)), verdict=Verdict.IMPORTED), SITE
    ).plain

    assert "1 image file (120 MB) is now in OMERO" in one
    assert "2 image files were already in OMERO" in two
    assert "so they were not imported again" in two


def test_files_with_the_same_trouble_are_told_together() -> None:
    story = tale(*(entry(f"{n}.czi", DAMAGED) for n in range(12)), verdict=Verdict.FAILED)
    text = report.outcome(story, SITE)

    assert text.plain.count("The file is damaged") == 1
    assert "These 12 image files:" in text.plain


def test_each_problem_of_a_manifest_has_its_line() -> None:
    story = replace(
        bad_manifest(), problems=(Problem("line 2: taget: unknown\nline 5: tags: expected a list"),)
    )
    text = report.outcome(story, SITE)

    assert text.subject.endswith("2 things to put right")
    assert "  - line 2: taget: unknown.\n  - line 5: tags: expected a list.\n" in text.plain


def test_mail_names_the_folder_as_it_will_be_found_when_the_mail_is_read() -> None:
    # Letters are written while the batch is still in processing/, and read when it is in failed/.
    text = report.outcome(partial(), SITE)
    told = report.outcome_for_admins(partial(), SITE)

    assert 'open "failed" and find this folder:\n     20261124-130355-k3f9_HeLa day 3\n' in text.plain
    assert "/srv/dropwatch/alice/failed/20261124-130355-k3f9_HeLa day 3" in told.plain


def test_batch_of_an_instrument_is_found_in_the_folder_of_the_instrument() -> None:
    story = replace(partial(), sender="confocal1")

    assert "In the drop folder of confocal1, open" in report.outcome(story, SITE).plain
    assert "/srv/dropwatch/confocal1/failed/" in report.outcome_for_admins(story, SITE).plain


def test_admins_find_error_log_and_attempts() -> None:
    text = report.outcome_for_admins(partial(), SITE)

    assert "PermanentError import-unknown-format" in text.subject
    assert "https://omero.example.org/webclient/download_original_file/4711/" in text.plain
    assert "loci.formats.FormatException: truncated" in text.plain
    assert "x.czi (1 attempt, import log)" in text.plain


def test_users_are_spared_what_only_admins_understand() -> None:
    for name, story in STORIES.items():
        text = report.outcome(story(), SITE).plain

        assert "ileset" not in text, name
        assert "loci.formats" not in text, name


def test_passing_failure_is_not_called_failed_before_the_end() -> None:
    page = report.report_txt(waiting(), SITE)

    assert "needs you" not in page
    assert "2 image files are still to come" in page


def test_report_names_every_image_file_of_a_long_batch() -> None:
    story = tale(
        *(entry(f"good_{n}.czi", good(n + 1)) for n in range(300)),
        *(entry(f"bad_{n}.czi", DAMAGED) for n in range(300)),
        verdict=Verdict.PARTIAL,
    )
    page = report.report_txt(story, SITE)

    assert all(f"good_{n}.czi" in page and f"bad_{n}.czi" in page for n in range(300))


def test_report_is_ascii_as_long_as_the_names_are() -> None:
    for story in (*STORIES.values(), waiting):
        assert report.report_txt(story(), SITE).isascii()


@pytest.mark.parametrize(
    ("story", "row"),
    [
        (all_imported(), "12 of 12 imported"),
        (all_skipped(), "0 of 3 imported, 3 already there"),
        (
            partial(),
            "99 of 100 in OMERO; x.czi: the file is damaged: it ends in the middle of an image",
        ),
        (bad_manifest(), "not imported; the manifest batch.yaml has an error: taget is not a known key"),
        (cancelled(), "cancelled, 4 of 6 in OMERO"),
        (waiting(), "2 of 6 left, waiting: OMERO cannot be reached, next attempt 15:05"),
        (replace(waiting(), waiting_for=""), "2 of 6 left, next attempt 15:05"),
        (replace(waiting(), waiting_for="", next_attempt=None), "importing, 4 of 6 done"),
        (tale(verdict=None, place=Place.INBOX), "waiting to be taken up"),
        (
            tale(verdict=None, place=Place.INBOX, waiting_for="Still waiting for b.czi."),
            "waiting: Still waiting for b.czi",
        ),
        (tale(verdict=None), "getting ready"),
    ],
)
def test_status_row_says_in_one_line_why(story: Story, row: str) -> None:
    assert report.reason(story, SITE, CLAIMED + 60) == row


def test_time_of_another_day_comes_with_its_date() -> None:
    assert report.reason(waiting(), SITE, CLAIMED - 86400).endswith("next attempt 24 Nov 15:05")


# -- names and numbers for people -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (1_234_567_890, "1.2 GB"),
        (12_345_678, "12 MB"),
        (9_960_000, "10 MB"),
        (999_600, "1 MB"),
        (999_999_999, "1 GB"),
        (7 * 10**18, "7000 PB"),
    ],
)
def test_size(value: int, text: str) -> None:
    assert report.size(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 seconds"),
        (1, "1 second"),
        (59.7, "1 minute"),
        (300, "5 minutes"),
        (3599, "1 hour"),
        (4800, "1 hour 20 minutes"),
        (86399, "1 day"),
        (2 * 86400 + 3 * 3600 + 120, "2 days 3 hours"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert report.duration(seconds) == text


def test_times_are_those_of_the_site() -> None:
    assert report.moment(CLAIMED, "Europe/Paris") == "24 Nov 2026 14:03"
    assert report.moment(CLAIMED, "America/New_York") == "24 Nov 2026 08:03"


def test_counts() -> None:
    assert report.count(1, "image file") == "1 image file"
    assert report.count(12000, "image file") == "12,000 image files"


# -- links ----------------------------------------------------------------------------------------------


def test_links_lead_to_dataset_images_and_plates() -> None:
    scenes, screen = report.outcome(partial(), SITE), report.outcome(plates(), SITE)
    story = tale(entry("a.lif", good(5, images=2)), verdict=Verdict.IMPORTED)

    assert "https://omero.example.org/webclient/?show=dataset-12\n" in scenes.plain
    assert "/webclient/?show=image-5%7Cimage-6\n" in report.outcome(story, SITE).plain
    assert "/webclient/?show=screen-2\n" in screen.plain
    assert "/webclient/?show=plate-3\n" in screen.plain


def test_file_with_a_thousand_images_has_a_link_that_still_works() -> None:
    text = report.outcome(tale(entry("a.lif", good(1, images=1000)), verdict=Verdict.IMPORTED), SITE)

    assert "a.lif (1,000 images)" in text.plain
    assert max(len(line) for line in text.plain.splitlines()) < 500


@pytest.mark.parametrize("web", ["", "javascript:alert(1)", "omero.example.org"])
def test_without_a_web_address_there_are_no_links(web: str) -> None:
    site = replace(SITE, web=web)

    assert "<a " not in report.outcome(partial(), site).html
    assert "http" not in report.outcome_for_admins(partial(), site).plain


# -- what others wrote comes out harmless ---------------------------------------------------------------

EVIL = [
    "<script>alert(1)</script>",
    "a\nBcc: x@example.org",
    "a\r\n\r\n<b>",
    "\x1b[2J\x9b2J",
    "\u202eizc.x",
    "\u2066x\u2069",
    "caf\udce9.czi",
    "\ud800",
    '"><img src=https://evil.example/x onerror=alert(1)>',
    "<!-- note -->",
    "a\u2028b\u2029c\x85d",
    "\ufeff\u200b\x00",
    "x" * 4000,
]
#: Characters that may not stand in any text, tab and line end aside.
ACTIVE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)


def told(evil: str) -> list[str]:
    """Every text there is, with *evil* wherever others may write."""
    site = replace(SITE, name=evil, contact=evil)
    bad = Failed(evil, evil, lasting=True, error=evil, detail=evil, log=1)
    warned = Imported((Image(1, evil, "Image"),), 1, warning=evil)
    entries = (
        entry(evil, bad),
        entry(evil, bad),
        entry(evil, warned),
        entry(evil, None),
        entry(evil, Skipped((), 3)),
        replace(entry(evil, bad, files=12), format=evil),
    )
    beside = (entry(evil, bad), entry(evil, None), *(entry(evil, Attached(1, 1)) for _ in range(9)))
    story = replace(
        tale(*entries, verdict=Verdict.PARTIAL),
        user=evil,
        sender=evil,
        name=evil,
        attachments=beside,
        path=evil,
        group=evil,
        container=Container(Kind.DATASET, 1, evil, evil, note=evil),
        problems=(Problem(evil, evil, evil, evil),),
        notes=(evil,),
        waiting_for=evil,
        batch=evil,
        claim=evil,
    )
    opened = replace(story, verdict=None)
    fault = OperatorError(evil, concerns=evil, remedy=evil, detail=evil, code=evil)
    mails = [
        report.outcome(story, site),
        report.outcome_for_admins(story, site),
        report.delay(opened, site),
        report.withdrawn(opened, site),
        report.incomplete(evil, evil, [evil], site, CLAIMED),
        report.split_run(evil, evil, site),
        report.permission(evil, evil, evil, site),
        report.permission_for_admins(evil, evil, evil, site),
        report.operator(fault, [evil], site),
        report.operator_for_user(opened, fault, site),
        report.outage(evil, CLAIMED, evil, 1, site),
        report.outage_over(evil, CLAIMED, CLAIMED, 1, site),
        report.dead_letter(report.DeadLetter(evil, evil, evil, 1, evil), site),
        report.no_address(report.outcome(story, site), evil, site),
        report.bug(opened, evil, evil, site),
        report.low_space(evil, 1, 2, 3, site),
        report.stuck(opened, 60, site),
    ]
    for mail in mails:
        assert "\n" not in mail.subject
        assert len(mail.subject) <= 120
    rows = [report.reason(story, site, CLAIMED), report.reason(opened, site, CLAIMED)]
    assert not any("\n" in row for row in rows)
    pages = [report.report_txt(story, site), report.report_txt(opened, site)]
    return [part for mail in mails for part in (mail.subject, mail.plain, mail.html)] + pages + rows


class Tags(HTMLParser):
    """Collects what a mail program would act on."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "table",
    "tr",
    "td",
    "div",
    "p",
    "h2",
    "a",
    "strong",
}
TAGS |= {"ol", "ul", "li", "pre", "br"}


@pytest.mark.parametrize("evil", EVIL)
def test_what_others_named_is_harmless_in_every_text(evil: str) -> None:
    for text in told(evil):
        text.encode("utf-8")
        tags = Tags(text).seen if text.startswith("<!DOCTYPE") else set()

        assert not ACTIVE.search(text.replace("\n", "")), repr(evil)
        assert tags <= TAGS


@pytest.mark.parametrize("evil", EVIL)
def test_typesetting_makes_each_string_of_a_letter_harmless(evil: str) -> None:
    # Whoever composes a letter may forget to clean a name: it must not matter.
    rows = letters.Rows((letters.Row(evil, evil, evil),), evil)
    blocks = (
        letters.Heading(evil),
        letters.Say(evil),
        letters.Button(evil, evil),
        rows,
        letters.Trouble(evil, (evil, evil), evil, (evil, evil), rows),
        letters.Items((evil,), evil),
        letters.Steps((letters.Step(evil, evil), letters.Step(evil, evil))),
        letters.Facts(((evil, evil),)),
        letters.Excerpt(evil, evil, evil),
    )
    letter = letters.Letter(subject(evil, evil, evil), letters.Tone.INFO, evil, (evil, evil), blocks, (evil,))
    text = typeset(letter)

    for part in (text.subject, text.plain, text.html):
        assert not ACTIVE.search(part.replace("\n", ""))
    assert "\n" not in text.subject
    assert Tags(text.html).seen <= TAGS


def test_name_cannot_add_a_line() -> None:
    story = replace(partial(), name="a\nBcc: x@example.org")
    text = report.outcome(story, SITE)

    assert text.subject.startswith("99 of 100 imported: a\\nBcc: x@example.org")
    assert not re.search("^Bcc", text.plain, re.MULTILINE)


def test_undecodable_byte_is_shown_readably() -> None:
    assert report.clean("caf\udce9.czi") == "caf\\xe9.czi"
    assert report.clean("e\u0301 \u05d0 \u6f22") == "e\u0301 \u05d0 \u6f22"


@given(st.text(max_size=60))
def test_clean_text_is_one_harmless_line_and_stays_so(text: str) -> None:
    line = report.clean(text)

    assert not ACTIVE.search(line)
    assert report.clean(line) == line


@pytest.mark.parametrize("name", sorted(mails()))
def test_html_is_whole_and_loads_nothing(name: str) -> None:
    page = mails()[name].html
    tags = Tags(page)

    assert tags.open == []
    assert tags.seen <= TAGS
    assert not tags.attributes & {"src", "onload", "onclick", "background"}
    assert "url(" not in page
    assert "@import" not in page


def test_letter_without_address_tells_the_admins_in_both_forms() -> None:
    text = report.no_address(report.outcome(failed(), SITE), "alice", SITE)
    note = "no mail address of alice is known"

    assert text.subject.startswith("For alice (no address): Not imported")
    assert note in text.plain
    assert text.html.count(note) == 1


# -- size and speed -------------------------------------------------------------------------------------


def test_ten_thousand_files_make_a_small_mail_quickly() -> None:
    every = [DAMAGED if n % 3 == 0 else replace(good(n + 1), warning=f"odd {n}") for n in range(10_000)]
    long = [
        replace(DAMAGED, reason=f"'{n}' " * 100, remedy='"' * 600, detail="<&>" * 4000) for n in range(1000)
    ]
    names = ("<'\">" * 60, "plain name")
    entries = [entry(f"{names[n % 2]}{n}.czi", outcome) for n, outcome in enumerate(every + long)]
    story = tale(*entries, verdict=Verdict.PARTIAL, notes=("&" * 600,) * 100)

    begun = time.thread_time()
    texts = [report.outcome(story, SITE), report.outcome_for_admins(story, SITE)]
    report.report_txt(story, SITE)
    took = time.thread_time() - begun

    assert [len(text.html.encode()) < 100_000 for text in texts] == [True, True]
    assert took < 5


def test_long_log_is_shown_from_its_end() -> None:
    log = "\n".join(f"line {n}" for n in range(500))
    story = tale(entry("x.czi", replace(DAMAGED, detail=log)), verdict=Verdict.FAILED)
    text = report.outcome_for_admins(story, SITE)

    assert "| line 499\n" in text.plain
    assert "| line 459\n" not in text.plain
