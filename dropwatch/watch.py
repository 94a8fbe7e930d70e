"""The doorbell: rings for an inbox when something in it changed. The only room that knows watchdog.

What changed is for the scan to find out. A lost event costs one sweep interval, never a batch. Only the
inbox itself is watched, not the folders in it: watchdog keeps watching a folder that was moved away, so that
each batch would use up one of the system's watches for ever. Drops that are still growing are looked at again
by the clock.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirModifiedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

#: Not opened, not closed-without-writing: our own scan would ring our own bell for ever.
_CHANGES: list[type[FileSystemEvent]] = [
    DirCreatedEvent,
    DirDeletedEvent,
    DirModifiedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
]


class _Ringer(FileSystemEventHandler):
    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._ring()


class Doorbell:
    """Watches inboxes by the operating system's events.

    ring -- called with the user's name, from a thread of watchdog's; must only set a flag
    """

    def __init__(self, ring: Callable[[str], None]) -> None:
        self._ring = ring
        self._observer: BaseObserver | None = None
        self._watched: dict[str, Path] = {}

    def watch(self, inboxes: dict[str, Path]) -> list[str]:
        """Watch *inboxes* (by user) from now on, and no others. Returns in words what could not be watched;
        those inboxes are still swept."""
        if inboxes == self._watched and self._alive():
            return []
        self.close()
        observer = Observer()
        failures = []
        for user, inbox in inboxes.items():
            try:
                ringer = _Ringer(partial(self._ring, user))
                observer.schedule(ringer, str(inbox), recursive=False, event_filter=_CHANGES)
            except OSError as err:
                failures.append(f"{inbox}: {err.strerror or err}")
        observer.start()
        self._observer, self._watched = observer, dict(inboxes)
        return failures

    def close(self) -> None:
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(timeout=5)
        self._observer, self._watched = None, {}

    def _alive(self) -> bool:
        return self._observer is not None and self._observer.is_alive()
