"""Places: folders that the admin named, from which the daemon fetches what a manifest's `from:` asks for.

What this room does with them is look and read. It never writes to one, follows no link in one, and leads nobody out.
"""

from dropwatch.places.entering import folder, opened, relative, sorted_errors
from dropwatch.places.listing import (
    Entry,
    Found,
    Listing,
    Selection,
    Sort,
    label,
    listing,
    measure,
    search,
    walk,
)
from dropwatch.places.source import EVERYONE, Source, called, find, sources

__all__ = [
    "EVERYONE",
    "Entry",
    "Found",
    "Listing",
    "Selection",
    "Sort",
    "Source",
    "called",
    "find",
    "folder",
    "label",
    "listing",
    "measure",
    "opened",
    "relative",
    "search",
    "sorted_errors",
    "sources",
    "walk",
]
