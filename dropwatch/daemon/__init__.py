"""The daemon: its life, its mailroom, its pulse."""

from __future__ import annotations

from dropwatch.daemon.life import Daemon, on_signals

__all__ = ["Daemon", "on_signals"]
