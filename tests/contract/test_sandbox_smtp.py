"""The sandbox's mail server, spoken to with smtplib as any mail program would."""

from __future__ import annotations

import smtplib
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from dropwatch.sandbox.faults import Faults
from dropwatch.sandbox.smtp import MailServer

TIMEOUT = 60.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MailServer]:
    server = MailServer(tmp_path, 0, Faults(tmp_path / "faults.yaml"))
    server.start()
    yield server
    server.stop()


def order(server: MailServer, faults: str) -> None:
    (server.mail.parent / "faults.yaml").write_text(f"smtp: {faults}\n")


def connect(server: MailServer) -> smtplib.SMTP:
    return smtplib.SMTP("127.0.0.1", server.port, timeout=TIMEOUT)


def send(server: MailServer, to: str = "bob@example.org", body: str = "hello") -> None:
    with connect(server) as smtp:
        smtp.sendmail("dropwatch@example.org", [to], f"Subject: {body}\r\n\r\n{body}\r\n")


def mails(server: MailServer) -> list[Message]:
    return [message_from_bytes(path.read_bytes()) for path in sorted(server.mail.glob("*.eml"))]


def test_mails_are_stored_in_the_order_of_arrival(server: MailServer) -> None:
    for number in range(12):
        send(server, body=f"number {number}")

    assert [mail["Subject"] for mail in mails(server)] == [f"number {number}" for number in range(12)]
    assert mails(server)[0]["Delivered-To"] == "bob@example.org"
    assert mails(server)[0]["Return-Path"] == "<dropwatch@example.org>"


READER = """
import sys
from pathlib import Path
print("reading", flush=True)
while not Path(sys.argv[1], "stop").exists():
    for path in Path(sys.argv[1]).glob("*.eml"):
        if not path.read_bytes().endswith(b"the end\\r\\n"):
            sys.exit(f"{path.name} is torn")
"""


def test_a_reader_never_sees_half_a_mail(server: MailServer) -> None:
    body = "\r\n".join(["x" * 900] * 8_000) + "\r\nthe end"
    command = [sys.executable, "-c", READER, str(server.mail)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reading\n"
        for _ in range(4):
            with connect(server) as smtp:
                smtp.sendmail("a@example.org", ["b@example.org"], f"Subject: big\r\n\r\n{body}\r\n")
        (server.mail / "stop").touch()
        _, torn = reader.communicate(timeout=200)

    assert (reader.returncode, torn) == (0, "")
    assert len(mails(server)) == 4
    assert {path.suffix for path in server.mail.iterdir()} == {".eml", ""}


def test_starttls_is_verified_against_the_certificate_it_made(server: MailServer) -> None:
    trust = ssl.create_default_context(cafile=server.certificate)
    with connect(server) as smtp:
        smtp.starttls(context=trust)
        smtp.login("dropwatch", "dropwatch")
        smtp.sendmail("a@example.org", ["b@example.org"], "Subject: safe\r\n\r\n.\r\n")

    assert "with ESMTPSA" in mails(server)[0]["Received"]


def test_starttls_without_that_certificate_is_refused_by_the_client(server: MailServer) -> None:
    with connect(server) as smtp, pytest.raises(ssl.SSLCertVerificationError):
        smtp.starttls(context=ssl.create_default_context())


@pytest.mark.parametrize(("user", "password"), [("dropwatch", "wrong"), ("alice", "dropwatch"), ("", "")])
def test_another_login_is_refused(server: MailServer, user: str, password: str) -> None:
    with connect(server) as smtp, pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        smtp.login(user, password)

    assert refused.value.smtp_code == 535


def test_a_login_is_required_on_order_only(server: MailServer) -> None:
    send(server)
    order(server, "{require_login: true}")

    with pytest.raises(smtplib.SMTPSenderRefused) as refused:
        send(server)
    with connect(server) as smtp:
        smtp.login("dropwatch", "dropwatch")
        smtp.sendmail("a@example.org", ["b@example.org"], "Subject: known\r\n\r\n.\r\n")

    assert refused.value.smtp_code == 530
    assert [mail["Subject"] for mail in mails(server)] == ["hello", "known"]


def test_refused_connections_come_back_when_the_order_is_gone(server: MailServer) -> None:
    order(server, "{refuse: true}")
    for _ in range(3):
        with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
            connect(server)

    order(server, "{}")
    send(server)

    assert len(mails(server)) == 1


def test_the_next_three_mails_are_put_off(server: MailServer) -> None:
    order(server, "{code: 451, count: 3}")
    for _ in range(3):
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            send(server)

        assert refused.value.recipients["bob@example.org"][0] == 451
    send(server)

    assert len(mails(server)) == 1


def test_one_recipient_is_refused_for_good_after_the_data(server: MailServer) -> None:
    order(server, "{code: 550, at: data, only: bob@example.org}")
    for _ in range(2):
        with pytest.raises(smtplib.SMTPDataError) as refused:
            send(server)

        assert refused.value.smtp_code == 550
    send(server, to="alice@example.org")

    assert [mail["Delivered-To"] for mail in mails(server)] == ["alice@example.org"]


def test_a_reply_is_lost_after_the_mail_was_stored(server: MailServer) -> None:
    order(server, "{lose_reply: 1}")
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        send(server)
    send(server)

    assert len(mails(server)) == 2


def test_stopped_and_started_it_listens_on_the_same_port_with_the_same_certificate(tmp_path: Path) -> None:
    server = MailServer(tmp_path, 0, Faults(tmp_path / "faults.yaml"))
    server.start()
    port, certificate = server.port, server.certificate.read_bytes()
    with connect(server) as hanging:
        server.stop()

        with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
            hanging.sendmail("a@example.org", ["b@example.org"], "Subject: x\r\n\r\n.\r\n")
        with pytest.raises(ConnectionRefusedError):
            connect(server)
    again = MailServer(tmp_path, port, Faults(tmp_path / "faults.yaml"))
    again.start()
    send(again)
    again.stop()

    assert (again.port, again.certificate.read_bytes()) == (port, certificate)
    assert len(mails(again)) == 1


def test_a_port_in_use_is_said(server: MailServer, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="address"):
        MailServer(tmp_path, server.port, Faults(tmp_path / "faults.yaml")).start()


def test_the_rest_of_the_network_is_not_served(server: MailServer) -> None:
    with pytest.raises(OSError), socket.create_connection(("127.0.0.2", server.port), timeout=TIMEOUT):
        pass
