"""Looks at the archive for `dropwatch check`: is it there, can it be written, is there space. Nothing it does stays."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from dropwatch.durable import fsync_directory
from dropwatch.errors import DropwatchError
from dropwatch.importers.base import Finding
from dropwatch.importers.folder_archive import Archive
from dropwatch.importers.folder_errors import at_the_archive, in_the_way
from dropwatch.importers.folder_names import folder_name
from dropwatch.importers.folder_tree import is_plain_folder

_LITTLE = 10**9  #: bytes


def examine(archive: Archive, owner: str | None) -> Iterator[Finding]:
    """What there is to say of *archive*; with *owner*, of that person's folder in it."""
    subject = "archive" if owner is None else f"folder of {owner}"
    try:
        archive.check_present()
        if owner is None:
            yield Finding(True, "archive", f"{archive.root} is there")
            yield Finding(True, "archive", _written(archive.root))
            yield _space(archive.root)
        else:
            yield _of_person(archive.root, owner)
    except DropwatchError as error:
        yield Finding(False, subject, error.message, error.remedy or f"Look at {archive.root}.")


def _of_person(root: Path, owner: str) -> Finding:
    subject, home = f"folder of {owner}", root / folder_name(owner)
    if not os.path.lexists(home):
        return Finding(True, subject, f"{home} is made with the first image")
    if not is_plain_folder(home):
        raise in_the_way(str(home))
    _written(home)
    return Finding(True, subject, f"{home} can be written")


def _written(folder: Path) -> str:
    """Write a file in *folder*, give it a second name, remove it."""
    probe = folder / f".dropwatch-check-{secrets.token_hex(4)}"
    second = probe.with_name(f"{probe.name}-2")
    with at_the_archive(folder, "a file was written to see whether it can be"):
        try:
            probe.write_bytes(b"")
            fsync_directory(folder)
            return f"it can be written{_links(probe, second)}"
        finally:
            for path in (probe, second):
                with suppress(OSError):
                    path.unlink(missing_ok=True)


def _links(probe: Path, second: Path) -> str:
    try:
        os.link(probe, second)
    except OSError:
        return "; it has no hard links, so files are moved to their places"
    return ""


def _space(root: Path) -> Finding:
    with at_the_archive(root, "its free space was asked for"):
        free = shutil.disk_usage(root).free
    text = f"{free / 1e9:.1f} GB free"
    return Finding(free >= _LITTLE, "archive", text, "" if free >= _LITTLE else f"Make space in {root}.")
