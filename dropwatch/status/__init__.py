"""What lies where and why: a read-only snapshot for the command line, the page and metrics. Creates nothing.

picture.py has the nouns, rows.py tells one batch, pace.py how far it is, snapshot.py all of them. finding.py knows
what people call a batch, whole.py tells all there is of one, plain.py writes it as JSON values.
"""

from __future__ import annotations

from dropwatch.status.finding import Found, find
from dropwatch.status.picture import InHand, Progress, Row, Status, Target
from dropwatch.status.plain import plain_status, plain_whole
from dropwatch.status.snapshot import EVERYTHING, Most, snapshot
from dropwatch.status.whole import Whole, whole

__all__ = [
    "EVERYTHING",
    "Found",
    "InHand",
    "Most",
    "Progress",
    "Row",
    "Status",
    "Target",
    "Whole",
    "find",
    "plain_status",
    "plain_whole",
    "snapshot",
    "whole",
]
