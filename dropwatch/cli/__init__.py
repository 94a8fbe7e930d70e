"""The command line: what a person could do by hand in the folders, and how to see what lies there."""

from __future__ import annotations

from dropwatch.cli.app import app, main

__all__ = ["app", "main"]
