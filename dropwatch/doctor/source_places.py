"""Looks at each place that the daemon fetches from: is it there, may the daemon read it, who may use it. Only looks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from dropwatch import places
from dropwatch.config import Config
from dropwatch.doctor.findings import Finding, guarded, ill, unknown, well
from dropwatch.doctor.machine import is_closed
from dropwatch.report.words import listed
from dropwatch.spool.accounts import Account


def look_at_places(config: Config, daemon: Account | None, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Everything about all places."""
    for source in places.sources(config):
        yield from guarded(f"place {source.name}", _look_at(config, source, daemon, environ))


def _look_at(
    config: Config, source: places.Source, daemon: Account | None, environ: Mapping[str, str]
) -> Iterator[Finding]:
    subject = f"place {source.name}"
    if source.path.is_dir() and is_closed(daemon, [source.path], environ, write=False):
        yield ill(
            subject,
            f"{source.path} cannot be read by {daemon.name if daemon else 'the daemon'}",
            f"Give the account that runs the daemon read permission on {source.path} and all that is in it.",
        )
        return
    inside = [path for path in _ours(config) if _overlap(path, source.path)]
    if inside:
        yield ill(
            subject,
            f"{source.path} and {inside[0]} are the same folder, or one lies in the other, over a link",
            "Keep places apart from what is ours: through a place others may read what lies in it.",
        )
        return
    page = places.listing(source, most=1)
    if not page.total:
        yield unknown(
            subject, f"nothing lies in {source.path}; it may not be mounted", f"Mount it at {source.path}."
        )
        return
    yield well(subject, f"{source.path} can be read; {_who(source)}")


def _who(source: places.Source) -> str:
    if places.EVERYONE in source.users:
        return "everyone may fetch from it"
    people = [who for who in source.users if who not in {f"group:{group}" for group in source.groups}]
    groups = [f"members of the OMERO group {group}" for group in source.groups]
    return f"{listed([*people, *groups])} may fetch from it"


def _ours(config: Config) -> Iterator[Path]:
    yield from (spool.path for spool in config.spools)
    yield config.state
    if config.folder is not None:
        yield config.folder.path


def _overlap(one: Path, other: Path) -> bool:
    """Whether one of the two lies in the other, whatever links lead there."""
    first, second = Path(os.path.realpath(one)), Path(os.path.realpath(other))
    return first.is_relative_to(second) or second.is_relative_to(first)
