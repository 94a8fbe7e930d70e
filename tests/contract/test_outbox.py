"""The outbox against a real mail server, in real directories, killed for real."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from threading import Thread

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dropwatch.errors import OperatorError, PermanentError, TemporaryError, Unavailable
from dropwatch.outbox import Delivered, Letter, MailServerSettings, Outbox, Shelf, letter_id
from dropwatch.outbox.mail import compose
from dropwatch.sandbox.faults import Faults
from dropwatch.sandbox.smtp import MailServer
from tests.ports import free_port

NOW = 1_795_000_000.0
INTERVALS = (30.0, 300.0, 1800.0)
BOB = "bob@example.org"
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL, symlinks and FIFOs")


@dataclass
class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class Site:
    """One machine: a mail server, an outbox folder and a clock. outbox() is a new start of the daemon."""

    folder: Path
    server: MailServer
    clock: Clock

    def settings(self, **changes: object) -> MailServerSettings:
        plain = MailServerSettings(
            "127.0.0.1", self.server.port, "none", None, "Dropwatch <dropwatch@example.org>", timeout=60.0
        )
        return replace(plain, **changes)  # type: ignore[arg-type]

    def outbox(self, password: str | None = None, **changes: object) -> Outbox:
        server = self.settings(**changes)
        return Outbox(self.folder / "outbox", server, lambda: password, INTERVALS, self.clock)

    def deliver(self) -> Delivered:
        return self.outbox().deliver(self.clock(), never)

    def order(self, faults: str) -> None:
        (self.server.mail.parent / "faults.yaml").write_text(f"smtp: {faults}\n")

    def mails(self) -> list[EmailMessage]:
        paths = sorted(self.server.mail.glob("*.eml"))
        return [message_from_bytes(path.read_bytes(), policy=policy.default) for path in paths]  # type: ignore[misc]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    server = MailServer(tmp_path / "sandbox", 0, Faults(tmp_path / "sandbox" / "faults.yaml"))
    server.start()
    yield Site(tmp_path, server, Clock())
    server.stop()


def never() -> bool:
    return False


def letter(to: str = BOB, kind: str = "outcome", **changes: object) -> Letter:
    batch = claim = "20261124-140355-k3f9"
    plain = Letter(
        letter_id(batch, claim, kind, to), kind, batch, claim, "bob", to,
        "HeLa day 3: 2 of 2 imported", "Dear Bob,\nall is well.\n", "<p>Dear Bob,</p>", NOW,
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


def text_of(mail: EmailMessage, subtype: str = "plain") -> str:
    part = mail.get_body((subtype,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


# -- what goes out ---------------------------------------------------------------------------------------


def test_a_letter_arrives_as_text_and_html_with_its_headers(site: Site) -> None:
    site.outbox().post(letter(text="Größe: 5 µm\n", html="<p>Größe: 5 µm</p>", subject="Fertig: Zellgröße"))

    assert site.deliver() == Delivered(sent=1)
    (mail,) = site.mails()
    assert mail.get_content_type() == "multipart/alternative"
    assert (text_of(mail), text_of(mail, "html")) == ("Größe: 5 µm\n", "<p>Größe: 5 µm</p>")
    assert b"\nGr=C3=B6=C3=9Fe: 5 =C2=B5m\n" in mail.as_bytes()  # readable in any log
    assert (mail["Subject"], mail["To"]) == ("Fertig: Zellgröße", BOB)
    assert mail["From"] == "Dropwatch <dropwatch@example.org>"
    assert mail["Return-Path"] == "<dropwatch@example.org>"
    assert mail["Message-ID"] == f"<{letter().id}@example.org>"
    assert mail["Date"].datetime.timestamp() == NOW
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["X-Dropwatch-Batch"] == letter().batch
    assert site.outbox().counts() == {"queued": 0, "sent": 1, "dead": 0}


def test_a_text_that_is_the_path_of_a_file_is_not_attached(site: Site, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the password of the microscope")
    site.outbox().post(letter(text=str(secret), html=str(secret)))
    site.deliver()

    (mail,) = site.mails()
    assert text_of(mail) == str(secret)
    assert "microscope" not in mail.as_string()
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]


def test_a_newline_in_the_subject_makes_no_header(site: Site) -> None:
    site.outbox().post(
        letter(subject="a.tif\r\nBcc: eve@example.org\n\n\0body\u2028x", batch="b\r\nX-Evil: 1")
    )
    site.deliver()

    (mail,) = site.mails()
    assert mail["Subject"] == "a.tif Bcc: eve@example.org body x"
    assert (mail["Bcc"], mail["X-Evil"], mail["X-Dropwatch-Batch"]) == (None, None, "b X-Evil: 1")
    assert mail.get_all("Delivered-To") == [BOB]


def test_undecodable_file_names_and_long_lines_survive_disk_and_mail(site: Site) -> None:
    name = os.fsdecode(b"caf\xe9.tif")
    long = "x" * 5000 + " " + "日本" * 3000
    posted = letter(subject=f"{name} failed", text=f"{name}\n{long}\n.\n.hidden\n", html=f"<p>{name}</p>")
    outbox = site.outbox()
    outbox.post(posted)
    read_back = outbox.find(posted.id)
    site.deliver()

    (mail,) = site.mails()
    assert read_back == posted
    assert mail["Subject"] == "caf\ufffd.tif failed"
    assert text_of(mail) == f"caf\ufffd.tif\n{long}\n.\n.hidden\n"
    assert max(len(line) for line in mail.as_bytes().splitlines()) < 998


@settings(max_examples=150, deadline=None)
@given(subject=st.text(max_size=300), text=st.text(), name=st.text(max_size=80))
def test_any_words_at_all_make_a_mail(subject: str, text: str, name: str) -> None:
    made = compose(letter(subject=subject, text=text, batch=name, user=name), "a@example.org")
    mail = message_from_bytes(made.as_bytes(), policy=policy.default)

    assert mail["To"] == BOB
    assert "\n" not in mail["Subject"]
    assert {key.lower() for key in mail} == {
        "content-type", "mime-version", "from", "to", "subject", "date", "message-id", "auto-submitted",
    } | ({"x-dropwatch-batch"} if "X-Dropwatch-Batch" in mail else set())  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(words=st.lists(st.text('aZ,;é日😀=?_<>"()', min_size=1, max_size=30), min_size=1, max_size=9))
@example(words=["=?utf-8?q?x?=", "done"])
def test_a_long_subject_loses_nothing(words: list[str]) -> None:
    subject = " ".join(words)[:250].strip()
    mail = message_from_bytes(
        compose(letter(subject=subject), "a@example.org").as_bytes(), policy=policy.default
    )

    assert mail["Subject"] == subject


def test_two_hundred_letters_go_over_one_connection(site: Site) -> None:
    outbox = site.outbox()
    for number in range(200):
        outbox.post(letter(to=f"user{number}@example.org"))
    with Relay(site.server.port) as relay:
        delivered = site.outbox(port=relay.port).deliver(NOW, never)

    assert delivered == Delivered(sent=200)
    assert relay.connections == 1
    assert len({mail["Delivered-To"] for mail in site.mails()}) == 200


# -- once ------------------------------------------------------------------------------------------------


def test_posting_twice_sends_once(site: Site) -> None:
    outbox = site.outbox()
    posted = [outbox.post(letter()), outbox.post(letter(text="other words, same news"))]
    site.deliver()
    posted += [site.outbox().post(letter()), site.outbox().post(letter(to=BOB.upper()))]
    site.deliver()

    assert posted == [True, False, False, False]
    assert len(site.mails()) == 1
    assert site.outbox().where(letter().id) is Shelf.SENT


def test_a_letter_that_was_sent_is_not_sent_again_when_a_retry_brings_it_back(site: Site) -> None:
    site.outbox().post(letter())
    queued = site.folder / "outbox" / "queued" / f"{letter().id}.json"
    old = queued.read_bytes()
    site.deliver()
    queued.write_bytes(old)

    assert site.deliver() == Delivered()
    assert len(site.mails()) == 1
    assert site.outbox().counts() == {"queued": 0, "sent": 1, "dead": 0}


def test_sent_letters_are_purged_and_others_are_not(site: Site) -> None:
    site.outbox().post(letter())
    site.deliver()
    site.clock.now += 1000
    site.outbox().post(letter(kind="delay"))
    site.deliver()
    site.outbox().post(letter(kind="third"))

    assert site.outbox().purge_sent(NOW) == 0
    assert site.outbox().purge_sent(NOW + 1000) == 1
    assert [left.kind for left in site.outbox().sent()] == ["delay"]
    assert site.outbox().counts() == {"queued": 1, "sent": 1, "dead": 0}


def test_reading_makes_nothing(site: Site) -> None:
    outbox = site.outbox()

    assert (outbox.queued(), outbox.sent(), outbox.dead(), outbox.next_due()) == ([], [], [], None)
    assert outbox.counts() == {"queued": 0, "sent": 0, "dead": 0}
    assert (outbox.find("x"), outbox.find("../../etc/passwd"), outbox.retry("x")) == (None, None, 0)
    assert outbox.deliver(NOW, never) == Delivered()
    assert not (site.folder / "outbox").exists()


# -- servers that are away -------------------------------------------------------------------------------


def test_a_server_that_is_down_uses_no_attempt_and_gets_the_letter_when_it_is_back(site: Site) -> None:
    site.outbox().post(letter())
    site.server.stop()
    for _ in range(5):
        outage = site.deliver().outage

        assert isinstance(outage, Unavailable)
    waiting = site.outbox().queued()
    site.server.start()

    assert waiting == [letter()]
    assert site.deliver() == Delivered(sent=1)
    assert len(site.mails()) == 1


def test_a_server_that_closes_at_once_is_unavailable_too(site: Site) -> None:
    site.outbox().post(letter())
    site.order("{refuse: true}")

    assert isinstance(site.deliver().outage, Unavailable)
    assert site.outbox().queued() == [letter()]


@pytest.mark.parametrize(
    ("greeting", "kind"), [(b"421 too busy\r\n", Unavailable), (b"554 we know you\r\n", OperatorError)]
)
def test_a_server_that_will_not_talk_is_left_alone(
    site: Site, greeting: bytes, kind: type[Exception]
) -> None:
    site.outbox().post(letter())
    with Greeter(greeting) as greeter:
        delivered = site.outbox(port=greeter.port).deliver(NOW, never)

    assert type(delivered.outage) is kind
    assert greeting.decode().split()[0] in str(delivered.outage)
    assert site.outbox().queued() == [letter()]


def test_a_server_that_says_nothing_does_not_hold_us(site: Site) -> None:
    site.outbox().post(letter())
    with Greeter(b"") as greeter:
        began = time.monotonic()
        delivered = site.outbox(port=greeter.port, timeout=0.3).deliver(NOW, never)

    assert isinstance(delivered.outage, Unavailable)
    assert time.monotonic() - began < 50  # it would wait for a minute


def test_a_server_that_vanishes_between_letters_costs_the_rest_no_attempt(site: Site) -> None:
    outbox = site.outbox()
    for number in range(5):
        outbox.post(letter(to=f"user{number}@example.org", created=NOW + number))

    def stop_after_two() -> bool:
        if len(site.mails()) == 2:
            site.server.stop()
        return False

    delivered = outbox.deliver(NOW, stop_after_two)

    assert delivered.sent == 2
    assert isinstance(delivered.outage, Unavailable)
    assert [waiting.attempts for waiting in outbox.queued()] == [0, 0, 0]


def test_a_stop_is_noticed_between_letters(site: Site) -> None:
    outbox = site.outbox()
    for number in range(5):
        outbox.post(letter(to=f"user{number}@example.org"))

    assert outbox.deliver(NOW, lambda: len(site.mails()) >= 2) == Delivered(sent=2)
    assert [waiting.attempts for waiting in outbox.queued()] == [0, 0, 0]


# -- refusals --------------------------------------------------------------------------------------------


def test_three_refusals_for_now_keep_the_exact_schedule_over_restarts(site: Site) -> None:
    site.outbox().post(letter())
    site.order("{code: 451, count: 3}")
    for attempt, interval in enumerate(INTERVALS, start=1):
        assert site.deliver() == Delivered(deferred=1)
        (waiting,) = site.outbox().queued()
        assert (waiting.attempts, waiting.tried) == (attempt, site.clock())
        assert waiting.not_before == site.outbox().next_due() == site.clock() + interval
        assert "451" in waiting.error
        site.clock.now += interval - 0.001
        assert site.deliver() == Delivered()
        site.clock.now += 0.001

    assert site.deliver() == Delivered(sent=1)
    assert len(site.mails()) == 1


def test_a_letter_that_is_refused_for_now_too_often_is_given_up_with_the_reason(site: Site) -> None:
    site.outbox().post(letter())
    site.order("{code: 451}")
    for interval in INTERVALS:
        site.deliver()
        site.clock.now += interval
    died = site.deliver().died

    assert [(dead.id, dead.attempts) for dead in died] == [(letter().id, 4)]
    assert "451" in died[0].error
    assert site.outbox().dead() == list(died)
    assert site.outbox().counts() == {"queued": 0, "sent": 0, "dead": 1}


@pytest.mark.parametrize("at", ["rcpt", "data"])
def test_a_letter_refused_for_good_is_kept_listed_and_sent_when_somebody_says_so(site: Site, at: str) -> None:
    site.outbox().post(letter())
    site.outbox().post(letter(to="alice@example.org"))
    site.order(f"{{code: 550, only: {BOB}, at: {at}}}")
    delivered = site.deliver()
    (dead,) = site.outbox().dead()

    assert (delivered.sent, delivered.died, delivered.outage) == (1, (dead,), None)
    assert "550" in dead.error
    assert BOB in dead.error
    assert site.deliver() == Delivered()
    assert site.outbox().post(letter()) is False

    site.order("{}")

    assert site.outbox().retry("unknown") == 0
    assert site.outbox().retry(letter().id) == 1
    assert site.deliver() == Delivered(sent=1)
    assert site.outbox().counts() == {"queued": 0, "sent": 2, "dead": 0}


def test_retry_makes_waiting_letters_due_now(site: Site) -> None:
    site.outbox().post(letter())
    site.order("{code: 451, count: 1}")
    site.deliver()

    assert site.deliver() == Delivered()
    assert site.outbox().retry() == 1
    assert site.deliver() == Delivered(sent=1)


def test_a_wait_ends_when_the_clock_is_set_back(site: Site) -> None:
    site.outbox().post(letter())
    site.order("{code: 451, count: 1}")
    site.clock.now = NOW + 1e9
    site.deliver()
    site.clock.now = NOW

    assert site.outbox().next_due() == NOW
    assert site.deliver() == Delivered(sent=1)


@pytest.mark.parametrize(
    "to", ["bob", "a@b, c@d", "x\r\nRCPT TO:<eve@example.org>", "", "Bob <b@x.org>", "bö@x.org"]
)
def test_what_is_no_address_dies_and_stops_no_other(site: Site, to: str) -> None:
    site.outbox().post(letter(to=to, created=NOW - 1))
    site.outbox().post(letter())
    delivered = site.deliver()

    assert delivered.sent == 1
    assert ["not a mail address" in dead.error for dead in delivered.died] == [True]
    assert [mail["Delivered-To"] for mail in site.mails()] == [BOB]


def test_an_international_domain_is_written_to(site: Site) -> None:
    site.outbox().post(letter(to="bob@münchen.example"))

    assert site.deliver() == Delivered(sent=1)
    assert site.mails()[0]["Delivered-To"] == "bob@xn--mnchen-3ya.example"


def test_a_sender_that_the_server_refuses_pauses_all_and_kills_none(site: Site) -> None:
    site.order("{require_login: true}")
    for number in range(3):
        site.outbox().post(letter(to=f"user{number}@example.org"))
    delivered = site.deliver()

    assert isinstance(delivered.outage, OperatorError)
    assert delivered.outage.concerns == "mail"
    assert sorted(waiting.attempts for waiting in site.outbox().queued()) == [0, 0, 1]


def test_a_connection_lost_in_the_middle_counts_and_the_others_go_on(site: Site) -> None:
    for number in range(4):
        site.outbox().post(letter(to=f"user{number}@example.org", created=NOW + number))
    site.order("{lose_reply: 1}")
    delivered = site.deliver()

    assert delivered == Delivered(sent=3, deferred=1)
    (waiting,) = site.outbox().queued()
    assert (waiting.to, waiting.attempts, waiting.not_before) == ("user0@example.org", 1, NOW + 30)
    site.clock.now += 30
    assert site.deliver() == Delivered(sent=1)
    twice = [mail["Message-ID"] for mail in site.mails() if mail["Delivered-To"] == "user0@example.org"]
    assert len(twice) == 2
    assert len(set(twice)) == 1


def test_a_server_that_drops_every_letter_gets_a_rest(site: Site) -> None:
    for number in range(10):
        site.outbox().post(letter(to=f"user{number}@example.org", created=NOW + number))
    site.order("{lose_reply: 99}")
    delivered = site.deliver()

    assert delivered.deferred == 3
    assert isinstance(delivered.outage, Unavailable)
    assert sorted(waiting.attempts for waiting in site.outbox().queued()) == [0] * 7 + [1] * 3


# -- login and encryption --------------------------------------------------------------------------------


def test_a_login_works_without_encryption_and_with(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(site.server.certificate))
    for kind, security in (("one", "none"), ("two", "starttls")):
        site.outbox().post(letter(kind=kind))
        login = {"user": "dropwatch", "security": security}

        assert site.outbox("dropwatch", **login).deliver(NOW, never) == Delivered(sent=1)
    assert [mail["Received"].split()[5].rstrip(";") for mail in site.mails()] == ["ESMTPA", "ESMTPSA"]


def test_a_wrong_password_is_an_admins_job_and_is_tried_once(site: Site) -> None:
    for number in range(10):
        site.outbox().post(letter(to=f"user{number}@example.org"))
    with Relay(site.server.port) as relay:
        outbox = site.outbox("wr0ng-secret", user="dropwatch", port=relay.port)
        delivered = outbox.deliver(NOW, never)

    assert isinstance(delivered.outage, OperatorError)
    assert delivered.outage.concerns == "mail"
    assert relay.connections == 1
    assert [waiting.attempts for waiting in outbox.queued()] == [0] * 10
    assert "wr0ng-secret" not in everything_said(delivered.outage)
    assert site.mails() == []


def test_the_password_is_read_anew_so_that_a_mended_file_needs_no_restart(site: Site) -> None:
    site.outbox().post(letter())
    given = ["wrong"]
    outbox = Outbox(
        site.folder / "outbox", site.settings(user="dropwatch"), lambda: given[0], INTERVALS, site.clock
    )
    before = outbox.deliver(NOW, never)
    given[0] = "dropwatch"

    assert isinstance(before.outage, OperatorError)
    assert outbox.deliver(NOW, never) == Delivered(sent=1)


def no_file() -> str:
    raise FileNotFoundError(2, "No such file or directory", "/etc/dropwatch/mail.password")


@pytest.mark.parametrize(
    "password", [lambda: None, lambda: "geheim-ü", no_file], ids=["none", "umlaut", "no file"]
)
def test_a_password_that_cannot_be_used_asks_no_terminal_and_tells_nobody(
    site: Site, password: Callable[[], str | None]
) -> None:
    site.outbox().post(letter())
    outbox = Outbox(site.folder / "outbox", site.settings(user="dropwatch"), password, INTERVALS, site.clock)
    outage = outbox.deliver(NOW, never).outage

    assert isinstance(outage, OperatorError)
    assert "geheim" not in everything_said(outage)


def test_a_certificate_that_nobody_vouches_for_is_an_admins_job(site: Site) -> None:
    site.outbox().post(letter())
    outage = site.outbox(security="starttls").deliver(NOW, never).outage

    assert isinstance(outage, OperatorError)
    assert "SSL_CERT_FILE" in outage.remedy
    assert site.outbox().queued() == [letter()]


def test_a_certificate_for_another_name_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(site.server.certificate))
    site.outbox().post(letter())

    assert isinstance(
        site.outbox(security="starttls", host="127.1").deliver(NOW, never).outage, OperatorError
    )


def test_a_server_without_starttls_gets_nothing_in_the_clear(site: Site) -> None:
    site.outbox().post(letter())
    with Plain() as plain:
        outage = site.outbox(security="starttls", port=plain.port).deliver(NOW, never).outage

    assert isinstance(outage, OperatorError)
    assert "STARTTLS" in str(outage)


def test_tls_from_the_first_byte(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(site.server.certificate))
    trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trust.load_cert_chain(site.server.certificate, site.server.certificate.with_name("key.pem"))
    site.outbox().post(letter())
    with Plain(ssl_context=trust) as server:
        delivered = site.outbox(security="tls", port=server.port).deliver(NOW, never)

    assert delivered == Delivered(sent=1)


def test_a_probe_says_what_is_wrong_and_leaves_no_letter(site: Site) -> None:
    outbox = site.outbox()
    outbox.probe(BOB)
    with pytest.raises(PermanentError, match="not a mail address"):
        outbox.probe("bob")
    with pytest.raises(OperatorError):
        site.outbox("wrong", user="dropwatch").probe(BOB)
    with pytest.raises(OperatorError, match=r"mail\.from"):
        site.outbox(sender="nobody").probe(BOB)
    site.order("{code: 451}")
    with pytest.raises(TemporaryError):
        outbox.probe(BOB)
    site.server.stop()
    with pytest.raises(Unavailable):
        outbox.probe(BOB)

    assert [mail["Subject"] for mail in site.mails()] == ["dropwatch test mail"]
    assert outbox.counts() == {"queued": 0, "sent": 0, "dead": 0}


# -- rubbish ---------------------------------------------------------------------------------------------

GOOD = json.loads(json.dumps(letter().__dict__))
RUBBISH = {
    "empty": b"",
    "torn": json.dumps(GOOD).encode()[:-20],
    "binary": b"\xff\xfe\0\0",
    "list": b"[1, 2]",
    "nested": b"[" * 100_000,
    "missing": b'{"id": "missing"}',
    "type": json.dumps(GOOD | {"id": "type", "attempts": "many"}).encode(),
    "never": json.dumps(GOOD | {"id": "never", "not_before": float("inf")}).encode(),
    "far": json.dumps(GOOD | {"id": "far", "not_before": 10**400}).encode(),
    "copy": json.dumps(GOOD).encode(),
}


@pytest.mark.parametrize("name", RUBBISH)
def test_a_letter_whose_file_is_rubbish_is_set_aside_and_blocks_nobody(site: Site, name: str) -> None:
    site.outbox().post(letter())
    queued = site.folder / "outbox" / "queued"
    (queued / f"{name}.json").write_bytes(RUBBISH[name])
    delivered = site.deliver()

    assert delivered.sent == 1
    assert [(dead.id, dead.kind) for dead in delivered.died] == [(f"{name}.json", "unreadable")]
    (dead,) = site.outbox().dead()
    assert dead.id == f"{name}.json.unreadable"
    assert "is no letter" in dead.error
    assert site.outbox().find(dead.id) == dead
    assert (site.folder / "outbox" / "dead" / dead.id).read_bytes() == RUBBISH[name]
    assert len(site.mails()) == 1


@POSIX
def test_things_that_are_no_files_are_set_aside_too_and_none_is_lost(site: Site) -> None:
    site.outbox().post(letter())
    queued = site.folder / "outbox" / "queued"
    for _ in range(2):
        (queued / "folder.json").mkdir()
        (queued / "folder.json" / "inside").write_text("kept")
        (queued / "link.json").symlink_to("/etc/passwd")
        os.mkfifo(queued / "pipe.json")
        (queued / "notes.txt").write_text("a note")
        delivered = site.deliver()

        assert len(delivered.died) == 4
    assert list(queued.iterdir()) == []
    assert len(list((site.folder / "outbox" / "dead").iterdir())) == 8
    assert len(site.mails()) == 1


# -- crashes ---------------------------------------------------------------------------------------------

CHILD = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_outbox import INTERVALS, NOW, letter, never
from dropwatch.outbox import MailServerSettings, Outbox
port, folder, crash = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
steps = 0

def watch(event, arguments):
    # Dies right before a change of the outbox: at the one that the argument names, or at the n-th.
    global steps
    writes = event in ("os.rename", "os.mkdir", "os.remove") or (
        event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR))
    named = [str(one) for one in arguments if isinstance(one, (str, bytes, Path))]
    if writes and any(str(folder) in one for one in named):
        steps += 1
        if str(steps) == crash or (not crash.isdigit() and crash in named[-1]):
            os.kill(os.getpid(), signal.SIGKILL)

server = MailServerSettings("127.0.0.1", port, "none", None, "dropwatch@example.org", 60.0)
outbox = Outbox(folder, server, lambda: None, INTERVALS, lambda: NOW)
import yagmail  # its own files are none of ours
sys.addaudithook(watch)
outbox.post(letter())
print("posted", flush=True)
outbox.deliver(NOW, never)
print("delivered", flush=True)
"""


