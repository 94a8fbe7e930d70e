"""The pages that people see; this module hangs them up.

Those it imports are one page each. The others are their parts, and are named after them: new_form is a part of new.
"""

from __future__ import annotations

from dropwatch.web.house import House
from dropwatch.web.pages import account, batch, batches, facility, new, sign_in


def register(house: House) -> None:
    """Hang all pages of *house* up."""
    for page in (sign_in, batches, batch, new, facility, account):
        page.register(house)
