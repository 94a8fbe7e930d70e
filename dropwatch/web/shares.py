"""The spools of the page, with one fence for all who ask: that one hangs is found out once, not by everybody."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from dropwatch.config import Config
from dropwatch.spool.fence import Open
from dropwatch.spool.folders import Spool
from dropwatch.web.errands import Errands

_PATIENCE = 6.0  #: seconds that a request waits to know whose drop folders are in a spool
_THREADS = 4  #: for each spool; those that were in it when it began to hang wait on


class Shares:
    """Made once for the page. May be used by several threads at once."""

    def __init__(self, config: Config) -> None:
        roots = [settings.path for settings in config.spools]
        self._fences = {root: Open(root) for root in roots}
        self._errands = {root: Errands(f"The spool {root}", _THREADS) for root in roots}

    def spool(self, root: Path) -> Spool:
        """The spool at *root*. Its check_present() says within seconds that it does not answer, and then at once."""
        return Spool(root, self._fences.get(root))

    def users(self, root: Path) -> tuple[str, ...]:
        """Who has a drop folder in *root*. Raises Unavailable within seconds, OSError."""
        spool, errands = self.spool(root), self._errands[root]
        return errands.wait(errands.send(partial(_users, spool)), _PATIENCE)


def _users(spool: Spool) -> tuple[str, ...]:
    spool.check_present()
    return spool.users().names