def run_child(site: Site, folder: Path, crash: str) -> subprocess.CompletedProcess[str]:
    code = CHILD.format(tests=str(Path(__file__).parent))
    command = [sys.executable, "-c", code, str(site.server.port), str(folder), crash]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)


@POSIX
def test_killed_between_the_servers_yes_and_ours_it_sends_at_most_twice(site: Site) -> None:
    child = run_child(site, site.folder / "outbox", os.sep + "sent" + os.sep)
    (waiting,) = site.outbox().queued()
    after_kill = len(site.mails())
    too_early = site.deliver()
    site.clock.now += INTERVALS[0]

    assert (child.returncode, child.stdout) == (-signal.SIGKILL, "posted\n"), child.stderr
    assert (waiting.attempts, waiting.not_before, after_kill) == (1, NOW + INTERVALS[0], 1)
    assert too_early == Delivered()
    assert site.deliver() == Delivered(sent=1)
    assert [mail["Message-ID"] for mail in site.mails()] == [f"<{letter().id}@example.org>"] * 2
    assert site.outbox().counts() == {"queued": 0, "sent": 1, "dead": 0}


@POSIX
def test_killed_at_any_step_no_posted_letter_is_lost_and_none_is_sent_more_than_twice(site: Site) -> None:
    for step in range(1, 100):
        folder = site.folder / f"outbox{step}"
        before = len(site.mails())
        child = run_child(site, folder, str(step))
        assert child.returncode in (0, -signal.SIGKILL), child.stderr
        outbox = Outbox(folder, site.settings(), lambda: None, INTERVALS, site.clock)
        if "posted" not in child.stdout:
            outbox.post(letter())  # as the daemon does after a restart
        outbox.deliver(NOW, never)
        outbox.deliver(NOW + INTERVALS[0], never)

        assert 1 <= len(site.mails()) - before <= 2, f"killed at step {step}"
        assert outbox.counts() == {"queued": 0, "sent": 1, "dead": 0}
        if child.returncode == 0:
            break
    assert step > 8


