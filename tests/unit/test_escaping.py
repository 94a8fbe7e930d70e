"""Whatever others wrote, each way out keeps its rule: any text in, nothing out that acts. The rules are in poison.py.

What is put into a whole site, and looked at from outside, is in faults/test_injection.py.
"""

from __future__ import annotations

import ast
import email
import email.policy
import io
import json
import logging
import os
import shlex
from dataclasses import replace
from email.generator import BytesGenerator
from pathlib import Path

import poison
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from poison import LONG, POISONS
from rich.console import Console

from dropwatch import journal, report
from dropwatch.errors import OperatorError, PermanentError
from dropwatch.importers import omero_keys
from dropwatch.importers.omero_settings import as_text
from dropwatch.journal import OneLine
from dropwatch.outbox import Letter, letter_id
from dropwatch.outbox.letter import NotALetter, from_json, is_safe, to_json
from dropwatch.outbox.mail import compose, envelope_address
from dropwatch.report import letter as letters
from dropwatch.report.mails import typeset
from dropwatch.report.words import clean, clean_lines, named, sentence, subject
from dropwatch.spool.moves import move

ROOT = Path(__file__).parents[2] / "dropwatch"
#: Any text at all, with more of what does harm than chance would bring.
HARM = st.one_of(
    st.sampled_from([text for text in POISONS.values() if text != LONG]), st.text(st.characters())
)
TEXTS = st.lists(HARM, max_size=3).map("".join)
few = settings(max_examples=30, deadline=None)  # of those that take a while
each_poison = pytest.mark.parametrize("text", POISONS.values(), ids=POISONS)


def site_at(web: str) -> report.Site:
    return report.Site("Site", "help@example.org", "UTC", web)


# -- words ---------------------------------------------------------------------------------------------------


@given(TEXTS)
def test_shown_text_is_one_line_that_does_nothing(text: str) -> None:
    assert poison.active(clean(text), "") == []
    assert clean(clean(text)) == clean(text)
    assert "\n" not in named(text) + sentence(text)
    assert len(named(text)) <= 120
    assert all(poison.active(line, "") == [] for line in clean_lines(text))


