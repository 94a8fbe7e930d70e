"""Programs that write into drop folders, each in the way of some real one, to be run in processes of their own.

    python -m tests.writers PAUSE JOB ...

A JOB is ``how:manifest:folder``: how the files are written (HOW), what manifest there is and when (MANIFESTS), and the
folder of the batch, which is made. Each of its files is written in parts, with PAUSE seconds between them. What a file
is to be in the end tells content().
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

FILES = ("a.tif", "b.tif")
PARTS = 3
SIZE = 3 * 16384
LONG_AGO = 1_000_000_000.0


def content(batch: str, name: str) -> bytes:
    """What the file *name* of *batch* is when it is whole."""
    block = hashlib.sha256(f"{batch}/{name}".encode()).digest()
    return block * (SIZE // len(block))


def parts(data: bytes) -> list[tuple[int, bytes]]:
    """Offsets and bytes of its parts."""
    size = len(data) // PARTS
    return [(at, data[at : at + size]) for at in range(0, len(data), size)]


# -- how files are written -------------------------------------------------------------------------------


def in_one_go(path: Path, data: bytes, pause: float) -> None:
    path.write_bytes(data)
    time.sleep(pause)


def held_open(path: Path, data: bytes, pause: float) -> None:
    """A camera that saves as it goes."""
    with path.open("wb", buffering=0) as file:
        for _, part in parts(data):
            file.write(part)
            time.sleep(pause)


def reopened(path: Path, data: bytes, pause: float) -> None:
    """A script that appends."""
    for _, part in parts(data):
        with path.open("ab") as file:
            file.write(part)
        time.sleep(pause)


def shifted(path: Path, data: bytes, pause: float, hours: int) -> None:
    """As reopened, on a machine whose clock is wrong."""
    for _, part in parts(data):
        with path.open("ab") as file:
            file.write(part)
        os.utime(path, (time.time() + hours * 3600,) * 2)
        time.sleep(pause)


def ahead(path: Path, data: bytes, pause: float) -> None:
    shifted(path, data, pause, 2)


def behind(path: Path, data: bytes, pause: float) -> None:
    shifted(path, data, pause, -2)


def allocated(path: Path, data: bytes, pause: float) -> None:
    """robocopy and Explorer: the whole size at first, then the bytes, the time of the original at the end."""
    with path.open("wb", buffering=0) as file:
        file.truncate(len(data))
        for at, part in parts(data):
            os.pwrite(file.fileno(), part, at)
            time.sleep(pause)
    os.utime(path, (LONG_AGO, LONG_AGO))


def allocated_reopened(path: Path, data: bytes, pause: float) -> None:
    """As allocated, through a gateway that opens the file for each part and keeps the time of the original: neither
    size nor time ever changes."""
    with path.open("wb") as file:
        file.truncate(len(data))
    os.utime(path, (LONG_AGO, LONG_AGO))
    for at, part in parts(data):
        with path.open("r+b") as file:
            file.seek(at)
            file.write(part)
        os.utime(path, (LONG_AGO, LONG_AGO))
        time.sleep(pause)


def rewritten(path: Path, data: bytes, pause: float) -> None:
    """First a file of the right size and the wrong bytes, then the right ones."""
    path.write_bytes(bytes(len(data)))
    time.sleep(pause)
    with path.open("r+b") as file:
        file.write(data)


def aside(path: Path, data: bytes, pause: float, temporary: str) -> None:
    """Under another name until it is whole."""
    part = path.with_name(temporary)
    reopened(part, data, pause)
    part.rename(path)


def tmp(path: Path, data: bytes, pause: float) -> None:
    aside(path, data, pause, f"{path.name}.tmp")


def rsyncs_name(path: Path, data: bytes, pause: float) -> None:
    aside(path, data, pause, f".{path.name}.Xw3pQz")


def chrome(path: Path, data: bytes, pause: float) -> None:
    aside(path, data, pause, f"Unconfirmed {len(path.name)}{path.name[0]}.crdownload")


def firefox(path: Path, data: bytes, pause: float) -> None:
    """An empty file holds the place."""
    path.touch()
    part = path.with_name(f"{path.stem}.Ab1xYz.tif.part")
    reopened(part, data, pause)
    part.replace(path)


def winscp(path: Path, data: bytes, pause: float) -> None:
    aside(path, data, pause, f"{path.name}.filepart")


def office(path: Path, data: bytes, pause: float) -> None:
    """A lock beside it, which stays where the program crashed. It must hold nothing back."""
    path.with_name(f"~${path.name}").write_bytes(b"alice")
    tmp(path, data, pause)


def curl(path: Path, data: bytes, pause: float) -> None:
    """Straight to the file's own name, steadily."""
    source = _source(path, data)
    rate = str(int(len(data) / (PARTS * pause)))
    command = ["curl", "-s", "--limit-rate", rate, "-o", path, source.as_uri()]
    subprocess.run(command, check=False)


