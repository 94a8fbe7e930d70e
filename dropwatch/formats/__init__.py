"""Bio-Formats: which files form a fileset, what is in them, are they readable. The only room that knows JPype.

The JVM that it starts belongs to the process; whoever uses it does so in a worker, never in the daemon.
"""

from dropwatch.formats.by_name import look_by_name
from dropwatch.formats.fence import can_fence
from dropwatch.formats.installation import JAR, Installation, Missing, find
from dropwatch.formats.look import Look, Readable, Unreadable
from dropwatch.formats.reader import BioFormats

__all__ = [
    "JAR",
    "BioFormats",
    "Installation",
    "Look",
    "Missing",
    "Readable",
    "Unreadable",
    "can_fence",
    "find",
    "look_by_name",
]
