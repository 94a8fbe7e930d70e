"""Puts the rooms of the line together: each is made once, and handed to those that need it. It does nothing itself."""

from __future__ import annotations

import time
from collections.abc import Callable

from dropwatch.lifecycle import Limits
from dropwatch.pipeline.arrivals import Arrivals
from dropwatch.pipeline.claims import Claims
from dropwatch.pipeline.crew import Crew
from dropwatch.pipeline.desk import Desk
from dropwatch.pipeline.line import Pipeline
from dropwatch.pipeline.lookup import Lookup
from dropwatch.pipeline.oversight import Oversight
from dropwatch.pipeline.steps import Steps
from dropwatch.pipeline.tidying import Tidying
from dropwatch.schedule import Turns
from dropwatch.spool.folders import Spool


def pipeline(desk: Desk, spools: list[Spool], monotonic: Callable[[], float] = time.monotonic) -> Pipeline:
    """The line for *spools*. *monotonic*: seconds that only ever grow."""
    config = desk.config
    crew = Crew(desk, Turns(config.workers.per_user))
    limits = Limits(attempts=len(config.retry.import_) + 1)
    lookup = Lookup(desk)
    desk.stores.spools = {spool.root: spool for spool in spools}
    arrivals = Arrivals(desk, Claims(desk), lookup, desk.stores.spools, monotonic)
    tidying = Tidying(desk, crew, arrivals)
    return Pipeline(desk, arrivals, crew, Steps(desk, crew, lookup), Oversight(desk, crew), tidying, limits)