def rsync(path: Path, data: bytes, pause: float) -> None:
    source = _source(path, data)
    rate = str(max(1, int(len(data) / 1024 / (PARTS * pause))))
    command = ["rsync", "-t", f"--bwlimit={rate}", source, path]
    subprocess.run(command, check=False, stderr=subprocess.DEVNULL)


def rsync_in_place(path: Path, data: bytes, pause: float) -> None:
    source = _source(path, data)
    rate = str(max(1, int(len(data) / 1024 / (PARTS * pause))))
    command = ["rsync", "-t", "--inplace", f"--bwlimit={rate}", source, path]
    subprocess.run(command, check=False, stderr=subprocess.DEVNULL)


def _source(path: Path, data: bytes) -> Path:
    """The file as it lies on the sender's disk."""
    source = path.parents[2] / "sources" / path.parent.name / path.name
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_bytes(data)
    return source


HOW: dict[str, Callable[[Path, bytes, float], None]] = {
    "in-one-go": in_one_go,
    "held-open": held_open,
    "reopened": reopened,
    "clock-ahead": ahead,
    "clock-behind": behind,
    "allocated": allocated,
    "allocated-reopened": allocated_reopened,
    "rewritten": rewritten,
    "tmp": tmp,
    "rsyncs-name": rsyncs_name,
    "chrome": chrome,
    "firefox": firefox,
    "winscp": winscp,
    "office": office,
    "curl": curl,
    "rsync": rsync,
    "rsync-in-place": rsync_in_place,
}
#: Each file has a name of its own until it is whole.
BY_RENAME = ("tmp", "rsyncs-name", "chrome", "winscp", "office", "rsync")


# -- manifests -------------------------------------------------------------------------------------------

LISTED = ("listed-first", "listed-last", "sizes-first", "sizes-last", "torn", "torn-held")
UNLISTED = ("unlisted-first", "unlisted-last", "none")
MANIFESTS = (*LISTED, *UNLISTED)


def listing(batch: str, *, sums: bool = True) -> str:
    files: list[dict[str, object]] = []
    for name in FILES:
        data = content(batch, name)
        files.append({"path": name, "size": len(data)})
        if sums:
            files[-1]["sha256"] = hashlib.sha256(data).hexdigest()
    return json.dumps({"files": files})


def block_style(batch: str) -> tuple[str, str]:
    """A listing in two halves. The first of them is a whole, shorter list."""
    entries = []
    for name in FILES:
        data = content(batch, name)
        digest = hashlib.sha256(data).hexdigest()
        entries.append(f"  - path: {name}\n    size: {len(data)}\n    sha256: {digest}\n")
    return f"files:\n{entries[0]}", "".join(entries[1:]) + "...\n"


def write(how: str, manifest: str, folder: Path, pause: float) -> None:
    """One batch. Whoever moves the folder away while it is written gets it as it is: then the writer gives up."""
    batch = folder.name
    folder.mkdir()
    target = folder / "batch.yaml"
    with suppress(FileNotFoundError):
        if manifest in ("listed-first", "sizes-first"):
            target.write_text(listing(batch, sums=manifest.startswith("listed")))
        if manifest == "unlisted-first":
            target.write_text("tags: [first]\n")
        for name in FILES:
            HOW[how](folder / name, content(batch, name), pause)
        if manifest in ("listed-last", "sizes-last"):
            target.write_text(listing(batch, sums=manifest.startswith("listed")))
        if manifest == "unlisted-last":
            target.write_text("tags: [last]\n")
        if manifest.startswith("torn"):
            _tear(target, block_style(batch), pause, held=manifest.endswith("held"))


def _tear(target: Path, halves: tuple[str, str], pause: float, *, held: bool) -> None:
    with target.open("w", buffering=1) as file:
        file.write(halves[0])
        file.flush()
        if held:
            time.sleep(pause)
            file.write(halves[1])
            return
    time.sleep(pause)
    with target.open("a") as file:
        file.write(halves[1])


def main() -> int:
    pause = float(sys.argv[1])
    jobs = [job.split(":", 2) for job in sys.argv[2:]]
    threads = [
        threading.Thread(target=write, args=(how, manifest, Path(folder), pause))
        for how, manifest, folder in jobs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
