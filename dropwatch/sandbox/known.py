"""A question with its answer: an HQL text beside the SQL that answers it. Values only."""

from __future__ import annotations

import re
from typing import NamedTuple


class Known(NamedTuple):
    """``{fs}`` and the like in *sql* stand for what the call may see of this table (``View.clause``).

    columns -- a letter for each: l long, s string, i int, t time; or ``*`` and the class of the whole objects
    """

    hql: str
    sql: str
    columns: str


def normal(hql: str) -> str:
    """*hql* without needless white space: what two texts of the same query share."""
    return re.sub(r"\s*([(),=])\s*", r"\1", " ".join(hql.split()))
