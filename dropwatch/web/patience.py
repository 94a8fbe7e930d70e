"""How often somebody may bring a wrong password. Counts, and asks nobody.

It counts for each name and for each address that asks, in the memory of the page. It locks no account: who waits a
minute may try again.
"""

from __future__ import annotations

import ipaddress
import math
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

TRIES = 10
SPAN = 60.0  #: seconds within which TRIES are let through
_MANY = 1000  #: names and addresses after which those that nobody counts any more are looked for


@dataclass
class Patience:
    """*clock*: seconds that never go backwards."""

    clock: Callable[[], float]
    _wrong: dict[str, deque[float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, name: str, address: str) -> float:
        """Seconds that *name* from *address* has to wait; 0: go on. A try counts as wrong until forgive() says
        otherwise, so that many at once are counted too."""
        with self._lock:
            self._forget()
            counts = [self._wrong.setdefault(key, deque()) for key in _keys(name, address)]
            wait = max(_wait(count, self.clock()) for count in counts)
            if not wait:
                for count in counts:
                    count.append(self.clock())
            return wait

    def forgive(self, name: str, address: str) -> None:
        """The last try was not wrong: the password was right, or nobody could be asked."""
        with self._lock:
            for key in _keys(name, address):
                if self._wrong.get(key):
                    self._wrong[key].pop()

    def _forget(self) -> None:
        if len(self._wrong) > _MANY:
            now = self.clock()
            self._wrong = {
                key: count for key, count in self._wrong.items() if count and count[-1] > now - SPAN
            }


def _wait(count: deque[float], now: float) -> float:
    while count and count[0] <= now - SPAN:
        count.popleft()
    return float(math.ceil(count[0] + SPAN - now)) if len(count) >= TRIES else 0.0


def _keys(name: str, address: str) -> Iterable[str]:
    return f"name {name.casefold()}", f"address {_network(address)}"


def _network(address: str) -> str:
    """One household or machine: a whole /64 of IPv6 belongs to whoever has one address of it."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else str(found)
