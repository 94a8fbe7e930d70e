"""The words that people read: mails, REPORT.txt, status rows. Pure: values in, text out; no clock, no files.

``story.py`` has the nouns that come in, ``telling.py`` makes them of a record. ``mails.py`` (users), ``admins.py``
and ``notices.py`` compose letters out of the blocks of ``letter.py``, with the parts that they share:
``sections.py``, ``troubles.py``, ``beside.py`` (attachments). ``plain.py`` and ``markup.py`` write them down and
make harmless all that others named.
"""

from __future__ import annotations

from dropwatch.report.admins import bug, outcome_for_admins, stuck
from dropwatch.report.mails import delay, outcome, withdrawn
from dropwatch.report.notices import (
    DeadLetter,
    dead_letter,
    incomplete,
    low_space,
    no_address,
    operator,
    operator_for_user,
    outage,
    outage_over,
    permission,
    permission_for_admins,
    split_run,
)
from dropwatch.report.page import reason, report_txt
from dropwatch.report.story import AttachmentTally, Entry, Site, Store, Story, Tally, Text
from dropwatch.report.telling import site_of, tell
from dropwatch.report.words import clean, count, duration, moment, named, size

__all__ = [
    "AttachmentTally",
    "DeadLetter",
    "Entry",
    "Site",
    "Store",
    "Story",
    "Tally",
    "Text",
    "bug",
    "clean",
    "count",
    "dead_letter",
    "delay",
    "duration",
    "incomplete",
    "low_space",
    "moment",
    "named",
    "no_address",
    "operator",
    "operator_for_user",
    "outage",
    "outage_over",
    "outcome",
    "outcome_for_admins",
    "permission",
    "permission_for_admins",
    "reason",
    "report_txt",
    "site_of",
    "size",
    "split_run",
    "stuck",
    "tell",
    "withdrawn",
]
