"""The batches as the page lists them: what people call where a batch is, and how some are picked out of many.

Values only; nothing here looks at a disk.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from dropwatch.model import Place, Verdict
from dropwatch.status import Row
from dropwatch.web.visitor import Visitor

_DROP = "drop-"
_CLOCKS = 60.0  #: seconds that the clocks of file server and daemon may differ


class Stage(StrEnum):
    """Where a batch is, in people's words. DESIGN's places say where its folder lies; this says who has to act."""

    WAITING = "waiting"
    IMPORTING = "importing"
    NEEDS_YOU = "needs you"
    DONE = "done"
    CANCELLED = "cancelled"


def stage_of(row: Row, *, lacking: bool = False, waits: bool = False) -> Stage:
    """Where *row* is.

    lacking -- it lies in the inbox, and something is missing that its owner has to bring
    waits   -- it lies in processing, and nothing moves before something else does
    """
    if row.place is Place.FAILED or lacking:
        return Stage.CANCELLED if row.verdict is Verdict.CANCELLED else Stage.NEEDS_YOU
    if row.place is Place.DONE:
        return Stage.DONE
    if row.progress is not None:
        return Stage.IMPORTING
    # Between two files no worker has anything of it: that is no waiting.
    begun = row.place is Place.PROCESSING and row.tally.total and row.next_attempt is None and not waits
    return Stage.IMPORTING if begun else Stage.WAITING


def drop_key(spool: Path, user: str, name: str) -> str:
    """What the page of a drop is called that has no claim stamp yet."""
    said = "\0".join((str(spool), user, name))
    return f"{_DROP}{hashlib.sha256(os.fsencode(said)).hexdigest()[:20]}"


def is_drop(key: str) -> bool:
    """Whether *key* was made by drop_key()."""
    return key.startswith(_DROP)


@dataclass(frozen=True, slots=True)
class Listed:
    """One batch in the list.

    spool  -- root of the spool it lies in
    key    -- what its page is called: the claim stamp; of a drop that was never claimed something made up of its name
    stamps -- what its page was called before: claim stamps, and what it was called as a drop
    begun  -- when it was claimed, or (inbox) changed last; epoch seconds. It orders the list, and a batch keeps it
              when it is done: so nothing moves while one reads
    where, link -- the target and its address in OMERO.web, as far as they are known
    text   -- what a search looks through, case folded
    """

    spool: Path
    row: Row
    key: str
    stamps: tuple[str, ...]
    begun: float
    stage: Stage
    text: str
    where: str = ""
    link: str = ""

    def is_called(self, key: str) -> bool:
        """Whether *key* is its claim stamp of now or before, its batch id, or what its page was called as a drop."""
        return key in (self.key, self.row.id, *self.stamps)

    def follows(self, before: Listed) -> bool:
        """Whether this is what became of *before*, which lay somewhere else when it was seen."""
        if self.spool != before.spool or self.row.user != before.row.user:
            return False
        if before.row.id is not None:
            return self.row.id == before.row.id or self.is_called(before.key)
        # A drop has no id yet; an older batch may have had the same name.
        return self.is_called(before.key) and self.begun >= before.begun - _CLOCKS


@dataclass(frozen=True)
class Wanted:
    """Which batches are wanted. Empty: all.

    text -- words that must all stand in name, target, user or file names
    since, until -- epoch seconds, of Listed.begun; until is not included
    """

    text: str = ""
    stage: Stage | None = None
    place: Place | None = None
    verdict: Verdict | None = None
    user: str = ""
    since: float | None = None
    until: float | None = None

    def takes(self, one: Listed) -> bool:
        """Whether *one* is wanted, whatever its stage."""
        return (
            (not self.user or one.row.user == self.user)
            and self.place in (None, one.row.place)
            and self.verdict in (None, one.row.verdict)
            and (self.since is None or one.begun >= self.since)
            and (self.until is None or one.begun < self.until)
            and all(word in one.text for word in self.text.casefold().split())
        )


@dataclass(frozen=True)
class Selection:
    """What was picked. *rows*: a part of it, newest first; *total*: of how many; *counts*: by stage, had no stage
    been wanted."""

    rows: tuple[Listed, ...]
    total: int
    counts: Mapping[Stage, int] = field(default_factory=dict)


def select(seen: Iterable[Listed], wanted: Wanted, skip: int = 0, most: int | None = None) -> Selection:
    """Pick *most* of *seen* that are *wanted*, leaving out the first *skip*."""
    anything = wanted == Wanted(stage=wanted.stage)
    taken = list(seen) if anything else [one for one in seen if wanted.takes(one)]
    counts = Counter(one.stage for one in taken)
    if wanted.stage is not None:
        taken = [one for one in taken if one.stage is wanted.stage]
    end = None if most is None else skip + most
    return Selection(tuple(taken[skip:end]), len(taken), counts)


def of_visitor(seen: Sequence[Listed], visitor: Visitor) -> Iterator[Listed]:
    """Those of *seen* that *visitor* may see."""
    may: dict[tuple[Path, str], bool] = {}
    for one in seen:
        whose = (one.spool, one.row.user)
        if whose not in may:
            may[whose] = visitor.may_see(*whose)
        if may[whose]:
            yield one
