"""The keys of a configuration and their defaults. It reads nothing; durations are seconds.

DESIGN section 10 fixes them, ``config.example.yaml`` says what each does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from dropwatch.config.values import (
    Count,
    FileName,
    FreeSpace,
    Network,
    NeverOrSeconds,
    Pattern,
    Percent,
    Port,
    Seconds,
    Size,
    Span,
    TimeZone,
    UserName,
    WebAddress,
)
from dropwatch.document import printable
from dropwatch.document.section import Address, Line, NotEmpty, Section

HOUR, DAY = 3600.0, 86400.0
INTERVALS = (30.0, 300.0, 1800.0, 2 * HOUR, 6 * HOUR, 12 * HOUR, DAY)


def _not_yet(*served: str) -> AfterValidator:
    def check(value: str) -> str:
        if value not in served:
            raise ValueError(
                f"{printable(value)} is planned, but this version knows only {', '.join(served)}"
            )
        return value

    return AfterValidator(check)


def _planned(what: str) -> AfterValidator:
    """A value that this version cannot serve is an error, not a promise that nobody keeps."""

    def check(value: object) -> object:
        if value is not None:
            raise ValueError(f"{what} is planned, and this version cannot do it yet")
        return value

    return AfterValidator(check)


def _without_a_path(address: str | None) -> str | None:
    if address is not None and "/" in address.partition("://")[2]:
        raise ValueError("the page needs a name (or a port) of its own, it cannot be served below a path")
    return address


class Site(Section):
    name: Line = "Imaging Facility"
    contact: Line | None = None
    timezone: TimeZone = "UTC"
    language: Annotated[Line, _not_yet("en")] = "en"


class Incomplete(Section):
    tell: Seconds = HOUR
    fail: Seconds = DAY


class Spool(Section):
    path: FileName
    watch: Literal["auto", "events", "poll"] = "auto"
    poll: Span = 10.0
    sweep: Span = 300.0
    settle: Seconds = 60.0
    incomplete: Incomplete = Incomplete()


class Omero(Section):
    host: Line
    port: Port = 4064
    secure: bool = True
    user: Line
    password_file: FileName | None = None
    web: WebAddress | None = None


class OmeroCli(Section):
    """`omero import` of OMERO.java; server and service account are those of `omero`."""

    command: Line = "omero"
    clientdir: FileName | None = None
    arguments: tuple[Line, ...] = ()


class Folder(Section):
    path: FileName


class BioFormats(Section):
    """Which Bio-Formats looks at the files, and what it may use; seconds are for one file."""

    jar: FileName | None = None
    java: FileName | None = None
    memory: Size = 2**30
    timeout: Span = 120.0


class Mail(Section):
    host: Line
    port: Port = 587
    security: Literal["none", "starttls", "tls"] = "starttls"
    user: Line | None = None
    password_file: FileName | None = None
    from_: Address = Field(alias="from")
    admins: Annotated[tuple[Address, ...], NotEmpty]
    send_to: tuple[Pattern, ...] = ()
    delay_notice: Span = HOUR
    templates: Annotated[FileName | None, _planned("texts of your own")] = None


class Retry(Section):
    import_: tuple[Seconds, ...] = Field(default=INTERVALS, alias="import")
    mail: tuple[Seconds, ...] = INTERVALS
    outage_alert: Seconds = 900.0


class Workers(Section):
    imports: Count = 2
    per_user: Count = 1
    timeout: Span = 12 * HOUR
    grace: Seconds = 20.0
    engine: Annotated[Literal["local", "dask"], _not_yet("local")] = "local"
    scheduler: Line | None = None


class User(Section):
    email: Address | None = None
    omero: Line | None = None
    start: Literal["quiet", "manifest"] = "quiet"


class Instrument(Section):
    may_import_for: tuple[Line, ...] = ()


class SourcePlace(Section):
    path: FileName
    users: Annotated[tuple[Line, ...], NotEmpty]


class Limits(Section):
    min_free: FreeSpace = Percent(5.0)


class Retention(Section):
    done: Annotated[NeverOrSeconds, _planned("deleting batches from done")] = None


class Web(Section):
    """*url*: how browsers reach the page, when not by host and port; *proxies*: whose word on who asks counts."""

    host: Line = "127.0.0.1"
    port: Port = 8090
    url: Annotated[WebAddress | None, AfterValidator(_without_a_path)] = None
    admins: tuple[Line, ...] = ()
    proxies: tuple[Network, ...] = ()
    upload_limit: Size = 2**40
    upload_keep: Span = 14 * DAY


class Metrics(Section):
    host: Line = "127.0.0.1"
    port: Port = 9464


class Settings(Section):
    """The whole file. What one key says about another is checked in ``config.py``."""

    NULLABLE: ClassVar[frozenset[str]] = frozenset({"mail"})  # `mail: null` says that nobody gets any mail

    site: Site = Site()
    spools: Annotated[tuple[Spool, ...], NotEmpty]
    state: FileName
    importer: Annotated[Literal["omero", "omero-cli", "folder"], _not_yet("omero", "omero-cli", "folder")] = (
        "omero"
    )
    omero: Omero | None = None
    omero_cli: OmeroCli = Field(default=OmeroCli(), alias="omero-cli")
    folder: Folder | None = None
    bioformats: BioFormats = BioFormats()
    mail: Mail | None
    retry: Retry = Retry()
    workers: Workers = Workers()
    users: Mapping[UserName, User] = Field(default_factory=dict)
    instruments: Mapping[UserName, Instrument] = Field(default_factory=dict)
    places: Mapping[Line, SourcePlace] = Field(default_factory=dict)
    duplicates: Literal["skip", "import"] = "skip"
    limits: Limits = Limits()
    retention: Retention = Retention()
    web: Web = Web()
    metrics: Metrics = Metrics()
