"""dropwatch: background import of microscopy images into OMERO from watched drop folders."""

from __future__ import annotations

from dropwatch.spool.submit import submit, submit_from

__all__ = ["__version__", "submit", "submit_from"]

__version__ = "0.1.0"
