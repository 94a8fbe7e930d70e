"""A facility for each story, closed at its end whatever happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from facility import Facility


@pytest.fixture
def facility(tmp_path: Path) -> Iterator[Callable[..., Facility]]:
    """Makes a facility: ``facility(retry={"import": ["1s"]})`` changes settings of its configuration."""
    made: list[Facility] = []

    def make(**settings: Any) -> Facility:
        made.append(Facility(tmp_path, settings))
        return made[-1]

    yield make
    for one in made:
        one.close()
