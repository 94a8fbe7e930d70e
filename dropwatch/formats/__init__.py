"""Bio-Formats: which files form a fileset, what is in them, are they readable. The only room that knows JPype.

The JVM that it starts belongs to the process; whoever uses it does so in a worker, never in the daemon.
"""

from dropwatch.formats.look import Look, Readable, Unreadable

__all__ = ["Look", "Readable", "Unreadable"]
