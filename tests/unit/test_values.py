"""What crosses the boundary between the daemon and its workers: it comes out as it went in, and is no secret."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path

import pytest

from dropwatch import errors, model
from dropwatch.model import (
    Answers,
    AskJob,
    Attached,
    Attachment,
    Batch,
    Container,
    Envelope,
    FileFact,
    Fileset,
    Image,
    Imported,
    ImportJob,
    Kind,
    LookUpJob,
    Order,
    Place,
    Plan,
    PlanJob,
    Problem,
    Refused,
    Running,
    Skipped,
    Target,
)
from dropwatch.workers import Bug, Done

ODD = "na\udcefve\nname.tif"  # file names are bytes: undecodable ones come as surrogates
ENVELOPE = Envelope("alice", Place.PROCESSING, Path("/spool/alice/processing/c_run"), "c", "run")
FILES = (FileFact(ODD, 3, 4, 5), FileFact("b.tif", 2**40, 2**62))
FILESET = Fileset("id", FILES, ((ODD, "0" * 64),), "OME-TIFF", 3, True)
ORDER = Order(
    "b", "c", "alice", "alice", None, "/f", Target(Kind.SCREEN, "s"), "alice", "run", tags=("t",),
    key_values=(("a", "b"),),
)  # fmt: skip
PLAN = Plan("run", ORDER, (FILESET, Attachment("a", FILES[:1])), (Problem("p"),), (Refused("r", "x"),))
ANSWERS = Answers(
    Container(Kind.SCREEN, 1, "s", "g"),
    "a@example.org",
    "g",
    {"1": Imported((Image(1),), 2), "2": Running(3), "3": Skipped((), 4), "4": Attached(1, 2)},
)
VALUES = (
    PlanJob(Batch(ENVELOPE, "b", "run", 1.0, Path("/spool"))),
    AskJob(ENVELOPE.path, PLAN),
    ImportJob(ENVELOPE.path, ORDER, FILESET, ANSWERS, 1.0),
    LookUpJob("alice"),
    Done(PLAN),
    Done(ANSWERS),
)
ERRORS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type)
    and issubclass(kind, errors.DropwatchError)
    and kind not in (errors.ConfigError, errors.ManifestError)
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_comes_out_as_it_went_in(value: object) -> None:
    assert pickle.loads(pickle.dumps(value)) == value


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_keeps_its_class_and_all_it_has_to_say(kind: type[errors.DropwatchError]) -> None:
    more = {"concerns": "omero"} if kind is errors.OperatorError else {}
    error = kind("what happened", remedy="what to do", detail="for admins", code="a-code", **more)
    error.log = 42  # type: ignore[attr-defined]  # of a server that refused, see importers/base.py

    again = pickle.loads(pickle.dumps(error))

    assert type(again) is kind
    assert vars(again) == vars(error)
    assert str(again) == str(error)


def test_a_bug_keeps_its_class_and_its_trace() -> None:
    error = Bug("ZeroDivisionError", "what happened", "the trace")

    again = pickle.loads(pickle.dumps(error))

    assert type(again) is Bug
    assert vars(again) == vars(error)
    assert str(again) == str(error) == "what happened"


def test_no_noun_that_a_worker_gets_has_room_for_a_secret() -> None:
    nouns = [noun for noun in vars(model).values() if dataclasses.is_dataclass(noun)]
    fields = [field.name for noun in nouns for field in dataclasses.fields(noun)]

    assert not [name for name in fields if "pass" in name or "secret" in name or "session" in name]
