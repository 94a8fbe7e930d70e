"""Whether a name and a password belong together: OMERO is asked, in a thread, with a time limit.

Only here does the page hold a password, for as long as the question takes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from dropwatch.importers.base import Importer
from dropwatch.web.errands import Errands

LONGEST = 1024  #: characters of a password
_LIMIT = 20.0  #: seconds that OMERO gets for its answer
_AT_ONCE = 4


@dataclass
class Passwords:
    """*make*: makes the hand that asks, when somebody first comes with a password."""

    make: Callable[[], Importer]
    limit: float = _LIMIT
    _made: list[Importer] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _errands: Errands = field(default_factory=lambda: Errands("OMERO", _AT_ONCE))

    async def check(self, name: str, password: str) -> str | None:
        """What OMERO calls *name*; None when it does not take name and password.

        Raises Unavailable (also when the answer takes too long), OperatorError, PermanentError (an account that
        may not be used).
        """
        if not password or len(password) > LONGEST or "\0" in name + password:
            return None
        return await self._errands.answer(self._errands.send(partial(self._ask, name, password)), self.limit)

    def _ask(self, name: str, password: str) -> str | None:
        with self._lock:
            if not self._made:
                self._made.append(self.make())
        account = self._made[0].sign_in(name, password)
        return account.name if account else None
