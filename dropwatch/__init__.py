"""dropwatch: background import of microscopy images into OMERO from watched drop folders."""

from __future__ import annotations

__version__ = "0.1.0"