@given(st.text(st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp"))))
def test_what_does_no_harm_is_shown_as_it_is(text: str) -> None:
    assert clean(text) == text


@given(TEXTS, TEXTS, TEXTS)
def test_a_subject_is_one_short_line(head: str, name: str, tail: str) -> None:
    line = subject(head, name, tail)

    assert len(line) <= 120
    assert poison.active(line, "") == []


# -- letters -------------------------------------------------------------------------------------------------


def letter_of(text: str) -> letters.Letter:
    """A letter that says *text* wherever a letter can say something of others."""
    link = f"https://omero.example/webclient/?show={text}"
    rows = letters.Rows((letters.Row(text, text, link), letters.Row(text)), text)
    step = letters.Step(text, text)
    return letters.Letter(
        text,
        letters.Tone.BAD,
        text,
        (text, text),
        (
            letters.Heading(text),
            letters.Say(text),
            letters.Button(text, link),
            rows,
            letters.Trouble(text, (text, text), text, (text,), rows),
            letters.Items((text,), text),
            letters.Steps((step, step)),
            letters.Facts(((text, text),)),
            letters.Excerpt(text, text, link),
        ),
        (text,),
    )


@given(TEXTS)
@example(LONG)
@few
def test_a_mail_has_only_tags_and_links_of_ours_whatever_it_says(text: str) -> None:
    made, plain = typeset(letter_of(f"a{text}")), typeset(letter_of("words"))

    assert poison.html(made.html) == []
    assert poison.tags(made.html) == poison.tags(plain.html)
    assert poison.active(made.plain) == []


@given(TEXTS)
@few
def test_the_note_above_a_letter_is_in_one_place_whatever_the_letter_says(text: str) -> None:
    made = report.no_address(typeset(letter_of(text)), text, site_at(""))

    assert poison.html(made.html) == []
    assert made.html.count('<td class="dw-note') == 1
    assert poison.active(made.plain) == []


@pytest.mark.parametrize(
    "web", ["javascript:alert(1)//", "data:text/html,x", "//evil.example", "ftp://x", ""]
)
def test_no_link_is_made_where_omero_web_has_no_web_address(web: str) -> None:
    from dropwatch.model import Container, Image, Kind
    from dropwatch.report.links import container_link, images_link, log_link

    site = site_at(web)

    assert container_link(site, Container(Kind.DATASET, 1, "x", "g")) == ""
    assert images_link(site, [Image(1, "x")]) == log_link(site, 3) == ""


@given(TEXTS)
def test_a_kind_that_a_forged_record_made_up_gets_no_link(kind: str) -> None:
    from dropwatch.model import Image
    from dropwatch.report.links import images_link

    link = images_link(site_at("https://omero.example/webclient"), [Image(1, "x", kind)])

    assert link in ("", f"https://omero.example/webclient/?show={kind.lower()}-1")
    assert not link or kind in ("Image", "Plate")


# -- mails ---------------------------------------------------------------------------------------------------


def sent(letter: Letter, sender: str = "dropwatch@example.org") -> bytes:
    """*letter* as it goes out to the mail server."""
    whole = io.BytesIO()
    BytesGenerator(whole, policy=email.policy.compat32.clone(linesep="\r\n")).flatten(compose(letter, sender))
    return whole.getvalue()


@given(TEXTS, TEXTS)
@example(LONG, LONG)
@few
def test_headers_are_ours_whatever_a_letter_says(text: str, batch: str) -> None:
    name = letter_id(batch, text, text, "alice@example.org")
    made = typeset(letter_of(text))
    letter = Letter(
        name,
        text,
        batch,
        text,
        text,
        "alice@example.org",
        made.subject,
        made.plain,
        made.html,
        1.8e9,
        error=text,
    )

    raw = sent(letter)
    mail = email.message_from_bytes(raw, policy=email.policy.compat32)

    assert poison.headers(mail) == []
    assert mail["To"] == "alice@example.org"
    assert max(map(len, raw.split(b"\r\n"))) <= 998  # RFC 5322, 2.1.1
    assert [part.get_content_type() for part in mail.walk()][1:] == ["text/plain", "text/html"]
    assert all(part.get_filename() is None for part in mail.walk())


@given(TEXTS)
def test_the_subject_says_what_was_meant(text: str) -> None:
    line = subject("Imported", text)
    letter = Letter("id", "outcome", "", "", "", "a@example.org", line, "", "", 0.0)

    mail = email.message_from_bytes(sent(letter), policy=email.policy.default)

    assert " ".join(str(mail["Subject"]).split()) == " ".join(line.split())


@given(TEXTS)
@example("a@example.org\nBcc: eve@evil.example")
@example("a@example.org,eve@evil.example")
@example("Alice <a@example.org>")
@example("a@b@example.org")
@example("\u0430lice@example.org")
@example("a@ex\u00e4mple.org")
def test_an_address_is_one_address_or_refused(address: str) -> None:
    try:
        plain = envelope_address(address)
    except PermanentError:
        return

    assert plain.isascii() and plain.isprintable()
    assert not set(plain) & set(' ,;:<>()[]\\"')
    assert plain.count("@") == 1


@given(TEXTS, TEXTS)
def test_the_name_of_a_letter_is_safe_as_file_and_header(batch: str, kind: str) -> None:
    assert is_safe(letter_id(batch, kind, kind, batch))


@pytest.mark.parametrize("name", ["a\nBcc: x", "../a", "", ".a", "a b", "x" * 200])
def test_a_file_in_the_outbox_with_another_name_is_no_letter(name: str) -> None:
    good = Letter("id", "outcome", "", "", "", "a@example.org", "s", "t", "h", 0.0)

    with pytest.raises(NotALetter, match="id"):
        from_json(to_json(replace(good, id=name)))


# -- terminals -----------------------------------------------------------------------------------------------


@given(TEXTS)
@few
def test_a_terminal_shows_text_and_does_nothing(text: str) -> None:
    from dropwatch.cli import tables
    from dropwatch.cli.check import picture
    from dropwatch.doctor.findings import ill

    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, markup=False, highlight=False, emoji=False, width=80)
    made = tables.table("", "")
    made.add_row(tables.text(text, "bold"), tables.text(text))
    for what in (made, tables.text(text), picture(ill(text, text, text))):
        console.print(what)

    assert poison.terminal(screen.getvalue()) == []


def whole(text: str) -> str:
    """*text* after a way through JSON, which makes one character of two halves."""
    return str(json.loads(json.dumps(text)))


# -- logs ----------------------------------------------------------------------------------------------------


@given(TEXTS, TEXTS)
def test_an_event_is_one_line_that_can_be_read_back(first: str, second: str) -> None:
    line = journal.line("claim", batch=first, user=second, number=3, nothing=None)

    assert poison.event(line) == {
        "verb": "claim",
        "batch": whole(first),
        "user": whole(second),
        "number": "3",
    }


@pytest.mark.parametrize("name", ["dropwatch", "dropwatch.importers.omero_line", "py.warnings"])
@given(text=TEXTS)
@few
def test_a_line_of_the_log_is_one_line_whoever_says_it(name: str, text: str) -> None:
    said = journal.line("bug", error=text) if name == "dropwatch" else f"anything {text}"
    try:
        raise ValueError(text)
    except ValueError as err:
        record = logging.LogRecord(name, logging.INFO, __file__, 1, said, (), (type(err), err, None))

    told = poison.event(OneLine().format(record))

    assert told["trace"].startswith("ValueError")
    assert whole(text) in (told["error"] if name == "dropwatch" else told["text"])


# -- OMERO ---------------------------------------------------------------------------------------------------


@given(TEXTS)
def test_a_key_in_omero_has_no_path_no_wildcard_and_no_control_character_of_others(name: str) -> None:
    key = omero_keys.client_path("20261124-140355-k3f9", "abc", name.replace("/", "-"))

    assert key.startswith("dropwatch/20261124-140355-k3f9/abc/")
    assert key.count("/") == 3
    assert not set(key) & set('"*:<>?\\|') and not any(ord(char) < 0x20 for char in key)
    key.encode()


@given(TEXTS)
def test_text_for_omero_can_be_carried_and_stored(text: str) -> None:
    as_text(text).encode()

    assert "\0" not in as_text(text)  # PostgreSQL stores no text with one


@each_poison
def test_a_forged_batch_id_asks_for_nothing(text: str) -> None:
    for words in ((text, None), ("20261124-140355-k3f9", f"{text}%")):
        with pytest.raises(PermanentError, match="is not a batch id"):
            omero_keys.pattern(*words)


def test_questions_to_omero_are_constants() -> None:
    """Parameters are bound by name: nobody builds a question out of words."""
    questions = ROOT / "importers" / "omero_queries.py"
    for node in ast.walk(ast.parse(questions.read_text())):
        assert not isinstance(node, ast.JoinedStr | ast.BinOp | ast.Call), ast.unparse(node)
    asked = [
        (path.name, call)
        for path in sorted((ROOT / "importers").glob("*.py"))
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
    ]
    texts = [(name, call.args[0]) for name, call in asked if call.func.attr in ("ask", "ask_in_pages")]
    raw = [
        (name, call.func.attr) for name, call in asked if call.func.attr.startswith(("findAllBy", "findBy"))
    ]
    projections = [name for name, call in asked if call.func.attr == "projection"]

    assert len(texts) > 10
    named = [(name, ast.unparse(text)) for name, text in texts]
    bad = [
        one
        for one in named
        if not one[1].startswith(("queries.", "_BY_NAME[", "question", "self._", "order"))
    ]
    assert bad == []
    assert raw == []
    assert projections == ["omero_session.py"]


# -- commands that people copy -------------------------------------------------------------------------------


HOSTILE_NAMES = ["$(reboot)", '"; reboot; "', "a b", "-rf", "`reboot`", "it's", "*", "x\ny"]


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_command_in_a_remedy_takes_a_name_as_one_word(tmp_path: Path, name: str) -> None:
    source, sink = tmp_path / "inbox" / name, tmp_path / "processing"
    source.mkdir(parents=True)
    sink.mkdir()
    if os.geteuid() == 0:
        refused = no_permission(source)
    else:
        (tmp_path / "inbox").chmod(0o500)
        with pytest.raises(OperatorError) as caught:
            move(source, sink / name)
        refused = caught.value

    command = refused.remedy.partition("for example: ")[2].partition(". `dropwatch check`")[0]

    assert shlex.split(command) == ["chmod", "-R", "g+rwX", "--", str(source)]


def no_permission(source: Path) -> OperatorError:
    from dropwatch.spool import moves

    return moves._no_permission(source, PermissionError(13, "Permission denied"))


@pytest.mark.parametrize("name", sorted(set(HOSTILE_NAMES) - {"-rf", "*", '"; reboot; "', "x\ny"}))
def test_a_command_for_a_person_takes_the_name_as_one_word(tmp_path: Path, name: str) -> None:
    from dropwatch.spool.permissions import add_user

    made = add_user(tmp_path, name, setfacl=None)

    command = next(note for note in made.notes if "`dropwatch user add" in note).split("`")[1:]
    assert shlex.quote(name) in "`".join(command)


# -- names of drop folders -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a\x9bm", "a\u202eb", "a\u2028b", "\x1b[31m", "a\x00", "x" * 256, "-x"])
def test_no_drop_folder_is_called_what_would_act(tmp_path: Path, name: str) -> None:
    from dropwatch.spool.permissions import add_user

    with pytest.raises(PermanentError, match="cannot be the name of a drop folder"):
        add_user(tmp_path, name)


def test_every_text_of_the_command_line_passes_through_clean() -> None:
    """What is printed raw, is printed in one of these places; each is tried in faults/test_injection.py."""
    allowed = {
        ("app.py", "echo"),  # our version
        ("command.py", "echo"),  # say, answer, hand_out
        ("tables.py", "echo"),  # show, of cleaned texts
        ("tables.py", "print"),
        ("mail.py", "echo"),
        ("web.py", "echo"),  # the address that it listens at, and a link made of it
    }
    found = {
        (path.name, call.func.attr)
        for path in (ROOT / "cli").glob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in ("echo", "print")
    }

    assert found <= allowed
