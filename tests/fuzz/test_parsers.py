"""Whatever bytes come, a reader of ours answers: with a value or with the error that it promises, and in no time.

A few thousand inputs by default, always the same ones; the long run has over 100,000, other ones each time. Its seed
is shown when it fails: DROPWATCH_FUZZ_SEED repeats it.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, given, settings

pytest.importorskip("omero")
pytest.importorskip("tifffile")

from tests.fuzz.mutants import near
from tests.fuzz.parsers import Parser, parsers

SEED = 20261124
MOST_SECONDS = 1.0  #: of this thread, for an input of at most 64 KiB
#: How many inputs by default, and in the long run.
INPUTS = {
    "document": (250, 16000),
    "manifest": (250, 16000),
    "config": (250, 12000),
    "words": (150, 8000),
    "record": (40, 2500),
    "filesets": (25, 1500),
    "looks": (150, 6000),
    "heartbeat": (25, 1500),
    "addresses": (40, 4000),
    "letter": (50, 3000),
    "faults": (150, 6000),
    "image": (150, 7000),
    "verdict": (150, 7000),
    "mounts": (150, 6000),
    "hql": (150, 8000),
}


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Parser]]:
    yield parsers(tmp_path_factory.mktemp("parsers"))


@pytest.mark.parametrize("name", INPUTS)
def test_a_reader_answers_whatever_the_bytes_are(name: str, every: dict[str, Parser]) -> None:
    throw(every[name], INPUTS[name][0], SEED)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", INPUTS)
def test_a_reader_answers_whatever_the_bytes_are_for_long(name: str, every: dict[str, Parser]) -> None:
    seed = int(os.environ.get("DROPWATCH_FUZZ_SEED") or random.randrange(10**9))
    print(f"DROPWATCH_FUZZ_SEED={seed}")  # shown when it fails
    throw(every[name], INPUTS[name][1], seed)


def test_the_long_run_has_a_hundred_thousand_inputs() -> None:
    assert sum(long for _, long in INPUTS.values()) >= 100_000


def test_every_reader_understands_its_good_examples(every: dict[str, Parser]) -> None:
    """Else what is made of them would be no more than noise."""
    assert every.keys() == INPUTS.keys()
    for parser in every.values():
        for seed in parser.seeds:
            parser.feed(seed)


def throw(parser: Parser, inputs: int, seed: int) -> None:
    fed = 0

    @hypothesis.seed(seed)
    @settings(
        max_examples=inputs,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(near(parser.seeds, parser.words))
    def feed(data: bytes) -> None:
        nonlocal fed
        fed += 1
        # Now and then it is Python that tidies up meanwhile: what takes long takes long again.
        assert any(seconds(parser, data) < MOST_SECONDS for _ in range(3)), f"{len(data)} bytes take too long"

    feed()
    assert fed >= inputs, f"{fed} inputs"


def seconds(parser: Parser, data: bytes) -> float:
    """Of this thread."""
    begun = time.thread_time()
    parser.feed(data)
    return time.thread_time() - begun
