"""The values of a configuration that have a notation of their own: durations, sizes, names, patterns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator

from dropwatch.document.section import CONTROL, Line, proper, shown

DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|m|h|d)", re.ASCII)
SECONDS: Mapping[str, float] = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST = 10 * 366 * 86400  #: ten years; more is a slip of the finger

SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)\s*([KMGTP]i?B|kB|B)", re.ASCII)
SIZE_UNITS: Mapping[str, int] = {"B": 1, "kB": 1000, "KB": 1000} | {
    f"{letter}{suffix}": base**power
    for power, letter in enumerate("KMGTP", start=1)
    for suffix, base in (("iB", 1024), ("B", 1000))
}
LONGEST_PATH = 4096
PERCENT = re.compile(r"(\d{1,2}(?:\.\d{1,9})?)\s*%", re.ASCII)


@dataclass(frozen=True)
class Bytes:
    """That many bytes."""

    number: int

    def of(self, total: int) -> int:
        """How many bytes that is on a file system of *total* bytes."""
        return self.number


@dataclass(frozen=True)
class Percent:
    """That part of the whole, 0 to 100."""

    number: float

    def of(self, total: int) -> int:
        """How many bytes that is on a file system of *total* bytes."""
        return int(total * self.number / 100)


def duration(text: str) -> float:
    """``10s``, ``5m``, ``2h``, ``1d``, ``500ms`` or ``0`` in seconds. Raises ValueError."""
    if text.strip() == "0":
        return 0.0
    match = DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"expected a duration such as 10s, 5m, 2h or 1d, got {shown(text)}")
    seconds = float(match[1]) * SECONDS[match[2]]
    if seconds > LONGEST:
        raise ValueError(f"{shown(text)} is longer than ten years")
    return seconds


def size(text: str) -> int:
    """``50GiB``, ``500MB`` or ``0`` in bytes. Raises ValueError."""
    match = SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"expected a size such as 50GiB, got {shown(text)}")
    return int(float(match[1]) * SIZE_UNITS[match[2]])


def free_space(text: str) -> Bytes | Percent:
    """``5%`` or ``50GiB``. Raises ValueError."""
    if match := PERCENT.fullmatch(text.strip()):
        return Percent(float(match[1]))
    try:
        return Bytes(size(text))
    except ValueError as err:
        raise ValueError(f"expected a part (5%) or a size (50GiB), got {shown(text)}") from err


def _seconds(value: Any) -> Any:
    if isinstance(value, str):
        return duration(value)
    if isinstance(value, int | float):  # made by a program, not read from a file
        return float(value)
    raise ValueError(f"expected a duration such as 10s, 5m, 2h or 1d, got {shown(value)}")


def _size(value: Any) -> int:
    if isinstance(value, int):  # made by a program, not read from a file
        return value
    return size(value if isinstance(value, str) else shown(value))


def _never_or_seconds(value: Any) -> Any:
    return None if value is None or value == "never" else _seconds(value)


def _free_space(value: Any) -> Bytes | Percent:
    if isinstance(value, Bytes | Percent):
        return value
    return free_space(value if isinstance(value, str) else shown(value))


def _more_than_nothing(seconds: float) -> float:
    if seconds <= 0:
        raise ValueError("it must be longer than 0")
    return seconds


def file_name(name: Any) -> Any:
    """*name* itself, if a file or folder can be called so. Raises ValueError."""
    if isinstance(name, str):
        if CONTROL.search(name):
            raise ValueError("it has a line break or another control character in it")
        if len(proper(name)) > LONGEST_PATH:
            raise ValueError(f"it is longer than {LONGEST_PATH} characters")
    return name


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError) as err:
        raise ValueError(f"{shown(name)} is no time zone such as Europe/Paris or UTC") from err
    return name


def _folder_name(name: str) -> str:
    if (
        name != name.strip()
        or name.startswith(".")
        or re.search(r'[/\\:*?"<>|]', name)
        or CONTROL.search(name)
    ):
        raise ValueError(f"{shown(name)} cannot be the name of a drop folder")
    return name


def _pattern(text: str) -> str:
    if "@" not in text or not text.isascii() or re.search(r"\s", text) or CONTROL.search(text):
        raise ValueError(f"expected an address or a pattern such as *@example.org, got {shown(text)}")
    return text


def _web_address(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+\S*", text):
        raise ValueError(
            f"expected an address such as https://omero.example.org/webclient, got {shown(text)}"
        )
    return text.rstrip("/")


def _network(text: str) -> str:
    try:
        return str(ip_network(text.strip()))
    except ValueError as err:
        raise ValueError(f"expected an address such as 10.0.0.5 or 10.0.0.0/24, got {shown(text)}") from err


FileName = Annotated[Path, BeforeValidator(file_name)]  #: a file or folder
Seconds = Annotated[float, BeforeValidator(_seconds)]  #: a duration; 0 is allowed
Span = Annotated[Seconds, AfterValidator(_more_than_nothing)]  #: a duration that is longer than 0
NeverOrSeconds = Annotated[float | None, PlainValidator(_never_or_seconds)]  #: None is never
Size = Annotated[int, PlainValidator(_size)]  #: bytes
FreeSpace = Annotated[Bytes | Percent, PlainValidator(_free_space)]
TimeZone = Annotated[str, AfterValidator(_timezone)]
UserName = Annotated[Line, AfterValidator(_folder_name)]  #: name of a drop folder
Pattern = Annotated[str, AfterValidator(_pattern)]  #: an address with the wildcards of fnmatch
Network = Annotated[str, AfterValidator(_network)]  #: one IP address, or a range of them
WebAddress = Annotated[str, AfterValidator(_web_address)]
Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=1, le=1000)]
