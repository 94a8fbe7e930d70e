"""All that pages and API are made of, put together once. It decides nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from dropwatch.config import Config
from dropwatch.daemon.mailroom import make_outbox
from dropwatch.outbox import Outbox
from dropwatch.task import make_importer
from dropwatch.web.doorkeeper import Doorkeeper, make_doorkeeper
from dropwatch.web.images import Images
from dropwatch.web.index import Index
from dropwatch.web.lookout import Lookout
from dropwatch.web.previews import Previews
from dropwatch.web.shares import Shares
from dropwatch.web.uploads.uploads import Uploads

STATE = "web"  #: the page's own folder in the state folder


@dataclass(frozen=True)
class House:
    """One page for one configuration. *clock*: epoch seconds; *outbox*: None when nobody gets mail."""

    config: Config
    clock: Callable[[], float]
    doorkeeper: Doorkeeper
    shares: Shares
    index: Index
    images: Images
    lookout: Lookout
    previews: Previews
    uploads: Uploads
    outbox: Outbox | None

    def close(self) -> None:
        """End what pages and API have open elsewhere, in a few seconds."""
        self.images.close()
        self.lookout.close()
        self.previews.close()
        self.uploads.close()


def build(config: Config, clock: Callable[[], float]) -> House:
    """The house of *config*. Makes nothing on the disk yet."""
    hand, shares = partial(make_importer, config, os.environ), Shares(config)
    doorkeeper = make_doorkeeper(config, shares, config.state / STATE, clock, time.monotonic, hand)
    return House(
        config=config,
        clock=clock,
        doorkeeper=doorkeeper,
        shares=shares,
        index=Index(config, clock, shares),
        images=Images(hand, time.monotonic),
        lookout=Lookout(),
        uploads=Uploads(config, clock),
        previews=Previews(config, config.state / STATE / "previews"),
        # Letters are read here, and put back into the queue. Only the daemon sends them: no password is needed.
        outbox=make_outbox(config, {}, clock),
    )
