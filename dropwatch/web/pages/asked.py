"""What somebody asked of My batches: it stands in the address, so that a reload, the back button and who is sent the
link see the same. Values only; what a browser sends is believed as far as it makes sense."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from dropwatch.web.listed import Stage, Wanted


@dataclass(frozen=True)
class Asked:
    """Texts as they stand in the address.

    q -- words to look for; user -- whose batches
    since, until -- first and last day, ``2026-11-24``
    page -- the first is 1
    """

    q: str = ""
    stage: str = ""
    user: str = ""
    since: str = ""
    until: str = ""
    page: str = ""

    @property
    def address(self) -> str:
        """Of the page that shows this."""
        said = urlencode({key: value for key, value in asdict(self).items() if value})
        return f"/?{said}" if said else "/"

    @property
    def number(self) -> int:
        """Of the page, the first is 0."""
        with suppress(ValueError):
            return max(0, int(self.page) - 1)
        return 0

    def wanted(self, zone: str) -> Wanted:
        """Which batches are meant. *zone*: in which days begin and end."""
        return Wanted(
            text=self.q,
            user=self.user.strip(),
            stage=next((stage for stage in Stage if stage == self.stage), None),
            since=_beginning(self.since, zone),
            until=_beginning(self.until, zone, later=1),
        )


def _beginning(said: str, zone: str, *, later: int = 0) -> float | None:
    """Of the day *said*, *later* days on, in epoch seconds; None when it is no day."""
    try:
        day = date.fromisoformat(said) + timedelta(days=later)
        return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).timestamp()
    except (ValueError, OverflowError):  # such as the year 1, while somebody types 2026
        return None
