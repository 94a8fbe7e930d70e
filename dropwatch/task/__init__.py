"""What runs in a worker. Builds its hands there; values go in, values come out."""

from __future__ import annotations

from dropwatch.task.workshop import Workshop, make_importer

__all__ = ["Workshop", "make_importer"]
