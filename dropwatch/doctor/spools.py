"""Looks at each spool as a whole: is it there, is it watched, is there space. It changes nothing."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from dropwatch.config import Config
from dropwatch.config.sections import Spool as SpoolSettings
from dropwatch.doctor.drop_folders import look_at_user
from dropwatch.doctor.duty import Duty
from dropwatch.doctor.findings import Finding, guarded, ill, unknown, well
from dropwatch.doctor.machine import is_closed
from dropwatch.doctor.privacy import look_at_root
from dropwatch.model import Place
from dropwatch.mounts import why_polled
from dropwatch.spool.accounts import Account
from dropwatch.spool.folders import Spool

_WATCHES = Path("/proc/sys/fs/inotify/max_user_watches")
_MOST_COUNTED = 1_000_000  #: folders


def look_at_spool(
    config: Config, settings: SpoolSettings, duty: Duty, environ: Mapping[str, str]
) -> Iterator[Finding]:
    """Everything about one spool and its users."""
    subject, spool = f"spool {settings.path}", Spool(settings.path)
    spool.check_present()
    daemon = duty.account(spool.root)
    yield from _identity(subject, spool, daemon, environ)
    yield from look_at_root(subject, spool)
    users = spool.users()
    for name in users.clashing:
        yield ill(
            f"user {name}",
            f"{spool.root} has several folders whose names differ by upper and lower case only",
            "Rename or merge them. None of them is served.",
        )
    if not users.names:
        yield unknown(subject, "it has no drop folder yet", "dropwatch user add NAME makes one.")
    yield from _watching(subject, settings, [spool.folder(name, Place.INBOX) for name in users.names])
    yield from _space(subject, config, spool.root)
    for name in users.names:
        yield from guarded(f"user {name}", look_at_user(spool, name, duty, environ))


def _identity(
    subject: str, spool: Spool, daemon: Account | None, environ: Mapping[str, str]
) -> Iterator[Finding]:
    if is_closed(daemon, [spool.identity], environ, write=True):
        yield ill(
            subject,
            f"the daemon's account may not lock {spool.identity}",
            "dropwatch user add NAME (as root, for any user) gives it to the owner of the spool.",
        )
    else:
        yield well(subject, "is there")


def _watching(subject: str, settings: SpoolSettings, inboxes: list[Path]) -> Iterator[Finding]:
    """How changes are noticed, and whether that works here."""
    why = why_polled(settings.path, inboxes)
    every = f"a look every {settings.poll:g} s"
    if settings.watch == "poll":
        yield well(subject, f"polled, as configured: {every}")
    elif why and settings.watch == "auto":
        yield well(subject, f"polled, because {why}: {every}")
    elif why:
        yield ill(
            subject,
            f"watched by events, as configured, but {why}",
            f"Say `watch: auto` or `watch: poll`; until then a drop waits up to {settings.sweep:g} s.",
        )
    else:
        yield from _events(subject, settings, inboxes)


def _events(subject: str, settings: SpoolSettings, inboxes: list[Path]) -> Iterator[Finding]:
    text = f"watched by events, and a look every {settings.sweep:g} s"
    limit = _watch_limit()
    needed = sum(_folders(inboxes)) if limit else 0
    if limit and needed > limit:
        yield ill(
            subject,
            f"the {needed} folders in the inboxes are more than the {limit} that Linux lets one account watch",
            f"sysctl fs.inotify.max_user_watches={2 * needed} (and in /etc/sysctl.d/); until then drops in the "
            f"others wait up to {settings.sweep:g} s.",
        )
    else:
        yield well(subject, text)


def _watch_limit() -> int:
    """How many folders an account may watch (inotify(7)); 0 where there is no such limit."""
    if sys.platform != "linux":
        return 0
    try:
        return int(_WATCHES.read_text("ascii"))
    except (OSError, ValueError):
        return 0


def _folders(inboxes: list[Path]) -> Iterator[int]:
    for inbox in inboxes:
        yield sum(1 for _ in islice(os.walk(inbox), _MOST_COUNTED))


def _space(subject: str, config: Config, root: Path) -> Iterator[Finding]:
    usage = shutil.disk_usage(root)
    least = config.limits.min_free.of(usage.total)
    free = f"{usage.free / 1e9:.1f} GB free"
    if usage.free < least:
        yield ill(
            subject,
            f"only {free}, and nothing is claimed below {least / 1e9:.1f} GB (limits.min_free)",
            "Make space: what lies in done/ is in OMERO. Or lower limits.min_free.",
        )
    else:
        yield well(subject, free)


def look_for_strangers(config: Config) -> Iterator[Finding]:
    """Users of the configuration who have no drop folder: a slip of the finger, most often."""
    spools = [Spool(settings.path) for settings in config.spools if settings.path.is_dir()]
    users = [spool.users() for spool in spools]
    there = {name.casefold() for one in users for name in (*one.names, *one.clashing)}
    for name in (*config.users, *config.instruments):
        if there and name.casefold() not in there:
            text = "is in the configuration and has no drop folder"
            yield unknown(f"user {name}", text, f"dropwatch user add {shlex.quote(name)}")
