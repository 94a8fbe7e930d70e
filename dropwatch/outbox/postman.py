"""The way to the mail server. The only module that knows yagmail, and that sorts what a server answers."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import parseaddr
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Never

from dropwatch.errors import OperatorError, PermanentError, TemporaryError, Unavailable
from dropwatch.outbox.letter import Letter
from dropwatch.outbox.mail import compose, envelope_address

if TYPE_CHECKING:
    from yagmail import SMTP

#: A server that drops so many connections in a row gets a rest: each may have cost a whole timeout.
_LOST_IN_A_ROW = 3

_TOO_BIG = 552  #: RFC 1870: the one refusal of MAIL FROM that is about the letter and not about the sender
_REPLY_MOST = 1000  #: characters of a server's answer; it may have any number of lines
_CLOSING = 421  #: RFC 5321, 4.2.1: the server closes the connection


@dataclass(frozen=True)
class MailServerSettings:
    """How to reach the mail server.

    security -- ``none``, ``starttls`` or ``tls``. Certificates are verified with the trust of the system,
                or of the file that the environment variable SSL_CERT_FILE names
    user     -- login name, or None to send without login
    sender   -- the From of all mails: an address, or ``Name <address>``
    timeout  -- seconds for each single answer of the server
    """

    host: str
    port: int
    security: Literal["none", "starttls", "tls"]
    user: str | None
    sender: str
    timeout: float = 30.0

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Postman:
    """One connection to the mail server for many letters; used in a ``with``, by one thread.

    yagmail connects, encrypts and logs in, and is asked for no more: its send() opens a connection for each
    mail, sleeps, answers False instead of raising, attaches a body that happens to be a file's path, and
    rewrites the HTML. The message is ours and goes out on yagmail's own connection.
    """

    def __init__(self, server: MailServerSettings, password: Callable[[], str | None]) -> None:
        self._server = server
        self._password = password
        self._client: SMTP | None = None
        self._lost = 0  # connections in a row that broke while a letter was under way

    def __enter__(self) -> Postman:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hang_up()

    def connect(self) -> None:
        """See to it that a connection stands and answers. Nothing is sent yet.

        Raises Unavailable (not reached, busy), OperatorError (login or certificate refused, and the like).
        """
        if self._client is not None and self._answers(self._client):
            return
        self._hang_up()
        if self._lost >= _LOST_IN_A_ROW:
            raise Unavailable(f"The mail server {self._server} dropped {self._lost} connections in a row.")
        sender = _own_address(self._server)
        client = self._make_client(sender)
        self._client = client  # from here on it is hung up, whatever happens
        with _connecting(self._server):
            client.login()
            client.smtp.ehlo_or_helo_if_needed()

    def send(self, letter: Letter) -> None:
        """Send one letter on the standing connection. Returns when the server took it over.

        Raises TemporaryError, PermanentError (about this letter), OperatorError (about all of them).
        """
        assert self._client is not None, "connect first"
        mail = compose(letter, self._server.sender)
        try:
            self._client.smtp.send_message(mail, _own_address(self._server), [str(mail["To"])])
        except smtplib.SMTPRecipientsRefused as err:
            code, reply = next(iter(err.recipients.values()))
            self._refused(letter.to, code, reply)
        except smtplib.SMTPSenderRefused as err:
            self._sender_refused(letter.to, err)
        except smtplib.SMTPResponseException as err:
            self._refused(letter.to, err.smtp_code, err.smtp_error)
        except OSError as err:  # smtplib.SMTPServerDisconnected is one too
            self._drop()
            raise TemporaryError(
                f"The connection to the mail server {self._server} broke during the mail to {letter.to}.",
                detail=_named(err),
            ) from err
        self._lost = 0

    def _refused(self, to: str, code: int, reply: bytes | str) -> Never:
        if code == _CLOSING:
            self._drop()
        else:
            self._lost = 0
        told = f"The mail server {self._server} refused the mail to {to}: {_reply(code, reply)}"
        if code >= 500:
            raise PermanentError(told, code=f"smtp-{code}")
        raise TemporaryError(told, code=f"smtp-{code}")

    def _sender_refused(self, to: str, err: smtplib.SMTPSenderRefused) -> Never:
        if err.smtp_code < 500 or err.smtp_code == _TOO_BIG:
            self._refused(to, err.smtp_code, err.smtp_error)
        raise OperatorError(
            f"The mail server {self._server} does not take mail from {self._server.sender}: "
            f"{_reply(err.smtp_code, err.smtp_error)}.",
            concerns="mail",
            remedy="Check mail.from, mail.user and mail.security, or ask whoever runs the mail server.",
            code=f"smtp-{err.smtp_code}",
        ) from err

    def _make_client(self, sender: str) -> SMTP:
        from yagmail import SMTP  # it takes a while to import: `dropwatch submit` shall not wait for it

        server = self._server
        login = server.user or sender
        # Not where nothing is encrypted: it reads all certificates of the system, and each burst of mails would.
        trust = None if server.security == "none" else ssl.create_default_context()
        return SMTP(
            # As a dictionary, because a plain user name without @ would become name@gmail.com.
            user={login: login},
            # Never None: yagmail would ask the keyring, and then the terminal.
            password=self._read_password() if server.user else "",
            host=server.host,
            port=server.port,
            smtp_ssl=server.security == "tls",
            smtp_starttls={"context": trust} if server.security == "starttls" else False,
            smtp_skip_login=server.user is None,
            soft_email_validation=False,
            timeout=server.timeout,
            **({"context": trust} if server.security == "tls" else {}),
        )

    def _read_password(self) -> str:
        remedy = "Put it into the file that mail.password_file names; sending resumes by itself."
        try:
            password = self._password()
        except OSError as err:
            raise OperatorError(
                "The password for the mail server cannot be read.",
                concerns="mail",
                remedy=remedy,
                detail=_named(err),
            ) from err
        if password is None:
            raise OperatorError(
                f"There is no password for the mail user {self._server.user}.",
                concerns="mail",
                remedy=remedy,
            )
        if not password.isascii():
            # Checked here because smtplib's UnicodeEncodeError would carry the password along.
            raise OperatorError(
                "The password for the mail server has letters that a login cannot carry (not ASCII).",
                concerns="mail",
                remedy="Choose another one. " + remedy,
            )
        return password

    def _answers(self, client: SMTP) -> bool:
        try:
            code, _ = client.smtp.noop()
        except OSError:
            return False
        return bool(code == 250)

    def _drop(self) -> None:
        self._lost += 1
        self._hang_up()

    def _hang_up(self) -> None:
        if self._client is None:
            return
        # yagmail closes once more when it is collected, and lets errors through there.
        self._client.is_closed = True
        if self._client.smtp is not None:
            with suppress(OSError):
                self._client.smtp.quit()
            self._client.smtp.close()
        self._client = None


@contextmanager
def _connecting(server: MailServerSettings) -> Iterator[None]:
    """Sort what goes wrong before a letter is under way. smtplib's errors are OSErrors: the order matters."""
    try:
        yield
    except smtplib.SMTPResponseException as err:
        reply = _reply(err.smtp_code, err.smtp_error)
        if err.smtp_code < 500:
            raise Unavailable(f"The mail server {server} is not ready: {reply}") from err
        raise _needs_admin(f"The mail server {server} refused {_doing(err, server)}: {reply}", err) from err
    except (smtplib.SMTPServerDisconnected, TimeoutError) as err:
        raise Unavailable(f"The mail server {server} does not answer.", detail=_named(err)) from err
    except (smtplib.SMTPException, ssl.SSLCertVerificationError) as err:
        raise _needs_admin(f"There is no safe way to send mail through {server}: {err}", err) from err
    except OSError as err:
        raise Unavailable(f"The mail server {server} is not reached.", detail=_named(err)) from err


def _doing(err: smtplib.SMTPResponseException, server: MailServerSettings) -> str:
    if isinstance(err, smtplib.SMTPAuthenticationError):
        return f"the login of {server.user}"
    return "the connection"


def _needs_admin(told: str, err: Exception) -> OperatorError:
    return OperatorError(
        told,
        concerns="mail",
        remedy="Check mail.host, mail.port, mail.security, mail.user and the password. Trust a certificate "
        "that the system does not know by naming it in SSL_CERT_FILE. Sending resumes by itself.",
        detail=_named(err),
    )


def _own_address(server: MailServerSettings) -> str:
    try:
        return envelope_address(parseaddr(server.sender)[1])
    except PermanentError as err:
        raise OperatorError(
            f"mail.from is no mail address: {server.sender!r}.", concerns="mail", remedy="Correct it."
        ) from err


def _reply(code: int, text: bytes | str) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return " ".join(f"{code} {words}".split())[:_REPLY_MOST]


def _named(err: Exception) -> str:
    return f"{type(err).__name__}: {err}"
