"""What all servants of one sandbox server share. It does nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from dropwatch.formats import BioFormats
from dropwatch.sandbox.faults import Faults
from dropwatch.sandbox.handles import Works
from dropwatch.sandbox.journal import Journal
from dropwatch.sandbox.sessions import Sessions
from dropwatch.sandbox.store import Store
from dropwatch.sandbox.wire import Wire

_LOOK = 0.02  #: seconds between two looks at a fault that holds something up


@dataclass(frozen=True)
class Shared:
    """The parts of a running server.

    repository -- folder of the managed repository's files
    journal    -- gets a line for each completed import
    stopping   -- set when the server goes down; whoever waits looks at it
    formats    -- reads image files
    works      -- threads for what goes on without a client: imports and deletions
    """

    store: Store
    sessions: Sessions
    faults: Faults
    wire: Wire
    repository: Path
    journal: Journal
    formats: BioFormats
    stopping: Event
    works: Works

    def fault(self, name: str) -> bool:
        """Whether fault *name* of the section ``omero`` applies now; counts down."""
        return self.faults.use("omero", name)

    def hold(self, name: str, wait: Callable[[float], bool]) -> bool:
        """Wait as long as fault *name* is set: a story goes on when its teller says so, however slow the machine is.

        wait -- waits for some seconds and says whether all is over meanwhile; then so does this
        """
        while self.faults.get("omero").get(name):
            if wait(_LOOK):
                return True
        return False
