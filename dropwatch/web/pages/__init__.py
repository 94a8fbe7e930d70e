"""The pages that people see. Each module is one page; this one hangs them up."""

from __future__ import annotations

from dropwatch.web.house import House
from dropwatch.web.pages import account, batch, batches, facility, new, sign_in


def register(house: House) -> None:
    """Hang all pages of *house* up."""
    for page in (sign_in, batches, batch, new, facility, account):
        page.register(house)
