"""The keys of a manifest (DESIGN section 10), with what its JSON Schema says about each. It reads nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, GetPydanticSchema, PlainValidator, WithJsonSchema

from dropwatch.document.section import Address, InParts, Line, NotEmpty, Section, proper, shown
from dropwatch.manifest.listing import clean_path
from dropwatch.manifest.target import parse_target
from dropwatch.model import ListedFile, Target

VERSION = 1
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def _version(value: int) -> int:
    if value != VERSION:
        raise ValueError(f"this dropwatch reads manifests of version {VERSION}, not {value}")
    return value


def _prose(text: str) -> str:
    if UNPRINTABLE.search(text):
        raise ValueError("it has a control character in it")
    return proper(text)


def _sha256(text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise ValueError(f"expected a SHA-256 of 64 hexadecimal digits, got {shown(text)}")
    return text.lower()


def _target(value: Any) -> Target:
    if not isinstance(value, str):
        raise ValueError(f"expected a text such as Dataset:day 3, got {shown(value)}")
    return parse_target(value)


Prose = Annotated[str, AfterValidator(_prose)]  #: text with line breaks
RelativePath = Annotated[str, PlainValidator(clean_path), WithJsonSchema({"type": "string"})]
Value = Annotated[Prose, BeforeValidator(lambda value: "" if value is None else value)]


class Entry(Section):
    """One file of the list."""

    path: RelativePath = Field(description="Path below the folder of the batch.", examples=["day3/a.czi"])
    size: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = Field(
        default=None, description="Size in bytes.", examples=[1234]
    )
    sha256: Annotated[str, AfterValidator(_sha256)] | None = Field(
        default=None, description="SHA-256 of the contents, 64 hexadecimal digits.", examples=["0" * 64]
    )


def _listed(entry: Entry) -> ListedFile:
    return ListedFile(entry.path, entry.size, entry.sha256)


def _no_file_twice(files: tuple[ListedFile, ...]) -> tuple[ListedFile, ...]:
    twice = [path for path, times in Counter(file.path for file in files).items() if times > 1]
    if twice:
        raise ValueError(f"{shown(twice[0])} is listed twice")
    return files


# Checked as an Entry, kept as the noun that the other rooms know.
Listed = Annotated[
    ListedFile, GetPydanticSchema(lambda _, handler: handler(Annotated[Entry, AfterValidator(_listed)]))
]


class From(Section):
    """Files for the daemon to fetch."""

    place: Line = Field(description="A place that the configuration names.", examples=["confocal1-disk"])
    paths: Annotated[tuple[RelativePath, ...], InParts, NotEmpty] = Field(
        description="Files and folders below that place.", examples=[["run7"]]
    )


class Manifest(Section):
    """What a user says about a batch. All keys are optional."""

    dropwatch: Annotated[int, AfterValidator(_version)] = Field(
        default=VERSION, description="Version of this format.", examples=[VERSION]
    )
    name: Line | None = Field(
        default=None,
        description="What the batch is called; else as its folder.",
        examples=["HeLa knockdown, day 3"],
    )
    target: Annotated[Target, PlainValidator(_target), WithJsonSchema({"type": "string"})] | None = Field(
        default=None,
        description=(
            "Where the images go: Dataset:NAME, Dataset:ID, Screen:NAME or Project:NAME/Dataset:NAME. "
            "{batch}, {folder} and {date} are filled in. Else a dataset named as the batch; for plates, a screen."
        ),
        examples=["Project:HeLa/Dataset:day 3", "Dataset:123", "Screen:plates", "Dataset:{batch} {date}"],
    )
    group: Line | None = Field(
        default=None, description="OMERO group; else your default group.", examples=["imaging-lab"]
    )
    description: Prose = Field(default="", description="Free text.", examples=["Knockdown with siRNA 7"])
    tags: Annotated[tuple[Line, ...], InParts] = Field(
        default=(), description="Tags for the images.", examples=[["confocal", "day3"]]
    )
    key_values: Mapping[Line, Value] = Field(
        default_factory=dict, description="Key-value pairs for the images.", examples=[{"objective": "63x"}]
    )
    files: Annotated[tuple[Listed, ...], InParts, AfterValidator(_no_file_twice)] = Field(
        default=(),
        description="The files of the batch; else every file in the folder. With sizes, it starts at once.",
        examples=[[{"path": "a.czi", "size": 1234}]],
    )
    attachments: Annotated[tuple[RelativePath, ...], InParts] = Field(
        default=(), description="Files to attach to where the images go.", examples=[["notes.pdf"]]
    )
    notify: Annotated[tuple[Address, ...], InParts] = Field(
        default=(), description="Who else gets the mail about the outcome.", examples=[["pi@example.org"]]
    )
    from_: From | None = Field(
        default=None,
        alias="from",
        description="Files that the daemon fetches itself.",
        examples=[{"place": "confocal1-disk", "paths": ["run7"]}],
    )
    user: Line | None = Field(
        default=None, description="For instruments only: whose batch this is.", examples=["alice"]
    )
    duplicates: Literal["skip", "import"] | None = Field(
        default=None,
        description="What becomes of a file that you have in the target already; else as configured.",
        examples=["import"],
    )
