"""The doorbell: rings for an inbox when something in it changed. The only room that knows watchdog.

What changed is for the scan to find out. A lost event costs one sweep interval, never a batch; where the system
tells that it lost some, not even that. Only the inbox itself is watched, not the folders in it: watchdog keeps
watching a folder that was moved away, so that each batch would use up one of the system's watches for ever. Drops
that are still growing are looked at again by the clock.
"""

from __future__ import annotations

import sys
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
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
]
if sys.platform != "linux":
    # Linux tells when a writer closes its file; each write before that would only fill the kernel's queue.
    _CHANGES += [DirModifiedEvent, FileModifiedEvent]


class _Ringer(FileSystemEventHandler):
    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._ring()


class Doorbell:
    """Watches inboxes by the operating system's events.

    ring -- called with the user's name, from a thread of watchdog's; must only set a flag
    lost -- called when the system lost events, nobody knows of which inboxes; likewise
    """

    def __init__(self, ring: Callable[[str], None], lost: Callable[[], None]) -> None:
        self._ring, self._lost = ring, lost
        self._observer: BaseObserver | None = None
        self._watched: dict[str, tuple[Path, int]] = {}

    def watch(self, inboxes: dict[str, Path]) -> list[str]:
        """Watch *inboxes* (by user) from now on, and no others. Returns in words what could not be watched;
        those inboxes are still swept."""
        # A folder that was taken away and made anew is another one, and a watch follows the old one.
        wanted = {user: (inbox, _inode(inbox)) for user, inbox in inboxes.items()}
        if wanted == self._watched and self._alive():
            return []
        self.close()
        try:
            observer = self._observer = _observer(self._lost)
            observer.start()
        except OSError as err:  # the system's limit of watchers, say
            return [f"{err.strerror or err}"]
        failures = []
        for user, inbox in inboxes.items():
            try:
                ringer = _Ringer(partial(self._ring, user))
                observer.schedule(ringer, str(inbox), recursive=False, event_filter=_CHANGES)
                self._watched[user] = wanted[user]
            except OSError as err:  # tried again when the spool is swept next
                failures.append(f"{inbox}: {err.strerror or err}")
        return failures

    def close(self) -> None:
        if self._observer is not None and self._observer.is_alive():
            self._observer.stop()
            self._observer.join(timeout=5)
        self._observer, self._watched = None, {}

    def _alive(self) -> bool:
        # A watch ends by itself when its inbox is removed.
        observer = self._observer
        return (
            observer is not None and observer.is_alive() and all(one.is_alive() for one in observer.emitters)
        )


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def _observer(lost: Callable[[], None]) -> BaseObserver:
    """An observer that calls *lost* when the system threw events away, as far as it tells.

    On Linux the kernel keeps fs.inotify.max_queued_events for us to read, then drops what comes and says so once
    (IN_Q_OVERFLOW, inotify(7)). watchdog reads that and makes no event of it. Since 7.1 it has one queue for all the
    inboxes of an observer: a burst in one of them swallows the only event of another. So it gets a queue of ours,
    which listens. watchdog 4 to 6 have a queue for each inbox; what makes it overflow rings for that inbox
    when it is read. (7.0 has one queue for all and hides the kernel's word: pyproject.toml excludes it.)
    """
    if sys.platform != "linux":
        return Observer()
    try:
        from watchdog.observers.inotify import InotifyEmitter
        from watchdog.observers.inotify_c import InotifyEvent, InotifyFD
    except ImportError:  # watchdog before 7
        return Observer()

    class Queue(InotifyFD):
        def handle_event(self, event: InotifyEvent) -> None:
            super().handle_event(event)
            if event.is_queue_overflow:
                lost()

    class Listening(BaseObserver):
        def __init__(self) -> None:
            self._queue = Queue()
            self._queue.start()
            super().__init__(InotifyEmitter, inotify_fd=self._queue)

        def on_thread_stop(self) -> None:
            super().on_thread_stop()
            self._queue.stop()
            self._queue.join(timeout=5)

    return Listening()
