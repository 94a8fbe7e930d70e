"""Hands images over to dropwatch as acquisition software would: the files first, the manifest last.

Standard library only, so that it runs on an acquisition computer where nothing else is installed:

    python acquisition_software.py --inbox //server/dropwatch/inbox --target "Project:HeLa/Dataset:day 3" *.tif

Where dropwatch is installed, ``from dropwatch import submit`` does the same in one call.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

BLOCK = 1024 * 1024  # bytes


def hand_over(files: list[Path], inbox: Path, name: str, keys: dict[str, object]) -> Path:
    """Make the batch *name* in *inbox* from copies of *files*, and return its folder.

    keys -- what else the manifest shall say: target, user, tags, key_values, ...
    Raises FileExistsError when there is a batch of that name, and OSError when something cannot be written.
    """
    folder = inbox / name
    folder.mkdir()
    listed = [copied(file, folder / file.name) for file in files]
    # JSON is YAML that proves itself whole: cut off, it has no closing bracket. Sizes and checksums let dropwatch
    # start at once, and find out whether the network did its work.
    manifest = {"dropwatch": 1, **keys, "files": listed}
    written(folder / "batch.yaml", json.dumps(manifest, indent=1).encode())
    return folder


def copied(source: Path, target: Path) -> dict[str, object]:
    """Copy, hash on the way, and return the file's entry for the manifest."""
    unfinished = target.with_name(target.name + ".part")  # dropwatch waits for a folder that holds one
    digest = hashlib.sha256()
    with source.open("rb") as reading, unfinished.open("wb") as writing:
        while block := reading.read(BLOCK):
            digest.update(block)
            writing.write(block)
        size = writing.tell()
        on_the_disk(writing)
    unfinished.rename(target)
    return {"path": target.name, "size": size, "sha256": digest.hexdigest()}


def written(path: Path, data: bytes) -> None:
    unfinished = path.with_name(path.name + ".part")
    with unfinished.open("wb") as writing:
        writing.write(data)
        on_the_disk(writing)
    unfinished.rename(path)


def on_the_disk(writing: BinaryIO) -> None:
    """A power cut after the rename must not leave an empty file behind."""
    writing.flush()
    os.fsync(writing.fileno())


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Copy images into a drop folder and say where they go in OMERO."
    )
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--inbox", required=True, type=Path, help="the inbox of your drop folder")
    parser.add_argument("--name", default=f"scan {datetime.now():%Y-%m-%d %H.%M.%S}", help="of the new batch")
    parser.add_argument("--target", help="for example: Project:HeLa/Dataset:day 3")
    parser.add_argument("--user", help="whose images these are (only from an instrument's drop folder)")
    asked = parser.parse_args()
    keys = {key: value for key in ("target", "user") if (value := getattr(asked, key))}
    try:
        folder = hand_over(asked.files, asked.inbox, asked.name, keys)
    except OSError as error:
        print(f"Not handed over: {error}", file=sys.stderr)
        return 1
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
