"""A letter as the mail that goes out. Pure: what other people named is made harmless here."""

from __future__ import annotations

import re
from email.charset import QP, Charset
from email.header import Header
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import formataddr, formatdate, parseaddr

from dropwatch.errors import PermanentError
from dropwatch.outbox.letter import Letter

# Characters; a line of a mail ends at 998 bytes (RFC 5322, 2.1.1).
_SUBJECT_LENGTH = 250
_ADDRESS_LENGTH = 254  #: RFC 5321, 4.5.3.1.3
_BATCH_LENGTH = 250  #: a notice about no batch has a path or a message there

_ADDRESS = re.compile(r"[\w!#$%&'*+/=?^`{|}~.-]{1,64}@[a-z0-9-]+(\.[a-z0-9-]+)*", re.ASCII | re.IGNORECASE)


def compose(letter: Letter, sender: str) -> Message:
    """The mail for *letter* from *sender* (an address, or ``Name <address>``).

    Message-ID and Date follow from the letter alone: sent twice it is the same mail, and mail systems may
    recognise it. Raises PermanentError when the recipient's address is none.
    """
    # The older classes of the email package, because EmailMessage loses blanks when it folds a long
    # subject (seen with Python 3.11: every fourth of 3,000 random ones; Header lost none).
    mail = MIMEMultipart("alternative")
    name, address = parseaddr(_one_line(sender))
    mail["From"] = formataddr((name, envelope_address(address)))
    mail["To"] = envelope_address(letter.to)
    mail["Subject"] = _subject(letter.subject)  # type: ignore[assignment]  # typeshed: str only
    mail["Date"] = formatdate(letter.created)
    mail["Message-ID"] = f"<{letter.id}@{envelope_address(address).rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers, please
    if letter.batch:
        mail["X-Dropwatch-Batch"] = (
            _one_line(letter.batch)[:_BATCH_LENGTH].encode("ascii", "replace").decode()
        )
    mail.attach(_part(letter.text, "plain"))
    if letter.html:
        mail.attach(_part(letter.html, "html"))
    return mail


def envelope_address(address: str) -> str:
    """*address* as SMTP takes it: ASCII, the domain in IDNA. Raises PermanentError when it is none."""
    try:
        local, _, domain = address.strip().rpartition("@")
        plain = f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError:
        plain = ""
    if not _ADDRESS.fullmatch(plain) or len(plain) > _ADDRESS_LENGTH:
        raise PermanentError(
            f"'{_one_line(address)[:_ADDRESS_LENGTH]}' is not a mail address that this program can write to.",
            remedy="Correct the address in OMERO, in the manifest or in the configuration.",
            code="mail-address",
        )
    return plain


def _subject(text: str) -> Header:
    line = _one_line(text)
    if len(line) > _SUBJECT_LENGTH:
        line = line[: _SUBJECT_LENGTH - 1] + "…"
    # A subject that looks like an encoded word is encoded too: it would be decoded into something else.
    plain = line.isascii() and "=?" not in line
    return Header(line, "us-ascii" if plain else "utf-8", maxlinelen=76, header_name="Subject")


def _part(text: str, subtype: str) -> MIMEText:
    # Quoted-printable keeps lines short and ASCII for any server, and people can still read it in a log.
    charset = Charset("utf-8")
    charset.body_encoding = QP
    return MIMEText(_decodable(text), subtype, charset)  # type: ignore[arg-type]  # typeshed wants the name


def _one_line(text: str) -> str:
    """Without anything that could end a header and begin another."""
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", _decodable(text)).strip()


def _decodable(text: str) -> str:
    """Undecodable bytes of file names as U+FFFD, the sign for "no such letter"."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)