FULL = """
import resource, sys
from pathlib import Path
from dropwatch.outbox import MailServerSettings, Outbox
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
server = MailServerSettings("127.0.0.1", int(sys.argv[1]), "none", None, "dropwatch@example.org", 10.0)
Outbox(Path(sys.argv[2]), server, lambda: None, (), lambda: 1.0).deliver(1e10, lambda: False)
"""


@POSIX
def test_a_disk_that_is_full_in_the_middle_of_a_letter_tears_none(site: Site) -> None:
    site.outbox().post(letter())
    command = [sys.executable, "-c", FULL, str(site.server.port), str(site.folder / "outbox")]
    child = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    left = list((site.folder / "outbox" / "queued").glob(".*.tmp"))
    site.outbox().purge_sent(time.time() + 60)

    assert "File too large" in child.stderr
    assert site.outbox().queued() == [letter()]
    assert left == [], "half a letter keeps the room that others wait for"
    assert site.mails() == []


@POSIX
def test_a_letter_that_kills_us_each_time_is_given_up(site: Site) -> None:
    site.outbox().post(letter())
    folder = site.folder / "outbox"
    for attempt in range(1, 5):
        waiting = json.loads((folder / "queued" / f"{letter().id}.json").read_text())
        due = waiting | {"not_before": 0.0}
        (folder / "queued" / f"{letter().id}.json").write_text(json.dumps(due))
        assert run_child(site, folder, os.sep + "sent" + os.sep).returncode == -signal.SIGKILL
        assert site.outbox().queued()[0].attempts == attempt
    site.clock.now += 1e6
    delivered = site.deliver()

    assert [dead.error for dead in delivered.died] == ["The last attempt was interrupted."]
    assert len(site.mails()) == 4


# -- servers of our own ----------------------------------------------------------------------------------


class Greeter:
    """Says one line to whoever connects (or nothing), and then nothing more."""

    def __init__(self, line: bytes) -> None:
        self._line = line
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._taken: list[socket.socket] = []
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Greeter:
        self._thread = Thread(target=self._serve)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(60)
        for taken in self._taken:
            taken.close()

    def _serve(self) -> None:
        while True:
            try:
                taken, _ = self._listener.accept()
            except OSError:
                return
            self._taken.append(taken)
            taken.sendall(self._line)


class Relay:
    """Counts the connections to a server."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0
        self._threads: list[Thread] = []

    def __enter__(self) -> Relay:
        self._start(self._serve)
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(60)

    def _start(self, run: Callable[[], None]) -> None:
        self._threads.append(Thread(target=run))
        self._threads[-1].start()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            far = socket.create_connection(("127.0.0.1", self._target))
            self._start(lambda near=near, far=far: pump(near, far))  # type: ignore[misc]
            self._start(lambda near=near, far=far: pump(far, near))  # type: ignore[misc]


def pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    source.close()


class Plain(Controller):
    """A mail server without STARTTLS that keeps nothing; with an ssl_context it speaks TLS from the start."""

    def __init__(self, **settings: object) -> None:
        super().__init__(Sink(), hostname="127.0.0.1", port=free_port(), ready_timeout=60.0, **settings)

    def __enter__(self) -> Plain:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def everything_said(error: BaseException | None) -> str:
    """What any log could print of an error: texts, arguments and attributes along the chain of causes."""
    said = ""
    while error is not None:
        said += f"{error} {error!r} {error.args} {vars(error)}"
        said += str(getattr(error, "object", ""))
        error = error.__cause__ or error.__context__
    return said
